//! What is printed holds nothing that a terminal obeys, that ends a line or that cannot be seen.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use flyball_model::{hidden_in, is_hidden, printable, printable_lines, shell_word};
use proptest::prelude::*;

/// One of each kind that is known to have been used against readers.
const HOSTILE: [char; 31] = [
    '\0',
    '\u{7}',
    '\u{8}',
    '\n',
    '\r',
    '\t',
    '\u{1b}',
    '\u{7f}',
    '\u{85}',
    '\u{9b}',
    '\u{9d}',
    '\u{ad}',
    '\u{34f}',
    '\u{61c}',
    '\u{115f}',
    '\u{180e}',
    '\u{200b}',
    '\u{200d}',
    '\u{200e}',
    '\u{2028}',
    '\u{2029}',
    '\u{202a}',
    '\u{202e}',
    '\u{2060}',
    '\u{2066}',
    '\u{2069}',
    '\u{3164}',
    '\u{fe0f}',
    '\u{feff}',
    '\u{e0041}',
    '\u{e0101}',
];

#[test]
fn each_hidden_character_is_written_out() {
    for letter in HOSTILE {
        assert!(is_hidden(letter), "{letter:?}");
        assert_eq!(hidden_in(&format!("a{letter}b")), Some(letter));
        let shown = printable(&format!("a{letter}b")).into_owned();
        assert!(shown.starts_with("a\\") && shown.ends_with('b'), "{shown:?}");
    }
    assert_eq!(printable("red\u{1b}[2J\u{202e}end\r\n"), "red\\u{1b}[2J\\u{202e}end\\r\\n");
}

#[test]
fn what_people_write_stays_as_it_is() {
    for text in [
        "",
        "payments-eu",
        "Zahlungen für Köln",
        "支払い",
        "الدفع",
        "e\u{301}té",
        "C:\\n",
        "5 × 3 → 15 ✓",
        "🦀",
    ] {
        assert!(matches!(printable(text), std::borrow::Cow::Borrowed(same) if same == text), "{text:?}");
        assert_eq!(hidden_in(text), None, "{text:?}");
    }
}

#[test]
fn a_name_in_a_command_is_one_word_to_a_shell() {
    assert_eq!(shell_word("payments-eu"), "payments-eu");
    assert_eq!(shell_word("two words; rm -rf ~"), "'two words; rm -rf ~'");
    assert_eq!(shell_word("it's"), "'it'\\''s'");
    assert_eq!((shell_word(""), shell_word("-v")), ("''".into(), "'-v'".into()));
}

#[test]
fn lines_stay_lines_where_there_may_be_several() {
    assert_eq!(printable_lines("one\ntwo\r\n\u{1b}c"), "one\ntwo\\r\n\\u{1b}c");
}

fn any_text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![prop::sample::select(&HOSTILE[..]), any::<char>(), prop::char::range(' ', '~')];
    prop::collection::vec(letter, 0..60).prop_map(|letters| letters.into_iter().collect())
}

proptest! {
    #[test]
    fn nothing_hidden_is_left_and_what_is_seen_stays(text in any_text()) {
        let shown = printable(&text).into_owned();
        prop_assert!(!shown.chars().any(is_hidden), "{shown:?}");
        prop_assert!(!shown.chars().any(char::is_control), "{shown:?}");
        prop_assert_eq!(&printable(&shown), &shown, "twice is as once");
        let seen: String = text.chars().filter(|letter| !is_hidden(*letter)).collect();
        let mut rest = shown.chars();
        prop_assert!(seen.chars().all(|letter| rest.any(|other| other == letter)), "{shown:?} keeps {seen:?}");
        let lines = printable_lines(&text).into_owned();
        prop_assert_eq!(lines.matches('\n').count(), text.matches('\n').count());
        prop_assert!(!lines.chars().any(|letter| letter != '\n' && is_hidden(letter)), "{lines:?}");
        prop_assert_eq!(&printable_lines(&lines), &lines, "twice is as once");
    }
}
