//! How long to wait before the next try.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest pause that doubling comes to.
const LONGEST: Duration = Duration::from_secs(30);

/// So many seconds, which may have a fraction.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// What an answer says about when to come back: in seconds or as a date (RFC 9110, 10.2.3), or in milliseconds, as
/// OpenAI says it. A date is held against the server's own clock where it tells it.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.trim().parse().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let said = text(RETRY_AFTER.as_str())?;
    let until = || {
        let then = httpdate::parse_http_date(said.trim()).ok()?;
        let now = text(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
        Some(then.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
    };
    seconds(said).or_else(until)
}

/// The pause after so many tries: twice as long each time, of which at least half; and no shorter than what was said.
pub(crate) fn pause(first: Duration, tries: u32, said: Option<Duration>) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST);
    let part = whole.mul_f64(0.5 + fastrand::f64() / 2.0);
    // All who were told the same time would come back at once.
    said.map_or(part, |said| said.saturating_add(part.min(said / 10)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(headers: &[(&'static str, &str)]) -> Option<Duration> {
        retry_after(
            &headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        )
    }

    #[test]
    fn when_to_come_back_is_read_in_seconds_in_milliseconds_and_as_a_date() {
        assert_eq!(said(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            said(&[("retry-after-ms", "250"), ("retry-after", "1")]),
            Some(Duration::from_millis(250))
        );
        let date =
            [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")];
        assert_eq!(said(&date), Some(Duration::from_secs(30)));
        assert_eq!(
            said(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]),
            Some(Duration::ZERO),
            "it is over"
        );
        for nothing in ["", "soon", "-1", "NaN", "1e300", "inf"] {
            assert_eq!(said(&[("retry-after", nothing)]), None, "{nothing}");
        }
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn a_pause_doubles_and_is_never_shorter_than_what_was_said() {
        let first = Duration::from_millis(100);
        for tries in 1..20 {
            let whole = first.saturating_mul(2_u32.pow(tries - 1)).min(LONGEST);
            let paused = pause(first, tries, None);
            assert!(paused >= whole / 2 && paused <= whole, "{tries}: {paused:?}");
            assert!(pause(first, tries, Some(Duration::from_secs(9))) >= Duration::from_secs(9));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_panics(text in "[ -~]{0,40}", tries in any::<u32>(), first in any::<u64>()) {
            let after = said(&[("retry-after", &text)]);
            let _ = pause(Duration::from_millis(first), tries, after);
        }
    }
}
