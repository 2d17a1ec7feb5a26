//! Templates: text with placeholders for whole sections, `{{node_metrics}}`. What stands in a section is put together by the
//! plugin, so no template can let a text of the pipeline through unquoted, and each row has its place in the budget.

use alloc::collections::BTreeMap;

use flyball_plugin::prelude::*;

/// What a template may ask for.
pub(crate) const SECTIONS: &[&str] = &[
    "session",
    "constraints",
    "findings",
    "node_metrics",
    "graph_metrics",
    "edges",
    "configuration",
    "errors",
    "last_answer",
    "past_actions",
    "learned",
    "actions",
    "catalog",
];

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Section(&'static str),
}

/// A template, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template<'a>(Vec<Piece<'a>>);

impl<'a> Template<'a> {
    /// What is wrong with it, if something is, with its line.
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let line =
            |rest: &str| text.len().checked_sub(rest.len()).and_then(|at| text.get(..at)).map_or(1, lines);
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                return Err(format!("line {}: `{{{{` has no `}}}}` behind it", line(after)));
            };
            let Some(section) = SECTIONS.iter().find(|section| **section == name.trim()) else {
                let known = SECTIONS.join(", ");
                let name = crate::quoted::plain(name.trim(), 40);
                return Err(format!("line {}: there is no section `{name}`; there are {known}", line(after)));
            };
            pieces.push(Piece::Text(before));
            if pieces.contains(&Piece::Section(section)) {
                return Err(format!("line {}: `{section}` is there twice", line(after)));
            }
            pieces.push(Piece::Section(section));
            rest = behind;
        }
        pieces.push(Piece::Text(rest));
        Ok(Self(pieces))
    }

    pub(crate) fn asks_for(&self, section: &str) -> bool {
        self.sections().any(|asked| asked == section)
    }

    pub(crate) fn sections(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Section(name) => Some(*name),
            Piece::Text(_) => None,
        })
    }

    /// The bytes of its own text.
    pub(crate) fn bytes(&self) -> usize {
        let own = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Section(_) => 0,
        };
        self.0.iter().map(own).sum()
    }

    pub(crate) fn filled(&self, sections: &BTreeMap<&'static str, String>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            text.push_str(match piece {
                Piece::Text(own) => own,
                Piece::Section(name) => sections.get(name).map_or("", String::as_str),
            });
        }
        text
    }
}

fn lines(before: &str) -> usize {
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_stands_where_its_placeholder_stood_and_is_not_read_again() {
        let template = Template::read("a {{session}} b {{ findings }}").unwrap();
        let sections = [("session", "{{errors}}".to_owned()), ("findings", "none".to_owned())].into();
        assert_eq!(template.filled(&sections), "a {{errors}} b none");
        assert_eq!(template.bytes(), 5);
    }

    #[test]
    fn a_bad_template_is_told_with_its_line() {
        for (text, why) in [
            ("a\n{{nodes}}", "line 2: there is no section `nodes`; there are session,"),
            ("a\n\n{{session", "line 3: `{{` has no `}}` behind it"),
            ("{{session}}\n{{session}}", "line 2: `session` is there twice"),
        ] {
            let said = Template::read(text).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
