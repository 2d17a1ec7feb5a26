use std::net::SocketAddr;

use async_trait::async_trait;
use serde_json::Value;

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
    fn progress(&self) -> Progress;

    /// The address at which it listens, where it does.
    fn address(&self) -> Option<SocketAddr> {
        None
    }
}

/// One item as a source read it, or what could not be read as one: it counts as an item that failed.
pub type Taken = Result<Value, Unreadable>;

/// Something that was meant to be an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Unreadable {
    /// How it begins.
    pub text: String,
    /// Where it is, what is wrong with it.
    pub error: String,
}

impl Unreadable {
    /// Keeps the beginning of the text only: whoever wrote it may have written any amount.
    pub(crate) fn new(text: &[u8], error: String) -> Self {
        const KEPT: usize = 512;
        let kept = text.get(..KEPT).unwrap_or(text);
        Self { text: String::from_utf8_lossy(kept).into_owned(), error }
    }
}

/// How far a source is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// Items given so far.
    pub items: u64,
    /// Items there will have been at the end, where that is known.
    pub total: Option<u64>,
    /// From 0 to 1, for a source that has an end: by items, bytes or the trace's time, whichever it can tell.
    pub fraction: Option<f64>,
}

impl Progress {
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
