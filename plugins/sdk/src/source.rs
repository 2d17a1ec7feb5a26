//! Where an observation comes from: the host, or, natively, a test.

use alloc::string::String;
use alloc::vec::Vec;

use crate::bindings::observed::{self, Executor, SeenError, Status, Trend};

pub(crate) enum Source<'host> {
    Lent(&'host observed::Observation),
    Owned(observed::Observation),
    #[cfg(not(target_family = "wasm"))]
    Test(crate::testing::Seen),
}

/// Asks the host's handle, or the test's rows, the same question.
macro_rules! ask {
    ($($question:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Source<'_> {
            $(pub(crate) fn $question(&self, $($argument: $type),*) -> $answer {
                match self {
                    Self::Lent(handle) => handle.$question($($argument),*),
                    Self::Owned(handle) => handle.$question($($argument),*),
                    #[cfg(not(target_family = "wasm"))]
                    Self::Test(seen) => seen.$question($($argument),*),
                }
            })*
        }
    };
}

ask! {
    session() -> String;
    tick() -> u64;
    taken_at() -> u64;
    len() -> u32;
    id(node: u32) -> String;
    node_type(node: u32) -> String;
    executors() -> Vec<Executor>;
    statuses() -> Vec<Status>;
    latency_trends() -> Vec<Trend>;
    column(metric: &str) -> Option<Vec<f64>>;
    total(metric: &str) -> Option<f64>;
    find(id: &str) -> Option<u32>;
    last_error(node: u32) -> Option<String>;
    edges() -> Vec<(u32, u32)>;
    bottleneck() -> Option<u32>;
    critical_path() -> Vec<u32>;
    errors(limit: u32) -> Vec<SeenError>;
}
