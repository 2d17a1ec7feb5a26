//! The one escape for text from outside before a person reads it.
//!
//! A name, a message or a file name may hold characters that a terminal obeys (an escape sequence clears the screen or
//! sets the window's title), that end a line (a forged log line), that reorder what stands around them (bidi controls) or
//! that cannot be seen at all (zero-width characters, fillers, tags). Each of these becomes a visible `\u{…}`; everything
//! else stays as it is. Escaping twice gives the same as escaping once, so a text may pass through here at every place
//! where it might be the first.
//!
//! Whatever prints calls this: the program's output and error lines, its log, and the messages of typed errors. A
//! backslash is left alone, so that paths and patterns stay readable; nothing is ever read back from what was escaped.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Whether a character does something else than stand there to be seen: control, format (bidi controls among them),
/// line and paragraph separators, and what Unicode says to show as nothing.
pub fn is_hidden(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(letter),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
}

/// The text with each hidden character written out, on one line: `\n`, `\r`, `\t`, else `\u{202e}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// A path as a message shows it: whoever may put a file into a directory writes no line and no colour with its name.
pub fn printable_path(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

/// As [`printable`], for text that may have several lines: its line feeds stay, and nothing else that is hidden does.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter != '\n' && is_hidden(letter))
}

/// The hidden character that a name holds, if it holds one: such a name is refused where it is given.
pub fn hidden_in(name: &str) -> Option<char> {
    name.chars().find(|letter| is_hidden(*letter))
}

/// A name as a word of a command that a person is told to type: quoted where a shell would make something else of it.
pub fn shell_word(name: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:@%+,".contains(letter);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("'{}'", name.replace('\'', "'\\''")))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(first) = text.find(&is_escaped) else { return Cow::Borrowed(text) };
    let (clean, rest) = text.split_at(first);
    let mut shown = String::with_capacity(text.len() + 8);
    shown.push_str(clean);
    for letter in rest.chars() {
        match letter {
            plain if !is_escaped(plain) => shown.push(plain),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            hidden => {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(hidden));
            }
        }
    }
    Cow::Owned(shown)
}
