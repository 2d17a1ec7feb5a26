//! What others wrote, as it may stand in a prompt: within quotes, in one line, bounded, and with nothing in it that could
//! be taken for the prompt's own structure or that a reader would not see.

use flyball_plugin::prelude::*;

/// The longest name, in characters, that the model may be asked to repeat.
const LONGEST_NAME: usize = 100;

/// Characters that are not seen or that turn the text around them: Unicode's default ignorable ones, its line and paragraph
/// separators and its annotations.
const HIDDEN: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Not seen as what it is.
fn is_hidden(letter: char) -> bool {
    !matches!(letter, ' '..='~')
        && (letter.is_control() || HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&letter)))
}

/// Not as it is in a prompt: hidden, or what tables and code in it are made of.
fn is_unfit(letter: char) -> bool {
    matches!(letter, '|' | '`') || is_hidden(letter)
}

/// A JSON string of it, no longer than so many characters beside the quotes; what is cut ends with an ellipsis.
pub(crate) fn quoted(text: &str, most: usize) -> String {
    let mut said = String::from('"');
    write(&mut said, text, most, is_unfit, |letter| matches!(letter, '"' | '\\'));
    said.push('"');
    said
}

/// In one line and bounded, for sentences in which the model's own words are told on to people.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut said = String::new();
    write(&mut said, text, most, is_hidden, |_| false);
    said
}

/// What `escaped` says is written as its code, and behind a backslash what `marked` says.
fn write(said: &mut String, text: &str, most: usize, escaped: fn(char) -> bool, marked: fn(char) -> bool) {
    let mut left = most;
    for letter in text.chars() {
        let letter = if matches!(letter, '\n' | '\r' | '\t') { ' ' } else { letter };
        let (escaped, marked) = (escaped(letter), marked(letter));
        let width = if escaped { 6 * letter.len_utf16() } else { 1 + usize::from(marked) };
        let Some(rest) = left.checked_sub(width) else {
            said.push('…');
            return;
        };
        left = rest;
        if escaped {
            let mut units = [0; 2];
            letter.encode_utf16(&mut units).iter().for_each(|unit| said.push_str(&format!("\\u{unit:04x}")));
            continue;
        }
        if marked {
            said.push('\\');
        }
        said.push(letter);
    }
}

/// Whether a name stands in a prompt as it is, so that an answer can name it.
pub(crate) fn is_presentable(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(is_unfit)
}

#[cfg(test)]
mod tests {
    use flyball_plugin::json;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_end_a_row_or_hide_is_written_out() {
        assert_eq!(quoted("a|b `c`\nd", 50), "\"a\\u007cb \\u0060c\\u0060 d\"");
        assert_eq!(
            quoted("safe\u{202e}evil\u{200b}\u{e0041}", 50),
            "\"safe\\u202eevil\\u200b\\udb40\\udc41\""
        );
        assert_eq!(quoted("say \"no\" \\", 50), "\"say \\\"no\\\" \\\\\"");
        assert_eq!(quoted("\u{1b}[31mred", 50), "\"\\u001b[31mred\"");
    }

    #[test]
    fn the_models_words_are_told_on_as_they_are_but_for_what_hides() {
        assert_eq!(plain("say \"`no`\" | \\\n\u{1b}[2J\u{202e}", 50), "say \"`no`\" | \\ \\u001b[2J\\u202e");
        assert_eq!(plain("abcdef", 3), "abc…");
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(quoted("abcdef", 3), "\"abc…\"");
        assert_eq!(quoted("ab\u{200b}", 5), "\"ab…\"");
        assert_eq!(quoted("abc", 3), "\"abc\"");
    }

    proptest! {
        #[test]
        fn any_text_is_one_json_string_of_visible_characters(text in any::<String>(), most in 0_usize..80) {
            let said = quoted(&text, most);
            prop_assert!(said.chars().count() <= most + 3);
            prop_assert!(!said.chars().any(is_unfit));
            let value: Result<json::Value, _> = json::from_str(&said);
            prop_assert!(value.is_ok_and(|value| value.is_string()), "{}", said);
        }

        #[test]
        fn a_name_that_is_presentable_is_read_back_as_it_is(name in "[ -~äöü]{1,100}") {
            if is_presentable(&name) {
                let read: String = json::from_str(&quoted(&name, 200)).unwrap_or_default();
                prop_assert_eq!(read, name);
            }
        }
    }
}
