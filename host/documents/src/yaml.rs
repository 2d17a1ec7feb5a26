//! YAML text to a JSON value and the places of its parts.

use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Value};

use crate::fault::Found;
use crate::scalar;
use crate::tree::{Inside, Place};
use crate::wording::quoted;

/// Larger documents are refused unread.
const MOST_BYTES: usize = 1 << 20;
/// Lists and mappings within each other.
const MOST_DEPTH: usize = 64;
/// Values and keys.
const MOST_VALUES: usize = 100_000;

/// A document that could be read.
pub(crate) struct Parsed {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// What is wrong with it although it could be read: keys given twice.
    pub(crate) found: Vec<Found>,
}

pub(crate) fn parse(text: &str) -> Result<Parsed, Found> {
    if text.len() > MOST_BYTES {
        return Err(Found {
            span: 0..0,
            message: format!("the document has {} bytes; {MOST_BYTES} are the most", text.len()),
            help: Some("split it".to_owned()),
            code: "too-large".into(),
        });
    }
    if let Some(at) = other_version(text) {
        return Err(Found {
            span: at,
            message: "the document says that it is of another version of YAML than 1.2".to_owned(),
            help: Some("take this line out; `yes` and `010` mean here what YAML 1.2 says".to_owned()),
            code: "not-yaml".into(),
        });
    }
    let unmarked = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(text.len() - unmarked.len(), unmarked);
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(unmarked);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| builder.not_yaml(&error))?;
        builder.take(event, span)?;
    }
    builder.finish()
}

/// The line in which a document says that it is of another version. Such lines come before all else.
fn other_version(text: &str) -> Option<Range<usize>> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let told = line.trim_start_matches('\u{feff}').trim_end();
        if let Some(version) = told.strip_prefix("%YAML") {
            return (version.trim() != "1.2").then(|| at..at + line.trim_end().len());
        }
        if !(told.is_empty() || told.starts_with(['#', '%'])) {
            return None;
        }
        at += line.len();
    }
    None
}

/// A list or mapping that is not closed yet.
struct Open {
    value: Value,
    place: Place,
    /// The key whose value comes next.
    key: Option<(String, Range<usize>)>,
}

struct Builder {
    /// The byte at which each character begins, and the end: the parser counts characters.
    bytes: Vec<usize>,
    open: Vec<Open>,
    done: Option<(Value, Place)>,
    found: Vec<Found>,
    documents: usize,
    values: usize,
}

impl Builder {
    fn new(offset: usize, text: &str) -> Self {
        let ends = std::iter::once(offset + text.len());
        Self {
            bytes: text.char_indices().map(|(byte, _)| offset + byte).chain(ends).collect(),
            open: Vec::new(),
            done: None,
            found: Vec::new(),
            documents: 0,
            values: 0,
        }
    }

    fn byte(&self, marker: Marker) -> usize {
        self.bytes.get(marker.index()).or(self.bytes.last()).copied().unwrap_or_default()
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start);
        start..self.byte(span.end).max(start)
    }

    fn not_yaml(&self, error: &ScanError) -> Found {
        let at = self.byte(*error.marker());
        let help = if error.info().contains("alias") {
            "text that begins with * or & is put in quotes: \"*\""
        } else {
            "look at the brackets, quotes and indentation here and just before"
        };
        let message = format!("this is not YAML: {}", error.info());
        Found { span: at..at, message, help: Some(help.to_owned()), code: "not-yaml".into() }
    }

    fn refuse(&self, span: Span, message: impl Into<String>, help: &str) -> Found {
        let (message, help) = (message.into(), Some(help.to_owned()));
        Found { span: self.range(span), message, help, code: "not-plain-yaml".into() }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Found> {
        match event {
            Event::DocumentStart(_) => self.document(span),
            Event::Alias(_) => Err(self.refuse(
                span,
                "aliases are not allowed",
                "write out what the alias stands for; text that begins with * is put in quotes",
            )),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                Err(self.refuse(span, "tags are not allowed", "leave the tag out"))
            }
            Event::Scalar(text, style, _, None) => self.scalar(&text, style, span),
            Event::SequenceStart(_, None) => self.begin(Value::Array(Vec::new()), span),
            Event::MappingStart(_, None) => self.begin(Value::Object(Map::new()), span),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { value, place, .. }) = self.open.pop() {
                    self.place(value, place);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn document(&mut self, span: Span) -> Result<(), Found> {
        self.documents += 1;
        if self.documents > 1 {
            let help = "put each document into a file of its own";
            return Err(self.refuse(span, "a second document begins here", help));
        }
        Ok(())
    }

    fn count(&mut self, span: Span) -> Result<(), Found> {
        self.values += 1;
        if self.values > MOST_VALUES {
            let message = format!("the document has more than {MOST_VALUES} values");
            return Err(self.refuse(span, message, "split it"));
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.value.is_object() && open.key.is_none())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Result<(), Found> {
        self.count(span)?;
        let range = self.range(span);
        if self.expects_key() {
            self.key(text, range);
            return Ok(());
        }
        let value = match style {
            ScalarStyle::Plain => scalar::plain(text).ok_or_else(|| {
                self.refuse(
                    span,
                    format!("{} is not a number that can be used", quoted(text)),
                    "write a finite one",
                )
            })?,
            _ => Value::String(text.to_owned()),
        };
        self.place(value, Place { key: None, value: range, inside: Inside::Nothing });
        Ok(())
    }

    fn key(&mut self, text: &str, range: Range<usize>) {
        let Some(open) = self.open.last_mut() else { return };
        if let Value::Object(entries) = &open.value
            && entries.contains_key(text)
        {
            self.found.push(Found {
                span: range.clone(),
                message: format!("the key {} is given twice", quoted(text)),
                help: Some("leave one of them out".to_owned()),
                code: "double-key".into(),
            });
        }
        open.key = Some((text.to_owned(), range));
    }

    fn begin(&mut self, value: Value, span: Span) -> Result<(), Found> {
        self.count(span)?;
        if self.expects_key() {
            return Err(self.refuse(span, "a key must be a single word or text", "write it as text"));
        }
        if self.open.len() >= MOST_DEPTH {
            let message = format!("lists and mappings are nested more than {MOST_DEPTH} deep");
            return Err(self.refuse(span, message, "flatten them"));
        }
        let inside = match value {
            Value::Array(_) => Inside::List(Vec::new()),
            _ => Inside::Mapping(Default::default()),
        };
        let place = Place { key: None, value: self.range(span), inside };
        self.open.push(Open { value, place, key: None });
        Ok(())
    }

    fn place(&mut self, value: Value, mut place: Place) {
        let Some(open) = self.open.last_mut() else {
            self.done = Some((value, place));
            return;
        };
        match (&mut open.value, &mut open.place.inside) {
            (Value::Array(values), Inside::List(places)) => {
                values.push(value);
                places.push(place);
            }
            (Value::Object(values), Inside::Mapping(places)) => {
                let Some((key, range)) = open.key.take() else { return };
                place.key = Some(range);
                values.insert(key.clone(), value);
                places.insert(key, place);
            }
            _ => {}
        }
    }

    fn finish(self) -> Result<Parsed, Found> {
        match self.done {
            Some((value, place)) if !value.is_null() || !place.value.is_empty() => {
                Ok(Parsed { value, place, found: self.found })
            }
            _ => Err(Found {
                span: 0..0,
                message: "the document is empty".to_owned(),
                help: None,
                code: "empty".into(),
            }),
        }
    }
}
