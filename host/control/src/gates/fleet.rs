//! What the sessions of one host share: the halts, the host's own budget, and the faults that many show at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flyball_model::{
    ActionRecord, Budget, Finding, GateRefusal, GraphSpec, Halt, Learned, LearnedFilter, LearnedTable,
    Outcome, Reason, Systemic, UnixMillis,
};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::act::checks::reason;
use crate::gates::pace::{refusal, seconds};
use crate::gates::single_tries::{Held, SingleTries};
use crate::gates::systemic::Showings;

/// Of all sessions that run, so many percent at least must show a fault before it is systemic.
const SYSTEMIC_PERCENT: usize = 25;
/// So much of what was learned is told at once.
const LEARNED_TOLD: usize = 64;
/// Tries of all sessions that are remembered.
const TRIES_KEPT: usize = 100_000;

/// The sessions of one host, as far as they must know of one another.
#[derive(Debug, Default)]
pub struct Fleet {
    sessions: AtomicUsize,
    stops: Mutex<Stops>,
    tried: Mutex<VecDeque<Instant>>,
    learned: RwLock<LearnedTable>,
    /// Who showed what when.
    faults: Mutex<Showings>,
    single_tries: Mutex<SingleTries>,
}

/// What keeps sessions from acting, and what is under way: under one lock, so that an action either began before a halt, or is
/// not done.
#[derive(Debug, Default)]
struct Stops {
    halts: Vec<Halt>,
    /// Why nobody may act, whatever people said: a person could not halt the host.
    suspended: Option<String>,
    under_way: BTreeMap<u64, (Arc<str>, String)>,
    entered: u64,
}

/// An action that the data plane is doing; it is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    fleet: Arc<Fleet>,
    number: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.fleet.stops.lock().under_way.remove(&self.number);
    }
}

impl Fleet {
    /// With the halts that are in force already.
    pub fn new(halts: Vec<Halt>) -> Arc<Self> {
        Self::with_learned(halts, Vec::new())
    }

    /// The same, with what earlier runs have learned.
    pub fn with_learned(halts: Vec<Halt>, learned: Vec<Learned>) -> Arc<Self> {
        let stops = Mutex::new(Stops { halts, ..Stops::default() });
        Arc::new(Self { stops, learned: RwLock::new(learned.into()), ..Self::default() })
    }

    /// What became of an action, after what was thought of it before.
    pub(crate) fn learn(&self, action: &ActionRecord, before: Option<Outcome>) {
        self.learned.write().add(action, before);
        if action.undoes.is_none() {
            let helped = match action.outcome {
                Outcome::Verified => Some(true),
                Outcome::Unknown => None,
                _ => Some(false),
            };
            self.single_tries.lock().came_to(&action.session, helped, Instant::now());
        }
    }

    /// What deciders are told of what was learnt, who are to answer these findings.
    pub(crate) fn learned(&self, findings: &[Finding], graph: &GraphSpec, now: UnixMillis) -> Vec<Learned> {
        self.learned.read().told(findings, graph, now, LEARNED_TOLD)
    }

    /// A person had this forgotten; whoever calls journals it. How many entries there were.
    pub fn forget(&self, learned: &LearnedFilter) -> usize {
        self.learned.write().forget(learned)
    }

    /// The halts that are in force.
    pub fn halts(&self) -> Vec<Halt> {
        self.stops.lock().halts.clone()
    }

    /// Stops all acting, of one session or of all: when it returns, nothing begins any more. It holds in memory at once;
    /// whoever calls journals it. The actions that were under way already, each as the session and what is done.
    pub fn halt(&self, halt: Halt) -> Vec<(Arc<str>, String)> {
        let mut stops = self.stops.lock();
        let whose = halt.session.clone();
        stops.halts.retain(|other| other.session != halt.session);
        stops.halts.push(halt);
        let under_way = stops.under_way.values();
        under_way
            .filter(|(session, _)| whose.as_ref().is_none_or(|whose| whose == session))
            .cloned()
            .collect()
    }

    /// Ends a halt. `false`: there is none of that session, or none of the host.
    pub fn resume(&self, session: Option<&str>) -> bool {
        let mut stops = self.stops.lock();
        let before = stops.halts.len();
        stops.halts.retain(|halt| halt.session.as_deref() != session);
        stops.halts.len() < before
    }

    /// Stops all acting for as long as nobody could stop it: the host cannot be reached, or its journal is lost. `None` ends that.
    /// `true`: that is new.
    pub fn suspend(&self, why: Option<String>) -> bool {
        let mut stops = self.stops.lock();
        let new = stops.suspended != why;
        stops.suspended = why;
        new
    }

    /// Why nobody may act although nobody was halted.
    pub fn suspended(&self) -> Option<String> {
        self.stops.lock().suspended.clone()
    }

    /// An action is about to be done. It is under way from now on, or it may not be done.
    pub(crate) fn enter(self: &Arc<Self>, session: &Arc<str>, what: String) -> Result<UnderWay, GateRefusal> {
        let mut stops = self.stops.lock();
        if let Some(halted) = stops.closed_to(session) {
            return Err(halted);
        }
        stops.entered += 1;
        let number = stops.entered;
        stops.under_way.insert(number, (Arc::clone(session), what));
        drop(stops);
        Ok(UnderWay { fleet: Arc::clone(self), number })
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn joined(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn left(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// The gate of whoever was halted by a person, or may not act as nobody could halt it.
    pub(crate) fn halted(&self, session: &str) -> Option<GateRefusal> {
        self.stops.lock().closed_to(session)
    }

    /// An action of some session's was tried.
    pub(crate) fn tried(&self, at: Instant) {
        let mut tried = self.tried.lock();
        if tried.len() >= TRIES_KEPT {
            tried.pop_front();
        }
        tried.push_back(at);
    }

    /// Whether the host's budget is used up; those that were tried at `uncounted` are not counted.
    pub(crate) fn over(&self, budget: &Budget, uncounted: &[Instant], now: Instant) -> Option<Reason> {
        let window = Duration::from_millis(budget.window_ms);
        let tried = self.tried.lock();
        let within = || tried.iter().rev().take_while(|tried| now.duration_since(**tried) < window);
        let uncounted = uncounted.iter().filter(|at| within().any(|tried| tried == *at)).count();
        let counted = within().count().saturating_sub(uncounted);
        (counted >= usize::try_from(budget.max).unwrap_or(usize::MAX)).then(|| {
            let message = format!(
                "{counted} actions in all sessions within {}; the limit is {}",
                seconds(window),
                budget.max
            );
            reason("host-budget", message)
        })
    }

    /// A session shows this. Why it may not be the session's own, when so many show it.
    pub(crate) fn shows(
        &self,
        session: &Arc<str>,
        code: &str,
        systemic: &Systemic,
        now: Instant,
    ) -> Option<String> {
        let window = Duration::from_millis(systemic.window_ms);
        let many = self.faults.lock().show(session, code, window, now);
        let limit = usize::try_from(systemic.sessions).unwrap_or(usize::MAX);
        let of = self.sessions.load(Ordering::Relaxed);
        (many >= limit && many * 100 >= of * SYSTEMIC_PERCENT).then(|| {
            format!(
                "{many} of {of} sessions showed {code} within {}, so its cause is none of theirs; the limit is {limit}",
                seconds(window)
            )
        })
    }

    /// Whether a session with a systemic fault may try alone; `ready`: nothing else holds it.
    pub(crate) fn may_try_alone(&self, session: &Arc<str>, ready: bool, now: Instant) -> Result<(), String> {
        self.single_tries.lock().ask(session, ready, now).map_err(|held| match held {
            Held::Trying(trying) => format!("{trying} tries alone what helps"),
            Held::Until(next) => {
                format!("a single session may try in {}", seconds(next.saturating_duration_since(now)))
            }
        })
    }

    /// Nothing came of a session's turn to try alone.
    pub(crate) fn lets_go(&self, session: &str) {
        self.single_tries.lock().let_go(session);
    }
}

impl Stops {
    fn closed_to(&self, session: &str) -> Option<GateRefusal> {
        let halt =
            self.halts.iter().find(|halt| halt.session.as_deref().is_none_or(|halted| halted == session));
        if let Some(halt) = halt {
            let whose = if halt.session.is_some() { "the session" } else { "the host" };
            let resume = halt.session.as_ref().map(|session| format!(" {session}")).unwrap_or_default();
            let message =
                format!("a person halted {whose}: {}; opens with `flyball resume{resume}`", halt.why);
            return Some(refusal("halted", message));
        }
        self.suspended.as_ref().map(|why| refusal("state-directory", why.clone()))
    }
}
