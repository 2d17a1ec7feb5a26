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
    /// So many workers of its present node ended that had it alone in hand.
    pub(crate) deaths: u32,
    /// The other side took another item after it had failed with this one.
    pub(crate) passed_over: bool,
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
    /// Items that failed for good and are not among the dead letters yet.
    pub(crate) letters: Vec<Letter>,
    /// How often in a row what is outside could not take it.
    pub(crate) refusals: u32,
}

/// An item that failed for good, and why.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) item: Item,
    pub(crate) tickets: Tickets,
    pub(crate) error: String,
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
            letters: Vec::new(),
            refusals: 0,
        };
        for (slot, mut piece) in pieces.enumerate() {
            piece.tag.slot = slot;
            batch.keep(piece.item, piece.tag);
        }
        batch
    }

    /// Every item was handed on, or is in the account as what became of it.
    pub(crate) fn is_answered(&self) -> bool {
        self.items.is_empty() && self.letters.is_empty()
    }

    /// Takes one more item in, behind the others.
    pub(crate) fn join(&mut self, mut piece: Piece) {
        let answered = self.out.iter().map(|piece| &piece.tag);
        piece.tag.slot = self.tags.iter().chain(answered).map(|tag| tag.slot + 1).max().unwrap_or_default();
        self.keep(piece.item, piece.tag);
    }

    pub(crate) fn move_item(&mut self, from: usize, to: usize) {
        if from.max(to) < self.items.len() {
            let (item, tag) = (self.items.remove(from), self.tags.remove(from));
            self.items.insert(to, item);
            self.tags.insert(to, tag);
        }
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
