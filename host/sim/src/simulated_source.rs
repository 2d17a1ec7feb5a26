//! Where something comes in: a source's load, and what waits outside.

use rand::rngs::ChaCha8Rng;

use crate::event_queue::{Event, EventQueue, Nanos, nanos};
use crate::load::{Load, Spacing};
use crate::service::unit;

/// A source's load. Arrivals are placed by their integral: the next one comes when as much of the rate has passed as was
/// drawn for it, so a rate that changes meanwhile counts from then on, and a fault changes no later draw.
#[derive(Debug)]
pub(crate) struct SimulatedSource {
    pub(crate) load: Load,
    rng: ChaCha8Rng,
    rate: f64,
    /// How much is still to pass until the next one, as of `since`.
    need: f64,
    since: Nanos,
    planned: u64,
    pub(crate) stopped: bool,
    /// Waiting outside.
    pub(crate) outside: u64,
    pub(crate) offered: u64,
    pub(crate) turned_away: u64,
}

impl SimulatedSource {
    pub(crate) fn new(load: Load, rng: ChaCha8Rng) -> Self {
        let mut tap = Self {
            load,
            rng,
            rate: 0.0,
            need: 0.0,
            since: 0,
            planned: 0,
            stopped: false,
            outside: 0,
            offered: 0,
            turned_away: 0,
        };
        tap.need = tap.draw();
        tap
    }

    fn draw(&mut self) -> f64 {
        match self.load.spacing {
            Spacing::Poisson => unit(&mut self.rng),
            Spacing::Even => 1.0,
        }
    }

    /// Whether this is still the arrival that is to come; then the next one is planned.
    pub(crate) fn arrives(&mut self, planned: u64, now: Nanos, node: usize, agenda: &mut EventQueue) -> bool {
        if planned != self.planned {
            return false;
        }
        self.offered += 1;
        self.outside += 1;
        self.need = self.draw();
        self.since = now;
        self.plan(node, agenda);
        true
    }

    /// From now on at this rate.
    pub(crate) fn set_rate(&mut self, rate: f64, now: Nanos, node: usize, agenda: &mut EventQueue) {
        if rate == self.rate {
            return;
        }
        let passed = now.saturating_sub(self.since) as f64 / 1e9 * self.rate;
        self.need = (self.need - passed).max(0.0);
        self.since = now;
        self.rate = rate;
        self.plan(node, agenda);
    }

    fn plan(&mut self, node: usize, agenda: &mut EventQueue) {
        self.planned += 1;
        if self.rate > 0.0 {
            let at = self.since.saturating_add(nanos(self.need / self.rate));
            agenda.at(at, Event::Arrival { node, planned: self.planned });
        }
    }
}
