use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Why a text says no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTime {
    /// A zone's name, whose rules are not known here.
    #[error(
        "\"{0}\" names a zone in brackets, which is not read; write its offset, like +01:00, and no name"
    )]
    Zone(String),
    /// Anything else.
    #[error("\"{0}\" is no time")]
    Other(String),
}

/// A moment as a trace writes it, in seconds from some zero that is the same for the whole trace: RFC 3339, the same
/// without a zone (taken as UTC), or plain seconds. Fractions have up to nine digits.
pub(super) fn seconds(written: &str) -> Result<f64, NoTime> {
    let shown = || written.chars().take(100).collect::<String>();
    let written = written.trim();
    // Read as it is, the name would be passed over and the time taken for UTC.
    if written.contains('[') {
        return Err(NoTime::Zone(shown()));
    }
    if let Ok(seconds) = written.parse::<f64>() {
        return if seconds.is_finite() { Ok(seconds) } else { Err(NoTime::Other(shown())) };
    }
    if let Ok(moment) = written.parse::<Timestamp>() {
        return Ok(moment.as_nanosecond() as f64 / 1e9);
    }
    let civil = written.parse::<DateTime>().and_then(|civil| civil.to_zoned(TimeZone::UTC));
    let moment = civil.map_err(|_| NoTime::Other(shown()))?;
    Ok(moment.timestamp().as_nanosecond() as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::{NoTime, seconds};

    #[test]
    fn the_three_ways_of_writing_a_moment_agree() {
        let civil = seconds("2023-11-16 18:15:46.6805900").unwrap();
        let zoned = seconds("2023-11-16T19:15:46.68059+01:00").unwrap();
        let plain = seconds("1700158546.68059").unwrap();
        assert!((civil - zoned).abs() < 1e-6, "{civil} {zoned}");
        assert!((civil - plain).abs() < 1e-6, "{civil} {plain}");
    }

    #[test]
    fn a_zone_in_brackets_is_refused_and_not_passed_over() {
        for text in [
            "2023-11-16T19:15:46+01:00[Europe/Berlin]",
            "2023-11-16 18:15:46[UTC]",
            "2023-11-16[u-ca=iso8601]",
        ] {
            assert_eq!(seconds(text), Err(NoTime::Zone(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "yesterday", "NaN", "inf", "2023-13-01 00:00:00", "12:00"] {
            assert_eq!(seconds(text), Err(NoTime::Other(text.to_owned())), "{text}");
        }
    }
}
