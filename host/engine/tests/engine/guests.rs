//! Small components written by hand, of world `heuristic`.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use flyball_engine::{Engine, EngineOptions, Judge, LoadError, Plugin};
use flyball_model::{Limits, PluginUse};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WASI: &str = r#"
package wasi:clocks@0.2.3;
interface wall-clock {
    record datetime { seconds: u64, nanoseconds: u32 }
    now: func() -> datetime;
}
"#;
const WASI_RANDOM: &str = r#"
package wasi:random@0.2.3;
interface random { get-random-u64: func() -> u64; }
"#;
const WORLD: &str = r#"
package test:guests;
world with-wasi {
    include flyball:plugin/heuristic@0.1.0;
    import wasi:clocks/wall-clock@0.2.3;
    import wasi:random/random@0.2.3;
}
"#;

/// One engine for all tests of this process.
pub fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions::default()).unwrap()).clone()
}

fn contract(text: Option<&str>) -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).unwrap();
    for text in text.into_iter().flat_map(|_| [WASI, WASI_RANDOM, WORLD]) {
        resolve.push_str("guest.wit", text).unwrap();
    }
    resolve
}

fn encoded(core: &str, world: &str, resolve: &Resolve) -> Vec<u8> {
    let mut module = wat::parse_str(core).unwrap();
    let world =
        *resolve.worlds.iter().find(|(_, found)| found.name == world).map(|(id, _)| id).as_ref().unwrap();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The core module of a heuristic of this name and version whose `assess` is `body`.
fn core(name: &str, version: &str, imports: &str, body: &str) -> String {
    format!(
        r#"(module
  (import "flyball:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (import "flyball:plugin/observed@0.1.0" "[resource-drop]observation" (func $drop-now (param i32)))
  (import "flyball:plugin/observed@0.1.0" "[resource-drop]window" (func $drop-past (param i32)))
  {imports}
  (memory (export "memory") 2)
  (table $table 1 funcref)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  (data (i32.const 2048) "{name}")
  (data (i32.const 2148) "{version}")
  (data (i32.const 2248) "a test")
  (data (i32.const 2348) "{{}}")
  (data (i32.const 2448) "the sky fell")
  (func (export "flyball:plugin/lifecycle@0.1.0#describe") (result i32)
    (i32.store (i32.const 1024) (i32.const 2048)) (i32.store (i32.const 1028) (i32.const {}))
    (i32.store (i32.const 1032) (i32.const 2148)) (i32.store (i32.const 1036) (i32.const {}))
    (i32.store (i32.const 1040) (i32.const 2248)) (i32.store (i32.const 1044) (i32.const 6))
    (i32.store (i32.const 1048) (i32.const 2348)) (i32.store (i32.const 1052) (i32.const 2))
    (i32.const 1024))
  (func (export "flyball:plugin/lifecycle@0.1.0#check-settings") (result i32) (i32.const 1100))
  (func $deep (param i32) (result i32)
    (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
  (func (export "flyball:plugin/assessing@0.1.0#assess") (param $now i32) (param $past i32) (result i32)
    {body}
    (call $drop-now (local.get $now)) (call $drop-past (local.get $past))
    (i32.const 1200)))"#,
        name.len(),
        version.len(),
    )
}

/// A component whose `assess` is `body` and then "all is well".
pub fn guest(name: &str, version: &str, body: &str) -> Vec<u8> {
    encoded(&core(name, version, "", body), "heuristic", &contract(None))
}

/// One with imports, or other fields of a module, of its own.
pub fn guest_importing(name: &str, version: &str, imports: &str, body: &str) -> Vec<u8> {
    encoded(&core(name, version, imports, body), "heuristic", &contract(None))
}

/// One that asks WASI for the time and a random number, and gives both as evidence.
pub fn wasi_guest() -> Vec<u8> {
    let imports = r#"
  (import "wasi:clocks/wall-clock@0.2.3" "now" (func $time (param i32)))
  (import "wasi:random/random@0.2.3" "get-random-u64" (func $random (result i64)))"#;
    let body = "
    (call $time (i32.const 3000))
    (i32.store8 (i32.const 3128) (i32.const 1))
    (f64.store (i32.const 3136) (f64.convert_i64_u (i64.load (i32.const 3000))))
    (i32.store8 (i32.const 3144) (i32.const 1))
    (f64.store (i32.const 3152) (f64.convert_i64_u (call $random)))
    (i32.store (i32.const 3332) (i32.const 3104)) (i32.store (i32.const 3336) (i32.const 1))
    (i32.store (i32.const 1200) (i32.const 3300)) (i32.store (i32.const 1204) (i32.const 1))";
    encoded(&core("with-wasi", "1.0.0", imports, body), "with-wasi", &contract(Some("")))
}

/// A judge of it within these limits.
pub fn judge(component: &[u8], limits: Limits) -> Judge {
    let plugin = engine().load(component).unwrap();
    let name = plugin.id().name.to_string();
    Judge::new(Arc::new(plugin), &used(&name, limits), 1).unwrap()
}

pub fn used(name: &str, limits: Limits) -> PluginUse {
    PluginUse {
        plugin: name.to_owned(),
        settings: Default::default(),
        limits,
        grants: Default::default(),
        on_failure: Default::default(),
    }
}

pub fn refusal(component: &[u8]) -> LoadError {
    let loaded: Result<Plugin, LoadError> = engine().load(component);
    loaded.unwrap_err()
}
