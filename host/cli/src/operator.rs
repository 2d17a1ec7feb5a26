//! Answers whoever asks over the control socket: people who look, halt, resume, approve and roll back.
//!
//! It runs on the control thread, which must hear a halt whatever else goes on. So a halt takes no lock that a tick holds and
//! waits for no disk: it holds in memory before anything else, and the journal is told after that (`unjournaled`). What may
//! wait for a tick or ask a plugin is given to the threads of the ticks, and is waited for no longer than [`FOR_A_TICK`].
//!
//! Made by `assembly`, called by `control_socket`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_control::{Controller, Fleet, Undo};
use flyball_engine::Library;
use flyball_model::{Caller, Event, EventRecord, Halt};
use flyball_ports::{Clock, Journal as _, Listener, SystemClock};
use flyball_store::{Recordings, Store};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::args::Judging;
use crate::assembly::{plugin_reports, recordings_report};
use crate::control_socket::{Answers, Request};
use crate::coverage::{Status, Watched};
use crate::unjournaled::{Kept, Unjournaled};

/// How long an answer waits for a tick to end, or for the journal.
const FOR_A_TICK: Duration = Duration::from_secs(20);

pub(crate) struct Operator {
    pub(crate) library: Arc<Library>,
    pub(crate) recordings: Option<Arc<Recordings>>,
    pub(crate) store: Arc<Store>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) controllers: Vec<(String, Arc<Controller>)>,
    /// Where what may take long is done.
    pub(crate) ticks: Handle,
    pub(crate) watched: Vec<Watched>,
    pub(crate) judging: Judging,
}

/// With the halts that the journal has not taken.
#[async_trait]
impl Answers for (Operator, Unjournaled) {
    async fn answer(&self, request: Request, by: Caller) -> Result<Value, String> {
        let (operator, unjournaled) = self;
        operator.answer(request, by, unjournaled).await
    }
}

impl Operator {
    async fn answer(&self, request: Request, by: Caller, unjournaled: &Unjournaled) -> Result<Value, String> {
        match request {
            Request::Status => written(&self.status().await?),
            Request::Plugins => {
                // A reload holds what is looked at for as long as it compiles.
                let library = self.library.clone();
                let reports = self.ticks.spawn_blocking(move || plugin_reports(&library));
                written(&reports.await.map_err(|fault| fault.to_string())?)
            }
            Request::Recordings => written(&self.recordings.as_deref().map(recordings_report)),
            Request::Halt { session, why } => self.halt(session, why, by, unjournaled).await,
            Request::Resume { session, .. } if unjournaled.waits(session.as_deref()) => Err(
                "the halt holds, as the journal has not taken it yet; make room on its disk, and resume then"
                    .to_owned(),
            ),
            Request::Resume { session, why } => self.resume(session, why, by).await,
            Request::Approvals => Ok(self.approvals().await?.into()),
            Request::Approve { id } => {
                let controller = self.asking(&id).await?;
                let approving = async move { controller.approve(&id, Some(by)).await };
                written(&self.soon(approving).await?.map_err(|fault| fault.to_string())?)
            }
            Request::Deny { id, why } => {
                let controller = self.asking(&id).await?;
                let denying = async move { controller.deny(&id, &why, Some(by)).await };
                written(&self.soon(denying).await?.map_err(|fault| fault.to_string())?)
            }
            Request::Rollback { session, count } => {
                let controller = self.controller(session.as_deref())?.clone();
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let undoing = async move { controller.rollback(count, &by.to_string()).await };
                let undone = self.ticks.spawn(undoing).await.map_err(|fault| fault.to_string())?;
                Ok(undone.map_err(|fault| fault.to_string())?.iter().map(undo_answer).collect())
            }
        }
    }
}

fn written<T: serde::Serialize>(answer: &T) -> Result<Value, String> {
    serde_json::to_value(answer).map_err(|fault| fault.to_string())
}

impl Operator {
    fn controller(&self, session: Option<&str>) -> Result<&Arc<Controller>, String> {
        let names: Vec<_> = self.controllers.iter().map(|(name, _)| name.as_str()).collect();
        match (session, self.controllers.as_slice()) {
            (None, [(_, only)]) => Ok(only),
            (None, _) => Err(format!("name one of the sessions with --session: {}", names.join(", "))),
            (Some(name), all) => all
                .iter()
                .find(|(have, _)| have == name)
                .map(|(_, controller)| controller)
                .ok_or_else(|| format!("no session is called {name:?}; there are: {}", names.join(", "))),
        }
    }

    async fn status(&self) -> Result<Status, String> {
        let (library, watched, judging) = (self.library.clone(), self.watched.clone(), self.judging.clone());
        let looking = self.ticks.spawn_blocking(move || Status::of(&library, &watched, &judging));
        let mut status = looking.await.map_err(|fault| fault.to_string())?;
        let halts = self.fleet.halts();
        for (session, controller) in &self.controllers {
            let of_it = |halt: &&Halt| halt.session.as_deref().is_none_or(|halted| halted == session);
            let halted = halts.iter().find(of_it).map(|halt| format!("halted: {}", halt.why));
            let stopped = match halted.or_else(|| self.fleet.suspended()) {
                Some(stopped) => Some(stopped),
                None => {
                    let controller = controller.clone();
                    let frozen = self.soon(async move { controller.frozen().await }).await?;
                    frozen.map(|why| format!("frozen: {why}"))
                }
            };
            if let Some(one) = status.sessions.iter_mut().find(|one| one.session == *session) {
                one.stopped = stopped;
            }
        }
        Ok(status)
    }

    /// A session that runs, or the whole host.
    fn known(&self, session: Option<&str>) -> Result<(), String> {
        session.map_or(Ok(()), |name| self.controller(Some(name)).map(drop))
    }

    /// On the threads of the ticks, and not for ever.
    async fn soon<T: Send + 'static>(
        &self,
        asked: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        match tokio::time::timeout(FOR_A_TICK, self.ticks.spawn(asked)).await {
            Ok(answer) => answer.map_err(|fault| format!("it broke off: {fault}")),
            Err(_) => Err(format!(
                "a session has been in the middle of an action for {} s; ask again, or halt it meanwhile",
                FOR_A_TICK.as_secs()
            )),
        }
    }

    /// Tells whoever listens: they may block on a terminal that nobody reads.
    fn tell(&self, record: EventRecord) {
        let listener = self.listener.clone();
        self.ticks.spawn_blocking(move || listener.event(&record));
    }

    async fn halt(
        &self,
        session: Option<String>,
        why: String,
        by: Caller,
        unjournaled: &Unjournaled,
    ) -> Result<Value, String> {
        self.known(session.as_deref())?;
        let at = SystemClock.now();
        let whose: Option<Arc<str>> = session.as_deref().map(Into::into);
        let under_way = self.fleet.halt(Halt { session: whose.clone(), at, why: why.clone() });
        let event = Event::Halted { why, by: Some(by) };
        let record = EventRecord { at, session: whose, tick: 0, event };
        self.tell(record.clone());
        let (journaled, why_not) = match unjournaled.record(record).await {
            Kept::Journal => (true, None),
            Kept::Reserve(why) => (false, Some(format!("{why}; it is kept beside the journal meanwhile"))),
            Kept::Memory(why) => (
                false,
                Some(format!("{why}; it would not outlive this host, which tries again until it does")),
            ),
        };
        let under_way: Vec<String> =
            under_way.into_iter().map(|(session, what)| format!("{session}: {what}")).collect();
        Ok(json!({ "halted": session, "under_way": under_way, "journaled": journaled, "why_not": why_not }))
    }

    /// Journaled first: a host that acts again must be able to say so.
    async fn resume(&self, session: Option<String>, why: String, by: Caller) -> Result<Value, String> {
        self.known(session.as_deref())?;
        let halted = self.fleet.halts().iter().any(|halt| halt.session.as_deref() == session.as_deref());
        let frozen = match &session {
            Some(name) => {
                let controller = self.controller(Some(name))?.clone();
                self.soon(async move { controller.frozen().await.is_some() }).await?
            }
            None => false,
        };
        if !halted && !frozen {
            let halts: Vec<String> = self.fleet.halts().iter().map(halt_text).collect();
            let rest = if halts.is_empty() { "nothing is halted".to_owned() } else { halts.join("; ") };
            return Err(format!("there is nothing to resume there; {rest}"));
        }
        let event = Event::Resumed { why, by: Some(by) };
        let at = SystemClock.now();
        let record = EventRecord { at, session: session.as_deref().map(Into::into), tick: 0, event };
        let (store, journaled) = (self.store.clone(), record.clone());
        self.soon(async move { store.record(&journaled).await })
            .await?
            .map_err(|fault| format!("the halt holds, as its end cannot be journaled: {fault}"))?;
        self.tell(record);
        self.fleet.resume(session.as_deref());
        if let Some(name) = &session {
            let controller = self.controller(Some(name))?.clone();
            self.soon(async move { controller.thaw().await }).await?;
        }
        Ok(json!({ "resumed": session }))
    }

    async fn approvals(&self) -> Result<Vec<Value>, String> {
        let controllers = self.controllers.clone();
        self.soon(async move {
            let mut standing = Vec::new();
            for (session, controller) in &controllers {
                for approval in controller.approvals().await {
                    standing.push(json!({ "session": session, "approval": approval }));
                }
            }
            standing
        })
        .await
    }

    /// The session in which that question stands.
    async fn asking(&self, id: &str) -> Result<Arc<Controller>, String> {
        let (controllers, wanted) = (self.controllers.clone(), id.to_owned());
        let looking = async move {
            for (_, controller) in controllers {
                if controller.approvals().await.iter().any(|approval| approval.id == wanted) {
                    return Some(controller);
                }
            }
            None
        };
        self.soon(looking).await?.ok_or_else(|| {
            format!(
                "no question {id:?} stands; it was answered or has expired; `flyball approvals` lists those that stand"
            )
        })
    }
}

pub(crate) fn halt_text(halt: &Halt) -> String {
    match &halt.session {
        Some(session) => format!("{session} is halted: {}; `flyball resume {session}` ends it", halt.why),
        None => format!("the host is halted: {}; `flyball resume` ends it", halt.why),
    }
}

fn undo_answer(undo: &Undo) -> Value {
    let result = match &undo.result {
        Ok(done) => {
            let steps: Vec<_> = done.iter().map(|step| step.proposal.action.to_string()).collect();
            format!("undone: {}; the graph is as it was before", steps.join(", "))
        }
        Err(error) => error.to_string(),
    };
    json!({
        "action": undo.action.id,
        "what": undo.action.proposal.action.to_string(),
        "undone": undo.result.is_ok(),
        "result": result,
    })
}
