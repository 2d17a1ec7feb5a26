//! Components that never answer: a node, a heuristic and a decider, each of which loops for ever when it is asked.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

/// A component of this kind that loops.
pub fn that_loops(name: &str, world: &str) -> Vec<u8> {
    let does = match world {
        "node" => format!(
            r#"(func (export "flyball:plugin/processing@0.1.0#process") (param i32 i32) (result i32) {LOOP})"#
        ),
        "heuristic" => format!(
            r#"(func (export "flyball:plugin/assessing@0.1.0#assess") (param i32 i32) (result i32) {LOOP})"#
        ),
        "decider" => format!(
            r#"(func (export "flyball:plugin/deciding@0.1.0#decide") (param i32) (result i32) {LOOP})"#
        ),
        other => panic!("no guest of the world {other}"),
    };
    let core = format!(
        r#"(module
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  (data (i32.const 2048) "{name}")
  (data (i32.const 2148) "1.0.0")
  (data (i32.const 2248) "a test")
  (data (i32.const 8192) "{{}}")
  (func (export "flyball:plugin/lifecycle@0.1.0#describe") (result i32)
    (i32.store (i32.const 1024) (i32.const 2048)) (i32.store (i32.const 1028) (i32.const {}))
    (i32.store (i32.const 1032) (i32.const 2148)) (i32.store (i32.const 1036) (i32.const 5))
    (i32.store (i32.const 1040) (i32.const 2248)) (i32.store (i32.const 1044) (i32.const 6))
    (i32.store (i32.const 1048) (i32.const 8192)) (i32.store (i32.const 1052) (i32.const 2))
    (i32.const 1024))
  (func (export "flyball:plugin/lifecycle@0.1.0#check-settings") (result i32) (i32.const 1100))
  {does})"#,
        name.len()
    );
    let mut resolve = Resolve::default();
    resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).unwrap();
    let (world, _) = resolve.worlds.iter().find(|(_, found)| found.name == world).unwrap();
    let mut module = wat::parse_str(core).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}
