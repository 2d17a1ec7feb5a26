//! Flyball's judges as WebAssembly components: loaded, limited, called and replaced while the host runs.
//!
//! [`Engine`] compiles, [`Plugin`] is one component, [`PluginJudge`] is a plugin as one policy uses it, and [`Library`] holds
//! all plugins and policies in numbered generations and reloads what changes. Plugins are hostile until proven
//! otherwise: each call gets a fresh instance with a time, memory and output limit and nothing of the host but what its
//! world imports.

mod bindings;
mod boundary;
mod cache;
mod call;
pub mod capabilities;
mod cases;
mod census;
mod composition;
mod contract;
mod engine;
mod error;
mod health;
mod judge;
mod library;
mod plugin;
mod pool;
mod quoted;
mod schema;
mod shape;
mod signature;
mod stage;
mod stats;
mod ticker;
mod traffic;
pub mod worlds;

pub use capabilities::metrics::MetricSink;
pub use capabilities::settings::Settings;
pub use contract::VERSION as CONTRACT_VERSION;
pub use engine::{Engine, EngineError, EngineOptions};
pub use error::{CallError, LoadError};
pub use flyball_ports::ProcessedBytes;
pub use health::LimitUsage;
pub use judge::{PluginJudge, Recorded};
pub use library::{
    Back, Library, LibraryOptions, NodeWorker, OpenError, PluginState, PluginStatus, PluginUsage,
    PolicySource, PolicyStatus, Reload, ReloadChange, Served, Subject, Trouble, Versions, VersionsError,
    WatchError, WorkerError,
};
pub use plugin::{Description, Plugin};
pub use signature::{SignatureError, Signer, signature_beside, signature_path, signed_by, verify_signature};
pub use stage::Stage;
pub use stats::{CallStatistics, CallStats};
