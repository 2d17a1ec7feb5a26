//! Which calls are worth keeping: those of a tick on which a judge said something.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use flyball_ports::{CallRecord, Said};

/// A decider may answer some ticks after the one that it was asked about; the heuristics' calls of that one wait so long.
const TICKS_HELD: usize = 8;

/// Holds calls back until it is known whether anything comes of their tick.
#[derive(Default)]
pub(crate) struct Found(HashMap<Arc<str>, VecDeque<Tick>>);

struct Tick {
    number: u64,
    eventful: bool,
    quiet: Vec<CallRecord>,
}

impl Found {
    /// The calls that are to be written now.
    pub(crate) fn sort(&mut self, call: CallRecord) -> Vec<CallRecord> {
        if call.tick == 0 {
            return vec![call];
        }
        let ticks = self.0.entry(Arc::clone(&call.session)).or_default();
        if !ticks.iter().any(|tick| tick.number == call.tick) {
            ticks.push_back(Tick { number: call.tick, eventful: false, quiet: Vec::new() });
            while ticks.len() > TICKS_HELD {
                ticks.pop_front();
            }
        }
        let Some(tick) = ticks.iter_mut().find(|tick| tick.number == call.tick) else { return vec![call] };
        tick.eventful |= says_something(&call);
        tick.quiet.push(call);
        if tick.eventful { std::mem::take(&mut tick.quiet) } else { Vec::new() }
    }
}

fn says_something(call: &CallRecord) -> bool {
    !matches!(&call.said, Ok(Said::Assessed(said)) if said.findings.is_empty())
}
