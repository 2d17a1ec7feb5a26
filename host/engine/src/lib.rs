//! Flyball's judges as WebAssembly components: loaded, limited, called and replaced while the host runs.
//!
//! [`Engine`] compiles, [`Plugin`] is one component, [`Judge`] is a plugin as one policy uses it, and [`Library`] holds
//! all plugins and policies in numbered generations and reloads what changes. Plugins are hostile until proven
//! otherwise: each call gets a fresh instance with a time, memory and output limit and nothing of the host but what its
//! world imports.

mod bindings;
mod boundary;
mod cache;
mod call;
mod cases;
mod census;
mod composition;
mod contract;
mod engine;
mod error;
mod grants;
mod health;
mod heard;
mod judge;
mod keeping;
mod language_model;
mod library;
mod logging;
mod plugin;
mod pool;
mod pulled;
mod reporting;
mod schema;
mod settings;
mod shape;
mod sight;
mod signature;
mod stage;
mod standard;
mod stats;
mod ticker;
mod told;
mod traffic;
mod wasi;
mod web;

pub use contract::{VERSION as CONTRACT_VERSION, interface_of};
pub use engine::{Engine, EngineError, EngineOptions};
pub use error::{CallError, LoadError};
pub use health::Bill;
pub use judge::{Judge, Processed};
pub use library::{
    Back, Change, Library, LibraryOptions, NodeWorker, OpenError, PluginState, PluginStatus, PolicySource,
    PolicyStatus, Reload, Served, Subject, Trouble, Usage, Versions, VersionsError, WatchError, WorkerError,
};
pub use plugin::{Description, Plugin};
pub use reporting::MetricSink;
pub use settings::Settings;
pub use signature::{SignatureError, Signer, signature_beside, signature_path, signed_by, verify_signature};
pub use stage::Stage;
pub use stats::{CallStats, Figures};
