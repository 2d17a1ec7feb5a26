//! When a server wants to be asked again.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// In seconds or as a date (RFC 9110, 10.2.3). A date is held against the server's own clock where it tells it, so that a
/// clock that differs does no harm. Whoever waits bounds it.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let said = text(RETRY_AFTER)?;
    if let Ok(seconds) = said.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(said).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    Some(then.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn said(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        retry_after(&headers.collect())
    }

    #[test]
    fn both_forms_are_understood_and_anything_else_says_nothing() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(said(&[("retry-after", " 7 ")]), Some(Duration::from_secs(7)));
        assert_eq!(
            said(&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]),
            Some(Duration::from_secs(30))
        );
        assert_eq!(said(&[date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]), Some(Duration::ZERO));
        for nothing in ["", "soon", "-3", "1e9", "99999999999999999999999"] {
            assert_eq!(said(&[("retry-after", nothing)]), None, "{nothing}");
        }
        assert_eq!(said(&[]), None);
    }
}
