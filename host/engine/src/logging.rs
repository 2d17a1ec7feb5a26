//! What a plugin logs: bounded, and shown only where its policy grants it. The last error is kept in any case,
//! because a plugin that panics says why with it.

use std::sync::Arc;

use flyball_model::printable;

use crate::bindings::log;
use crate::call::Call;

/// A message that explains a panic need not be longer.
const LONGEST_LAST_WORDS: usize = 4096;

/// Why a call gave no answer.
pub(crate) const LONGEST_REASON: usize = 1024;

/// The log of one call.
#[derive(Debug)]
pub(crate) struct Log {
    /// Bytes that may still be logged.
    left: usize,
    bytes: usize,
    /// Whether lines reach the host's log.
    granted: bool,
    dropped: u64,
    last_error: Option<String>,
}

impl Log {
    pub(crate) fn new(bytes: usize, granted: bool) -> Self {
        Self { left: bytes, bytes: 0, granted, dropped: 0, last_error: None }
    }

    /// What was logged so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Why the plugin stopped, if it said so.
    pub(crate) fn last_error(&mut self) -> Option<String> {
        self.last_error.take()
    }

    fn line(&mut self, plugin: &Arc<str>, level: log::Level, message: String) {
        let fits = self.granted && message.len() <= self.left;
        if fits {
            self.left -= message.len();
            self.bytes += message.len();
            // Control characters would let a plugin write lines of its own making into the host's log.
            let message = printable(&message);
            match level {
                log::Level::Debug => tracing::debug!(target: "flyball::plugin", %plugin, "{message}"),
                log::Level::Info => tracing::info!(target: "flyball::plugin", %plugin, "{message}"),
                log::Level::Warn => tracing::warn!(target: "flyball::plugin", %plugin, "{message}"),
                log::Level::Error => tracing::error!(target: "flyball::plugin", %plugin, "{message}"),
            }
        } else if self.granted {
            self.dropped += 1;
        }
        if matches!(level, log::Level::Error) {
            self.last_error = Some(plain(&message, LONGEST_LAST_WORDS));
        }
    }
}

impl log::Host for Call {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.enter()?;
        let message = self.gave(message)?;
        let plugin = Arc::clone(&self.plugin);
        self.log.line(&plugin, level, message);
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.dropped > 0 {
            tracing::warn!(target: "flyball::plugin", dropped = self.dropped, "log lines over the limit were dropped");
        }
    }
}

/// At most `limit` bytes of a text, cut at a character.
pub(crate) fn shortened(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The same on one line, with hidden characters written out: it quotes what a plugin or its author wrote, a log takes one line
/// for each event, and a terminal may show it.
pub(crate) fn plain(text: &str, limit: usize) -> String {
    shortened(printable(&shortened(text.to_owned(), limit)).into_owned(), limit)
}
