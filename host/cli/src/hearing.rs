//! What people are heard by: the control socket, the room for halts on the disk, and the watch over both. All of it lives in one
//! task on the control thread (`threads`), and is open before anything of a host runs, so that nothing else can keep it from
//! being opened.
//!
//! Called by `assembly`: opened before anything of a host runs, begun when there is somebody to answer.

use std::sync::Arc;

use anyhow::{Context, Result};
use flyball_model::printable_path;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::control_socket::{listen_in, serve};
use crate::halt_reserve::{self, HaltReserve};
use crate::operator::Operator;
use crate::spare_descriptors::SpareDescriptors;
use crate::state_dir::HeldDir;
use crate::state_watch::StateWatch;
use crate::threads::Threads;
use crate::unjournaled::Unjournaled;

/// A socket at which people wait for their answer.
pub(crate) struct Hearing {
    begin: oneshot::Sender<Operator>,
    task: JoinHandle<()>,
}

impl Hearing {
    /// Opens the socket. Whoever asks is answered once somebody is there.
    pub(crate) async fn open(dir: Arc<HeldDir>, threads: &Threads) -> Result<Self> {
        let (begin, begun) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let task = threads.on_control(async move {
            match open(&dir) {
                Ok((listener, spare, reserve)) => {
                    // Whoever waits for it is gone only when the program ends.
                    let _ = tell.send(Ok(()));
                    // Without somebody to answer, the host did not start.
                    if let Ok(operator) = begun.await {
                        hear(listener, spare, reserve, operator, dir).await;
                    }
                }
                Err(fault) => drop(tell.send(Err(fault))),
            }
        });
        told.await.context("the control thread broke off")??;
        Ok(Self { begin, task })
    }

    /// Answers, until the task is aborted.
    pub(crate) fn begin(self, operator: Operator) -> JoinHandle<()> {
        if self.begin.send(operator).is_err() {
            tracing::error!("nobody is heard at the control socket");
        }
        self.task
    }
}

fn open(dir: &HeldDir) -> Result<(UnixListener, SpareDescriptors, HaltReserve)> {
    let reach = dir.reach()?;
    let spare = SpareDescriptors::take();
    let (reserve, _) = HaltReserve::open(&reach.file(halt_reserve::NAME))?;
    // What an earlier host left is in the journal by now.
    reserve.keep(&[]).with_context(|| format!("cannot write {}", halt_reserve::NAME))?;
    let listener = listen_in(&reach).with_context(|| printable_path(&dir.socket()))?;
    Ok((listener, spare, reserve))
}

async fn hear(
    listener: UnixListener,
    spare: SpareDescriptors,
    reserve: HaltReserve,
    operator: Operator,
    dir: Arc<HeldDir>,
) {
    let (sockets, anew) = mpsc::channel(1);
    let (telling, told) = (operator.ticks.clone(), operator.listener.clone());
    let watch = StateWatch {
        dir,
        fleet: operator.fleet.clone(),
        sockets,
        tell: Box::new(move |event| {
            let told = told.clone();
            telling.spawn_blocking(move || told.event(&event));
        }),
    };
    let unjournaled = Unjournaled::new(operator.store.clone(), reserve);
    let answers = Arc::new((operator, unjournaled));
    tokio::join!(serve(listener, anew, spare, answers), watch.run());
}
