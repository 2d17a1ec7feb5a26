//! How children end and what they do wrong, in sentences that are safe to show: what a child wrote is escaped and bounded.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use flyball_model::printable;
use nix::sys::signal::Signal;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal() }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exited with code {code}"),
            (None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "was killed by signal {number} ({signal})"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
            (None, None) => f.write_str("ended, nobody knows how"),
        }
    }
}

/// Why a child cannot be used, or not any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("cannot start \"{program}\": {cause}")]
    Start {
        /// What was to be started.
        program: String,
        /// Why it was not.
        cause: String,
    },
    /// It died.
    #[error("the process {exit}{}", quoted(.last_words.as_deref()))]
    Died {
        /// How.
        exit: Exit,
        /// The last line of its standard error.
        last_words: Option<String>,
    },
    /// It lives but speaks no more.
    #[error("the process closed its standard output without ending, and was killed")]
    Closed,
    /// It took too long.
    #[error("the process gave no answer for {} ms, and was killed", .after.as_millis())]
    Silent {
        /// How long it was given.
        after: Duration,
    },
    /// It wrote what is not of the protocol.
    #[error("the process wrote what is no answer ({cause}): {line}")]
    Malformed {
        /// What is wrong with the line.
        cause: String,
        /// How the line begins.
        line: String,
    },
    /// It wrote too long a line.
    #[error("the process wrote a line of more than {limit} bytes")]
    LongLine {
        /// The most that it may write, in bytes.
        limit: usize,
    },
    /// It answered what was not asked, or twice.
    #[error("the process answered item {id}, which it was not asked or had answered")]
    Unasked {
        /// The number it gave.
        id: u64,
    },
    /// It went on doing wrong.
    #[error(
        "the process wrote {count} wrong lines and no answer between them, and was killed; the last: {last}"
    )]
    Faulty {
        /// How many.
        count: u32,
        /// What was wrong with the last.
        last: Box<ChildError>,
    },
    /// Its output could not be read.
    #[error("the process's output cannot be read: {0}")]
    Unreadable(String),
    /// Whoever asked did not wait for the answers, so that they could not be told from later ones.
    #[error("the process was asked and its answers were not awaited; it was killed")]
    Abandoned,
}

fn quoted(last_words: Option<&str>) -> String {
    last_words.map(|line| format!(": {line}")).unwrap_or_default()
}

/// Why a line is not what it should be. The parser quotes what it found there, whole.
pub(super) fn cause(error: &serde_json::Error) -> String {
    tamed(error.to_string().as_bytes(), 200)
}

/// What a stranger wrote, fit to be shown: so many characters at most, counted as they are written out, none of which steers
/// a terminal or hides.
pub(super) fn tamed(text: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(text.get(..limit.saturating_mul(4)).unwrap_or(text));
    let (mut tame, mut left) = (String::new(), limit);
    for letter in text.trim().chars() {
        let mut bytes = [0; 4];
        let shown = printable(letter.encode_utf8(&mut bytes));
        let Some(rest) = left.checked_sub(shown.chars().count()) else {
            tame.push('…');
            break;
        };
        left = rest;
        tame.push_str(&shown);
    }
    tame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_no_longer_for_being_written_out() {
        assert_eq!(tamed(b"  plain\n", 5), "plain");
        assert_eq!(tamed(b"plainly", 5), "plain\u{2026}");
        assert_eq!(tamed("a\u{1b}[2J".as_bytes(), 20), "a\\u{1b}[2J");
        assert_eq!(tamed(&[0x17; 1_000], 20), "\\u{17}\\u{17}\\u{17}\u{2026}");
    }
}
