//! Whatever a child writes is an answer, a heartbeat or the child's end.
#![no_main]

use flyball_nodes::{ItemLimits, fuzzing};
use libfuzzer_sys::fuzz_target;

const LIMITS: ItemLimits = ItemLimits { depth: 8, encoded: 500, decoded: 10_000 };

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    for (_, said) in runtime.block_on(fuzzing::child_answers(bytes, LIMITS)) {
        match said {
            Ok(bodies) => {
                for body in &bodies {
                    LIMITS.check(body).expect("it is within the limits");
                }
            }
            Err(error) => assert!(error.to_string().chars().count() < 3_000),
        }
    }
});
