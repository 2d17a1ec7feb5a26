//! Numbers as a prompt shows them, and whether a number that was cited is one of them.

use flyball_plugin::prelude::*;

/// With three digits, and no fewer than the whole ones; a dash where there is no number.
pub(crate) fn shown(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "-".to_owned();
    }
    if size >= 1e15 {
        return format!("{value:e}");
    }
    let decimals = match size {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.01 => 3,
        _ => 6,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Whether the number that was cited is the one that was observed, as far as it was shown.
pub(crate) fn agrees(cited: f64, observed: f64) -> bool {
    cited.is_finite() && observed.is_finite() && shown(cited) == shown(observed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_shown_with_three_digits() {
        for (value, said) in [
            (120.0, "120"),
            (1_234.567, "1235"),
            (45.678, "45.7"),
            (99.96, "100"),
            (4.5, "4.5"),
            (0.851_2, "0.851"),
            (0.000_421, "0.000421"),
            (-0.0, "0"),
            (0.0, "0"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
            (1e300, "1e300"),
        ] {
            assert_eq!(shown(value), said);
        }
    }

    #[test]
    fn a_number_agrees_as_far_as_it_was_shown() {
        assert!(agrees(45.7, 45.678) && agrees(45.678, 45.678) && agrees(100.0, 99.96));
        assert!(!agrees(46.0, 45.678) && !agrees(48.0, 47.0) && !agrees(f64::NAN, f64::NAN));
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_cited(value in -1e18..1e18_f64) {
            let cited: f64 = shown(value).parse().unwrap_or(f64::NAN);
            prop_assert!(agrees(cited, value), "{} {}", cited, value);
        }
    }
}
