//! How sessions act again on a fault that many of them show. Closed, the gate lets one session at a time try, as a circuit breaker that is half
//! open does: after a pause, which doubles where that did not help and halves where it did. After enough that helped in a row it lets all
//! through, until one is in vain again.
//!
//! It must uphold that no two sessions try at once, and that one that does not come to its end keeps the others waiting for a while only.
//!
//! Called by `fleet`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// The pause before the first try.
const FIRST: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);
/// After so many tries in a row that helped, all may act.
const ENOUGH: u32 = 3;
/// So long a session may take for its try, what came of it included.
const MOST_FOR_A_TRY: Duration = Duration::from_secs(600);
/// Without a systemic fault for so long, the next one begins anew.
const OVER_AFTER: Duration = Duration::from_secs(60);

/// Who of the sessions with a systemic fault may act.
#[derive(Debug, Default)]
pub(crate) struct SingleTries {
    /// Since the fault is systemic; none: it is not.
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    pause: Duration,
    next: Instant,
    /// Who tries, and since when.
    trying: Option<(Arc<str>, Instant)>,
    helped_in_a_row: u32,
    /// When a session was last held or let through.
    asked: Instant,
}

/// Why a session may not act.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Another tries.
    Trying(Arc<str>),
    /// A session may try then.
    Until(Instant),
}

impl SingleTries {
    /// A session that shows a systemic fault wants to act. `ready`: nothing else holds it, so that the try is its own from now on.
    pub(crate) fn ask(&mut self, session: &Arc<str>, ready: bool, now: Instant) -> Result<(), Held> {
        let is_over = |closed: &Closed| now.duration_since(closed.asked) >= OVER_AFTER;
        if self.closed.as_ref().is_none_or(is_over) {
            let next = now + FIRST;
            self.closed = Some(Closed { pause: FIRST, next, trying: None, helped_in_a_row: 0, asked: now });
        }
        let Some(closed) = &mut self.closed else { return Ok(()) };
        closed.asked = now;
        if closed.helped_in_a_row >= ENOUGH {
            return Ok(());
        }
        if closed.trying.as_ref().is_some_and(|(_, since)| now.duration_since(*since) >= MOST_FOR_A_TRY) {
            closed.came_to(Some(false), now);
        }
        match &closed.trying {
            Some((trying, _)) if trying == session => Ok(()),
            Some((trying, _)) => Err(Held::Trying(Arc::clone(trying))),
            None if now < closed.next || !ready => Err(Held::Until(closed.next)),
            None => {
                closed.trying = Some((Arc::clone(session), now));
                Ok(())
            }
        }
    }

    /// It is known of an action of this session's whether it helped; none: it could not be measured.
    pub(crate) fn came_to(&mut self, session: &str, helped: Option<bool>, now: Instant) {
        let Some(closed) = &mut self.closed else { return };
        let all_may = closed.helped_in_a_row >= ENOUGH;
        if all_may || closed.trying.as_ref().is_some_and(|(trying, _)| trying.as_ref() == session) {
            closed.came_to(helped, now);
        }
    }

    /// Nothing came of the try of this session: another may have it at once.
    pub(crate) fn let_go(&mut self, session: &str) {
        if let Some(closed) = &mut self.closed
            && closed.trying.as_ref().is_some_and(|(trying, _)| trying.as_ref() == session)
        {
            closed.trying = None;
        }
    }
}

impl Closed {
    fn came_to(&mut self, helped: Option<bool>, now: Instant) {
        self.trying = None;
        match helped {
            Some(true) => {
                self.helped_in_a_row = self.helped_in_a_row.saturating_add(1);
                self.pause = (self.pause / 2).max(SHORTEST);
            }
            Some(false) => {
                self.helped_in_a_row = 0;
                self.pause = (self.pause * 2).min(LONGEST);
            }
            None => {}
        }
        self.next = now + self.pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Arc<str> {
        name.into()
    }

    /// The gate after its first pause, with the first session at its try.
    fn tried() -> (SingleTries, Instant) {
        let (mut tries, now) = (SingleTries::default(), Instant::now());
        assert_eq!(tries.ask(&named("a"), true, now), Err(Held::Until(now + FIRST)));
        assert_eq!(tries.ask(&named("a"), true, now + FIRST), Ok(()));
        (tries, now + FIRST)
    }

    #[test]
    fn one_session_at_a_time_may_try() {
        let (mut tries, now) = tried();
        assert_eq!(tries.ask(&named("b"), true, now), Err(Held::Trying(named("a"))));
        assert_eq!(tries.ask(&named("a"), true, now), Ok(()), "it is still its own");
        tries.let_go("b");
        assert_eq!(tries.ask(&named("b"), true, now), Err(Held::Trying(named("a"))));
        tries.let_go("a");
        assert_eq!(tries.ask(&named("b"), true, now), Ok(()), "nothing came of the first");
    }

    #[test]
    fn a_session_that_cannot_act_takes_nobodys_turn() {
        let (mut tries, now) = (SingleTries::default(), Instant::now());
        assert!(tries.ask(&named("a"), true, now).is_err());
        assert!(tries.ask(&named("a"), false, now + FIRST).is_err());
        assert_eq!(tries.ask(&named("b"), true, now + FIRST), Ok(()));
    }

    #[test]
    fn the_pause_grows_where_a_try_was_in_vain_and_shrinks_where_it_helped() {
        let (mut tries, now) = tried();
        tries.came_to("a", Some(false), now);
        assert_eq!(tries.ask(&named("b"), true, now), Err(Held::Until(now + FIRST * 2)));
        let now = now + FIRST * 2;
        assert_eq!(tries.ask(&named("b"), true, now), Ok(()));
        tries.came_to("a", Some(true), now);
        assert_eq!(tries.ask(&named("c"), true, now), Err(Held::Trying(named("b"))), "that was no try");
        tries.came_to("b", Some(true), now);
        assert_eq!(tries.ask(&named("c"), true, now), Err(Held::Until(now + FIRST)));
    }

    #[test]
    fn enough_tries_that_helped_let_all_through_until_one_is_in_vain() {
        let (mut tries, mut now) = tried();
        for name in ["a", "b", "c"] {
            assert_eq!(tries.ask(&named(name), true, now), Ok(()));
            tries.came_to(name, Some(true), now);
            now += FIRST;
        }
        assert_eq!((tries.ask(&named("d"), true, now), tries.ask(&named("e"), true, now)), (Ok(()), Ok(())));
        tries.came_to("d", Some(false), now);
        assert!(matches!(tries.ask(&named("e"), true, now), Err(Held::Until(_))));
    }

    #[test]
    fn a_try_that_does_not_end_keeps_the_others_waiting_for_a_while_only() {
        let (mut tries, now) = tried();
        let mut later = now;
        while later < now + MOST_FOR_A_TRY {
            assert!(tries.ask(&named("b"), true, later).is_err());
            later += OVER_AFTER / 2;
        }
        assert!(matches!(tries.ask(&named("b"), true, later), Err(Held::Until(_))), "that was in vain");
        assert_eq!(tries.ask(&named("b"), true, later + FIRST * 2), Ok(()));
    }

    #[test]
    fn a_try_that_could_not_be_measured_changes_no_pause() {
        let (mut tries, now) = tried();
        tries.came_to("a", None, now);
        assert_eq!(tries.ask(&named("b"), true, now), Err(Held::Until(now + FIRST)));
    }

    #[test]
    fn a_systemic_fault_that_was_over_begins_anew() {
        let (mut tries, now) = tried();
        tries.came_to("a", Some(false), now);
        let later = now + OVER_AFTER * 2;
        assert_eq!(tries.ask(&named("b"), true, later), Err(Held::Until(later + FIRST)));
    }
}
