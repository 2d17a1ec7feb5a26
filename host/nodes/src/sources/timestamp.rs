use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A moment as a trace writes it, in seconds from some zero that is the same for the whole trace: RFC 3339, the same
/// without a zone (taken as UTC), or plain seconds. Fractions have up to nine digits.
pub(super) fn seconds(written: &str) -> Option<f64> {
    let written = written.trim();
    if let Ok(seconds) = written.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    if let Ok(moment) = written.parse::<Timestamp>() {
        return Some(moment.as_nanosecond() as f64 / 1e9);
    }
    let moment = written.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(moment.timestamp().as_nanosecond() as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn the_three_ways_of_writing_a_moment_agree() {
        let civil = seconds("2023-11-16 18:15:46.6805900").unwrap();
        let zoned = seconds("2023-11-16T19:15:46.68059+01:00").unwrap();
        let plain = seconds("1700158546.68059").unwrap();
        assert!((civil - zoned).abs() < 1e-6, "{civil} {zoned}");
        assert!((civil - plain).abs() < 1e-6, "{civil} {plain}");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "yesterday", "NaN", "inf", "2023-13-01 00:00:00", "12:00"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
