//! The lines around a fault, as a terminal may be shown them.
//!
//! A document may hold characters that a terminal obeys, and lines of a megabyte. What is shown of it is three lines, each
//! cut and escaped, and the mark is moved along. Made by a fault when it is given its line.

use std::ops::Range;

use flyball_model::printable;
use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// In characters: what is shown before and behind the mark, and of a line without it.
const AROUND: usize = 80;
const MARKED: usize = 120;
const WHOLE: usize = 160;

#[derive(Debug, Clone)]
pub(crate) struct Excerpt {
    name: String,
    text: String,
    /// In the text that is shown.
    mark: Range<usize>,
    /// Of the first line that is shown, counted from 0.
    first_line: usize,
    /// Of the mark in the document, counted from 0.
    at: (usize, usize),
}

impl Excerpt {
    /// `line` and `column` are the mark's in the document, counted from 1.
    pub(crate) fn of(name: &str, text: &str, mark: &Range<usize>, line: usize, column: usize) -> Self {
        let start = text.floor_char_boundary(mark.start);
        let (before, rest) = text.split_at(start);
        let (earlier, left) =
            before.rsplit_once('\n').map_or((None, before), |(earlier, left)| (Some(earlier), left));
        let (here, later) = rest.split_once('\n').map_or((rest, None), |(here, later)| (here, Some(later)));
        let length = mark.end.saturating_sub(start).min(here.len());
        let (marked, right) = here.split_at(here.floor_char_boundary(length));

        let mut shown = String::new();
        if let Some(earlier) = earlier {
            shown.push_str(&line_shown(earlier.rsplit('\n').next().unwrap_or_default()));
            shown.push('\n');
        }
        shown.push_str(&cut_before(left, AROUND));
        let start = shown.len();
        shown.push_str(&cut_behind(marked, MARKED));
        let mark = start..shown.len();
        shown.push_str(&cut_behind(right.trim_end_matches('\r'), AROUND));
        if let Some(later) = later {
            shown.push('\n');
            shown.push_str(&line_shown(later.split('\n').next().unwrap_or_default()));
        }
        let first_line = line.saturating_sub(1 + usize::from(earlier.is_some()));
        let at = (line.saturating_sub(1), column.saturating_sub(1));
        Self { name: printable(name).into_owned(), text: shown, mark, first_line, at }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn mark(&self) -> Range<usize> {
        self.mark.clone()
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.as_str().read_span(span, before, after)?;
        // Without lines around it the place itself is asked for, which is told as it is in the document.
        let (line, column) =
            if before == 0 { self.at } else { (self.first_line + inner.line(), inner.column()) };
        let (data, span, count) = (inner.data(), *inner.span(), inner.line_count());
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), data, span, line, column, count)))
    }
}

/// Tabs are shown as such, so that lines stay below each other.
fn escaped(text: &str) -> String {
    text.split('\t').map(printable).collect::<Vec<_>>().join("\t")
}

fn line_shown(line: &str) -> String {
    cut_behind(line.trim_end_matches('\r'), WHOLE)
}

fn cut_behind(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", escaped(text.get(..end).unwrap_or_default())),
        None => escaped(text),
    }
}

fn cut_before(text: &str, most: usize) -> String {
    match text.char_indices().rev().nth(most) {
        Some((before, cut)) => {
            format!("…{}", escaped(text.get(before + cut.len_utf8()..).unwrap_or_default()))
        }
        None => escaped(text),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use flyball_model::is_hidden;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mark_moves_with_what_is_cut_and_escaped() {
        let text = format!("a: 1\n{}\u{1b}[2Jbad: 2\r\nlast: 3\n", "x".repeat(100_000));
        let start = text.find("bad").unwrap();
        let excerpt = Excerpt::of("n\u{1b}", &text, &(start..start + 3), 2, 100_005);
        assert_eq!(excerpt.text.get(excerpt.mark()), Some("bad"));
        assert!(excerpt.text.len() < 500, "{}", excerpt.text.len());
        assert!(excerpt.text.starts_with("a: 1\n…x") && excerpt.text.ends_with("bad: 2\nlast: 3"));
        assert_eq!(excerpt.name(), "n\\u{1b}");
    }

    proptest! {
        #[test]
        fn whatever_is_marked_the_excerpt_is_short_and_a_terminal_obeys_nothing_in_it(
            text in "(?s)[a-c\n\r\t\u{1b}\u{202e}ä✓]{0,400}",
            start in 0..1_000_usize,
            length in 0..1_000_usize,
        ) {
            let start = start.min(text.len());
            let excerpt = Excerpt::of("x", &text, &(start..start + length), 1, 1);
            prop_assert!(!excerpt.text.chars().any(|letter| letter != '\n' && letter != '\t' && is_hidden(letter)));
            prop_assert!(excerpt.text.get(excerpt.mark()).is_some());
            prop_assert!(excerpt.text.matches('\n').count() <= 2);
            let span = SourceSpan::from(excerpt.mark());
            prop_assert!(excerpt.read_span(&span, 1, 1).is_ok());
        }
    }
}
