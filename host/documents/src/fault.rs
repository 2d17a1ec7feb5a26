use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use flyball_model::printable;
use miette::{Diagnostic, LabeledSpan, SourceCode};

use crate::DocumentText;
use crate::excerpt::Excerpt;

/// More faults than this in one document tell nobody more.
const MOST_FAULTS: usize = 100;

/// One thing that is wrong with a document, and where.
#[derive(Debug, Clone)]
pub struct DocumentFault {
    excerpt: Excerpt,
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
    code: Cow<'static, str>,
}

impl DocumentFault {
    /// The file.
    pub fn name(&self) -> &str {
        self.excerpt.name()
    }

    /// Counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// In characters, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Stable, for machines: `unknown-key`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The next step.
    pub fn next_step(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DocumentFault {}

impl Diagnostic for DocumentFault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some("here".to_owned()), self.excerpt.mark());
        Some(Box::new(std::iter::once(label)))
    }
}

/// Everything that is wrong with one document, in the order of its lines. Never empty.
#[derive(Debug, Clone)]
pub struct DocumentFaults {
    faults: Vec<DocumentFault>,
    more: usize,
}

/// A fault before it is given its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// In bytes.
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) code: Cow<'static, str>,
}

impl DocumentFaults {
    pub(crate) fn new(source: &DocumentText, mut found: Vec<Found>) -> Self {
        found.sort_by_key(|fault| fault.span.start);
        found.dedup();
        let more = found.len().saturating_sub(MOST_FAULTS);
        found.truncate(MOST_FAULTS);
        let faults = found
            .into_iter()
            .map(|Found { span, message, help, code }| {
                let (line, column) = line_and_column(&source.text, span.start);
                let excerpt = Excerpt::of(&source.name, &source.text, &span, line, column);
                let shown = |text: String| printable(&text).into_owned();
                DocumentFault { excerpt, line, column, message: shown(message), help: help.map(shown), code }
            })
            .collect();
        Self { faults, more }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &DocumentFault> {
        self.faults.iter()
    }

    /// One line for each: `policies/prod.yaml:14:7: unknown key "cooldwon_ms"; did you mean "cooldown_ms"?`
    pub fn lines(&self) -> Vec<String> {
        let name = self.faults.first().map_or("", DocumentFault::name);
        let more = (self.more > 0).then(|| format!("{name}: {} more; mend these first", self.more));
        self.faults.iter().map(one_line).chain(more).collect()
    }
}

impl fmt::Display for DocumentFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for DocumentFaults {}

impl Diagnostic for DocumentFaults {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.faults.iter().map(|fault| fault as &dyn Diagnostic)))
    }
}

fn one_line(fault: &DocumentFault) -> String {
    let DocumentFault { line, column, message, help, .. } = fault;
    let at = format!("{}:{line}:{column}: {message}", fault.name());
    match help {
        Some(help) => format!("{at}; {help}"),
        None => at,
    }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}
