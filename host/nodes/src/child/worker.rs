//! A child process as a worker of a node: batches in, answers out.

use async_trait::async_trait;
use flyball_json::Json;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::collecting::{Collecting, REST};
use super::listening::{Heard, hear, keep_log};
use super::started::{Started, start};
use super::{ChildCommand, ChildError, ChildOptions, Supervisor, Vitals, WorkerEnd};
use crate::{CustomMetrics, Item, ProcessError, Processed, Processor};

/// A child process as a worker of a node. Dropping it kills the child with all that descends from it, and reaps it.
#[derive(Debug)]
pub struct ChildProcessor {
    stdin: ChildStdin,
    answers: mpsc::Receiver<Result<Heard, ChildError>>,
    log: JoinHandle<()>,
    vitals: Vitals,
    options: ChildOptions,
    /// Dropped, it ends the child.
    life: Option<oneshot::Sender<()>>,
    next_id: u64,
    /// Wrong lines since the last answer.
    faults: u32,
    /// Why the child cannot be used any more.
    broken: Option<ChildError>,
    /// A batch is under way. Still set at the next: whoever asked went away.
    asking: bool,
}

impl ChildProcessor {
    /// Starts the child, and waits until it is the program that was named. To be called within a tokio runtime.
    pub fn spawn(
        supervisor: &Supervisor,
        command: &ChildCommand,
        options: ChildOptions,
    ) -> Result<Self, ChildError> {
        let Started { pid, stdin, stdout, stderr, exit, life } = start(supervisor, command)?;
        let (heard, answers) = mpsc::channel(256);
        let vitals = Vitals::new(pid, exit);
        tokio::spawn(hear(stdout, vitals.clone(), options.limits, heard));
        let log = tokio::spawn(keep_log(stderr, vitals.clone()));
        Ok(Self {
            stdin,
            answers,
            log,
            vitals,
            options,
            life: Some(life),
            next_id: 1,
            faults: 0,
            broken: None,
            asking: false,
        })
    }

    /// To be kept by whoever watches the child.
    pub fn vitals(&self) -> Vitals {
        self.vitals.clone()
    }

    /// Why the child cannot be used any more; none: it can.
    pub fn broken(&self) -> Option<&ChildError> {
        self.broken.as_ref()
    }

    /// How it came to its end; none: it can be used.
    pub fn worker_end(&self) -> Option<WorkerEnd> {
        match self.broken.as_ref()? {
            ChildError::Died { .. } => self.vitals.end().or(Some(WorkerEnd::Failed)),
            _ => Some(WorkerEnd::Failed),
        }
    }

    fn end(&mut self, why: ChildError) {
        self.life = None;
        self.broken = Some(why);
    }

    async fn exchange(
        &mut self,
        lines: &[u8],
        first: u64,
        answers: &mut [Option<Processed>],
    ) -> Result<(), ChildError> {
        let mut unwritten = true;
        let vitals = &self.vitals;
        let write = self.stdin.write_all(lines);
        let mut collecting = Collecting { first, answers, faults: &mut self.faults, strays: Vec::new() };
        let ended = async {
            vitals.ended().await;
        };
        let read = collecting.collect(&mut self.answers, vitals, &self.options, ended);
        let read_all = {
            tokio::pin!(write, read);
            loop {
                tokio::select! {
                    biased;
                    // An error: the child reads no more. How it ended is learnt where it is read.
                    _ = &mut write, if unwritten => unwritten = false,
                    end = &mut read => break end,
                }
            }
        };
        match read_all {
            Err(Some(error)) => Err(error),
            Err(None) => Err(self.how_it_ended().await),
            // It answered what it cannot have read.
            Ok(()) if unwritten => Err(ChildError::Unasked { id: first }),
            Ok(()) => Ok(()),
        }
    }

    /// When its output has ended.
    async fn how_it_ended(&mut self) -> ChildError {
        let Ok(Some(exit)) = timeout(REST * 4, self.vitals.ended()).await else {
            return ChildError::Closed;
        };
        // Its last words may still be in the pipe.
        let _ = timeout(REST, &mut self.log).await;
        ChildError::Died { exit, last_words: self.vitals.last_words() }
    }
}

/// One line of the protocol.
fn ask(lines: &mut Vec<u8>, id: u64, body: &Json) {
    lines.extend_from_slice(format!("{{\"id\":{id},\"body\":").as_bytes());
    body.write_to(lines);
    lines.extend_from_slice(b"}\n");
}

#[async_trait]
impl Processor for ChildProcessor {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        if self.asking && self.broken.is_none() {
            self.end(ChildError::Abandoned);
        }
        if let Some(why) = &self.broken {
            let why = ProcessError::Worker(why.to_string());
            return items.iter().map(|_| Err(why.clone())).collect();
        }
        let first = self.next_id;
        let mut lines = Vec::with_capacity(items.len() * 128);
        for item in items {
            ask(&mut lines, self.next_id, &item.body);
            self.next_id += 1;
        }
        let mut answers: Vec<Option<Processed>> = items.iter().map(|_| None).collect();
        self.asking = true;
        let exchanged = self.exchange(&lines, first, &mut answers).await;
        self.asking = false;
        let unanswered = ProcessError::Worker(match exchanged {
            Ok(()) => String::new(),
            Err(why) => {
                let text = why.to_string();
                self.end(why);
                text
            }
        });
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(unanswered.clone()))).collect()
    }

    fn metrics(&self) -> Option<CustomMetrics> {
        Some(self.vitals.metrics())
    }

    fn pid(&self) -> Option<u32> {
        Some(self.vitals.pid())
    }
}
