use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of every item that a pipeline's sources took in. An item that was split, copied or gathered counts once,
/// as itself: dead-lettered if any part of it was, else delivered if any part of it was, else filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Taken in by a source.
    pub accepted: u64,
    /// Given out by a sink.
    pub delivered: u64,
    /// Dropped by a node whose work is to drop.
    pub filtered: u64,
    /// Failed for good; kept with its error.
    pub dead_lettered: u64,
    /// Still on its way.
    pub in_flight: u64,
}

impl Account {
    /// Whether nothing disappeared: accepted = delivered + filtered + dead-lettered + in flight.
    pub const fn balances(&self) -> bool {
        self.accepted == self.delivered + self.filtered + self.dead_lettered + self.in_flight
    }
}
