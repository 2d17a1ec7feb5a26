//! Files that somebody might put into a plugin directory: what `wasm-smith` thinks up, whole and damaged plugins, and
//! components that are composed of others.

use arbitrary::{Error, Result, Unstructured};
use wasm_smith::{Component, Config, Module};

/// A file made from arbitrary bytes. `whole` are plugins that nothing is wrong with, the smallest first.
pub fn file(from: &mut Unstructured<'_>, whole: &[Vec<u8>]) -> Result<Vec<u8>> {
    let small = whole.first().cloned().unwrap_or_default();
    Ok(match from.int_in_range(0..=12)? {
        0 => from.bytes(from.len().min(64))?.to_vec(),
        1..=3 => component(from)?,
        4 => {
            let thought_up = component(from)?;
            damaged(from, thought_up)?
        }
        5 | 6 => inhabited(from, small)?,
        7 | 8 => damaged(from, small)?,
        9 => composed(from)?,
        10 => {
            let composed = composed(from)?;
            damaged(from, composed)?
        }
        11 => with_component(small, &composed(from)?),
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

/// What functions between components take and give, and how that looks to the module that is called and to the one that
/// calls.
const FUNCTIONS: [(&str, &str, &str); 9] = [
    ("(param \"a\" string)", "(param i32 i32)", "(param i32 i32)"),
    ("(param \"a\" (list u8))", "(param i32 i32)", "(param i32 i32)"),
    ("(param \"a\" (list (tuple string f64)))", "(param i32 i32)", "(param i32 i32)"),
    ("(param \"a\" (tuple u8 string))", "(param i32 i32 i32)", "(param i32 i32 i32)"),
    ("(param \"a\" (option string))", "(param i32 i32 i32)", "(param i32 i32 i32)"),
    ("(param \"a\" (result (list u32) (error string)))", "(param i32 i32 i32)", "(param i32 i32 i32)"),
    ("(param \"a\" u64) (param \"b\" f32)", "(param i64 f32)", "(param i64 f32)"),
    ("(param \"a\" string) (result string)", "(param i32 i32) (result i32)", "(param i32 i32 i32)"),
    ("(result (tuple u64 (list string)))", "(result i32)", "(param i32)"),
];

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// Components in a row, each of which calls the one before it, with a memory and an encoding of texts of its own.
fn composed(from: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (ty, called, calling) = *from.choose(&FUNCTIONS)?;
    let mut text = "(component\n".to_owned();
    let parts = from.int_in_range(1..=4)?;
    for number in 0..parts {
        let memory = "(memory (core memory $m \"memory\")) (realloc (core func $m \"realloc\"))";
        let options = format!("{memory} string-encoding={}", from.choose(&ENCODINGS)?);
        let imports = if number == 0 { String::new() } else { format!("(import \"f\" (func $f {ty}))") };
        let calls = if number == 0 {
            String::new()
        } else {
            format!(
                "(core func $l (canon lower (func $f) {options})) (core module $c (import \"\" \"f\" (func {calling}))) \
                 (core instance (instantiate $c (with \"\" (instance (export \"f\" (func $l))))))"
            )
        };
        text.push_str(&format!(
            "(component $p{number} {imports}
               (core module $s (memory (export \"memory\") 1)
                 (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 16))
                 (func (export \"f\") {called} (unreachable)))
               (core instance $m (instantiate $s))
               {calls}
               (func (export \"f\") {ty} (canon lift (core func $m \"f\") {options})))\n"
        ));
        for copy in 0..from.int_in_range(1..=2)? {
            let name = if copy == 0 { format!("$i{number}") } else { String::new() };
            let with = if number == 0 {
                String::new()
            } else {
                format!("(with \"f\" (func $i{} \"f\"))", number - 1)
            };
            text.push_str(&format!("(instance {name} (instantiate $p{number} {with}))\n"));
        }
    }
    text.push_str(&format!("(export \"f\" (func $i{} \"f\")))", parts - 1));
    wat::parse_str(text).map_err(|_| Error::IncorrectFormat)
}

/// A plugin that has another component in it, and instantiates that.
fn with_component(mut plugin: Vec<u8>, component: &[u8]) -> Vec<u8> {
    let components = sections(&plugin).filter(|(id, _)| *id == 4).count();
    section(&mut plugin, 4, component);
    // One instance, made by instantiating that component with nothing.
    section(&mut plugin, 5, &[1, 0, u8::try_from(components).unwrap_or_default(), 0]);
    plugin
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
