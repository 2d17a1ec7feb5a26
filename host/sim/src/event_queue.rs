//! What is going to happen, in order of time; at one time, in the order in which it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nanoseconds since the simulation began.
pub(crate) type Nanos = u64;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// An attempt ends.
    Done { node: usize, attempt: u64 },
    /// Something comes in at a source, if its rate has not changed since.
    Arrival { node: usize, planned: u64 },
    /// Rates that vary are looked at again.
    Rates,
    /// A node may work again.
    Resume { node: usize },
    /// A leak has filled the memory, if the workers are still those.
    MemoryFull { node: usize, crew: u64 },
    /// A fault begins.
    Begin { strike: usize },
    /// A fault that repeats does so.
    Again { strike: usize },
    /// A fault ends by itself.
    End { strike: usize },
    /// What was accepted takes effect.
    Effect { number: usize },
}

#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    heap: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    planned: u64,
}

impl EventQueue {
    pub(crate) fn at(&mut self, time: Nanos, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((time, self.planned, event)));
    }

    /// The next thing that happens until then.
    pub(crate) fn due(&mut self, until: Nanos) -> Option<(Nanos, Event)> {
        let Reverse((time, ..)) = self.heap.peek()?;
        if *time > until {
            return None;
        }
        self.heap.pop().map(|Reverse((time, _, event))| (time, event))
    }
}

/// Of seconds in a document; what is negative or not a number is 0.
pub(crate) fn nanos(seconds: f64) -> Nanos {
    // The cast saturates.
    (seconds * 1e9) as Nanos
}

pub(crate) const MS: Nanos = 1_000_000;
