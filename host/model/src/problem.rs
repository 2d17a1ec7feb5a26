//! What is wrong with a document, before it is known on which line. Made by whatever checks a part of a document; read by
//! `flyball-documents`, which finds the line.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// JSON Pointer (RFC 6901) into the document: `/nodes/2/type`. Empty: the whole.
    pub pointer: String,
    /// The cause, naming the offending value.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
    /// Stable, for machines: `unknown-key`.
    #[serde(default = "invalid")]
    pub code: Cow<'static, str>,
    /// It is of the key that stands there, and not of its value.
    #[serde(default)]
    pub of_key: bool,
}

/// The code of what has no code of its own.
fn invalid() -> Cow<'static, str> {
    Cow::Borrowed("invalid")
}

impl Problem {
    /// At this place, for this cause.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), help: None, code: invalid(), of_key: false }
    }

    /// With a next step.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With a code, for machines.
    #[must_use]
    pub fn code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = code.into();
        self
    }

    /// Of the key, and not of its value.
    #[must_use]
    pub fn of_key(mut self) -> Self {
        self.of_key = true;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}
