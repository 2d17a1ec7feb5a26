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
//! serves, with nothing granted) and costs some microseconds more for each call. Cargo builds what is built together with
//! the features of all of it: one plugin with `std` in a workspace gives its neighbours WASI imports too. Build each by itself
//! (`cargo build -p NAME …`), or keep those with `std` in a workspace of their own; `flyball inspect` shows what came of it.
//!
//! # Golden cases
//!
//! A case is a JSON file that says what the plugin is told, and what it must say. [`cases!`] puts cases into the component:
//! the host asks a version its own cases before it serves, and `flyball check NAME.wasm` runs them and tells those that fail
//! with file and line. `flyball schema case` has everything that a case may say; what it does not say has the default of a
//! manifest. For a validator that asks an HTTP server:
//!
//! ```json
//! {
//!   "about": "During a freeze nothing is scaled.",
//!   "settings": { "url": "https://calendar.example.com/freeze" },
//!   "observation": {
//!     "session": "shop",
//!     "taken_at": 100000,
//!     "nodes": [{ "id": "api", "status": "degraded", "queue-depth": 40, "queue-capacity": 50 }],
//!     "errors": [{ "at": 99000, "node": "api", "message": "HTTP 429" }]
//!   },
//!   "graph": { "nodes": [{ "id": "api", "type": "http-enrich", "optional": true }] },
//!   "proposed": { "action": { "kind": "scale-node", "node": "api", "replicas": 2 }, "reason": "it is slow" },
//!   "http": [{
//!     "request": { "url": "https://calendar.example.com/freeze?session=shop" },
//!     "response": { "body": { "freeze": true, "why": "Black Friday" } }
//!   }],
//!   "expect": { "verdict": "deny", "code": "change-freeze" }
//! }
//! ```
//!
//! - **`observation`** and **`window`** (oldest first): whatever stands in a node's row beside `id`, `status`, `executor`, `trend`,
//!   `type` and `last_error` is a metric by its name. `errors` stand in any order and name their node, or none.
//! - **`graph`**, and `before` and `after` of `applied`: of a node only `id` must be given.
//! - **`http`**: one entry for each request, in their order: a `request`, and a `response`, `failed` or `refused` with why. The
//!   method is GET and the status 200 where none is given; headers and body of a request count where some are given. A body is
//!   text, a JSON object, or a list of bytes. An exchange as a recording writes it (`method`, `url`, …, `answer`) is read too.
//! - **`llm`**: the same of questions to a language model, with `answer`.
//! - **`expect`**: `findings` (each `severity code target`) and, where they matter, `checks`; `action` or `abstains`; `verdict` and
//!   `code`; `actions` or `irreversible`; `types`; `bodies`; `failure`, a part of the sentence; `faults`, pointers into settings.

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
mod pattern;
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
pub use flyball_json as item;
pub use heuristic::Heuristic;
pub use node::{Node, report};
pub use observation::{Metric, Node as SeenNode, Observation};
pub use pattern::matches;
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
