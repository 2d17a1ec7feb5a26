//! What went wrong: the newest errors, for observations, and the dead letters, for whoever wants the items back.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use flyball_control::ports::{Clock as _, SystemClock};
use flyball_model::UnixMillis;
use flyball_nodes::Json;
use parking_lot::Mutex;
use serde::Serialize;

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
    letters: Option<Mutex<BufWriter<File>>>,
}

/// One line of the dead-letter file.
#[derive(Serialize)]
struct DeadLetter<'a> {
    item: &'a Json,
    node: &'a str,
    error: &'a str,
    at: UnixMillis,
}

impl Mishaps {
    pub(crate) fn new(letters: Option<&Path>) -> io::Result<Self> {
        let letters = match letters {
            Some(path) => {
                Some(Mutex::new(BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?)))
            }
            None => None,
        };
        Ok(Self { newest: Mutex::new(VecDeque::with_capacity(REMEMBERED)), letters })
    }

    pub(crate) fn note(&self, node: &str, message: &str) -> Arc<str> {
        let message: Arc<str> = bounded(message).into();
        let mishap = Mishap { at: SystemClock.now(), node: node.into(), message: Arc::clone(&message) };
        let mut newest = self.newest.lock();
        newest.truncate(REMEMBERED - 1);
        newest.push_front(mishap);
        message
    }

    /// Keeps an item that failed for good.
    pub(crate) fn bury(&self, node: &str, item: &Json, message: &str) {
        let Some(letters) = &self.letters else { return };
        let letter = DeadLetter { item, node, error: bounded(message), at: SystemClock.now() };
        let mut letters = letters.lock();
        let written = serde_json::to_writer(&mut *letters, &letter)
            .map_err(io::Error::from)
            .and_then(|()| letters.write_all(b"\n"))
            .and_then(|()| letters.flush());
        if let Err(error) = written {
            tracing::error!(%error, node, "a dead letter could not be written");
        }
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
        let mishaps = Mishaps::new(None).unwrap();
        for number in 0..200 {
            mishaps.note("n", &format!("{number} {}", "ü".repeat(4_000)));
        }
        let newest = mishaps.newest();
        assert_eq!(newest.len(), REMEMBERED);
        assert!(newest[0].message.starts_with("199 "));
        assert!(newest.iter().all(|mishap| mishap.message.len() <= LONGEST));
    }
}
