//! A child process as a worker of a node: batches in, answers out.

use async_trait::async_trait;
use flyball_json::Json;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::collecting::{Collected, Collecting, REST};
use super::listening::{Heard, hear, keep_log};
use super::overdue::Overdue;
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
    overdue: Overdue,
    /// What is to be written, and how much of it is.
    lines: Vec<u8>,
    written: usize,
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
            overdue: Overdue::default(),
            lines: Vec::new(),
            written: 0,
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
        items: &[Item],
        answers: &mut [Option<Processed>],
    ) -> Result<(), ChildError> {
        let first = self.next_id;
        // Of what was asked again something may be left from the batch before.
        self.lines.drain(..self.written.min(self.lines.len()));
        self.written = 0;
        for item in items {
            ask(&mut self.lines, self.next_id, &item.body);
            self.next_id += 1;
        }
        let asked = self.lines.len();
        let Self { stdin, lines, written, vitals, options, faults, overdue, .. } = self;
        let mut collecting = Collecting::new(first, answers, faults, overdue, options);
        let read_all = loop {
            let ended = async {
                vitals.ended().await;
            };
            let collected = {
                let read = collecting.collect(&mut self.answers, vitals, options, ended);
                tokio::pin!(read);
                loop {
                    tokio::select! {
                        biased;
                        wrote = stdin.write(lines.get(*written..).unwrap_or_default()), if *written < lines.len() => {
                            // An error: the child reads no more. How it ended is learnt where it is read.
                            *written = wrote.map_or(lines.len(), |bytes| *written + bytes);
                        }
                        end = &mut read => break end,
                    }
                }
            };
            match collected {
                Ok(Collected::Overdue) if *written >= lines.len() => {
                    vitals
                        .complain("the process left an item without an answer for long, and was asked again");
                    for (id, index) in collecting.ask_again(&mut self.next_id) {
                        items.get(index).inspect(|item| ask(lines, id, &item.body));
                    }
                }
                // It has not even read what it was asked.
                Ok(Collected::Overdue) => {}
                Ok(Collected::All) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match read_all {
            Err(Some(error)) => Err(error),
            Err(None) => Err(self.how_it_ended().await),
            // It answered what it cannot have read.
            Ok(()) if *written < asked => Err(ChildError::Unasked { id: first }),
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
        let mut answers: Vec<Option<Processed>> = items.iter().map(|_| None).collect();
        self.asking = true;
        let exchanged = self.exchange(items, &mut answers).await;
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
