//! The numbered log of everything that happens in a host: ticks on which something was found, what came of actions, what people and
//! guards did, reloads and warnings. Whoever tells of it, tells from here: the terminal, the webhook, an API.
//!
//! - [`EventLog::append`] numbers an entry and never waits. A thread of the log's own gives entries to an
//!   [`EventStore`](flyball_ports::EventStore).
//! - An [`EventReader`] begins after any number and gets each entry once, in order: what is no longer in memory comes from the
//!   store, and what comes is waited for. So a reader that ends and begins again after the number that it read last misses
//!   nothing and gets nothing twice, over a restart of the host too.
//! - Numbers are never given twice ([`EntryNumber`](flyball_model::EntryNumber)). A crash takes with it what no
//!   reader and no disk had yet, and what only a reader had is not given to others under another meaning.
//!
//! Made by `flyball-host`; the loop tells it as a [`Listener`](flyball_ports::Listener).

mod log;
mod reader;

pub use log::EventLog;
pub use reader::{AheadOfLog, EventReader};
