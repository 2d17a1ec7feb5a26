use alloc::vec::Vec;
use core::fmt;

use smol_str::SmolStr;

use crate::write::encoded_text;
use crate::{Json, JsonError};

/// What one item may be, wherever it is: as a source reads it, as a node, a child process or a component answers it, and
/// as it waits. One limit for all places, so that nothing is accepted upstream that a worker downstream must refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemLimits {
    /// Lists and objects within each other. Readers of JSON in other programs stop at 64 (.NET), 128 (`serde_json`) or
    /// 1,000 (Python), an envelope included.
    pub depth: usize,
    /// Bytes of its JSON text, without spaces. A line of 1 MiB of control characters is 6 MiB of JSON.
    pub encoded: usize,
    /// Bytes that it takes in memory, estimated: `[0,0,0]` takes sixteen times its text.
    pub decoded: usize,
}

impl Default for ItemLimits {
    fn default() -> Self {
        Self { depth: 60, encoded: 8 << 20, decoded: 32 << 20 }
    }
}

impl ItemLimits {
    /// The most that can be configured. A built-in child process reads whatever is within this.
    pub const LARGEST: Self = Self { depth: 120, encoded: 32 << 20, decoded: 256 << 20 };

    /// How many times its JSON text a value can take in memory.
    pub const GROWTH: usize = 20;

    /// What all that a worker makes of one item may be together, read as one list: several items, not any number.
    pub const fn of_answer(&self) -> Self {
        Self { depth: self.depth + 1, encoded: 4 * self.encoded, decoded: 4 * self.decoded }
    }

    /// Reads the list of bodies that a worker makes of one item.
    pub fn read_answer(&self, bytes: &[u8]) -> Result<Vec<Json>, JsonError> {
        match Json::read(bytes, &self.of_answer())? {
            Json::List(bodies) => self.check_answer(&bodies).map(|_| bodies).map_err(JsonError::from),
            _ => Err(JsonError::Syntax { what: "expected a list", line: 1, column: 0 }),
        }
    }

    /// How large each of the bodies is that a worker made of one item, if each is within the limits and they are not too
    /// many together.
    pub fn check_answer(&self, bodies: &[Json]) -> Result<Vec<Size>, OverLimit> {
        let sizes = bodies.iter().map(|body| self.check(body)).collect::<Result<Vec<Size>, OverLimit>>()?;
        let together: usize = sizes.iter().map(|size| size.decoded + Size::CARRIED).sum();
        let limit = self.of_answer().decoded;
        if together > limit { Err(OverLimit::Decoded { limit }) } else { Ok(sizes) }
    }

    /// How large a value is, if it is within the limits.
    pub fn check(&self, value: &Json) -> Result<Size, OverLimit> {
        let mut meter = Meter { limits: self, size: Size { encoded: 0, decoded: size_of::<Json>() } };
        meter.walk(value, 0)?;
        if meter.size.encoded > self.encoded {
            return Err(OverLimit::Encoded { bytes: meter.size.encoded, limit: self.encoded });
        }
        Ok(meter.size)
    }
}

/// How large an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Bytes of its JSON text.
    pub encoded: usize,
    /// Bytes that it takes in memory, estimated.
    pub decoded: usize,
}

/// Which limit an item is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// It is too deep.
    Depth {
        /// The deepest that it may be.
        limit: usize,
    },
    /// Its JSON text is too long.
    Encoded {
        /// How long it is.
        bytes: usize,
        /// The longest that it may be.
        limit: usize,
    },
    /// It would take too much memory.
    Decoded {
        /// The most that it may take.
        limit: usize,
    },
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depth { limit } => write!(f, "nested more than {limit} deep"),
            Self::Encoded { bytes, limit } => {
                write!(f, "{bytes} bytes of JSON are more than the {limit} of an item")
            }
            Self::Decoded { limit } => write!(f, "it takes more than {limit} bytes of memory"),
        }
    }
}

impl core::error::Error for OverLimit {}

/// What is on the heap for a text.
pub(crate) fn text_bytes(text: &SmolStr) -> usize {
    if text.is_heap_allocated() { text.len() + 2 * size_of::<usize>() } else { 0 }
}

/// One element of a list.
pub(crate) const ELEMENT: usize = size_of::<Json>();
/// One field of an object, without what is on the heap of its name and value.
pub(crate) const FIELD: usize = size_of::<(SmolStr, Json)>();

struct Meter<'a> {
    limits: &'a ItemLimits,
    size: Size,
}

impl Meter<'_> {
    fn walk(&mut self, value: &Json, depth: usize) -> Result<(), OverLimit> {
        match value {
            Json::Null => self.size.encoded += 4,
            Json::Bool(value) => self.size.encoded += 5 - usize::from(*value),
            Json::Number(number) => {
                self.size.encoded += number.as_str().len();
                self.size.decoded += number.heap_bytes();
            }
            Json::Text(text) => {
                self.size.encoded += encoded_text(text);
                self.size.decoded += text_bytes(text);
            }
            Json::List(list) => {
                self.deeper(depth, list.len(), ELEMENT)?;
                list.iter().try_for_each(|element| self.walk(element, depth + 1))?;
            }
            Json::Object(object) => {
                self.deeper(depth, object.len(), FIELD)?;
                for (name, value) in object.iter() {
                    self.size.encoded += encoded_text(name) + 1;
                    self.size.decoded += if name.len() > 23 { name.len() + 16 } else { 0 };
                    self.walk(value, depth + 1)?;
                }
            }
        }
        if self.size.decoded > self.limits.decoded {
            return Err(OverLimit::Decoded { limit: self.limits.decoded });
        }
        Ok(())
    }

    fn deeper(&mut self, depth: usize, count: usize, each: usize) -> Result<(), OverLimit> {
        if depth >= self.limits.depth {
            return Err(OverLimit::Depth { limit: self.limits.depth });
        }
        // The brackets and the commas.
        self.size.encoded += 2 + count.saturating_sub(1);
        self.size.decoded += count * each;
        Ok(())
    }
}

impl Size {
    /// What a pipeline keeps beside each item, roughly.
    pub const CARRIED: usize = 256;
}

/// The size of several bodies that wait as one: what a gathering node makes of them has at least this.
impl Size {
    /// Of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { encoded: self.encoded + other.encoded, decoded: self.decoded + other.decoded }
    }
}

impl FromIterator<Size> for Size {
    fn from_iter<T: IntoIterator<Item = Size>>(sizes: T) -> Self {
        sizes.into_iter().fold(Self::default(), Self::and)
    }
}

/// Frees what a list or object reserved and does not use.
pub(crate) fn tight<T>(mut list: Vec<T>) -> Vec<T> {
    list.shrink_to_fit();
    list
}
