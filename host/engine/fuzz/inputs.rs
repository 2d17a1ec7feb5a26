//! Files that somebody might put into a plugin directory: what `wasm-smith` thinks up, whole and damaged plugins.

use arbitrary::{Result, Unstructured};
use wasm_smith::{Component, Config, Module};

/// A file made from arbitrary bytes. `whole` are plugins that nothing is wrong with, the smallest first.
pub fn file(from: &mut Unstructured<'_>, whole: &[Vec<u8>]) -> Result<Vec<u8>> {
    let small = whole.first().cloned().unwrap_or_default();
    Ok(match from.int_in_range(0..=9)? {
        0 => from.bytes(from.len().min(64))?.to_vec(),
        1..=3 => component(from)?,
        4 => {
            let thought_up = component(from)?;
            damaged(from, thought_up)?
        }
        5 | 6 => inhabited(from, small)?,
        7 | 8 => damaged(from, small)?,
        _ if from.ratio(1, 4)? => {
            let one = from.choose(whole)?.clone();
            damaged(from, one)?
        }
        _ => spliced(from, small)?,
    })
}

fn config() -> Config {
    Config {
        allow_start_export: true,
        max_imports: 0,
        min_funcs: 1,
        max_instructions: 200,
        max_memory32_bytes: 1 << 32,
        max_table_elements: 1 << 20,
        // What no plugin may use is refused at its first byte.
        gc_enabled: false,
        memory64_enabled: false,
        shared_everything_threads_enabled: false,
        threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        exceptions_enabled: false,
        reference_types_enabled: false,
        max_memories: 1,
        max_tables: 1,
        ..Config::default()
    }
}

fn component(from: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(Component::new(Config { max_imports: 10, ..config() }, from)?.to_bytes())
}

/// A plugin with a module beside its own that is instantiated before it is asked anything; what that does is anybody's
/// guess.
fn inhabited(from: &mut Unstructured<'_>, mut plugin: Vec<u8>) -> Result<Vec<u8>> {
    let modules = sections(&plugin).filter(|(id, _)| *id == 1).count();
    let module = Module::new(config(), from)?.to_bytes();
    section(&mut plugin, 1, &module);
    // One instance, made by instantiating that module with nothing.
    section(&mut plugin, 2, &[1, 0, u8::try_from(modules).unwrap_or_default(), 0]);
    Ok(plugin)
}

fn damaged(from: &mut Unstructured<'_>, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    for _ in 0..from.int_in_range(1..=8)? {
        if bytes.is_empty() {
            break;
        }
        let at = from.choose_index(bytes.len())?;
        match from.int_in_range(0..=9)? {
            0 => bytes.truncate(at),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, from.arbitrary()?),
            _ => bytes[at] ^= 1 << from.int_in_range(0..=7)?,
        }
    }
    Ok(bytes)
}

/// Its sections, one of them in another place, or twice.
fn spliced(from: &mut Unstructured<'_>, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut parts: Vec<(u8, Vec<u8>)> =
        sections(&bytes).map(|(id, content)| (id, content.to_vec())).collect();
    let taken = from.choose(&parts)?.clone();
    let (removed, at) = (from.choose_index(parts.len())?, from.choose_index(parts.len())?);
    if from.arbitrary()? {
        parts.remove(removed);
    }
    parts.insert(at.min(parts.len()), taken);
    let mut spliced = bytes[..8].to_vec();
    for (id, content) in parts {
        section(&mut spliced, id, &content);
    }
    Ok(spliced)
}

fn sections(component: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = component.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (id, after) = rest.split_first()?;
        let (mut length, mut shift, mut used) = (0_usize, 0, 0);
        for byte in after.iter().take(5) {
            length |= usize::from(byte & 0x7f) << shift;
            (shift, used) = (shift + 7, used + 1);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let content = after.get(used..used + length)?;
        rest = after.get(used + length..)?;
        Some((*id, content))
    })
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
}
