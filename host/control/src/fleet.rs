//! What the sessions of one host share: the halts, the host's own budget, and the faults that many show at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flyball_model::{Budget, GateRefusal, Halt, Reason, Systemic};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::checks::reason;
use crate::pace::{refusal, seconds};

/// Of all sessions that run, so many percent at least must show a fault before it is systemic.
const SYSTEMIC_PERCENT: usize = 25;
/// Tries of all sessions that are remembered.
const TRIES_KEPT: usize = 100_000;

/// The sessions of one host, as far as they must know of one another.
#[derive(Debug, Default)]
pub struct Fleet {
    sessions: AtomicUsize,
    halts: RwLock<Vec<Halt>>,
    tried: Mutex<VecDeque<Instant>>,
    /// By code of finding: which session showed it last when.
    faults: Mutex<BTreeMap<String, BTreeMap<Arc<str>, Instant>>>,
}

impl Fleet {
    /// With the halts that are in force already.
    pub fn new(halts: Vec<Halt>) -> Arc<Self> {
        Arc::new(Self { halts: RwLock::new(halts), ..Self::default() })
    }

    /// The halts that are in force.
    pub fn halts(&self) -> Vec<Halt> {
        self.halts.read().clone()
    }

    /// Stops all acting, of one session or of all. Whoever calls has journaled it.
    pub fn halt(&self, halt: Halt) {
        let mut halts = self.halts.write();
        halts.retain(|other| other.session != halt.session);
        halts.push(halt);
    }

    /// Ends a halt. `false`: there is none of that session, or none of the host.
    pub fn resume(&self, session: Option<&str>) -> bool {
        let mut halts = self.halts.write();
        let before = halts.len();
        halts.retain(|halt| halt.session.as_deref() != session);
        halts.len() < before
    }

    pub(crate) fn joined(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn left(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// The gate of whoever was halted by a person.
    pub(crate) fn halted(&self, session: &str) -> Option<GateRefusal> {
        let halts = self.halts.read();
        let halt =
            halts.iter().find(|halt| halt.session.as_deref().is_none_or(|halted| halted == session))?;
        let whose = if halt.session.is_some() { "the session" } else { "the host" };
        Some(refusal("halted", format!("a person halted {whose}: {}; opens with `flyball resume`", halt.why)))
    }

    /// An action of some session's was tried.
    pub(crate) fn tried(&self, at: Instant) {
        let mut tried = self.tried.lock();
        if tried.len() >= TRIES_KEPT {
            tried.pop_front();
        }
        tried.push_back(at);
    }

    /// Whether the host's budget is used up.
    pub(crate) fn over(&self, budget: &Budget, now: Instant) -> Option<Reason> {
        let window = Duration::from_millis(budget.window_ms);
        let tried = self.tried.lock();
        let counted = tried.iter().rev().take_while(|tried| now.duration_since(**tried) < window).count();
        (counted >= usize::try_from(budget.max).unwrap_or(usize::MAX)).then(|| {
            let message = format!(
                "{counted} actions in all sessions within {}; the limit is {}",
                seconds(window),
                budget.max
            );
            reason("host-budget", message)
        })
    }

    /// A session shows this. The gate, when so many do that it cannot be theirs.
    pub(crate) fn shows(
        &self,
        session: &Arc<str>,
        code: &str,
        systemic: &Systemic,
        now: Instant,
    ) -> Option<GateRefusal> {
        let window = Duration::from_millis(systemic.window_ms);
        let mut faults = self.faults.lock();
        let showing = match faults.get_mut(code) {
            Some(showing) => showing,
            None => faults.entry(code.to_owned()).or_default(),
        };
        showing.insert(Arc::clone(session), now);
        showing.retain(|_, at| now.duration_since(*at) < window);
        let many = showing.len();
        let limit = usize::try_from(systemic.sessions).unwrap_or(usize::MAX);
        let of = self.sessions.load(Ordering::Relaxed);
        (many >= limit && many * 100 >= of * SYSTEMIC_PERCENT).then(|| {
            refusal(
                "systemic-fault",
                format!(
                    "{many} of {of} sessions showed {code} within {}, so its cause is none of theirs; the limit is {limit}",
                    seconds(window)
                ),
            )
        })
    }
}
