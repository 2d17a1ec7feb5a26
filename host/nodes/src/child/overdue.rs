//! When a child is asked again for an item that it seems to have left out.
//!
//! A child that skips an item now and then would otherwise stand still for all the time that an item may take, and be killed
//! for it, although it answers whatever it is asked. So an item that takes much longer than any other did is asked for once
//! more, by another number; the first answer counts. A child that was only slow answers twice: what it says late is passed
//! over, and the next item is waited for twice as long. [`super::collecting`] asks, and tells what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

/// Before so many answers nothing is known of how long an item takes.
const FIRST_ANSWERS: u32 = 20;
/// So many times longer than the slowest answer of late is unusual; at least so long.
const TIMES: u32 = 8;
const LEAST: Duration = Duration::from_secs(1);
/// So many numbers are remembered that may still be answered.
const MOST_LATE: usize = 1_000;

/// How long a child's answers take, and which may still come although they are wanted no more.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    answers: u32,
    /// The slowest answer; it fades as others come.
    slowest: Duration,
    /// How often the child was asked again for what it was still at.
    in_vain: u32,
    /// By number, whether it is that of the first asking.
    late: BTreeMap<u64, bool>,
}

impl Overdue {
    /// After how long without an answer the child is asked again; none: it is not.
    pub(super) fn after(&self, item_timeout: Duration) -> Option<Duration> {
        let after = self.slowest.saturating_mul(TIMES).max(LEAST);
        let after = after.saturating_mul(1_u32.checked_shl(self.in_vain).unwrap_or(u32::MAX));
        (self.answers >= FIRST_ANSWERS && after <= item_timeout / 2).then_some(after)
    }

    /// An answer took so long.
    pub(super) fn took(&mut self, time: Duration) {
        self.answers = self.answers.saturating_add(1);
        self.slowest = time.max(self.slowest - self.slowest / 64);
    }

    /// An item that was asked for twice is answered: by the first asking, or by the second. The other may be answered too.
    pub(super) fn answered(&mut self, first: bool, other: u64) {
        self.in_vain = self.in_vain.saturating_add(u32::from(first));
        self.late.insert(other, !first);
        while self.late.len() > MOST_LATE {
            self.late.pop_first();
        }
    }

    /// Whether this answer is wanted no more, as the same item was answered before.
    pub(super) fn is_late(&mut self, id: u64) -> bool {
        let late = self.late.remove(&id);
        self.in_vain = self.in_vain.saturating_add(u32::from(late == Some(true)));
        late.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn a_child_is_asked_again_after_much_longer_than_it_takes_and_later_if_that_was_in_vain() {
        let mut overdue = Overdue::default();
        assert_eq!(overdue.after(LIMIT), None);
        (0..FIRST_ANSWERS).for_each(|_| overdue.took(Duration::from_millis(5)));
        assert_eq!(overdue.after(LIMIT), Some(LEAST));
        assert_eq!(overdue.after(LEAST), None, "an item that may take a second is not asked for twice in it");
        overdue.answered(true, 30);
        assert_eq!(overdue.after(LIMIT), Some(2 * LEAST));
        overdue.took(Duration::from_secs(4));
        assert_eq!(overdue.after(LIMIT), None);
    }

    #[test]
    fn what_comes_late_is_known_once_each() {
        let mut overdue = Overdue::default();
        overdue.answered(false, 7);
        assert!(overdue.is_late(7));
        assert!(!overdue.is_late(7));
        assert_eq!(overdue.in_vain, 1);
    }
}
