//! The contract's names: by what a component exports one knows what it is.

use flyball_model::Grants;
use wasmtime::component::Component;

use crate::capabilities::Capabilities;
use crate::worlds::{Served, Worlds};
use crate::{CallError, LoadError};

/// The version that this host serves.
pub const VERSION: &str = "0.1.0";

/// Larger files are refused unread.
pub(crate) const LARGEST: usize = 64 << 20;

const PACKAGE: &str = "flyball:plugin/";

pub(crate) const LIFECYCLE: &str = "flyball:plugin/lifecycle@0.1.0";

/// Tells from the file's shape alone whether it may be a component, so that a text file, a half-written file and a core
/// module each get their own sentence instead of a parser's.
pub(crate) fn check_shape(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if bytes.len() > LARGEST {
        return Err(LoadError::TooLarge { bytes: bytes.len(), limit: LARGEST });
    }
    let truncated = LoadError::Truncated { bytes: bytes.len() };
    if b"\0asm".starts_with(bytes) {
        return Err(truncated);
    }
    let Some(rest) = bytes.strip_prefix(b"\0asm") else {
        return Err(LoadError::NotWasm { looks_like: looks_like(bytes) });
    };
    let Some((version, sections)) = rest.split_first_chunk::<4>() else { return Err(truncated) };
    match u32::from_le_bytes(*version) {
        0x0001_000d => {}
        0x0000_0001 => return Err(LoadError::CoreModule),
        found => return Err(LoadError::OtherFormat { found }),
    }
    if ends_in_a_section(sections) { Err(truncated) } else { Ok(()) }
}

fn looks_like(bytes: &[u8]) -> &'static str {
    let start = bytes.get(..bytes.len().min(512)).unwrap_or_default();
    if start.starts_with(b"PK\x03\x04") {
        return "a zip archive";
    }
    if start.starts_with(b"\x7fELF") {
        return "a native program";
    }
    let text = match std::str::from_utf8(start) {
        Ok(_) => true,
        // A character may be cut by the end of what was looked at.
        Err(error) => error.error_len().is_none(),
    };
    if text && !start.contains(&0) { "text" } else { "of an unknown format" }
}

/// A component is a row of sections, each with its length in front.
fn ends_in_a_section(mut sections: &[u8]) -> bool {
    while let Some((_, rest)) = sections.split_first() {
        let Some((length, rest)) = leb128(rest) else { return true };
        let Some(rest) = rest.get(length..) else { return true };
        sections = rest;
    }
    false
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

/// A name from the file, as people can read it: some kinds of name may hold anything.
fn plain(name: &str) -> String {
    crate::quoted::plain(name, 200)
}

/// Says how a component that does not fit differs from the contract, where that can be said.
pub(crate) fn explained(error: LoadError, bytes: &[u8]) -> LoadError {
    let ours = |name: &String| name.starts_with(PACKAGE);
    match error {
        LoadError::OtherContract { found, .. } => {
            // That all of it is of one other version is said once.
            let known = format!("@{found}: this host serves {VERSION}");
            let mut differences = crate::shape::differences(bytes);
            differences.retain(|difference| !difference.ends_with(&known));
            LoadError::OtherContract { found: crate::shape::tame(&found), differences }
        }
        LoadError::WrongShape { .. } | LoadError::Describing(CallError::Failed { .. }) => {
            differs(error, bytes)
        }
        LoadError::UnknownImport { ref import } if ours(import) => differs(error, bytes),
        LoadError::NoPlugin { ref exports, .. } if exports.iter().any(ours) => differs(error, bytes),
        other => other,
    }
}

fn differs(error: LoadError, bytes: &[u8]) -> LoadError {
    let differences = crate::shape::differences(bytes);
    if differences.is_empty() { error } else { LoadError::Differs { differences } }
}

/// Of which world the component is, by its exports.
pub(crate) fn world_of(component: &Component, worlds: &Worlds) -> Result<Served, LoadError> {
    let engine = component.engine();
    let exports: Vec<String> =
        component.component_type().exports(engine).map(|(name, _)| plain(name)).collect();
    let found: Vec<&Served> =
        worlds.iter().filter(|world| exports.iter().any(|name| name == world.interface)).collect();
    let known = || worlds.iter().map(|world| world.interface).collect();
    match found.as_slice() {
        [world] if exports.iter().any(|name| name == LIFECYCLE) => Ok(**world),
        [world] => Err(LoadError::NoLifecycle { kind: world.kind }),
        [] => Err(match exports.iter().find_map(|name| other_version(name)) {
            Some(found) => LoadError::OtherContract { found, differences: Vec::new() },
            None if exports.iter().any(|name| name == LIFECYCLE) => LoadError::NoKind { known: known() },
            None => LoadError::NoPlugin { exports, known: known() },
        }),
        _ => Err(LoadError::SeveralKinds { kinds: found.iter().map(|world| world.kind).collect() }),
    }
}

fn other_version(name: &str) -> Option<String> {
    let (_, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    (version != VERSION).then(|| version.to_owned())
}

/// Whether a policy grants whatever the component imports.
pub(crate) fn check_granted(
    component: &Component,
    capabilities: &Capabilities,
    grants: &Grants,
) -> Result<(), LoadError> {
    for (import, _) in component.component_type().imports(component.engine()) {
        let lacking = capabilities.answering(import).filter(|capability| !(capability.granted)(grants));
        if let Some(capability) = lacking {
            return Err(LoadError::NotGranted { import: import.to_owned(), grant: capability.name });
        }
    }
    Ok(())
}

/// Whether the component imports anything asynchronous. What no capability answers and no world has types in is refused.
pub(crate) fn imports_asynchronous(
    component: &Component,
    worlds: &Worlds,
    capabilities: &Capabilities,
) -> Result<bool, LoadError> {
    let mut asynchronous = false;
    for (name, _) in component.component_type().imports(component.engine()) {
        match capabilities.answering(name) {
            Some(capability) => asynchronous |= capability.asynchronous,
            None if worlds.iter().any(|world| world.types.contains(&name)) => {}
            None => {
                return Err(match other_version(name) {
                    Some(found) => LoadError::OtherContract { found, differences: Vec::new() },
                    None => LoadError::UnknownImport { import: plain(name) },
                });
            }
        }
    }
    Ok(asynchronous)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_shape_has_its_own_sentence() {
        let says = |bytes: &[u8]| check_shape(bytes).map_err(|error| error.to_string());
        assert!(says(b"").is_err_and(|error| error.contains("empty")));
        assert!(says(b"hello, plugin\n").is_err_and(|error| error.contains("is text")));
        assert!(says(b"PK\x03\x04rest").is_err_and(|error| error.contains("zip")));
        assert!(says(b"\x7fELF\x02").is_err_and(|error| error.contains("native program")));
        assert!(says(b"\xff\xfe\x00\x01").is_err_and(|error| error.contains("unknown format")));
        assert!(says(b"\0as").is_err_and(|error| error.contains("ends in the middle")));
        assert!(says(b"\0asm\x0d\0").is_err_and(|error| error.contains("ends in the middle")));
        assert!(says(b"\0asm\x01\0\0\0").is_err_and(|error| error.contains("core WebAssembly module")));
        assert!(says(b"\0asm\x09\0\0\0").is_err_and(|error| error.contains("0x9")));
        assert!(
            says(b"\0asm\x0d\0\x01\0\x00\x05ab").is_err_and(|error| error.contains("ends in the middle"))
        );
        assert_eq!(says(b"\0asm\x0d\0\x01\0\x00\x02ab"), Ok(()));
    }
}
