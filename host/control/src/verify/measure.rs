//! An action's numbers: what its signals were before it, and what they are after it has settled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flyball_model::{ActionRecord, Finding, Observation};
use tokio::time::Instant;

use crate::verify::band::{Band, Line, Reading};
use crate::verify::signals::{Direction, Signal, guards, held_back, load};

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

/// The action that is measured.
#[derive(Clone, Copy)]
pub(crate) struct Taken<'a> {
    pub action: &'a ActionRecord,
    pub at: Instant,
    /// When the one before it was: what was read until then is another pipeline's.
    pub since: Option<Instant>,
    /// What was seen when it was decided.
    pub newest: Option<&'a Observation>,
    pub findings: &'a [Finding],
}

/// The signals of one action.
pub(crate) struct Measure {
    applied: Instant,
    /// From here on what is read rests on nothing that was before the action.
    begins: Instant,
    window: Duration,
    load: Compared,
    signals: Vec<(Signal, Compared)>,
    /// Items had piled up already: what waited long comes out late, whoever did what.
    backlog: bool,
    held_back: bool,
    looks: u32,
    worse: u32,
}

#[derive(Default)]
struct Compared {
    before: Option<Line>,
    /// It was getting worse already when the action was taken, so that nobody can say what would have come without it.
    bad_already: bool,
    after: Vec<Reading>,
}

impl Measure {
    /// What was read before the action.
    pub fn new(before: &Readings, taken: &Taken<'_>, settle: Duration, window: Duration) -> Self {
        let Taken { action, at: applied, since, newest, findings } = *taken;
        let own = |at: &Instant| since.is_none_or(|since| *at > since + window);
        let line = |read: &dyn Fn(&Observation) -> f64| {
            let readings: Vec<Reading> = before
                .iter()
                .filter(|(at, _)| own(at))
                .map(|(at, seen)| (-seconds_between(*at, applied), read(seen)))
                .collect();
            Compared { before: Line::through(&readings), bad_already: false, after: Vec::new() }
        };
        let watched = findings.iter().filter_map(Signal::of);
        let signals: Vec<(Signal, Compared)> = guards(&action.proposal.action, &action.before)
            .into_iter()
            .chain(watched)
            .map(|signal| {
                let mut compared = line(&|seen| signal.read(seen));
                compared.bad_already =
                    compared.is_bad(&signal, newest.map_or(f64::NAN, |newest| signal.read(newest)));
                (signal, compared)
            })
            .collect();
        let backlog =
            signals.iter().any(|(signal, compared)| *signal == Signal::Queued && compared.bad_already);
        Self {
            applied,
            begins: applied + settle.max(window),
            window,
            load: line(&load),
            signals,
            backlog,
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
        let worse = self.worst(false).is_some();
        self.worse = if worse { self.worse + 1 } else { 0 };
        true
    }

    /// From the action to the first reading that counts.
    pub fn settling(&self, settle: Duration) -> Duration {
        settle.max(self.window)
    }

    /// Looks that counted.
    pub const fn looks(&self) -> u32 {
        self.looks
    }

    /// What got worse, with its numbers, if it did.
    pub fn worse(&self) -> Option<String> {
        self.worse_than(false)
    }

    /// The same; where what was broken is cured, only what fails counts.
    pub fn worse_than(&self, cured: bool) -> Option<String> {
        if self.worse < LOOKS_TO_AGREE { None } else { self.worst(cured) }
    }

    fn worst(&self, only_errors: bool) -> Option<String> {
        let load = self.load_change();
        let counts = |signal: &Signal| !only_errors || matches!(signal, Signal::Errors(_));
        self.signals.iter().filter(|(signal, _)| counts(signal)).find_map(|(signal, compared)| {
            let (before, mean, band) = compared.against(self.window, MISS)?;
            let margin = signal.margin(before);
            let beyond = match signal.bad() {
                Direction::Up => mean > band.high && mean > before + margin,
                Direction::Down => mean < band.low && mean < before - margin,
            };
            let excused = compared.bad_already
                || match signal {
                    Signal::Errors(_) => false,
                    Signal::Latency if self.backlog => true,
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
    /// Whether the newest reading before the action is on the bad side already: by a quarter of what would matter.
    fn is_bad(&self, signal: &Signal, newest: f64) -> bool {
        let Some(before) = &self.before else { return false };
        let margin = signal.margin(before.mean) / 4.0;
        match signal.bad() {
            Direction::Up => newest > before.mean + margin,
            Direction::Down => newest < before.mean - margin,
        }
    }

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
