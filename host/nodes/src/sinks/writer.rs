//! The sinks that write lines: `file` and `stdout`.
//!
//! What is written is written on a thread of its own that nobody waits for at the end: a pipe whose reader is stuck, or a
//! disk that hangs, holds up that thread and nothing else. What cannot be written now (a full disk, a folder that went, a
//! pipe that nobody reads) is no fault of the items: they are answered as such, and the pipeline keeps them.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::SinkConfig;
use crate::line_file::{Appended, LineFile, Lines, append_to_stream};
use crate::processor::Unavailable;
use crate::{Item, ProcessError, Sink};

/// Appends each item to a file as a line of JSON. A batch is written before it is answered; a file that was renamed or
/// replaced is opened anew, and what a full disk does not take waits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToFile {
    /// The file; it is made if there is none.
    #[schemars(extend("x-decides-reach" = true))]
    path: String,
}

impl SinkConfig for ToFile {
    fn check(&self) -> Result<(), Problem> {
        if self.path.is_empty() {
            return Err(Problem::new("/path", "the path is empty").help("name a file"));
        }
        Ok(())
    }

    fn open(self) -> Result<Box<dyn Sink>, Problem> {
        let cannot =
            |error: io::Error| Problem::new("/path", format!("{} cannot be written: {error}", self.path));
        let file = LineFile::open(&self.path).map_err(cannot)?;
        let writer = LineWriter::start(self.path.clone(), Output::File(file)).map_err(cannot)?;
        Ok(Box::new(writer))
    }
}

/// Writes each item to standard output as a line of JSON.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToStdout {}

impl SinkConfig for ToStdout {
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }

    fn open(self) -> Result<Box<dyn Sink>, Problem> {
        let name = "standard output".to_owned();
        let cannot =
            |error: io::Error| Problem::new("", format!("standard output cannot be written: {error}"));
        // Not by way of the program's own handle, whose lock would be held while a reader is stuck.
        let output = io::stdout().as_fd().try_clone_to_owned().map_err(cannot)?;
        let writer = LineWriter::start(name, Output::Stream { file: File::from(output), torn: false });
        Ok(Box::new(writer.map_err(cannot)?))
    }
}

enum Output {
    File(LineFile),
    Stream {
        file: File,
        /// The last write broke off: the next begins with a line end, so that nothing is glued to half a line.
        torn: bool,
    },
}

impl Output {
    fn append(&mut self, lines: &Lines) -> Appended {
        match self {
            Self::File(file) => file.append(lines),
            Self::Stream { file, torn } => {
                let (written, outcome) = append_to_stream(file, torn, lines, Duration::MAX);
                Appended { whole: lines.whole_within(written).0, error: outcome.err() }
            }
        }
    }
}

type Order = (Lines, oneshot::Sender<Appended>);

struct LineWriter {
    name: String,
    orders: mpsc::Sender<Order>,
}

impl LineWriter {
    fn start(name: String, mut output: Output) -> io::Result<Self> {
        let (orders, mut taken) = mpsc::channel::<Order>(1);
        let work = move || {
            while let Some((lines, answer)) = taken.blocking_recv() {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(output.append(&lines));
            }
        };
        std::thread::Builder::new().name("flyball-writer".to_owned()).spawn(work)?;
        Ok(Self { name, orders })
    }

    async fn append(&self, lines: Lines) -> Appended {
        let (answer, answered) = oneshot::channel();
        let gone = || Appended { whole: 0, error: Some(ErrorKind::BrokenPipe.into()) };
        if self.orders.send((lines, answer)).await.is_err() {
            return gone();
        }
        answered.await.unwrap_or_else(|_| gone())
    }

    /// Nobody will ever read what is written to a stream whose reader went; whatever else is the matter may end.
    fn why(&self, error: &io::Error) -> ProcessError {
        let why = format!("{} cannot be written: {error}", self.name);
        if error.kind() == ErrorKind::BrokenPipe && self.name == "standard output" {
            return ProcessError::Item(why);
        }
        ProcessError::Unavailable(Unavailable { why, retry_after: None, by_item: false })
    }
}

#[async_trait]
impl Sink for LineWriter {
    async fn deliver(&mut self, items: &[Item]) -> Vec<Result<(), ProcessError>> {
        let mut lines = Lines::default();
        let written: Vec<Result<(), ProcessError>> = items
            .iter()
            .map(|item| {
                let unwritten = |error| ProcessError::Item(format!("the item has no JSON: {error}"));
                lines.push(&item.body).map_err(unwritten)
            })
            .collect();
        let Appended { mut whole, error } = self.append(lines).await;
        let mut answer = |taken: Result<(), ProcessError>| {
            taken?;
            if whole > 0 {
                whole -= 1;
                return Ok(());
            }
            error.as_ref().map_or(Ok(()), |error| Err(self.why(error)))
        };
        written.into_iter().map(&mut answer).collect()
    }
}
