//! What moves through the graph: items with the tickets they carry, and the batches in which workers take them.

use std::sync::Arc;

use flyball_nodes::{Item, Size};
use tokio::time::Instant;

use crate::ledger::{Fate, Ticket};

/// The accepted items that a piece stands for: one, or all that were gathered in it.
#[derive(Debug, Clone)]
pub(crate) enum Tickets {
    One(Arc<Ticket>),
    Many(Arc<[Tickets]>),
}

impl Tickets {
    pub(crate) fn mark(&self, fate: Fate) {
        match self {
            Self::One(ticket) => ticket.mark(fate),
            Self::Many(all) => all.iter().for_each(|tickets| tickets.mark(fate)),
        }
    }
}

/// What the graph knows of a piece beside the item itself.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    pub(crate) tickets: Tickets,
    /// How often it was tried at its present node and failed.
    pub(crate) tries: u32,
    /// Since when it waits before its present node.
    pub(crate) since: Instant,
    /// How large the item is.
    pub(crate) size: Size,
    /// Its place in its batch, by which what comes of it is put in order.
    pub(crate) slot: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) item: Item,
    pub(crate) tag: Tag,
}

/// What a worker took at once. It keeps its turn until everything in it is answered, whichever worker does that.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) turn: u64,
    /// Not answered yet; item and tag at the same index belong together.
    pub(crate) items: Vec<Item>,
    pub(crate) tags: Vec<Tag>,
    /// What goes on.
    pub(crate) out: Vec<Piece>,
    /// `out` is not in the order of the slots.
    pub(crate) mixed: bool,
    /// A worker died over it: its items are given one by one from now on, so that the one to blame shows.
    pub(crate) careful: bool,
}

impl Batch {
    pub(crate) fn new(turn: u64, pieces: impl ExactSizeIterator<Item = Piece>) -> Self {
        let mut batch = Self {
            turn,
            items: Vec::with_capacity(pieces.len()),
            tags: Vec::with_capacity(pieces.len()),
            out: Vec::with_capacity(pieces.len()),
            mixed: false,
            careful: false,
        };
        for (slot, mut piece) in pieces.enumerate() {
            piece.tag.slot = slot;
            batch.keep(piece.item, piece.tag);
        }
        batch
    }

    pub(crate) fn keep(&mut self, item: Item, tag: Tag) {
        self.items.push(item);
        self.tags.push(tag);
    }

    /// Takes what goes on, in the order of the items it came from.
    pub(crate) fn take_out(&mut self) -> Vec<Piece> {
        let mut out = std::mem::take(&mut self.out);
        if self.mixed {
            out.sort_by_key(|piece| piece.tag.slot);
        }
        out
    }
}
