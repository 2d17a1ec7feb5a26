//! Write a Flyball plugin: a struct, a trait, a macro.
//!
//! ```
//! #![cfg_attr(target_family = "wasm", no_std)]
//! use flyball_plugin::prelude::*;
//!
//! flyball_plugin::settings! {
//!     /// Says which queues are too full.
//!     pub struct QueueWatch {
//!         /// Part of a queue that may be taken.
//!         fill: f64 = 0.8, in 0.0..=1.0;
//!     }
//! }
//!
//! impl Heuristic for QueueWatch {
//!     fn assess(&self, now: &Observation, _past: &Window) -> Assessment {
//!         now.nodes()
//!             .filter(|node| node.queue_fill() > self.fill)
//!             .map(|node| {
//!                 Finding::new(Severity::Warning, "queue-pressure", "the queue is nearly full")
//!                     .at(node.id())
//!                     .because(Evidence::of_node(node.id(), Metric::QueueDepth, node.queue_depth()))
//!             })
//!             .collect()
//!     }
//! }
//!
//! flyball_plugin::heuristic!(QueueWatch);
//! # fn main() {}
//! ```
//!
//! Its name, version and one-line summary are the package's. `cargo build --release --target wasm32-wasip2` makes the
//! component. Natively the same crate compiles too, so that its logic has ordinary tests: see [`testing`].
//!
//! A plugin is `no_std` unless it asks for the feature `std`: then it may use all of Rust, imports WASI (which the host
//! serves, with nothing granted) and costs some microseconds more for each call.

#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", not(target_family = "wasm")))]
extern crate std;

pub mod bindings;
pub mod catalog;
pub mod decider;
mod export;
pub mod heuristic;
pub mod http;
#[cfg(all(target_family = "wasm", not(feature = "std")))]
mod lean;
#[doc(hidden)]
pub mod lifecycle;
#[doc(hidden)]
pub mod listed;
pub mod llm;
pub mod node;
mod observation;
pub mod pipeline;
pub mod prelude;
pub mod reverser;
mod say;
pub mod settings;
mod source;
pub mod state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod validator;
mod window;
mod world;

pub use bindings::actions::{
    Action, Buffering, Bypass, ConfigChange, Constraints, ExecutorChange, GraphSpec, Insertion, Learned,
    MutationPolicy, NodeSpec, Outcome, PastAction, Proposal, Replacement, Scaling,
};
pub use bindings::judgement::{Check, Evidence, Finding, Reason, Severity, Side};
pub use bindings::log::Level;
pub use bindings::observed::{Executor, SeenError, Status, Trend};
pub use bindings::offers::{NodeType, Offer};
pub use catalog::Catalog;
pub use decider::Decider;
pub use export::About;
pub use heuristic::Heuristic;
pub use node::Node;
pub use observation::{Metric, Node as SeenNode, Observation};
pub use reverser::Reverser;
pub use serde_json as json;
pub use settings::{Fault, Settings};
pub use validator::Validator;
pub use window::Window;

/// A line for whoever reads the host's log.
pub fn log(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    bindings::log::log(level, message);
    #[cfg(not(target_family = "wasm"))]
    std::eprintln!("{level:?}: {message}");
}

/// Before each call: a panic's message is to reach the host.
fn begin() {
    #[cfg(all(target_family = "wasm", feature = "std"))]
    std::panic::set_hook(std::boxed::Box::new(|info| panicked(info)));
}

#[cfg(target_family = "wasm")]
fn panicked(info: &dyn core::fmt::Display) {
    log(Level::Error, &alloc::format!("{info}"));
}
