//! A capability of a test's own, as any crate may add one: it rolls dice, which no question determines. All that the engine needs
//! to know of it is in this file; `main.rs` hands it to `Capabilities::with`.

use std::sync::atomic::{AtomicU64, Ordering};

use flyball_engine::capabilities::{Call, Capability};
use serde_json::{Value, json};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

/// Its WIT, which lies in a file of the contract for the contract's own.
pub const WIT: &str = "
interface dice {
    roll: func(sides: u32) -> u32;
}
";

/// Chance, so that a test can tell: no two rolls are alike.
static ROLLS: AtomicU64 = AtomicU64::new(1);

pub struct Dice;

impl Capability for Dice {
    const NAME: &'static str = "dice";
    const IMPORTS: &'static [&'static str] = &["toy:weather/dice@0.1.0"];

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        linker.instance("toy:weather/dice@0.1.0")?.func_wrap(
            "roll",
            |mut store: StoreContextMut<'_, Call>, (sides,): (u32,)| {
                let answer = store.data_mut().exchange(Self::NAME, json!({ "sides": sides }), roll)?;
                let rolled = answer.as_u64().and_then(|rolled| u32::try_from(rolled).ok());
                rolled.map(|rolled| (rolled,)).ok_or_else(|| wasmtime::Error::msg("no number of a die"))
            },
        )
    }
}

/// The policy grants dice that are loaded by `plus`.
fn roll(grant: &Value, _: &Value) -> Value {
    let plus = grant.get("plus").and_then(Value::as_u64).unwrap_or_default();
    json!(ROLLS.fetch_add(1, Ordering::Relaxed) + plus)
}
