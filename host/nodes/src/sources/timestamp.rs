use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

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
    // Not as a moment of jiff's, which ends a day before the year 10000 so that every zone can show it.
    let pieces = Pieces::parse(written).map_err(|_| NoTime::Other(shown()))?;
    if pieces.time().is_none() && pieces.offset().is_some() {
        return Err(NoTime::Other(shown()));
    }
    let there = DateTime::from_parts(pieces.date(), pieces.time().unwrap_or_default());
    let offset = pieces.to_numeric_offset().map_or(0, |offset| i128::from(offset.seconds()));
    let nanoseconds = there.duration_since(EPOCH).as_nanos() - offset * 1_000_000_000;
    Ok(nanoseconds as f64 / 1e9)
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
    fn the_last_and_the_first_moment_that_four_digits_of_a_year_can_say_are_moments() {
        assert_eq!(seconds("9999-12-31T23:59:59Z"), Ok(253_402_300_799.0));
        assert_eq!(seconds("9999-12-31T23:59:59-01:00"), Ok(253_402_304_399.0));
        assert_eq!(seconds("9999-12-31 23:59:59"), Ok(253_402_300_799.0));
        assert_eq!(seconds("0000-01-01T00:00:00+01:00"), Ok(-62_167_222_800.0));
        assert_eq!(seconds("1970-01-02"), Ok(86_400.0));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "yesterday", "NaN", "inf", "2023-13-01 00:00:00", "12:00", "2023-11-16Z"] {
            assert_eq!(seconds(text), Err(NoTime::Other(text.to_owned())), "{text}");
        }
    }
}
