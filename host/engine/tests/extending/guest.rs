//! A forecaster as a component: it answers the tick that it sees, plus how far ahead it is asked, plus a roll of the dice.

use crate::guests::{contract, encoded};
use crate::{dice, forecaster};

/// With golden cases, each a JSON text; `more` is added to what it answers.
pub fn a_forecaster(version: &str, more: u32, cases: &[&str]) -> Vec<u8> {
    let wit = format!("package toy:weather@0.1.0;\n{}{}", dice::WIT, forecaster::WIT);
    let cases: String = cases.concat().bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let core = format!(
        r#"(module
  (import "flyball:plugin/observed@0.1.0" "[resource-drop]observation" (func $drop-now (param i32)))
  (import "flyball:plugin/observed@0.1.0" "[resource-drop]window" (func $drop-past (param i32)))
  (import "flyball:plugin/observed@0.1.0" "[method]observation.tick" (func $tick (param i32) (result i64)))
  (import "toy:weather/dice@0.1.0" "roll" (func $roll (param i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
  (data (i32.const 2048) "forecaster")
  (data (i32.const 2148) "{version}")
  (data (i32.const 2248) "a test")
  (data (i32.const 2348) "{{}}")
  (@custom "flyball:cases" "{cases}")
  (func (export "flyball:plugin/lifecycle@0.1.0#describe") (result i32)
    (i32.store (i32.const 1024) (i32.const 2048)) (i32.store (i32.const 1028) (i32.const 10))
    (i32.store (i32.const 1032) (i32.const 2148)) (i32.store (i32.const 1036) (i32.const {}))
    (i32.store (i32.const 1040) (i32.const 2248)) (i32.store (i32.const 1044) (i32.const 6))
    (i32.store (i32.const 1048) (i32.const 2348)) (i32.store (i32.const 1052) (i32.const 2))
    (i32.const 1024))
  (func (export "flyball:plugin/lifecycle@0.1.0#check-settings") (result i32) (i32.const 1100))
  (func (export "toy:weather/forecasting@0.1.0#forecast")
    (param $now i32) (param $past i32) (param $ahead i32) (result i32)
    (local $tick i32)
    (local.set $tick (i32.wrap_i64 (call $tick (local.get $now))))
    (call $drop-now (local.get $now)) (call $drop-past (local.get $past))
    (i32.add (i32.const {more})
      (i32.add (i32.add (local.get $tick) (local.get $ahead)) (call $roll (i32.const 6))))))"#,
        version.len(),
    );
    encoded(&core, "forecaster", &contract(&[&wit]))
}
