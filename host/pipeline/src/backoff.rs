//! How long somebody waits after something went wrong: twice as long each time, up to a bound, part of it by chance, so that
//! those who wait do not come back all at once. Workers and sources wait so for what is outside; the place of a worker that
//! ended waits so for the next one.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// What the other side says of when to come back is believed up to here: it is a stranger's word.
const LONGEST_SAID: Duration = Duration::from_secs(60);

/// The pause after so many tries in vain; not shorter than the other side said, nor much longer than that.
pub(crate) fn pause(tries: u32, said: Option<Duration>) -> Duration {
    let part = doubled(tries, LONGEST);
    match said.map(|said| said.min(LONGEST_SAID)) {
        Some(said) if said > Duration::ZERO => said + part.min(said / 10),
        _ => part,
    }
}

/// The pause before another worker takes the place in which so many ended in a row; none before the first.
pub(crate) fn before_another(ends: u32, longest: Duration) -> Duration {
    if ends < 2 { Duration::ZERO } else { doubled(ends - 1, longest) }
}

fn doubled(tries: u32, longest: Duration) -> Duration {
    let whole = FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(longest);
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_vary_by_no_more_than_half() {
        for (tries, whole) in [(1, 100), (2, 200), (3, 400), (7, 5_000), (40, 5_000), (u32::MAX, 5_000)] {
            let whole = Duration::from_millis(whole);
            let pauses: Vec<Duration> = (0..200).map(|_| pause(tries, None)).collect();
            assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{tries}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "without chance");
        }
    }

    #[test]
    fn what_the_other_side_says_is_a_least_and_bounded() {
        let said = Duration::from_secs(20);
        assert!((said..=said + said / 10).contains(&pause(1, Some(said))));
        assert!(pause(1, Some(Duration::MAX)) <= LONGEST_SAID + LONGEST);
        assert!(pause(1, Some(Duration::ZERO)) >= FIRST / 2, "at once would be a flood");
    }

    #[test]
    fn the_first_worker_that_ends_is_replaced_at_once_and_the_others_after_longer_and_longer_pauses() {
        let longest = Duration::from_secs(30);
        assert_eq!([0, 1].map(|ends| before_another(ends, longest)), [Duration::ZERO; 2]);
        assert!(before_another(2, longest) <= FIRST);
        assert!(before_another(3, longest) >= FIRST);
        assert!((longest / 2..=longest).contains(&before_another(u32::MAX, longest)));
    }
}
