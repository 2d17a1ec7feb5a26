//! What went wrong: the newest errors, for observations, and the dead letters, for whoever wants the items back.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use flyball_model::UnixMillis;
use flyball_nodes::Json;
use flyball_ports::{Clock as _, SystemClock};
use parking_lot::Mutex;

use crate::dead_letters::{DeadLetters, Letter};

/// How many errors are remembered.
const REMEMBERED: usize = 50;
/// Errors are text from outside: longer ones are cut.
const LONGEST: usize = 2_000;

/// One error that was met.
#[derive(Debug, Clone)]
pub(crate) struct Mishap {
    pub(crate) at: UnixMillis,
    pub(crate) node: Arc<str>,
    pub(crate) message: Arc<str>,
}

pub(crate) struct Mishaps {
    newest: Mutex<VecDeque<Mishap>>,
    letters: Option<DeadLetters>,
}

impl Mishaps {
    pub(crate) fn new(letters: Option<DeadLetters>) -> Self {
        Self { newest: Mutex::new(VecDeque::with_capacity(REMEMBERED)), letters }
    }

    pub(crate) fn note(&self, node: &str, message: &str) -> Arc<str> {
        let message: Arc<str> = bounded(message).into();
        let mishap = Mishap { at: SystemClock.now(), node: node.into(), message: Arc::clone(&message) };
        let mut newest = self.newest.lock();
        newest.truncate(REMEMBERED - 1);
        newest.push_front(mishap);
        message
    }

    /// Keeps an item that failed for good. What cannot be kept is still its caller's to keep.
    pub(crate) fn bury(&self, node: &str, item: &Json, message: &str) -> io::Result<()> {
        let Some(letters) = &self.letters else { return Ok(()) };
        letters.keep(&Letter { item, node, error: bounded(message), at: SystemClock.now() })
    }

    /// Newest first.
    pub(crate) fn newest(&self) -> Vec<Mishap> {
        self.newest.lock().iter().cloned().collect()
    }
}

fn bounded(message: &str) -> &str {
    let end = (0..=LONGEST.min(message.len())).rev().find(|&end| message.is_char_boundary(end));
    end.and_then(|end| message.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn errors_are_bounded_and_newest_first() {
        let mishaps = Mishaps::new(None);
        for number in 0..200 {
            mishaps.note("n", &format!("{number} {}", "ü".repeat(4_000)));
        }
        let newest = mishaps.newest();
        assert_eq!(newest.len(), REMEMBERED);
        assert!(newest[0].message.starts_with("199 "));
        assert!(newest.iter().all(|mishap| mishap.message.len() <= LONGEST));
    }
}
