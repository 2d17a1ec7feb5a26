//! Texts of servers, as they are told to people, and JSON in what models write.

use serde_json::Value;

/// The longest of what a server says that is told.
const MOST_TOLD: usize = 300;

/// How many objects are looked for in a text.
const MOST_STARTS: usize = 64;

/// In one line, short, and without control characters.
pub(crate) fn told(text: &str) -> String {
    let mut letters = text.split_whitespace().flat_map(|word| [" ", word]).skip(1).flat_map(str::chars);
    let letters = letters.by_ref().filter(|letter| !letter.is_control());
    let told: String = letters.take(MOST_TOLD + 1).collect();
    match told.char_indices().nth(MOST_TOLD) {
        Some((end, _)) => format!("{}…", told.get(..end).unwrap_or_default()),
        None => told,
    }
}

/// The end of what local models think, where their server leaves it in the answer.
const THOUGHT: &str = "</think>";

/// The object that a text is, or holds: models write prose and fences around it, and think before it. What begins and
/// does not end is not looked into, as what stands in it is not the answer.
pub(crate) fn object_in(text: &str) -> Result<Value, String> {
    let whole = match serde_json::from_str::<Value>(text.trim()) {
        Ok(value) if value.is_object() => return Ok(value),
        Ok(_) => return Err("the answer is JSON, but no object".to_owned()),
        Err(error) => error,
    };
    let text = text.rsplit_once(THOUGHT).map_or(text, |(_, said)| said);
    for (at, _) in text.match_indices('{').take(MOST_STARTS) {
        let rest = text.get(at..).unwrap_or_default();
        match serde_json::Deserializer::from_str(rest).into_iter::<Value>().next() {
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) if error.is_eof() => {
                return Err(format!("the answer's JSON does not end: {error}"));
            }
            Some(Err(_)) | None => {}
        }
    }
    Err(format!("the answer holds no JSON object: {whole}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_found_within_prose_and_fences() {
        for text in [
            "{\"a\":1}",
            " {\"a\":1}\n",
            "```json\n{\"a\":1}\n```",
            "Here {as asked} it is: {\"a\":1}. Anything else?",
            "<think>It could be {\"a\":2}.</think>{\"a\":1}",
        ] {
            assert_eq!(object_in(text).unwrap(), json!({ "a": 1 }), "{text}");
        }
    }

    #[test]
    fn an_answer_about_thinking_is_an_answer() {
        assert_eq!(object_in("{\"a\":\"</think>\"}").unwrap(), json!({ "a": "</think>" }));
    }

    #[test]
    fn a_part_of_an_object_that_does_not_end_is_no_answer() {
        for text in ["{\"a\":{\"b\":1}", "So: {\"a\":[{\"b\":1},", "[1,2]", "", "no"] {
            assert!(object_in(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_told_is_short_and_one_line() {
        assert_eq!(told(" a\n\u{1b}[31mb\tc "), "a [31mb c");
        assert_eq!(told(&"x".repeat(1_000)).chars().count(), MOST_TOLD + 1);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = object_in(&text);
            prop_assert!(told(&text).chars().count() <= MOST_TOLD + 1);
        }

        #[test]
        fn an_object_that_is_written_is_read(words in "[a-z ,.:;}]{0,40}", number in any::<i64>()) {
            let text = format!("{words}{{\"n\":{number}}}{words}");
            prop_assert_eq!(object_in(&text).unwrap(), json!({ "n": number }));
        }
    }
}
