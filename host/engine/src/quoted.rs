//! Text that a plugin or its author wrote, made fit to be quoted: bounded, on one line, nothing hidden in it.
//!
//! Whoever makes an error, a log line or a report of it calls this.

use flyball_model::printable;

/// Why a call gave no answer.
pub(crate) const LONGEST_REASON: usize = 1024;

/// At most `limit` bytes of a text, cut at a character.
pub(crate) fn shortened(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The same on one line, with hidden characters written out: it quotes what a plugin or its author wrote, a log takes one line
/// for each event, and a terminal may show it.
pub(crate) fn plain(text: &str, limit: usize) -> String {
    shortened(printable(&shortened(text.to_owned(), limit)).into_owned(), limit)
}
