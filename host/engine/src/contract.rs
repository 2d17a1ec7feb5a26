//! The contract's names: by what a component exports one knows what it is.

use flyball_model::{Grants, PluginKind};
use wasmtime::component::Component;

use crate::{CallError, LoadError};

/// The version that this host serves.
pub const VERSION: &str = "0.1.0";

/// Larger files are refused unread.
pub(crate) const LARGEST: usize = 64 << 20;

const PACKAGE: &str = "flyball:plugin/";

pub(crate) const LIFECYCLE: &str = "flyball:plugin/lifecycle@0.1.0";

/// The interface that makes a component a plugin of this kind.
pub const fn interface_of(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Heuristic => "flyball:plugin/assessing@0.1.0",
        PluginKind::Decider => "flyball:plugin/deciding@0.1.0",
        PluginKind::Validator => "flyball:plugin/reviewing@0.1.0",
        PluginKind::Reverser => "flyball:plugin/reversing@0.1.0",
        PluginKind::Catalog => "flyball:plugin/listing@0.1.0",
        PluginKind::Node => "flyball:plugin/processing@0.1.0",
    }
}

/// The one function that a plugin of this kind is asked.
pub(crate) const fn function_of(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Heuristic => "assess",
        PluginKind::Decider => "decide",
        PluginKind::Validator => "review",
        PluginKind::Reverser => "reverse",
        PluginKind::Catalog => "list-types",
        PluginKind::Node => "process",
    }
}

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
    crate::logging::plain(name, 200)
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
        LoadError::NoPlugin { ref exports } if exports.iter().any(ours) => differs(error, bytes),
        other => other,
    }
}

fn differs(error: LoadError, bytes: &[u8]) -> LoadError {
    let differences = crate::shape::differences(bytes);
    if differences.is_empty() { error } else { LoadError::Differs { differences } }
}

/// Which kind of plugin the component is, by its exports.
pub(crate) fn kind_of(component: &Component) -> Result<PluginKind, LoadError> {
    let engine = component.engine();
    let exports: Vec<String> =
        component.component_type().exports(engine).map(|(name, _)| plain(name)).collect();
    let kinds: Vec<PluginKind> = PluginKind::ALL
        .into_iter()
        .filter(|kind| exports.iter().any(|name| name == interface_of(*kind)))
        .collect();
    match kinds.as_slice() {
        [kind] if exports.iter().any(|name| name == LIFECYCLE) => Ok(*kind),
        [kind] => Err(LoadError::NoLifecycle { kind: *kind }),
        [] => Err(match exports.iter().find_map(|name| other_version(name)) {
            Some(found) => LoadError::OtherContract { found, differences: Vec::new() },
            None if exports.iter().any(|name| name == LIFECYCLE) => LoadError::NoKind,
            None => LoadError::NoPlugin { exports },
        }),
        _ => Err(LoadError::SeveralKinds { kinds }),
    }
}

fn other_version(name: &str) -> Option<String> {
    let (_, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    (version != VERSION).then(|| version.to_owned())
}

/// Standard interfaces that the host serves by its own rules.
const STANDARD: [&str; 3] =
    ["wasi:logging/logging@0.1.0-draft", "wasi:config/store@0.2.0-rc.1", "wasi:keyvalue/store@0.2.0-draft"];

/// Which import needs which grant.
const GRANTED: [(&str, &str); 4] = [
    ("flyball:plugin/state@0.1.0", "state"),
    ("wasi:keyvalue/store@0.2.0-draft", "state"),
    ("flyball:plugin/http@0.1.0", "http"),
    ("flyball:plugin/llm@0.1.0", "llm"),
];

/// Whether a policy grants whatever the component imports.
pub(crate) fn check_granted(component: &Component, grants: &Grants) -> Result<(), LoadError> {
    for (import, _) in component.component_type().imports(component.engine()) {
        let needed = GRANTED.iter().find(|(name, _)| *name == import);
        if let Some((_, grant)) = needed
            && !grants.names().any(|name| name == *grant)
        {
            return Err(LoadError::NotGranted { import: import.to_owned(), grant });
        }
    }
    Ok(())
}

/// Whether the component asks for WASI, or for something that no plugin gets.
pub(crate) fn wants_wasi(component: &Component) -> Result<bool, LoadError> {
    const WASI: [&str; 6] =
        ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
    const OURS: [&str; 14] = [
        "metrics",
        "state",
        "http",
        "llm",
        "settings",
        "log",
        "observed",
        "pipeline",
        "judgement",
        "actions",
        "offers",
        "deciding",
        "reviewing",
        "reversing",
    ];
    let mut wasi = false;
    for (name, _) in component.component_type().imports(component.engine()) {
        let ours = name
            .strip_prefix(PACKAGE)
            .and_then(|rest| rest.strip_suffix("@0.1.0"))
            .is_some_and(|interface| OURS.contains(&interface));
        if WASI.iter().any(|prefix| name.starts_with(prefix)) {
            wasi = true;
        } else if !ours && !STANDARD.contains(&name) {
            return Err(match other_version(name) {
                Some(found) => LoadError::OtherContract { found, differences: Vec::new() },
                None => LoadError::UnknownImport { import: plain(name) },
            });
        }
    }
    Ok(wasi)
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
