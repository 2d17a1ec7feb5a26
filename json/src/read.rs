use alloc::vec::Vec;
use core::fmt;

use hifijson::num::LexWrite as _;
use hifijson::str::LexAlloc as _;
use hifijson::token::Lex as _;
use hifijson::{Expect, Read as _, SliceLexer};
use smol_str::SmolStr;

use crate::limits::{ELEMENT, FIELD, text_bytes, tight};
use crate::{ItemLimits, Json, Number, Object, OverLimit};

/// Why bytes are no item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonError {
    /// They are not JSON.
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// In which line, from 1.
        line: usize,
        /// Behind how many bytes of it.
        column: usize,
    },
    /// An object names a field twice: keeping one of them would lose the other.
    Twice {
        /// The name.
        field: SmolStr,
    },
    /// They are beyond a limit.
    Limit(OverLimit),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { what, line, column } => write!(f, "{what} at line {line} column {column}"),
            Self::Twice { field } => {
                let shown: SmolStr = field.chars().take(100).collect();
                write!(f, "the field {:?} is there twice", shown.as_str())
            }
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

impl core::error::Error for JsonError {}

impl From<OverLimit> for JsonError {
    fn from(limit: OverLimit) -> Self {
        Self::Limit(limit)
    }
}

impl Json {
    /// Reads one value, with nothing but spaces around it.
    pub fn read(bytes: &[u8], limits: &ItemLimits) -> Result<Self, JsonError> {
        let mut values = Values::new(bytes, limits);
        let value = values.next().unwrap_or_else(|| Err(values.syntax("expected a value")))?;
        match values.lexer.ws_peek() {
            None => Ok(value),
            Some(_) => Err(values.syntax("expected nothing more")),
        }
    }
}

/// The values of a text that holds several, one behind the other. After an error there are no more.
pub struct Values<'a> {
    lexer: SliceLexer<'a>,
    bytes: &'a [u8],
    limits: &'a ItemLimits,
    /// Bytes of memory that the value may still take.
    room: usize,
    over: bool,
}

enum Fault {
    Json(JsonError),
    /// At the place where the lexer is.
    Here(&'static str),
}

impl From<JsonError> for Fault {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<Expect> for Fault {
    fn from(expected: Expect) -> Self {
        Self::Here(match expected {
            Expect::Value => "expected a value",
            Expect::ValueOrEnd => "expected a value or the end of the list or object",
            Expect::CommaOrEnd => "expected a comma or the end of the list or object",
            Expect::String => "expected a field's name in quotes",
            Expect::Colon => "expected a colon",
            Expect::Eof => "expected nothing more",
        })
    }
}

impl<'a> Values<'a> {
    /// Of these bytes.
    pub fn new(bytes: &'a [u8], limits: &'a ItemLimits) -> Self {
        let lexer = SliceLexer::new(bytes);
        Self { lexer, bytes, limits, room: limits.decoded, over: false }
    }

    fn syntax(&self, what: &'static str) -> JsonError {
        let read = self.bytes.len() - self.lexer.as_slice().len();
        let read = self.bytes.get(..read).unwrap_or_default();
        let line = 1 + read.iter().filter(|byte| **byte == b'\n').count();
        let column = read.iter().rev().take_while(|byte| **byte != b'\n').count();
        JsonError::Syntax { what, line, column }
    }

    fn take(&mut self, bytes: usize) -> Result<(), JsonError> {
        let limit = self.limits.decoded;
        self.room = self.room.checked_sub(bytes).ok_or(OverLimit::Decoded { limit })?;
        Ok(())
    }

    fn whole(&mut self, next: u8) -> Result<Json, Fault> {
        self.room = self.limits.decoded;
        self.take(ELEMENT)?;
        let value = self.value(next, 0)?;
        // As in a list, two values that are not in brackets or quotes need something between them: `007` is no three.
        let apart = matches!(value, Json::Text(_) | Json::List(_) | Json::Object(_));
        let follows = self.lexer.peek_next();
        if !apart
            && follows.is_some_and(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'[' | b'{' | b'"'))
        {
            return Err(Fault::Here("expected a space or the end"));
        }
        // Spaces are not counted: what counts is the text that is passed on.
        let encoded = self.limits.check(&value).map_err(JsonError::from)?.encoded;
        debug_assert!(encoded <= self.limits.encoded);
        Ok(value)
    }

    fn value(&mut self, next: u8, depth: usize) -> Result<Json, Fault> {
        match next {
            b'n' | b't' | b'f' => match self.lexer.null_or_bool() {
                Some(value) => Ok(value.map_or(Json::Null, Json::Bool)),
                None => Err(Fault::Here("expected a value")),
            },
            b'0'..=b'9' | b'-' => {
                let number = self.lexer.num_string().validated();
                let (number, _) = number.map_err(|_| Fault::Here("expected a digit"))?;
                let number = Number::as_lexed(number);
                self.take(number.heap_bytes())?;
                Ok(Json::Number(number))
            }
            b'"' => self.text().map(Json::Text),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            _ => Err(Fault::Here("expected a value")),
        }
    }

    fn text(&mut self) -> Result<SmolStr, Fault> {
        let text = self.lexer.discarded().str_string().map_err(|error| {
            if error.is_unicode_error() {
                Fault::Here("a text is not UTF-8, or has half of a surrogate pair")
            } else {
                Fault::Here("a text has a control character or a wrong escape, or does not end")
            }
        })?;
        let text = SmolStr::new(text);
        self.take(text_bytes(&text))?;
        Ok(text)
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        let limit = self.limits.depth;
        if depth >= limit { Err(OverLimit::Depth { limit }.into()) } else { Ok(depth + 1) }
    }

    fn list(&mut self, depth: usize) -> Result<Json, Fault> {
        let depth = self.deeper(depth)?;
        let mut list = Vec::new();
        self.lexer.discarded();
        self.sequence(b']', |values, next| {
            values.take(ELEMENT)?;
            list.push(values.value(next, depth)?);
            Ok(())
        })?;
        Ok(Json::List(tight(list)))
    }

    fn object(&mut self, depth: usize) -> Result<Json, Fault> {
        let depth = self.deeper(depth)?;
        let mut fields = Vec::new();
        self.lexer.discarded();
        self.sequence(b'}', |values, next| {
            if next != b'"' {
                return Err(Expect::String.into());
            }
            values.take(FIELD)?;
            let name = values.text()?;
            values.lexer.expect(|lexer| lexer.ws_peek(), b':').ok_or(Expect::Colon)?;
            let next = values.lexer.ws_peek().ok_or(Expect::Value)?;
            fields.push((name, values.value(next, depth)?));
            Ok(())
        })?;
        if let Some(field) = named_twice(&fields) {
            return Err(JsonError::Twice { field }.into());
        }
        Ok(Json::Object(Object::of_distinct(tight(fields))))
    }

    /// The lexer's own walk cannot be used, as it does not lend what stands beside the lexer.
    fn sequence(
        &mut self,
        end: u8,
        mut each: impl FnMut(&mut Self, u8) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut next = self.lexer.ws_peek().ok_or(Expect::ValueOrEnd)?;
        while next != end {
            each(self, next)?;
            next = self.lexer.ws_peek().ok_or(Expect::CommaOrEnd)?;
            if next == b',' {
                self.lexer.take_next();
                next = self.lexer.ws_peek().ok_or(Expect::Value)?;
                if next == end {
                    return Err(Expect::Value.into());
                }
            } else if next != end {
                return Err(Expect::CommaOrEnd.into());
            }
        }
        self.lexer.take_next();
        Ok(())
    }
}

/// A name that two of the fields have.
fn named_twice(fields: &[(SmolStr, Json)]) -> Option<SmolStr> {
    // Few names are compared with each other, many are sorted: a stranger chooses how many there are.
    if fields.len() <= 16 {
        let repeated = |(index, (name, _)): (usize, &(SmolStr, Json))| {
            fields.iter().take(index).any(|(before, _)| before == name).then(|| name.clone())
        };
        return fields.iter().enumerate().find_map(repeated);
    }
    let mut names: Vec<&SmolStr> = fields.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some((*one).clone()),
        _ => None,
    })
}

impl Iterator for Values<'_> {
    type Item = Result<Json, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.lexer.ws_peek()?;
        Some(self.whole(next).map_err(|fault| {
            self.over = true;
            match fault {
                Fault::Json(error) => error,
                Fault::Here(what) => self.syntax(what),
            }
        }))
    }
}
