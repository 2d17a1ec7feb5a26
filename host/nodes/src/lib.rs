//! The work that pipelines do: built-in node types, sources and sinks, and the JSON-lines protocol by which any command
//! can be a node.
//!
//! [`catalog`] lists the built-in types; [`check_config`] says what is wrong with a configuration; [`native`],
//! [`source`] and [`sink`] make the things. [`ChildProcessor`] runs a command as a node; the protocol that it speaks is
//! described at [`child`], and [`serve`] is the child's side of it.

mod catalog;
mod check;
pub mod child;
mod http;
mod line_file;
mod metrics;
mod native;
mod path;
mod processor;
mod sink;
mod sinks;
mod source;
mod sources;
mod template;
mod usage;

pub use flyball_json::{ItemLimits, Json, JsonError, Number, Object, OverLimit, Size};

pub use catalog::{NodeError, Role, catalog, child_command, kind_of, native, sink, source};
pub use check::check_config;
pub use child::{
    Adopting, ChildCommand, ChildError, ChildOptions, ChildProcessor, Exit, ServeError, Supervisor, Vitals,
    WorkerEnd, adopt_orphans, serve, supervise,
};
pub use line_file::{Appended, LineFile, Lines};
pub use metrics::{CustomMetrics, LONGEST_METRIC, MOST_METRICS, MetricError, check_metric_name};
pub use processor::{Gathering, Item, ProcessError, Processed, Processor, Unavailable, WasmNodes};
pub use sink::Sink;
pub use source::{Source, SourceError, SourceProgress, Taken, Unreadable};
#[doc(hidden)]
pub use sources::http_in_over;
/// What fuzzing reaches that others do not.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::child::understood_answers as child_answers;
}
pub use usage::{Usage, UsageSampler, process_usage};
