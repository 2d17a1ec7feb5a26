//! What most plugins need; with it a `no_std` plugin reads like any other Rust.

pub use alloc::borrow::ToOwned;
pub use alloc::boxed::Box;
pub use alloc::format;
pub use alloc::string::{String, ToString};
pub use alloc::vec;
pub use alloc::vec::Vec;

pub use crate::catalog::Catalog;
pub use crate::decider::{Decider, Decision, Situation};
pub use crate::heuristic::{Assessment, Heuristic, Rule};
pub use crate::node::{Node, Processed};
pub use crate::reverser::{Applied, Reverser};
pub use crate::validator::{Amendment, Proposed, Validator, Verdict};
pub use crate::{
    Action, Evidence, Executor, Finding, Metric, NodeType, Observation, Outcome, Proposal, Reason, Settings,
    Severity, Side, Status, Trend, Window,
};
