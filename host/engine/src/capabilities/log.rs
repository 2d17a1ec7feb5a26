//! The capability `log`: lines for whoever reads the host's log. `wasi:logging` is the same.
//!
//! Every plugin may import it, because one that panics says why by it: the last error is kept in any case. Lines are bounded, and
//! reach the host's log only where the policy grants that. Guests call this; the call (`call.rs`) takes the last error from it.

use std::sync::Arc;

use flyball_model::{Grants, printable};
use wasmtime::component::Linker;

use super::standard::logging;
use super::{Capability, Whole};
use crate::bindings::log;
use crate::call::Call;
use crate::quoted::plain;

/// A message that explains a panic need not be longer.
const LONGEST_LAST_WORDS: usize = 4096;

/// See the module's page.
pub(super) struct LogImport;

impl Capability for LogImport {
    const NAME: &'static str = "log";
    const IMPORTS: &'static [&'static str] =
        &["flyball:plugin/log@0.1.0", "wasi:logging/logging@0.1.0-draft"];

    fn granted(_: &Grants) -> bool {
        true
    }

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        log::add_to_linker::<Call, Whole>(linker, |call| call)?;
        logging::add_to_linker::<Call, Whole>(linker, |call| call)
    }
}

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
