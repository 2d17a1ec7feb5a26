//! Small components written by hand, of world `heuristic`.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use flyball_engine::{Engine, EngineOptions, LoadError, Plugin, PluginJudge};
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

/// The contract, and what else a guest imports.
pub fn contract(more: &[&str]) -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).unwrap();
    for text in more {
        resolve.push_str("guest.wit", text).unwrap();
    }
    resolve
}

/// A core module as a component of this world.
pub fn encoded(core: &str, world: &str, resolve: &Resolve) -> Vec<u8> {
    let mut module = wat::parse_str(core).unwrap();
    let world =
        *resolve.worlds.iter().find(|(_, found)| found.name == world).map(|(id, _)| id).as_ref().unwrap();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// It never frees.
const GOOD_REALLOC: &str = "
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3)))";

/// What a heuristic is made of: each part stands where a good one has its own.
pub struct Parts<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub imports: &'a str,
    pub memory: &'a str,
    pub realloc: &'a str,
    /// Further functions, data, a start.
    pub fields: &'a str,
    pub describe: &'a str,
    pub check_settings: &'a str,
    pub assess: &'a str,
    /// What `assess` does last: it gives back what it was lent, and its answer.
    pub answer: &'a str,
    pub schema: &'a str,
}

impl Parts<'_> {
    pub const fn good<'a>(name: &'a str, version: &'a str) -> Parts<'a> {
        Parts {
            name,
            version,
            imports: "",
            memory: "(memory (export \"memory\") 2)",
            realloc: GOOD_REALLOC,
            fields: "",
            describe: "(i32.const 1024)",
            check_settings: "(i32.const 1100)",
            assess: "",
            answer: "(call $drop-now (local.get $now)) (call $drop-past (local.get $past)) (i32.const 1200)",
            schema: "{}",
        }
    }

    /// The core module. Texts of the description lie from 2048 and from 8192 on, its record at 1024, the list that
    /// `assess` answers with at 1200; the heap begins at 65536.
    pub fn core(&self) -> String {
        let Self { name, version, imports, memory, fields, describe, check_settings, assess, answer, .. } =
            self;
        let realloc = self.realloc;
        let schema: String = self.schema.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        format!(
            r#"(module
  (import "flyball:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (import "flyball:plugin/observed@0.1.0" "[resource-drop]observation" (func $drop-now (param i32)))
  (import "flyball:plugin/observed@0.1.0" "[resource-drop]window" (func $drop-past (param i32)))
  {imports}
  {memory}
  (table $table 1 funcref)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    {realloc})
  (data (i32.const 2048) "{name}")
  (data (i32.const 2148) "{version}")
  (data (i32.const 2248) "a test")
  (data (i32.const 8192) "{schema}")
  (data (i32.const 2448) "the sky fell")
  {fields}
  (func (export "flyball:plugin/lifecycle@0.1.0#describe") (result i32)
    (i32.store (i32.const 1024) (i32.const 2048)) (i32.store (i32.const 1028) (i32.const {}))
    (i32.store (i32.const 1032) (i32.const 2148)) (i32.store (i32.const 1036) (i32.const {}))
    (i32.store (i32.const 1040) (i32.const 2248)) (i32.store (i32.const 1044) (i32.const 6))
    (i32.store (i32.const 1048) (i32.const 8192)) (i32.store (i32.const 1052) (i32.const {}))
    {describe})
  (func (export "flyball:plugin/lifecycle@0.1.0#check-settings") (result i32) {check_settings})
  (func $deep (param i32) (result i32)
    (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
  (func (export "flyball:plugin/assessing@0.1.0#assess") (param $now i32) (param $past i32) (result i32)
    {assess}
    {answer}))"#,
            name.len(),
            version.len(),
            self.schema.len(),
        )
    }
}

/// A component whose `assess` is `body` and then "all is well".
pub fn guest(name: &str, version: &str, body: &str) -> Vec<u8> {
    encoded(&Parts { assess: body, ..Parts::good(name, version) }.core(), "heuristic", &contract(&[]))
}

/// One with imports, or other fields of a module, of its own.
pub fn guest_importing(name: &str, version: &str, imports: &str, body: &str) -> Vec<u8> {
    let parts = Parts { imports, assess: body, ..Parts::good(name, version) };
    encoded(&parts.core(), "heuristic", &contract(&[]))
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
    let parts = Parts { imports, assess: body, ..Parts::good("with-wasi", "1.0.0") };
    encoded(&parts.core(), "with-wasi", &contract(&[WASI, WASI_RANDOM, WORLD]))
}

/// A node whose `process` is `body`, and then filters every item.
pub fn node_guest(name: &str, version: &str, body: &str) -> Vec<u8> {
    let (length, version_length) = (name.len(), version.len());
    let core = format!(
        r#"(module
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    {GOOD_REALLOC})
  (data (i32.const 2048) "{name}")
  (data (i32.const 2148) "{version}")
  (data (i32.const 2248) "a test")
  (data (i32.const 2348) "{{}}")
  (func (export "flyball:plugin/lifecycle@0.1.0#describe") (result i32)
    (i32.store (i32.const 1024) (i32.const 2048)) (i32.store (i32.const 1028) (i32.const {length}))
    (i32.store (i32.const 1032) (i32.const 2148)) (i32.store (i32.const 1036) (i32.const {version_length}))
    (i32.store (i32.const 1040) (i32.const 2248)) (i32.store (i32.const 1044) (i32.const 6))
    (i32.store (i32.const 1048) (i32.const 2348)) (i32.store (i32.const 1052) (i32.const 2))
    (i32.const 1024))
  (func (export "flyball:plugin/lifecycle@0.1.0#check-settings") (result i32) (i32.const 1100))
  (func (export "flyball:plugin/processing@0.1.0#process") (param $items i32) (param $count i32) (result i32)
    {body}
    (i32.store (i32.const 1200) (i32.const 4096)) (i32.store (i32.const 1204) (local.get $count))
    (i32.const 1200)))"#
    );
    encoded(&core, "node", &contract(&[]))
}

/// A judge of it within these limits.
pub fn judge(component: &[u8], limits: Limits) -> PluginJudge {
    let plugin = engine().load(component).unwrap();
    let name = plugin.id().name.to_string();
    PluginJudge::new(Arc::new(plugin), &used(&name, limits), 1).unwrap()
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
