//! The embedded data plane: a live graph of nodes, queues and executors that can be changed while it runs.
//!
//! [`check`] says what is wrong with a manifest, [`Pipeline::start`] runs it, and the `DataPlane` that a [`Pipeline`] is
//! is what the loop watches and changes.
//!
//! # What always holds
//!
//! - Each item that a source takes in ends as exactly one of delivered, filtered or dead-lettered; until then it is in
//!   flight. Copies, parts and gathered wholes share their items' tickets, and an item is settled with its last piece.
//! - No action loses, doubles or (with `keep_order`) reorders items. Two things lie outside: a worker that is killed
//!   while it delivers may have reached the world outside before it was asked again (a sink delivers at least once); and
//!   what a node has not done when it is removed, because it is dead or too slow, passes unchanged.
//! - A worker that one item killed, or that ended well after it had answered, is replaced at once (`replacing.rs`). A node
//!   whose worker died otherwise waits, with its items, until an action gives it a new one.
//! - A sink whose other side is down, or whose disk is full, waits with its items and asks again, with pauses that grow; what
//!   can neither be delivered nor kept as a dead letter stays in flight. `retries` is what an item may fail by itself: at a
//!   sink, while the other side takes others.
//!
//! # Numbers
//!
//! The time of an item in a node is its batch's time divided by the batch's items: what the node costs, however full the
//! batches are. The wait in the queue is not in it. Windows begin anew when a node gets new workers by another
//! specification or a restart, so that what is measured after an action is its effect.

mod apply;
mod awake;
mod backoff;
mod check;
mod custom;
mod dead_letters;
mod intake;
mod ledger;
mod mishaps;
mod node;
mod observe;
mod piece;
mod pipeline;
mod pulse;
mod queue;
mod replacing;
mod settle;
mod stock;
mod tool;
mod topology;
mod worker;

pub use check::check;
pub use pipeline::{Pipeline, PipelineInputs, PipelineOptions, PipelineProgress, ReadProgress};
pub use stock::BuiltinChild;
