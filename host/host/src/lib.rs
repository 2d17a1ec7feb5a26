//! Flyball's host as a library: pipelines that are watched, judged and healed, and what people may ask of that.
//!
//! A [`HostBuilder`] says what a host is made of, a [`Host`] runs, sessions come and go in it, [`Operations`] are what people ask
//! of it, and its [event log](Host::events) tells everything that happens. The program `flyball` is one that embeds it; so are
//! its scenarios and its demo.

mod builder;
mod caller;
mod error;
mod halt_reserve;
mod hearing;
mod host;
mod kept;
mod library;
mod listeners;
mod operations;
mod recorder;
mod report;
mod session;
mod socket;
mod spare_descriptors;
mod state_dir;
mod state_watch;
mod status;
mod tally;
mod threads;
mod unjournaled;
mod wasm_nodes;
mod webhook;

pub use builder::HostBuilder;
pub use error::HostError;
pub use host::Host;
pub use library::{
    DEFAULT_POLICY, Folders, library_of, open_engine, open_history, open_library, open_manifest,
    read_document,
};
pub use operations::{
    ForgottenCount, Halted, OperationError, Operations, Resumed, StandingApproval, Undone, halt_text,
};
pub use report::{
    GenerationReport, LimitReport, PluginReport, RecordingsReport, Report, SessionReport, plugin_reports,
    schema,
};
pub use session::Session;
pub use socket::{AskError, ControlRequest, RequestResult, ask, no_host};
pub use state_dir::{StateDir, StateDirError};
pub use status::{JudgingStatus, PolicyReport, SessionStatus, UsedPlugin, Watched, nobody_judges, not_read};
pub use tally::{DeciderReport, Figures, IncidentAction, IncidentReport, Tally};
pub use threads::Threads;
pub use wasm_nodes::LibraryNodes;
pub use webhook::Webhook;
