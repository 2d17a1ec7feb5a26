//! What is told of a file: for people a line and its faults and warnings, for programs one JSON document.

use std::path::Path;

use flyball_documents::{DocumentFault, DocumentFaults};
use flyball_model::{printable, printable_path};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{errln, json_pretty, outln};

/// The form of the JSON document.
const VERSION: u32 = 1;

/// One thing that is wrong, or probably not meant.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Told {
    file: String,
    /// Counted from 1; none: it is of the whole file.
    line: Option<usize>,
    /// In characters, counted from 1.
    column: Option<usize>,
    /// Stable, for machines.
    code: String,
    /// The cause.
    message: String,
    /// The next step.
    help: Option<String>,
}

/// What came of checking one file.
#[derive(Debug)]
pub(super) struct Checked {
    file: String,
    kind: &'static str,
    /// What it is, in a line; none: it is not good.
    summary: Option<String>,
    /// What else there is to know of it, a line each.
    pub(super) notes: Vec<String>,
    pub(super) warnings: Vec<Told>,
    pub(super) faults: Vec<Told>,
    /// As it is shown to people, with the lines around it.
    failure: Option<Failure>,
}

impl Told {
    /// Of the whole file.
    pub(super) fn of_file(file: &Path, code: &str, message: String, help: Option<String>) -> Self {
        let file = file.display().to_string();
        Self { file, line: None, column: None, code: code.to_owned(), message, help }
    }

    /// A plugin that nobody uses.
    pub(super) fn unused(file: &str, message: String, help: &str) -> Self {
        Self::of_file(Path::new(file), "unused-plugin", message, Some(help.to_owned()))
    }

    fn of_fault(fault: &DocumentFault) -> Self {
        Self {
            file: fault.name().to_owned(),
            line: Some(fault.line()),
            column: Some(fault.column()),
            code: fault.code().to_owned(),
            message: fault.message().to_owned(),
            help: fault.next_step().map(str::to_owned),
        }
    }

    /// Each of a document's.
    pub(super) fn of_faults(faults: &DocumentFaults) -> Vec<Self> {
        faults.iter().map(Self::of_fault).collect()
    }

    fn place(&self) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", self.file),
            _ => self.file.clone(),
        }
    }

    fn line(&self) -> String {
        let Self { message, help, .. } = self;
        let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        printable(&format!("{}: {message}{help}", self.place())).into_owned()
    }
}

impl Checked {
    pub(super) fn good(file: &Path, kind: &'static str, summary: String) -> Self {
        Self {
            file: file.display().to_string(),
            kind,
            summary: Some(summary),
            notes: Vec::new(),
            warnings: Vec::new(),
            faults: Vec::new(),
            failure: None,
        }
    }

    /// It is not good, or cannot be read.
    pub(super) fn failed(file: &Path, kind: &'static str, failure: Failure) -> Self {
        let faults = match &failure {
            Failure::Documents(faults) => {
                let mut told = Told::of_faults(faults);
                // A fault's name of the file is one to print; `files` and `faults` name it alike.
                for one in told.iter_mut().filter(|one| one.file == printable_path(file)) {
                    one.file = file.display().to_string();
                }
                told
            }
            other => {
                // The file is named by the place already.
                let (text, prefix) = (other.to_string(), format!("{}: ", printable_path(file)));
                let message = text.strip_prefix(&prefix).unwrap_or(&text).to_owned();
                vec![Told::of_file(file, kind, message, None)]
            }
        };
        Self { summary: None, faults, failure: Some(failure), ..Self::good(file, kind, String::new()) }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    /// For people: what is good on standard output, what is wrong on standard error.
    pub(super) fn print(&self) {
        if let Some(summary) = &self.summary {
            outln!("{}: {}", printable(&self.file), summary);
            self.notes.iter().for_each(|note| outln!("  {note}"));
        }
        match &self.failure {
            Some(failure) => failure.tell(),
            None => self.faults.iter().for_each(|fault| errln!("{}", fault.line())),
        }
        self.warnings.iter().for_each(|warning| outln!("  warning: {}", warning.line()));
    }
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    ok: bool,
    files: Vec<File<'a>>,
    faults: Vec<&'a Told>,
    warnings: Vec<&'a Told>,
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    kind: &'a str,
    ok: bool,
    summary: Option<&'a str>,
}

/// One document for all files.
pub(super) fn print_json(checked: &[Checked]) -> Result<(), Failure> {
    let file = |one: &'_ Checked| -> bool { !one.is_faulty() };
    let files = checked.iter().map(|one| File {
        file: &one.file,
        kind: one.kind,
        ok: file(one),
        summary: one.summary.as_deref(),
    });
    let document = Document {
        version: VERSION,
        ok: checked.iter().all(file),
        files: files.collect(),
        faults: checked.iter().flat_map(|one| &one.faults).collect(),
        warnings: checked.iter().flat_map(|one| &one.warnings).collect(),
    };
    json_pretty(&document)
}
