//! An action's numbers: what its signals were before it, and what they are after it has settled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flyball_model::{Finding, Observation};
use tokio::time::Instant;

use crate::band::{Band, Line, Reading};
use crate::signals::{Direction, GUARDS, Signal, held_back, load};

/// The chance that an unchanged signal is called worse at one look: 1 % for an action's four guard signals and its own.
const MISS: f64 = 0.002;
/// The chance that a signal without a drift is taken for one that was healing by itself, and that an unchanged load is
/// taken for a changed one.
const MISS_DRIFT: f64 = 0.05;
/// A load that changed by less than this share excuses nothing.
const LOAD_MARGIN: f64 = 0.1;
/// Looks in a row that must agree before something is called worse.
const LOOKS_TO_AGREE: u32 = 2;

/// When each of the observations was made, oldest first. Monotonic: the wall clock may jump.
pub(crate) type Readings = VecDeque<(Instant, Arc<Observation>)>;

/// The signals of one action.
pub(crate) struct Measure {
    applied: Instant,
    /// From here on what is read rests on nothing that was before the action.
    begins: Instant,
    window: Duration,
    load: Compared,
    signals: Vec<(Signal, Compared)>,
    held_back: bool,
    looks: u32,
    worse: u32,
}

#[derive(Default)]
struct Compared {
    before: Option<Line>,
    after: Vec<Reading>,
}

impl Measure {
    /// What was read before the action, back to `since`: what was before that is another action's.
    pub fn new(
        before: &Readings,
        since: Option<Instant>,
        applied: Instant,
        settle: Duration,
        window: Duration,
        findings: &[&Finding],
    ) -> Self {
        let own = |at: &Instant| since.is_none_or(|since| *at > since + window);
        let line = |read: &dyn Fn(&Observation) -> f64| {
            let readings: Vec<Reading> = before
                .iter()
                .filter(|(at, _)| own(at))
                .map(|(at, seen)| (-seconds_between(*at, applied), read(seen)))
                .collect();
            Compared { before: Line::through(&readings), after: Vec::new() }
        };
        let watched = findings.iter().filter_map(|finding| Signal::of(finding));
        let signals = GUARDS
            .into_iter()
            .chain(watched)
            .map(|signal| {
                let compared = line(&|seen| signal.read(seen));
                (signal, compared)
            })
            .collect();
        Self {
            applied,
            begins: applied + settle.max(window),
            window,
            load: line(&load),
            signals,
            held_back: false,
            looks: 0,
            worse: 0,
        }
    }

    /// The same signals, after an undo: whether they are again what was to be expected before the action.
    #[must_use]
    pub fn again(mut self, undone: Instant, settle: Duration) -> Self {
        self.begins = undone + settle.max(self.window);
        self.looks = 0;
        self.worse = 0;
        self.load.after.clear();
        self.signals.iter_mut().for_each(|(_, compared)| compared.after.clear());
        self
    }

    /// One more observation. Whether it is one that counts.
    pub fn look(&mut self, at: Instant, now: &Observation) -> bool {
        if at < self.begins {
            return false;
        }
        let seconds = seconds_between(self.applied, at);
        self.load.after.push((seconds, load(now)));
        for (signal, compared) in &mut self.signals {
            compared.after.push((seconds, signal.read(now)));
        }
        self.held_back = held_back(now);
        self.looks = self.looks.saturating_add(1);
        let worse = self.worst().is_some();
        self.worse = if worse { self.worse + 1 } else { 0 };
        true
    }

    /// Looks that counted.
    pub const fn looks(&self) -> u32 {
        self.looks
    }

    /// What got worse, with its numbers, if it did.
    pub fn worse(&self) -> Option<String> {
        if self.worse < LOOKS_TO_AGREE { None } else { self.worst() }
    }

    fn worst(&self) -> Option<String> {
        let load = self.load_change();
        self.signals.iter().find_map(|(signal, compared)| {
            let (before, mean, band) = compared.against(self.window, MISS)?;
            let margin = signal.margin(before);
            let beyond = match signal.bad() {
                Direction::Up => mean > band.high && mean > before + margin,
                Direction::Down => mean < band.low && mean < before - margin,
            };
            let excused = match signal {
                Signal::Errors => false,
                Signal::Throughput => load < 0.0 && !self.held_back,
                Signal::Latency | Signal::Queued | Signal::Own { .. } => load > 0.0,
            };
            (beyond && !excused).then(|| {
                format!(
                    "{signal} was {} before and is {}; at most {} to {} was to be expected",
                    number(before),
                    number(mean),
                    number(band.low.min(band.high)),
                    number(band.high.max(band.low))
                )
            })
        })
    }

    /// How much more comes in than was to be expected; 0: as much.
    fn load_change(&self) -> f64 {
        let Some((before, mean, band)) = self.load.against(self.window, MISS_DRIFT) else {
            return 0.0;
        };
        let changed = (mean > band.high || mean < band.low) && (mean - before).abs() > before * LOAD_MARGIN;
        if changed { mean - before } else { 0.0 }
    }

    /// Whether what the action was for was getting better before it at such a pace that it would be where it is now.
    pub fn healed_by_itself(&self) -> Option<String> {
        self.signals.iter().filter(|(signal, _)| matches!(signal, Signal::Own { .. })).find_map(
            |(signal, compared)| {
                let drift = compared.before.as_ref()?.drift(MISS_DRIFT);
                let (before, mean, band) = compared.against(self.window, MISS)?;
                let as_expected = match signal.bad() {
                    Direction::Up => drift < 0.0 && mean >= band.low,
                    Direction::Down => drift > 0.0 && mean <= band.high,
                };
                as_expected.then(|| {
                    format!(
                        "{signal} was getting better before the action: {} was to be expected after {} without it, \
                         and it is {}",
                        number(band.expected),
                        number(before),
                        number(mean)
                    )
                })
            },
        )
    }

    /// What the signals were and are, for people.
    pub fn numbers(&self) -> String {
        let told: Vec<String> = self
            .signals
            .iter()
            .filter_map(|(signal, compared)| {
                let (before, mean, _) = compared.against(self.window, MISS)?;
                Some(format!("{signal} {} → {}", number(before), number(mean)))
            })
            .collect();
        if told.is_empty() {
            "too little was read before it to compare with".to_owned()
        } else {
            told.join(", ")
        }
    }
}

impl Compared {
    /// What was, what is, and what was to be expected.
    fn against(&self, window: Duration, miss: f64) -> Option<(f64, f64, Band)> {
        let before = self.before.as_ref()?;
        let after: Vec<Reading> = self.after.iter().copied().filter(|(_, value)| value.is_finite()).collect();
        let (first, last) = (after.first()?, after.last()?);
        let count = after.len() as f64;
        let mean = after.iter().map(|(_, value)| value).sum::<f64>() / count;
        let at = after.iter().map(|(at, _)| at).sum::<f64>() / count;
        let readings = match window.as_secs_f64() {
            window if window > 0.0 => 1 + ((last.0 - first.0) / window) as usize,
            _ => after.len(),
        };
        Some((before.mean, mean, before.band(at, readings, miss)?))
    }
}

fn seconds_between(earlier: Instant, later: Instant) -> f64 {
    later.duration_since(earlier).as_secs_f64()
}

fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
