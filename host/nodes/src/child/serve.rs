//! The child's side of the protocol, as built-in nodes speak it in a process of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_json::{ItemLimits, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{self, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::error::{cause, tamed};
use super::glimpse::glimpse;
use super::line::{Line, read_line};
use crate::{CustomMetrics, Item, NodeError, ProcessError, Processed, Processor};

/// Why a node child ends before its input does.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The node cannot be made.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The host wrote what is not of the protocol.
    #[error(
        "this is no item ({cause}): {line}; the lines of standard input look like {{\"id\":1,\"body\":...}}"
    )]
    Input {
        /// What is wrong with it.
        cause: String,
        /// How it begins.
        line: String,
    },
    /// The host is gone, or a pipe broke.
    #[error("the host cannot be spoken to: {0}")]
    Pipe(#[from] io::Error),
}

#[derive(Deserialize)]
struct Question {
    id: u64,
    body: Json,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reply<'a> {
    Out { id: u64, out: &'a [Json] },
    Error { id: u64, error: &'a str },
}

/// How often a child shows that it lives.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The longest line that the host writes: the largest item that can be configured, and room for what is around it.
const LONGEST: usize = ItemLimits::LARGEST.encoded + 1024;

/// Answers that may wait for more before they are written, while there is more to read.
const WAITING: usize = 64 * 1024;

/// The child's side of the [protocol](super): runs a built-in node until its input ends. One item is worked on at a time,
/// with a heartbeat each half second, also meanwhile.
pub async fn serve<R, W>(node_type: &str, config: &Value, stdin: R, stdout: W) -> Result<(), ServeError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let node = crate::native(node_type, config, &ItemLimits::LARGEST)?;
    let (output, metrics) = (Mutex::new(stdout), node.metrics());
    tokio::select! {
        // First, so that a child shows that it lives as soon as it does.
        biased;
        error = beat(&output, metrics) => Err(error.into()),
        done = answer(node, BufReader::with_capacity(64 * 1024, stdin), &output) => done,
    }
}

#[derive(Serialize)]
struct Heartbeat {
    heartbeat: bool,
    /// The numbers that the node reports of itself, if it does.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metrics: BTreeMap<Arc<str>, f64>,
}

async fn beat<W: AsyncWrite + Unpin>(output: &Mutex<W>, metrics: Option<CustomMetrics>) -> io::Error {
    let mut beats = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let metrics = metrics.iter().flat_map(CustomMetrics::values).collect();
        let mut line = match serde_json::to_vec(&Heartbeat { heartbeat: true, metrics }) {
            Ok(line) => line,
            Err(error) => return error.into(),
        };
        line.push(b'\n');
        if let Err(error) = write(output, &line).await {
            return error;
        }
        beats.tick().await;
    }
}

/// Whole lines only: a heartbeat never falls into an answer.
async fn write<W: AsyncWrite + Unpin>(output: &Mutex<W>, lines: &[u8]) -> io::Result<()> {
    let mut output = output.lock().await;
    output.write_all(lines).await?;
    output.flush().await
}

async fn answer<R, W>(
    mut node: Box<dyn Processor>,
    mut input: BufReader<R>,
    output: &Mutex<W>,
) -> Result<(), ServeError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut line = Vec::new();
    let mut replies = Vec::new();
    loop {
        match read_line(&mut input, &mut line, LONGEST).await? {
            Line::End => return Ok(()),
            Line::Long => {
                let cause = format!("it is longer than {LONGEST} bytes");
                return Err(ServeError::Input { cause, line: tamed(&line, 200) });
            }
            Line::Whole => {}
        }
        let asked = Instant::now();
        match serde_json::from_slice::<Question>(&line) {
            Ok(Question { id, body }) => {
                let said = node.process(&[Item { id, body }]).await.pop();
                reply(&mut replies, id, said)?;
            }
            // An item that cannot be read is one item, and no reason to end.
            Err(error) => {
                let id = glimpse(&line)
                    .id
                    .ok_or_else(|| ServeError::Input { cause: cause(&error), line: tamed(&line, 200) })?;
                let error = format!("the item cannot be read: {}", cause(&error));
                reply(&mut replies, id, Some(Err(ProcessError::Item(error))))?;
            }
        }
        // An answer waits only for answers that cost next to nothing.
        let more = input.buffer().contains(&b'\n') && asked.elapsed() < Duration::from_millis(1);
        if !more || replies.len() > WAITING {
            write(output, &replies).await?;
            replies.clear();
        }
    }
}

fn reply(replies: &mut Vec<u8>, id: u64, said: Option<Processed>) -> io::Result<()> {
    match said {
        Some(Ok(out)) => serde_json::to_writer(&mut *replies, &Reply::Out { id, out: &out })?,
        Some(Err(error)) => {
            serde_json::to_writer(&mut *replies, &Reply::Error { id, error: &error.to_string() })?;
        }
        None => serde_json::to_writer(&mut *replies, &Reply::Error { id, error: "the node gave no answer" })?,
    }
    replies.push(b'\n');
    Ok(())
}
