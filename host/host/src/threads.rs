//! The threads of a host, so that nothing that a pipeline, a plugin or a client does keeps a person from being heard.
//!
//! | runtime | threads | runs |
//! |---|---|---|
//! | data | as many as processors | sources, nodes, sinks, child processes: what a pipeline does, however long it takes |
//! | ticks | two to eight | the controllers and what they ask |
//! | control | one | signals, the control socket, the watch over the state directory |
//!
//! All threads share one descriptor table. A table of its own for the control thread would keep its descriptors from running
//! out, and would make every file that is closed on another thread than the one that opened it a wrong one. So the control
//! socket keeps descriptors in reserve instead (`spare_descriptors`).
//!
//! Nothing on the control thread waits for a lock that a tick holds, for a disk or for a reader of the standard output; what
//! may take long is given to other threads. Made by whoever embeds a host, and used by all of it. Where time is simulated, and in
//! small tests, one runtime may do the work of all three ([`Threads::here`]).

use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::error::{Doing, HostError};

/// Who asked twice to stop waits no longer than this for the program to end.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// The runtimes of a host. They are left running when this is dropped: what still loops in them must not hold the program.
pub struct Threads {
    data: Owned,
    ticks: Owned,
    control: Handle,
    /// The control thread ends when this is dropped.
    _control_ends: Option<oneshot::Sender<()>>,
    /// How often the program was asked to stop.
    asked: watch::Sender<u32>,
}

struct Owned(Option<Runtime>, Handle);

impl Owned {
    fn of(runtime: Runtime) -> Self {
        let handle = runtime.handle().clone();
        Self(Some(runtime), handle)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    /// The three runtimes, with nothing to do yet.
    ///
    /// # Errors
    ///
    /// The machine gives no threads.
    pub fn start() -> Result<Self, HostError> {
        let cannot = "cannot start the host's threads";
        let control = Builder::new_current_thread().enable_all().build().doing(cannot)?;
        let handle = control.handle().clone();
        let (control_ends, ends) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                // Its sender is dropped with the host.
                let _ = control.block_on(ends);
                control.shutdown_background();
            })
            .doing(cannot)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let ticks = Builder::new_multi_thread()
            .worker_threads(processors.clamp(2, 8))
            .thread_name("ticks")
            .enable_all()
            .build()
            .doing(cannot)?;
        let data = Builder::new_multi_thread().thread_name("data").enable_all().build().doing(cannot)?;
        let (asked, _) = watch::channel(0);
        Ok(Self {
            data: Owned::of(data),
            ticks: Owned::of(ticks),
            control: handle,
            _control_ends: Some(control_ends),
            asked,
        })
    }

    /// The runtime in which this is called does the work of all three. A host that must be heard whatever its pipelines do has
    /// threads of its own ([`Threads::start`]).
    ///
    /// # Errors
    ///
    /// There is no runtime of tokio's here.
    pub fn here() -> Result<Self, HostError> {
        let here = Handle::try_current().doing("cannot use this thread's runtime")?;
        Ok(Self {
            data: Owned(None, here.clone()),
            ticks: Owned(None, here.clone()),
            control: here,
            _control_ends: None,
            asked: watch::channel(0).0,
        })
    }

    /// Where pipelines run.
    pub fn data(&self) -> &Handle {
        &self.data.1
    }

    /// Where the loops run.
    pub fn ticks(&self) -> &Handle {
        &self.ticks.1
    }

    /// Where people are heard. Nothing that may take long is done there.
    pub fn control(&self) -> &Handle {
        &self.control
    }

    /// Does this on the control thread.
    pub fn on_control<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.control.spawn(task)
    }

    /// Runs this on the calling thread; its timers are those of the ticks.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        self.ticks.1.block_on(main)
    }

    /// From now on a signal that asks the program to stop is counted and does not end it. A hang-up that whoever started the
    /// program had it ignore stays ignored.
    pub fn hear_signals(&self) {
        let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
        if !is_ignored(SignalKind::hangup()) {
            kinds.push(SignalKind::hangup());
        }
        for kind in kinds {
            let asked = self.asked.clone();
            self.control.spawn(async move {
                let mut signals = match signal(kind) {
                    Ok(signals) => signals,
                    Err(error) => {
                        tracing::error!(%error, ?kind, "a signal cannot be heard; it ends the program at once");
                        return;
                    }
                };
                while signals.recv().await.is_some() {
                    asked.send_modify(|times| *times += 1);
                    if *asked.borrow() > 1 {
                        tokio::spawn(end_at_last());
                    }
                }
            });
        }
    }

    /// When the program has been asked to stop so many times.
    pub async fn asked(&self, times: u32) {
        let mut asked = self.asked.subscribe();
        if asked.wait_for(|so_far| *so_far >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whoever asked twice gets an end, whatever still holds the program.
async fn end_at_last() {
    tokio::time::sleep(LAST_PATIENCE).await;
    std::process::exit(1);
}

/// Whether the program was started with this signal ignored, as `nohup` does.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    u32::try_from(kind.as_raw_value() - 1)
        .is_ok_and(|bit| mask.checked_shr(bit).is_some_and(|mask| mask & 1 == 1))
}
