//! The one way to standard output and standard error, and the one place at which everything that is printed is escaped.
//!
//! Names and messages of documents, plugins, pipelines and clients end on a terminal. A terminal obeys control
//! characters, so here each of them that is not ours becomes visible: of escape sequences only plain styles and colours
//! pass, which nobody can hide anything with. What stands on one line is escaped where the line is made
//! ([`crate::narrator::tame`]), as line feeds pass here. JSON stays JSON: what is hidden in a string is written as
//! JSON writes it.
//!
//! Whoever reads may have seen enough, like `head`: then there is nobody to tell the rest to, and a command ends without a
//! word, as Unix tools do. A host goes on. Nothing here panics on a closed pipe.

use std::borrow::Cow;
use std::fmt::{Arguments, Write as _};
use std::io::{self, ErrorKind, Write};
use std::process::exit;

use anyhow::Context;
use flyball_model::{is_hidden, printable};
use serde::Serialize;

use crate::exit::Failure;

/// What a shell sees of a program that was ended by SIGPIPE: it is not known how it would have ended.
const CUT_OFF: i32 = 141;

/// Prints, as `print!` does.
macro_rules! out {
    ($($text:tt)*) => { $crate::output::write(format_args!($($text)*)) };
}

/// Prints a line, as `println!` does.
macro_rules! outln {
    () => { $crate::output::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error, as `eprintln!` does.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::write_error(&format!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, out, outln};

/// To standard output. A command that nobody reads any more ends.
pub(crate) fn write(text: Arguments<'_>) {
    write_or_end(&shown(&text.to_string()));
}

/// Begins the terminal's screen anew. It is our own sequence, with nothing in it from outside.
pub(crate) fn clear_screen() {
    write_or_end("\u{1b}[H\u{1b}[2J");
}

/// A record as a line of JSON.
pub(crate) fn json(record: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(record).context("cannot write it as JSON")?;
    write_or_end(&format!("{}\n", json_shown(&text)));
    Ok(())
}

/// A line of JSON.
pub(crate) fn json_value(value: &serde_json::Value) {
    write_or_end(&format!("{}\n", json_shown(&value.to_string())));
}

/// A value as JSON for people, over several lines.
pub(crate) fn json_pretty(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).context("cannot write it as JSON")?;
    write_or_end(&format!("{}\n", json_shown(&text)));
    Ok(())
}

/// A value as a line of JSON, for whoever prints it.
pub(crate) fn json_text(value: &serde_json::Value) -> String {
    json_shown(&value.to_string()).into_owned()
}

/// To standard error. Where nobody reads it, it is not said.
pub(crate) fn write_error(text: &str) {
    let _ = anstream::stderr().lock().write_all(shown(text).as_bytes());
}

fn write_or_end(text: &str) {
    match to_stdout(text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(CUT_OFF),
        Err(error) => {
            errln!("flyball: cannot write to standard output: {error}");
            exit(1);
        }
    }
}

/// Without styles where it is no terminal.
fn to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Text that may have several lines, as a terminal may be given it.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let is_wrong = |letter: char| !matches!(letter, '\n' | '\t') && is_hidden(letter);
    let Some(first) = text.find(is_wrong) else { return Cow::Borrowed(text) };
    let (clean, mut rest) = text.split_at(first);
    let mut shown = clean.to_owned();
    while let Some(letter) = rest.chars().next() {
        let length = if is_wrong(letter) { style_length(rest) } else { Some(letter.len_utf8()) };
        let (piece, after) = rest.split_at(length.unwrap_or(letter.len_utf8()));
        match length {
            Some(_) => shown.push_str(piece),
            None => shown.push_str(&printable(piece)),
        }
        rest = after;
    }
    Cow::Owned(shown)
}

/// The length of the escape sequence that a text begins with, if it does no more than to style what follows: reset, bold,
/// dim, italic, underlined, and the foreground colours that are neither black nor white.
fn style_length(text: &str) -> Option<usize> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    let (codes, after) = codes.split_at(end);
    let is_style = |code: &str| {
        code.is_empty()
            || code.parse().is_ok_and(|code: u8| matches!(code, 0..=4 | 22..=24 | 31..=36 | 39 | 90..=96))
    };
    (after.starts_with('m') && codes.split(';').all(is_style)).then_some("\u{1b}[".len() + end + "m".len())
}

/// JSON in which no string holds a hidden character as it is. What it says is the same.
fn json_shown(text: &str) -> Cow<'_, str> {
    let is_wrong = |letter: char| !matches!(letter, '\n' | '\t') && is_hidden(letter);
    if !text.contains(is_wrong) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_wrong(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// What the log is written to: each event on one line, whatever is in it, and no event ever fails.
pub(crate) struct LogLines {
    /// Whether the formatter styles what it writes.
    pub(crate) styled: bool,
}

impl Write for LogLines {
    /// The log's formatter writes each event at once, with a line feed at its end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = log_line(&String::from_utf8_lossy(event), self.styled);
        let _ = io::stderr().lock().write_all(line.as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever reads a log takes each line for an event of its own.
fn log_line(event: &str, styled: bool) -> String {
    let line = event.strip_suffix('\n').unwrap_or(event);
    if styled {
        return format!("{}\n", shown(&line.replace('\t', "\\t").replace('\n', "\\n")));
    }
    format!("{}\n", printable(line))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What a terminal would obey, taken apart so that whole sequences come together by chance too.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\u{1b}".to_owned()),
            Just("\u{1b}[".to_owned()),
            Just("\u{1b}[2J".to_owned()),
            Just("\u{1b}[8m".to_owned()),
            Just("\u{1b}[38;5;0m".to_owned()),
            Just("\u{1b}[1;31m".to_owned()),
            Just("\u{1b}]0;x\u{7}".to_owned()),
            Just("\u{9b}31m".to_owned()),
            Just("\r".to_owned()),
            Just("\u{202e}".to_owned()),
            Just("\u{200b}".to_owned()),
            "[0-9;m]{0,3}",
            any::<char>().prop_map(|letter| letter.to_string()),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn our_styles_pass_and_what_clears_hides_or_titles_does_not() {
        assert_eq!(shown("\u{1b}[1;31mred\u{1b}[0m\n"), "\u{1b}[1;31mred\u{1b}[0m\n");
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown("a\u{1b}[8mb"), "a\\u{1b}[8mb");
        assert_eq!(shown("a\u{1b}[40;30mb"), "a\\u{1b}[40;30mb");
        assert_eq!(shown("a\u{1b}]0;title\u{7}b"), "a\\u{1b}]0;title\\u{7}b");
        assert_eq!(shown("cut \u{1b}["), "cut \\u{1b}[");
    }

    proptest! {
        #[test]
        fn whatever_is_printed_a_terminal_obeys_nothing_in_it_but_plain_styles(text in pieces()) {
            let shown = shown(&text).into_owned();
            let mut rest = shown.as_str();
            while let Some(at) = rest.find(|letter: char| !matches!(letter, '\n' | '\t') && is_hidden(letter)) {
                let sequence = rest.get(at..).unwrap();
                let length = style_length(sequence);
                prop_assert!(length.is_some(), "{shown:?}");
                rest = sequence.get(length.unwrap()..).unwrap();
            }
        }

        #[test]
        fn an_event_of_the_log_is_one_line_whatever_is_in_it(text in pieces(), more in pieces(), styled: bool) {
            let line = log_line(&format!("WARN {text}\n2026-11-27T00:00:00Z ERROR forged {more}\n"), styled);
            prop_assert_eq!(line.matches('\n').count(), 1, "{:?}", line);
            prop_assert!(line.ends_with('\n'));
            if !styled {
                prop_assert!(!line.trim_end_matches('\n').chars().any(is_hidden), "{line:?}");
            }
        }

        #[test]
        fn json_keeps_what_it_says_and_holds_nothing_hidden(text in pieces(), key in pieces()) {
            let value = serde_json::json!({ key: [text] });
            let shown = json_shown(&value.to_string()).into_owned();
            prop_assert!(!shown.chars().any(is_hidden), "{shown:?}");
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        }
    }
}
