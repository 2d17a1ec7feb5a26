use std::net::SocketAddr;

use async_trait::async_trait;
use flyball_json::{Json, Object};

/// Where a pipeline's items come from. Items are asked for, never pushed: a pipeline that has no room does not ask.
#[async_trait]
pub trait Source: Send {
    /// Waits for at least one item and gives at most `max`; none: there will be no more. Safe to drop before it is
    /// ready: nothing is lost, the next call goes on from there.
    async fn next(&mut self, max: usize) -> Result<Option<Vec<Taken>>, SourceError>;

    /// Takes in nothing new from now on. What was already promised to somebody outside is still given by `next`,
    /// which then ends.
    fn stop(&mut self);

    /// How far it is.
    fn progress(&self) -> SourceProgress;

    /// The address at which it listens, where it does.
    fn address(&self) -> Option<SocketAddr> {
        None
    }
}

/// One item as a source read it, or what could not be read as one: it counts as an item that failed.
pub type Taken = Result<Json, Unreadable>;

/// Something that was meant to be an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Unreadable {
    /// Its bytes; of one that is longer than any item may be, the first of them.
    pub bytes: Vec<u8>,
    /// How many bytes it has, those that were not kept included.
    pub length: u64,
    /// Where it is, what is wrong with it.
    pub error: String,
}

impl Unreadable {
    /// All of it.
    pub(crate) fn whole(bytes: Vec<u8>, error: String) -> Self {
        Self { length: bytes.len() as u64, bytes, error }
    }

    /// As an item for the dead letters: the text that it is, or, where it is none, its bytes in hexadecimal digits. What
    /// was too long to be kept says how long it was.
    pub fn into_item(self) -> Json {
        let Self { bytes, length, .. } = self;
        let kept = bytes.len() as u64;
        let (field, text) = match String::from_utf8(bytes) {
            Ok(text) if kept == length => return text.into(),
            Ok(text) => ("text", text),
            Err(error) => ("hex", error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()),
        };
        let mut item = Object::new();
        item.insert(field, text);
        if kept != length {
            item.insert("bytes", length);
        }
        item.into()
    }
}

/// How far a source is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SourceProgress {
    /// Items given so far.
    pub items: u64,
    /// Items there will have been at the end, where that is known.
    pub total: Option<u64>,
    /// From 0 to 1, for a source that has an end: by items, bytes or the trace's time, whichever it can tell.
    pub fraction: Option<f64>,
}

impl SourceProgress {
    /// Of so many items, where that is known.
    pub(crate) fn of_items(items: u64, total: Option<u64>) -> Self {
        Self { items, total, fraction: total.map(|total| share(items as f64, total as f64)) }
    }
}

/// From 0 to 1; all of nothing is done.
pub(crate) fn share(done: f64, all: f64) -> f64 {
    if all > 0.0 { (done / all).clamp(0.0, 1.0) } else { 1.0 }
}

/// A source that broke off: what it has given stays given, and there will be no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);
