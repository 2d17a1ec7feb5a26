//! What the loop needs of the rest of the house: a data plane to watch and change, judges to ask, a journal to keep.
//!
//! The loop (`flyball-control`) calls these traits, and the parts of the house implement them. Nothing here does anything, so that
//! no part needs the loop to be compiled.

mod clock;
mod event_store;
mod history;
mod journal;
mod judges;
mod listener;
mod plane;
mod recording;

pub use clock::{Clock, SystemClock};
pub use event_store::{EventStore, EventStoreError};
pub use history::{ActionFilter, EventFilter, HistoryError, Run, StoredHistory, TickFilter};
pub use journal::{Journal, JournalError};
pub use judges::{
    Catalog, Decided, Decider, Heuristic, Judge, JudgeError, Judged, Judges, Panel, Reverser, Shadow, Sight,
    Situation, Validator,
};
pub use listener::Listener;
pub use plane::{ApplyError, DataPlane, Loss, PlaneChange, PlaneError, Support, UndoKind};
pub use recording::{
    CallInput, CallRecord, Changes, ItemBytes, Keeper, Kept, ProcessedBytes, Recorder, Said,
};
