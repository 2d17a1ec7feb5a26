use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use flyball_json::Json;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::listening::{Answer, hear, keep_log};
use super::{ChildCommand, ChildError, ChildOptions, Exit, Vitals};
use crate::{Item, ProcessError, Processed, Processor};

/// A child process as a worker of a node. Dropping it kills the child, with its process group, and reaps it.
#[derive(Debug)]
pub struct ChildProcessor {
    stdin: ChildStdin,
    answers: mpsc::Receiver<Result<Answer, ChildError>>,
    log: JoinHandle<()>,
    vitals: Vitals,
    options: ChildOptions,
    /// Dropped, it ends the child.
    life: Option<oneshot::Sender<()>>,
    next_id: u64,
    /// Why the child cannot be used any more.
    broken: Option<ChildError>,
    /// A batch is under way. Still set at the next: whoever asked went away.
    asking: bool,
}

/// How long after a child's end the rest of its output may take: somebody else may hold the pipe open for ever.
const REST: Duration = Duration::from_millis(250);

impl ChildProcessor {
    /// Starts the child. To be called within a tokio runtime.
    pub fn spawn(command: &ChildCommand, options: ChildOptions) -> Result<Self, ChildError> {
        let unstarted =
            |cause: String| ChildError::Start { program: command.program.display().to_string(), cause };
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .envs(&command.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| unstarted(error.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take(), child.id());
        let (Some(stdin), Some(stdout), Some(stderr), Some(pid)) = pipes else {
            return Err(unstarted("it has no pipes".to_owned()));
        };
        let (exit_seen, exit) = watch::channel(None);
        let (life, end) = oneshot::channel();
        let (heard, answers) = mpsc::channel(256);
        let vitals = Vitals::new(pid, exit);
        tokio::spawn(supervise(child, end, exit_seen));
        tokio::spawn(hear(stdout, vitals.clone(), options.limits, heard));
        let log = tokio::spawn(keep_log(stderr, vitals.clone()));
        let life = Some(life);
        Ok(Self { stdin, answers, log, vitals, options, life, next_id: 1, broken: None, asking: false })
    }

    /// To be kept by whoever watches the child.
    pub fn vitals(&self) -> Vitals {
        self.vitals.clone()
    }

    /// Why the child cannot be used any more; none: it can.
    pub fn broken(&self) -> Option<&ChildError> {
        self.broken.as_ref()
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
        let read = collect(&mut self.answers, vitals, &self.options, first, answers);
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

/// Fills in the answers as they come. The error, when it is known; none: the output ended, or its writer did.
async fn collect(
    heard: &mut mpsc::Receiver<Result<Answer, ChildError>>,
    vitals: &Vitals,
    options: &ChildOptions,
    first: u64,
    answers: &mut [Option<Processed>],
) -> Result<(), Option<ChildError>> {
    let ended = async {
        vitals.ended().await;
        sleep(REST).await;
    };
    tokio::pin!(ended);
    let mut missing = answers.len();
    let mut deadline = Instant::now() + options.item_timeout;
    while missing > 0 {
        let next = tokio::select! {
            biased;
            next = heard.recv() => next,
            () = &mut ended => None,
            () = sleep_until(deadline) => return Err(Some(ChildError::Silent { after: options.item_timeout })),
        };
        let Answer { id, said } = next.ok_or(None)?.map_err(Some)?;
        let place = id.checked_sub(first).and_then(|index| answers.get_mut(usize::try_from(index).ok()?));
        match place {
            Some(place @ None) => *place = Some(said),
            _ => return Err(Some(ChildError::Unasked { id })),
        }
        missing -= 1;
        deadline = Instant::now() + options.item_timeout;
    }
    Ok(())
}

/// One line of the protocol.
fn ask(lines: &mut Vec<u8>, id: u64, body: &Json) {
    lines.extend_from_slice(format!("{{\"id\":{id},\"body\":").as_bytes());
    body.write_to(lines);
    lines.extend_from_slice(b"}\n");
}

/// Owns the process: reaps it when it ends, ends it when nobody wants it any more.
async fn supervise(mut child: Child, end: oneshot::Receiver<()>, exit_seen: watch::Sender<Option<Exit>>) {
    let status = tokio::select! {
        status = child.wait() => status,
        _ = end => {
            kill_group(&mut child);
            child.wait().await
        }
    };
    let exit = status.map_or(Exit { code: None, signal: None }, Exit::from);
    exit_seen.send_replace(Some(exit));
}

/// The group has the child's number as long as the child is not reaped.
fn kill_group(child: &mut Child) {
    let group = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(group) = group
        && let Err(error) = killpg(Pid::from_raw(group), Signal::SIGKILL)
    {
        tracing::debug!(group, %error, "the child's process group could not be killed");
    }
    if let Err(error) = child.start_kill() {
        tracing::debug!(%error, "the child could not be killed");
    }
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

    fn pid(&self) -> Option<u32> {
        Some(self.vitals.pid())
    }
}
