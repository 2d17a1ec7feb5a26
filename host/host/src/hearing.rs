//! What people are heard by: the control socket, and the watch over the state directory. Both live in one
//! task on the control thread (`threads`). The socket is open before anything of a host runs, so that nothing else can keep it
//! from being opened.
//!
//! Called by `host`: opened before anything of a host runs, begun when there is somebody to answer.

use std::sync::Arc;

use flyball_model::{EventRecord, printable_path};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::{Doing, HostError};
use crate::operations::Operations;
use crate::socket::{listen_in, serve};
use crate::spare_descriptors::SpareDescriptors;
use crate::state_dir::HeldDir;
use crate::state_watch::StateWatch;
use crate::threads::Threads;

/// A socket at which people wait for their answer.
pub(crate) struct Hearing {
    begin: oneshot::Sender<Operations>,
    task: JoinHandle<()>,
}

impl Hearing {
    /// Opens the socket. Whoever asks is answered once somebody is there.
    pub(crate) async fn open(dir: Arc<HeldDir>, threads: &Threads) -> Result<Self, HostError> {
        let (begin, begun) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let task = threads.on_control(async move {
            match open(&dir) {
                Ok((listener, spare)) => {
                    // Whoever waits for it is gone only when the program ends.
                    let _ = tell.send(Ok(()));
                    // Without somebody to answer, the host did not start.
                    if let Ok(operations) = begun.await {
                        hear(listener, spare, operations, dir).await;
                    }
                }
                Err(fault) => drop(tell.send(Err(fault))),
            }
        });
        told.await.doing("the control thread broke off")??;
        Ok(Self { begin, task })
    }

    /// Answers, until the task is aborted.
    pub(crate) fn begin(self, operations: Operations) -> JoinHandle<()> {
        if self.begin.send(operations).is_err() {
            tracing::error!("nobody is heard at the control socket");
        }
        self.task
    }
}

fn open(dir: &HeldDir) -> Result<(UnixListener, SpareDescriptors), HostError> {
    let reach = dir.reach()?;
    let spare = SpareDescriptors::take();
    let listener = listen_in(&reach).doing(printable_path(&dir.socket()).to_string())?;
    Ok((listener, spare))
}

async fn hear(listener: UnixListener, spare: SpareDescriptors, operations: Operations, dir: Arc<HeldDir>) {
    let (sockets, anew) = mpsc::channel(1);
    let telling = operations.clone();
    let watch = StateWatch {
        dir,
        fleet: Arc::clone(&operations.parts.fleet),
        sockets,
        tell: Box::new(move |event: EventRecord| telling.tell(event)),
    };
    tokio::join!(serve(listener, anew, spare, operations), watch.run());
}
