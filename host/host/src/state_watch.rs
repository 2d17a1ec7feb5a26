//! Looks now and then whether the host can still be reached and still has its journal. Where the state directory or the journal
//! is gone or another one, nobody could halt the host and nothing that it does would be on record, so it stops acting and
//! says so; it acts again when they are back. A control socket that was removed is made anew, and the host stops acting until
//! it is.
//!
//! Started by `hearing` on the control thread; ends when it is aborted.

use std::sync::Arc;
use std::time::Duration;

use flyball_control::Fleet;
use flyball_model::{Event, EventRecord, Notice, printable_path};
use flyball_ports::{Clock, SystemClock};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use crate::error::{HostError, told};
use crate::socket::listen_in;
use crate::state_dir::{HeldDir, Look};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// What a watch needs.
pub(crate) struct StateWatch {
    pub(crate) dir: Arc<HeldDir>,
    pub(crate) fleet: Arc<Fleet>,
    /// Takes each socket that is made anew.
    pub(crate) sockets: mpsc::Sender<UnixListener>,
    /// Is told what happened; must not block.
    pub(crate) tell: Box<dyn Fn(EventRecord) + Send + Sync>,
}

impl StateWatch {
    /// Until it is aborted.
    pub(crate) async fn run(self) {
        let journal = self.dir.journal();
        let mut socket = self.dir.socket_now();
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let dir = self.dir.clone();
            // A file system that does not answer must not keep the control thread.
            let looked = tokio::task::spawn_blocking(move || dir.look(journal, socket)).await;
            match looked {
                Ok(Look::Whole) => self.whole(),
                Ok(Look::NoSocket) => {
                    self.lost("the control socket was removed");
                    match self.anew().await {
                        Ok(()) => socket = self.dir.socket_now(),
                        Err(error) => tracing::error!(error = told(&error), "no new control socket"),
                    }
                }
                Ok(Look::Lost(why)) => self.lost(&why),
                Err(error) => tracing::error!(%error, "the state directory was not looked at"),
            }
        }
    }

    fn lost(&self, what: &str) {
        let why = format!(
            "{what}: nobody could halt this host, or its journal is lost, so it acts no more until that is back"
        );
        if self.fleet.suspend(Some(why.clone())) {
            tracing::error!("{why}");
            self.notify(why);
        }
    }

    fn whole(&self) {
        if self.fleet.suspend(None) {
            self.notify(format!(
                "the state directory {} and what is in it are there again: the host acts again",
                printable_path(self.dir.path())
            ));
        }
    }

    async fn anew(&self) -> Result<(), HostError> {
        let listener = listen_in(&self.dir.reach()?)?;
        // Whoever should take it is gone only with the host.
        let _ = self.sockets.send(listener).await;
        Ok(())
    }

    fn notify(&self, message: String) {
        let event = Event::Notified(Notice { code: "state-directory".to_owned(), message });
        (self.tell)(EventRecord { at: SystemClock.now(), session: None, tick: 0, event });
    }
}
