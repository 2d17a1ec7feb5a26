//! How the data plane itself replaces workers that end: whoever ended them, however often.
//!
//! The first worker that ends is replaced at once. The next ones of its place are replaced after pauses that double up to
//! [`LONGEST`], until one has worked well for a while; nothing makes the data plane give up. The controller sees a node whose
//! workers keep ending as failed or degraded, and not one whose worker ended and was replaced ([`WorkerHistory`]).
//!
//! What a worker had in hand when it ended is given to the next one item by item, so that an item that ends workers is found
//! soon. Such an item is tried again and dead-lettered after its tries, as long as the node answers others: where nothing
//! is answered, it is the node that fails, and its items wait ([`Blame`]).
//!
//! [`crate::worker`] asks [`WorkerHistory`] at each end of a worker and starts [`succeed`]; [`crate::settle`] asks [`Blame`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flyball_nodes::WorkerEnd;
use tokio::time::{Instant, sleep};

use crate::backoff::before_another;
use crate::node::Node;
use crate::worker::{State, employ};

/// The longest pause before another worker.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest where the worker that ended had answered something, or an item is being found out that ends workers: work
/// is done then, and every pause delays it.
const LONGEST_AT_WORK: Duration = Duration::from_secs(1);
/// A worker that has answered works well when it is that old.
pub(crate) const STEADY: Duration = Duration::from_secs(1);
/// So does one that has waited so long for something to do.
const STEADY_IDLE: Duration = Duration::from_secs(30);
/// So many ends within this time are a pattern, although each worker had worked well before it ended.
const OFTEN: usize = 4;
const OFTEN_WITHIN: Duration = Duration::from_secs(60);
/// An item over which so many workers ended is to blame, whatever else the node answers.
const MOST_DEATHS: u32 = 6;

/// What an item had to do with the end of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Culprit {
    /// Nothing, or nobody knows.
    #[default]
    None,
    /// It was the only one in hand, and is tried again.
    TriedAgain,
    /// It was the only one in hand, and is dead-lettered.
    DeadLettered,
}

/// What became of the workers that had one place in a node, one after the other.
#[derive(Debug)]
pub(crate) struct WorkerHistory {
    /// When the present one began; the last one, when there is none.
    began: Instant,
    /// It answered something.
    answered: bool,
    /// When the newest answer came.
    last_answer: Option<Instant>,
    /// So many ended in a row, none of which had worked well.
    ended: u32,
    /// When the first of them did.
    since: Instant,
    /// When the newest ended that had worked well.
    newest: VecDeque<Instant>,
}

impl WorkerHistory {
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now, answered: false, last_answer: None, ended: 0, since: now, newest: VecDeque::new() }
    }

    /// Another worker begins.
    fn begins(&mut self, now: Instant) {
        self.began = now;
    }

    /// The worker answered something.
    pub(crate) fn answers(&mut self, now: Instant) {
        self.answered = true;
        self.last_answer = Some(now);
    }

    /// The worker ended, with nothing in hand if it was `idle`. How long to wait before there is another.
    pub(crate) fn ends(&mut self, now: Instant, end: WorkerEnd, idle: bool, culprit: Culprit) -> Duration {
        let answered = std::mem::take(&mut self.answered);
        if end == WorkerEnd::Recycled {
            return Duration::ZERO;
        }
        let lived = now.saturating_duration_since(self.began);
        if culprit == Culprit::DeadLettered {
            self.newest.clear();
            self.ended = 0;
            return Duration::ZERO;
        }
        if self.ended == 0 || answered && lived >= STEADY || idle && lived >= STEADY_IDLE {
            self.ended = 0;
            self.since = now;
            self.newest.push_back(now);
        }
        self.ended = self.ended.saturating_add(1);
        if self.newest.len() > OFTEN {
            self.newest.pop_front();
        }
        let works = answered || culprit == Culprit::TriedAgain;
        before_another(self.ended, if works { LONGEST_AT_WORK } else { LONGEST })
    }

    /// No other worker could be started. How long to wait before the next try.
    fn cannot_start(&mut self) -> Duration {
        self.ended = self.ended.saturating_add(1);
        before_another(self.ended, LONGEST)
    }

    /// The newest worker ended, and that was no end that is expected of it.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended > 0
    }

    /// The present worker, with nothing in hand if it is `idle`, works well; or it waits for longer than this.
    fn is_well(&self, now: Instant, than: Duration, idle: bool) -> bool {
        let lived = now.saturating_duration_since(self.began);
        self.answered && lived >= STEADY || idle && lived > than
    }

    /// Its workers keep ending, or cannot be started, and nothing was answered for longer than this.
    pub(crate) fn is_failing(&self, now: Instant, than: Duration, idle: bool) -> bool {
        let last = self.last_answer.map_or(self.since, |answer| answer.max(self.since));
        self.ended > 1 && !self.is_well(now, than, idle) && now.saturating_duration_since(last) > than
    }

    /// Its workers end again and again, be it that they work well before that.
    pub(crate) fn ends_often(&self, now: Instant, than: Duration, idle: bool) -> bool {
        let in_a_row = usize::try_from(self.ended).is_ok_and(|ended| ended >= OFTEN);
        let oldest = self.newest.front().filter(|_| self.newest.len() >= OFTEN);
        in_a_row && !self.is_well(now, than, idle)
            || oldest.is_some_and(|oldest| now.saturating_duration_since(*oldest) < OFTEN_WITHIN)
    }
}

/// Whether an item may be blamed for the end of workers of a node.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    /// The node answered something since a worker of it ended.
    answered: bool,
}

impl Blame {
    /// A worker of the node answered something.
    pub(crate) fn answered(&mut self) {
        self.answered = true;
    }

    /// A worker of the node ended.
    pub(crate) fn ended(&mut self) {
        self.answered = false;
    }

    /// Whether an item could be blamed: the node is known to answer others.
    pub(crate) fn may_fall(&self) -> bool {
        self.answered
    }

    /// A worker ended that had one item alone in hand, over which `deaths` others had ended so. Whether the item is to
    /// blame: not for the first end that came from outside, nor where the node answers nothing else.
    pub(crate) fn falls(&self, deaths: u32, end: WorkerEnd) -> bool {
        deaths >= MOST_DEATHS || self.answered && (end != WorkerEnd::FromOutside || deaths > 0)
    }
}

/// Puts a new worker in the place of one that ended, after a pause, unless somebody takes the place away meanwhile.
pub(crate) async fn succeed(node: Arc<Node>, old: Arc<State>, mut pause: Duration, expected: bool) {
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            () = node.crew.wait_no_more() => {}
        }
        if !node.crew.has(&old) {
            return;
        }
        let spec = node.spec.lock().clone();
        let stock = Arc::clone(&node.shared.stock);
        // Starting a process waits for it.
        let made = tokio::task::spawn_blocking(move || stock.tool(&spec)).await;
        let error = match made {
            Ok(Ok(tool)) => {
                node.restarts.fetch_add(u64::from(!expected), Ordering::Relaxed);
                let history = Arc::clone(&old.history);
                history.lock().begins(Instant::now());
                return node.crew.replace(&old, || employ(&node, tool, history));
            }
            Ok(Err(error)) => error,
            Err(error) => error.to_string(),
        };
        node.mishap(&format!("no other worker could be started, and it is tried again: {error}"));
        pause = old.history.lock().cannot_start();
    }
}

#[cfg(test)]
mod tests {
    use WorkerEnd::{Failed, FromOutside, Recycled};
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WINDOW: Duration = Duration::from_secs(5);

    fn ends(history: &mut WorkerHistory, end: WorkerEnd) -> Duration {
        let pause = history.ends(Instant::now(), end, false, Culprit::None);
        history.begins(Instant::now() + pause);
        pause
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_answer_nothing_are_replaced_for_ever_at_most_every_thirty_seconds() {
        let mut history = WorkerHistory::new(Instant::now());
        assert_eq!(ends(&mut history, Failed), Duration::ZERO);
        let pauses: Vec<Duration> = (0..1_000).map(|_| ends(&mut history, FromOutside)).collect();
        assert!(pauses[0] <= SECOND / 10 && pauses[3] < SECOND, "{pauses:?}");
        assert!(pauses[20..].iter().all(|pause| (LONGEST / 2..=LONGEST).contains(pause)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_worked_well_for_a_while_is_replaced_at_once() {
        let mut history = WorkerHistory::new(Instant::now());
        for _ in 0..10 {
            ends(&mut history, Failed);
        }
        history.begins(Instant::now());
        history.answers(Instant::now());
        advance(STEADY).await;
        assert_eq!(ends(&mut history, Failed), Duration::ZERO);
        advance(STEADY_IDLE).await;
        assert_eq!(history.ends(Instant::now(), Failed, true, Culprit::None), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_hung_for_long_did_not_work_well() {
        let mut history = WorkerHistory::new(Instant::now());
        ends(&mut history, Failed);
        advance(100 * SECOND).await;
        assert!(ends(&mut history, Failed) > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_answer_before_they_end_are_waited_for_at_most_a_second() {
        let mut history = WorkerHistory::new(Instant::now());
        for _ in 0..50 {
            history.answers(Instant::now());
            assert!(ends(&mut history, Failed) <= LONGEST_AT_WORK);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_leave_after_their_share_are_replaced_at_once_however_often() {
        let mut history = WorkerHistory::new(Instant::now());
        assert!((0..1_000).all(|_| ends(&mut history, Recycled) == Duration::ZERO));
        assert!(!history.has_ended() && !history.ends_often(Instant::now(), WINDOW, false));
    }

    #[tokio::test(start_paused = true)]
    async fn one_end_is_no_failure_and_workers_that_keep_ending_are() {
        let mut history = WorkerHistory::new(Instant::now());
        ends(&mut history, Failed);
        advance(10 * SECOND).await;
        assert!(!history.is_failing(Instant::now(), WINDOW, false));
        ends(&mut history, Failed);
        assert!(history.is_failing(Instant::now(), WINDOW, false));
        history.begins(Instant::now());
        history.answers(Instant::now());
        advance(STEADY).await;
        assert!(!history.is_failing(Instant::now(), WINDOW, false));
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_work_well_and_end_again_and_again_are_a_pattern_for_a_minute() {
        let mut history = WorkerHistory::new(Instant::now());
        for _ in 0..OFTEN {
            assert!(!history.ends_often(Instant::now(), WINDOW, false));
            history.answers(Instant::now());
            advance(10 * SECOND).await;
            ends(&mut history, Failed);
        }
        assert!(history.ends_often(Instant::now(), WINDOW, false));
        advance(OFTEN_WITHIN).await;
        assert!(!history.ends_often(Instant::now(), WINDOW, false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_item_did_is_forgotten_once_it_is_a_dead_letter() {
        let mut history = WorkerHistory::new(Instant::now());
        for _ in 0..20 {
            let pause = history.ends(Instant::now(), Failed, false, Culprit::TriedAgain);
            assert!(pause <= LONGEST_AT_WORK);
        }
        let pause = history.ends(Instant::now(), Failed, false, Culprit::DeadLettered);
        assert_eq!(pause, Duration::ZERO);
        assert!(!history.has_ended() && !history.ends_often(Instant::now(), WINDOW, false));
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_answer_a_little_before_they_end_have_not_failed_but_are_a_pattern() {
        let mut history = WorkerHistory::new(Instant::now());
        for _ in 0..20 {
            history.answers(Instant::now());
            advance(SECOND / 2).await;
            ends(&mut history, Failed);
            assert!(!history.is_failing(Instant::now(), WINDOW, false));
        }
        assert!(history.ends_often(Instant::now(), WINDOW, false));
        advance(2 * WINDOW).await;
        assert!(history.is_failing(Instant::now(), WINDOW, false));
    }

    #[test]
    fn where_nothing_is_answered_between_the_ends_of_workers_no_item_is_blamed() {
        let mut blame = Blame::default();
        assert!(!blame.falls(0, Failed));
        blame.answered();
        assert!(blame.falls(1, Failed));
        blame.ended();
        assert!(!blame.falls(2, Failed));
    }

    #[test]
    fn an_item_is_blamed_for_the_second_end_that_came_from_outside_and_not_for_the_first() {
        let blame = Blame { answered: true };
        assert!(!blame.falls(0, FromOutside));
        assert!(blame.falls(1, FromOutside));
    }

    #[test]
    fn an_item_that_ended_many_workers_is_to_blame_also_where_nothing_else_can_be_tried() {
        let blame = Blame::default();
        assert!(!blame.falls(MOST_DEATHS - 1, Failed));
        assert!(blame.falls(MOST_DEATHS, Failed));
    }
}
