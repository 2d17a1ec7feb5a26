//! The journal: what was seen, decided and done, durably, in one SQLite file of a state directory.
//!
//! One thread writes, so that the loop never waits for a lock and many sessions share the price of one commit. Readers
//! have connections of their own and see what is committed, also from another process and while a host runs.
//!
//! Everything that is written has an entry in a hash chain, by which [`Reader::verify`] tells what was altered, taken out
//! or put in afterwards. Whoever may write the file can write all of the chain anew: only a head that is kept elsewhere
//! shows that, and only for what was written before it.

mod chain;
mod content;
mod error;
mod event_entries;
mod events;
mod fault;
mod file;
mod keeping;
mod learned;
mod past;
mod quiet;
mod reader;
mod recordings;
mod request;
mod rows;
mod side_file;
mod store;
#[cfg(test)]
mod trouble;
mod verifying;
mod writer;

pub use chain::{ChainEnd, Head, NoHead};
pub use error::StoreError;
pub use event_entries::{ENTRIES_KEPT, EventEntries};
pub use fault::JournalFault;
pub use file::{Migrated, migrate};
pub use keeping::PluginStates;
pub use past::HistoryReader;
pub use quiet::{QUIET_TICKS_KEPT, QuietTicks, QuietTicksError, QuietTicksReader};
pub use reader::Reader;
pub use recordings::{
    CallFilter, Listed, MASKED, RecordedCall, Recordings, RecordingsError, RecordingsOptions,
    RecordingsReader, RecordingsStatus, SECRET_FIELDS, Which, same,
};
pub use store::{Store, TICKS_KEPT};
pub use verifying::{TakenOver, Verified};
