//! What moves, and what the workers of a node do with it.

use crate::event_queue::Nanos;

/// An item, or a copy or part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) ticket: usize,
    /// Since when it waits here.
    pub(crate) since: Nanos,
    /// How often it was tried here and failed.
    pub(crate) tries: u32,
}

/// What is to leave, as soon as all queues behind have room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    pub(crate) ticket: usize,
    /// The attempt whose worker is free when this has left.
    pub(crate) frees: Option<u64>,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Filtered,
    Failed,
    /// A limit refused it.
    Refused,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) number: u64,
    pub(crate) piece: Piece,
    pub(crate) began: Nanos,
    pub(crate) done_at: Nanos,
    pub(crate) end: End,
    /// How long the piece waited, if this is its first attempt here.
    pub(crate) waited: Nanos,
}

/// What a worker does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Worker {
    Idle,
    Busy(Attempt),
    /// The attempt is over, and what came of it cannot leave yet.
    Handing(u64),
    /// Since then.
    Dead(Nanos),
}
