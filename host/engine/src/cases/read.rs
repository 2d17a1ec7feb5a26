//! Finds the cases in a component, and each one's place in the file that its author wrote.

use flyball_documents::{DocumentText, read_as};
use flyball_model::Case;
use serde::Deserialize;
use serde::de::IgnoredAny;
use wasmparser::{Parser, Payload};

use crate::LoadError;

/// The custom sections of the component, or of a module in it, that hold cases: JSON objects one after the other. The SDK
/// writes the name of each file before what the file holds.
const SECTION: &str = "flyball:cases";

const MOST_BYTES: usize = 4 << 20;
const MOST_CASES: usize = 500;
/// Whoever mends a case need not be told more at once.
const MOST_FAULTS: usize = 3;

/// A case, and where its author finds it: `cases/busy.json:1`, or its number where the component does not name files.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) place: String,
    pub(crate) case: Case,
}

/// What the SDK writes before each file; what follows the line is the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heading {
    #[serde(rename = "flyball-case-file")]
    file: String,
}

/// The cases that a component brings.
pub(crate) fn found_in(component: &[u8]) -> Result<Vec<Placed>, LoadError> {
    let mut cases = Vec::new();
    let mut bytes = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| LoadError::Invalid { why: error.to_string() })?;
        let Payload::CustomSection(section) = payload else { continue };
        if section.name() != SECTION {
            continue;
        }
        bytes = bytes.saturating_add(section.data().len());
        if bytes > MOST_BYTES {
            return Err(wrong(format!("they have more than {} MiB", MOST_BYTES >> 20)));
        }
        Section::new(section.data()).read(&mut cases)?;
    }
    Ok(cases)
}

/// One section as it is read.
struct Section<'a> {
    data: &'a [u8],
    /// The file that is being read, and where it begins.
    file: Option<String>,
    begins: usize,
}

impl<'a> Section<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, file: None, begins: 0 }
    }

    fn read(mut self, cases: &mut Vec<Placed>) -> Result<(), LoadError> {
        let mut values = serde_json::Deserializer::from_slice(self.data).into_iter::<IgnoredAny>();
        let mut from = 0;
        while let Some(value) = values.next() {
            if let Err(error) = value {
                let line = error.line().saturating_sub(self.lines_before(self.begins));
                let place = self.place(line, cases.len());
                return Err(wrong(format!("{place}: it is no JSON: {}", without_place(&error))));
            }
            let until = values.byte_offset();
            let text = self.data.get(from..until).unwrap_or_default();
            let begins = from + text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            from = until;
            let text = self.data.get(begins..until).unwrap_or_default();
            if let Ok(Heading { file }) = serde_json::from_slice(text) {
                // The first of a file's own bytes is behind the heading's line.
                self.begins = (until + 1).min(self.data.len());
                self.file = Some(file.trim_start_matches("../").to_owned());
                continue;
            }
            if cases.len() >= MOST_CASES {
                return Err(wrong(format!("there are more than {MOST_CASES}")));
            }
            let line = self.lines_before(begins) - self.lines_before(self.begins.min(begins)) + 1;
            let place = self.place(line, cases.len());
            let case =
                serde_json::from_slice(text).map_err(|error| self.fault(&place, line, text, &error))?;
            cases.push(Placed { place, case });
        }
        Ok(())
    }

    fn place(&self, line: usize, before: usize) -> String {
        match &self.file {
            Some(file) => format!("{file}:{line}"),
            None => format!("case {}", before + 1),
        }
    }

    fn lines_before(&self, at: usize) -> usize {
        self.data.iter().take(at).filter(|byte| **byte == b'\n').count()
    }

    /// What is wrong with a case, each fault with its line. What reads documents says it best, where it reads JSON as this
    /// does; a case that it finds nothing wrong with has its fault told by the reader that did.
    fn fault(&self, place: &str, line: usize, text: &[u8], error: &serde_json::Error) -> LoadError {
        let before = "\n".repeat(if self.file.is_some() { line.saturating_sub(1) } else { 0 });
        let name = self.file.clone().unwrap_or_else(|| place.to_owned());
        let source = DocumentText::new(name, format!("{before}{}", String::from_utf8_lossy(text)));
        let faults = read_as::<Case>(&source, "Flyball golden case").err();
        let told = faults.map(|faults| faults.lines()).unwrap_or_default();
        if told.is_empty() {
            let place = self.place(line + error.line().saturating_sub(1), 0);
            let place =
                if self.file.is_some() { place } else { format!("line {} of the case", error.line()) };
            return wrong(format!("{place}: {}", without_place(error)));
        }
        let more = told.len().saturating_sub(MOST_FAULTS);
        let mut why = told.into_iter().take(MOST_FAULTS).collect::<Vec<_>>().join("; ");
        if more > 0 {
            why.push_str(&format!("; and {more} more"));
        }
        wrong(why)
    }
}

/// The cause alone: the reader's own line is of the section.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text.get(..at).unwrap_or(&text).to_owned(),
        None => text,
    }
}

fn wrong(why: String) -> LoadError {
    LoadError::Cases { why: crate::quoted::plain(&why, 1_000) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

    use super::*;

    /// As the SDK's macro writes it.
    fn section(files: &[(&str, &str)]) -> String {
        files.iter().map(|(file, text)| format!("{{\"flyball-case-file\":\"{file}\"}}\n{text}\n")).collect()
    }

    fn read(text: &str) -> Result<Vec<Placed>, String> {
        let mut cases = Vec::new();
        match Section::new(text.as_bytes()).read(&mut cases) {
            Ok(()) => Ok(cases),
            Err(error) => Err(error.to_string()),
        }
    }

    const GOOD: &str = "\n{ \"about\": \"a\",\n  \"expect\": { \"abstains\": true } }\n";

    #[test]
    fn a_case_has_the_place_that_its_author_finds_it_at() {
        let text = section(&[("../cases/one.json", GOOD), ("../cases/two.json", GOOD.trim_start())]);
        let places: Vec<String> = read(&text).unwrap().into_iter().map(|placed| placed.place).collect();
        assert_eq!(places, ["cases/one.json:2", "cases/two.json:1"]);
    }

    #[test]
    fn cases_without_files_are_numbered() {
        let places: Vec<String> =
            read(&format!("{GOOD}{GOOD}")).unwrap().into_iter().map(|placed| placed.place).collect();
        assert_eq!(places, ["case 1", "case 2"]);
    }

    #[test]
    fn what_is_wrong_with_a_case_is_told_with_its_file_and_line() {
        let typo = "{\n  \"about\": \"a\",\n  \"obsevation\": {},\n  \"expect\": { \"abstains\": true }\n}";
        let said = read(&section(&[("../cases/one.json", GOOD), ("../cases/two.json", typo)])).unwrap_err();
        assert!(
            said.contains("cases/two.json:3:") && said.contains("did you mean \"observation\"?"),
            "{said}"
        );
    }

    #[test]
    fn a_fault_that_only_the_reader_finds_has_its_line_too() {
        let http = "{\n\"about\": \"a\",\n\"http\": [ { \"failed\": \"late\" } ],\n\"expect\": {} }";
        let said = read(&section(&[("../cases/one.json", GOOD), ("../cases/two.json", http)])).unwrap_err();
        assert!(said.contains("cases/two.json:3") && said.contains("either `request`"), "{said}");
    }

    #[test]
    fn what_is_no_json_is_told_with_its_file_and_line() {
        let cut = "{\n  \"about\": \"a\",\n  expect\n}";
        let said = read(&section(&[("../cases/one.json", GOOD), ("../cases/two.json", cut)])).unwrap_err();
        assert!(said.contains("cases/two.json:3: it is no JSON"), "{said}");
        assert!(!said.contains("at line"), "{said}");
    }
}
