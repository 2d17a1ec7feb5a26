use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::Json;

impl fmt::Display for Json {
    /// As JSON text, without spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => f.write_str(if *value { "true" } else { "false" }),
            Self::Number(number) => f.write_str(number.as_str()),
            Self::Text(text) => write_text(f, text),
            Self::List(list) => {
                f.write_char('[')?;
                for (index, element) in list.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    element.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Object(object) => {
                f.write_char('{')?;
                for (index, (name, value)) in object.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    write_text(f, name)?;
                    f.write_char(':')?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

impl Json {
    /// Appends the JSON text.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        struct Bytes<'a>(&'a mut Vec<u8>);
        impl Write for Bytes<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        // Writing to memory does not fail.
        let _ = write!(Bytes(bytes), "{self}");
    }

    /// The JSON text.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes);
        bytes
    }
}

/// How a character that JSON does not take as it is must be written; none: as it is.
const fn escape(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0c => "\\f",
        // The code follows.
        0..0x20 => "\\u00",
        _ => return None,
    })
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut rest = text;
    while let Some(end) = rest.bytes().position(|byte| escape(byte).is_some()) {
        // What is escaped is one byte long, so both parts are texts.
        let (Some(plain), Some(byte)) = (rest.get(..end), rest.as_bytes().get(end)) else { break };
        f.write_str(plain)?;
        let written = escape(*byte).unwrap_or_default();
        f.write_str(written)?;
        if written.len() > 2 {
            write!(f, "{byte:02x}")?;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    f.write_str(rest)?;
    f.write_char('"')
}

/// How long a text is as JSON, its quotes included.
pub(crate) fn encoded_text(text: &str) -> usize {
    let extra: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
            0..0x20 => 5,
            _ => 0,
        })
        .sum();
    text.len() + extra + 2
}
