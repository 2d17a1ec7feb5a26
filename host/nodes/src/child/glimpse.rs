//! What can still be told of a line that is not JSON: whom it was about.
//!
//! Programs write `NaN` where JSON has no number for it, break off in the middle, or nest deeper than the host reads. Such a
//! line fails the item that it answers, which its beginning names; only where no item can be told is another way needed.
//! Both sides of the protocol use this ([`super::listening`], [`super::serve`]).

/// What a broken line shows at its outermost level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Glimpse {
    /// The item's number, where it is written once and whole.
    pub(super) id: Option<u64>,
    /// It was to report numbers.
    pub(super) metrics: bool,
}

/// Reads as far as the line looks like an object, and never fails.
pub(super) fn glimpse(line: &[u8]) -> Glimpse {
    let mut glimpse = Glimpse::default();
    let (mut depth, mut several) = (0_usize, false);
    let mut rest = line.trim_ascii_start();
    let mut key: Option<&[u8]> = None;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                let Some((text, after)) = string(rest) else { break };
                key = (depth == 1).then_some(text);
                rest = after;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => break,
            b'}' | b']' => depth -= 1,
            _ if depth == 0 => break,
            b':' if depth == 1 => match key.take() {
                Some(b"id") => {
                    let id = number(rest);
                    several |= glimpse.id.is_some_and(|have| id != Some(have));
                    glimpse.id = glimpse.id.or(id);
                }
                Some(b"metrics") => glimpse.metrics = true,
                _ => {}
            },
            byte if byte.is_ascii_whitespace() => {}
            _ => key = None,
        }
    }
    glimpse.id = glimpse.id.filter(|_| !several);
    glimpse
}

/// Up to the closing quote, and what follows it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })?;
    let (inner, rest) = text.split_at_checked(end)?;
    Some((inner, rest.get(1..)?))
}

fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at_checked(end)?;
    let whole = rest.first().is_some_and(|byte| matches!(byte, b',' | b'}') || byte.is_ascii_whitespace());
    std::str::from_utf8(digits).ok().filter(|_| whole)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(line: &str) -> Option<u64> {
        glimpse(line.as_bytes()).id
    }

    #[test]
    fn the_number_of_a_broken_answer_is_found_wherever_it_stands() {
        assert_eq!(id(r#"{"id": 10, "out": [{"score": NaN}]}"#), Some(10));
        assert_eq!(id(r#"{"out": [{"id": 3, "x": "}\""}, NaN], "id":12}"#), Some(12));
        assert_eq!(id(r#"{"id":7,"out":[{"text":"torn"#), Some(7));
        assert_eq!(id(&format!(r#"{{"id":8,"out":{}"#, "[".repeat(10_000))), Some(8));
    }

    #[test]
    fn a_number_that_is_not_the_items_is_not_taken_for_it() {
        for line in [
            r#"{"out":[{"id":3}]}"#,
            r#"["id",3]"#,
            r#"{"id":"3","out":NaN}"#,
            r#"{"id":-3,"out":NaN}"#,
            r#"{"id":3.5,"out":NaN}"#,
            r#"{"id":3"#,
            r#"{"id":3,"id":4,"out":NaN}"#,
            r#"{"a":"\"id\":3","out":NaN}"#,
            r#"{"id":99999999999999999999999,"out":NaN}"#,
            "",
            "id:3",
        ] {
            assert_eq!(id(line), None, "{line}");
        }
    }

    #[test]
    fn a_broken_report_of_numbers_is_no_answer() {
        assert_eq!(glimpse(br#"{"metrics":{"score":NaN}}"#), Glimpse { id: None, metrics: true });
        assert!(!glimpse(br#"{"id":1,"out":[{"metrics":NaN}]}"#).metrics);
    }

    proptest! {
        #[test]
        fn any_bytes_are_glimpsed_at(line in prop::collection::vec(any::<u8>(), 0..500)) {
            glimpse(&line);
        }

        #[test]
        fn what_is_whole_is_seen_as_the_parser_sees_it(number: u64, text in ".{0,20}") {
            let line = serde_json::json!({"id": number, "out": [text, {"id": 5}]}).to_string();
            prop_assert_eq!(id(&line), Some(number));
        }
    }
}
