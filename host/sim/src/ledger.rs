//! The account of items: a ticket for each that was taken in, shared by its copies and parts.

use std::time::Duration;

use flyball_measure::{Sample, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What became of every item that the sources took in. An item that was split or copied counts once, as its worst part:
/// lost before dead-lettered, dead-lettered before delivered, delivered before filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ItemTally {
    /// Taken in by a source.
    pub accepted: u64,
    /// Given out by a sink.
    pub delivered: u64,
    /// Dropped by a node whose work is to drop.
    pub filtered: u64,
    /// Failed for good.
    pub dead_lettered: u64,
    /// Destroyed by a fault or by an action of a plane that loses work.
    pub lost: u64,
    /// Still on its way.
    pub in_flight: u64,
}

impl ItemTally {
    /// Whether nothing disappeared: accepted = delivered + filtered + dead-lettered + lost + in flight.
    pub const fn balances(&self) -> bool {
        self.accepted == self.delivered + self.filtered + self.dead_lettered + self.lost + self.in_flight
    }
}

/// What became of a piece, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Filtered,
    Delivered,
    DeadLettered,
    Lost,
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    accepted: Instant,
    pieces: u32,
    worst: Fate,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    tickets: Vec<Ticket>,
    free: Vec<usize>,
    tally: ItemTally,
    delivered: Window,
}

impl Ledger {
    pub(crate) fn new(delivered: Window) -> Self {
        Self { tickets: Vec::new(), free: Vec::new(), tally: ItemTally::default(), delivered }
    }

    pub(crate) fn accept(&mut self, now: Instant) -> usize {
        self.tally.accepted += 1;
        self.tally.in_flight += 1;
        let ticket = Ticket { accepted: now, pieces: 1, worst: Fate::Filtered };
        if let Some(number) = self.free.pop()
            && let Some(place) = self.tickets.get_mut(number)
        {
            *place = ticket;
            return number;
        }
        self.tickets.push(ticket);
        self.tickets.len() - 1
    }

    /// There are so many pieces more of the item.
    pub(crate) fn part(&mut self, number: usize, more: usize) {
        if let Some(ticket) = self.tickets.get_mut(number) {
            ticket.pieces += u32::try_from(more).unwrap_or(u32::MAX);
        }
    }

    /// A piece ends.
    pub(crate) fn end(&mut self, number: usize, fate: Fate, now: Instant) {
        let Some(ticket) = self.tickets.get_mut(number) else { return };
        ticket.worst = ticket.worst.max(fate);
        ticket.pieces -= 1;
        if ticket.pieces > 0 {
            return;
        }
        self.free.push(number);
        self.tally.in_flight -= 1;
        match ticket.worst {
            Fate::Filtered => self.tally.filtered += 1,
            Fate::DeadLettered => self.tally.dead_lettered += 1,
            Fate::Lost => self.tally.lost += 1,
            Fate::Delivered => {
                self.tally.delivered += 1;
                let each = now.saturating_duration_since(ticket.accepted);
                let sample = Sample { each, finished: 1, failed: 0, waited: Duration::ZERO };
                self.delivered.record(now, sample);
            }
        }
    }

    pub(crate) const fn tally(&self) -> ItemTally {
        self.tally
    }

    /// Latency from source to last sink, and items delivered a second.
    pub(crate) fn end_to_end(&mut self, now: Instant) -> flyball_measure::Summary {
        self.delivered.summary(now)
    }

    /// The pieces that are on their way, as the tickets count them.
    pub(crate) fn pieces(&self) -> u64 {
        let held: u64 = self.tickets.iter().map(|ticket| u64::from(ticket.pieces)).sum();
        held
    }
}
