//! What people ask of a running host: who judges what, halt, resume, approve, undo. Typed questions, typed answers and typed errors,
//! whoever asks: the control socket, an API, a program that embeds the host.
//!
//! A halt must be heard whatever else goes on. So it takes no lock that a tick holds and waits for no disk: it holds in memory
//! before anything else, and the journal is told after that (`unjournaled`). What may wait for a tick or ask a plugin is given to
//! the threads of the ticks, and is waited for no longer than [`FOR_A_TICK`].
//!
//! Made by `host`; called by `socket`, and by whoever has a [`Host`](crate::Host).

use std::sync::Arc;
use std::time::Duration;

use flyball_control::{ApprovalError, Controller, Fleet, Undo};
use flyball_engine::Library;
use flyball_model::{Approval, Caller, Event, EventRecord, Halt, LearnedFilter, StandingChange};
use flyball_ports::{Clock, Journal as _, JournalError, Listener};
use flyball_store::{Recordings, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::library::Folders;
use crate::listeners::Listeners;
use crate::report::{PluginReport, RecordingsReport, plugin_reports, recordings_report};
use crate::session::Sessions;
use crate::status::JudgingStatus;
use crate::unjournaled::{Kept, Unjournaled};

/// How long an answer waits for a tick to end, or for the journal.
const FOR_A_TICK: Duration = Duration::from_secs(20);

/// What may be asked of a host. Copies ask the same host.
#[derive(Clone)]
pub struct Operations {
    pub(crate) parts: Arc<Parts>,
}

/// What the answers are made of.
pub(crate) struct Parts {
    pub(crate) library: Arc<Library>,
    pub(crate) recordings: Option<Arc<Recordings>>,
    pub(crate) store: Arc<Store>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) folders: Folders,
    pub(crate) unjournaled: Unjournaled,
    /// Where what may take long is done.
    pub(crate) ticks: Handle,
}

/// Why something that was asked is not done.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// There are several sessions, and none was named.
    #[error("name one of the sessions with --session: {}", .known.join(", "))]
    NameOne {
        /// Those that there are.
        known: Vec<String>,
    },
    /// There is no such session.
    #[error("no session is called {name:?}; there are: {}", .known.join(", "))]
    NoSession {
        /// The name that was given.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Neither halted nor frozen.
    #[error("there is nothing to resume there; {rest}")]
    NothingToResume {
        /// What is halted instead.
        rest: String,
    },
    /// A halt that the journal does not know yet cannot be ended there.
    #[error("the halt holds, as the journal has not taken it yet; make room on its disk, and resume then")]
    HaltNotJournaled,
    /// The end of a halt must be in the journal before it counts.
    #[error("the halt holds, as its end cannot be journaled: {0}")]
    EndNotJournaled(#[source] JournalError),
    /// What is forgotten must be in the journal before it counts.
    #[error("nothing is forgotten, as that cannot be journaled: {0}")]
    NotForgotten(#[source] JournalError),
    /// There is no such question to people.
    #[error(
        "no question {id:?} stands; it was answered or has expired; `flyball approvals` lists those that stand"
    )]
    NoQuestion {
        /// The name that was given.
        id: String,
    },
    /// The answer to a question does not count.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// What there is to undo cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A tick or the journal does not come to its end.
    #[error(
        "a session has been in the middle of an action for {} s; ask again, or halt it meanwhile", FOR_A_TICK.as_secs()
    )]
    Busy,
    /// The host is ending, or something in it is broken.
    #[error("it broke off: {0}")]
    BrokenOff(String),
}

/// The answer to a halt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Halted {
    /// The session; none: the host.
    pub halted: Option<String>,
    /// What the data planes were doing already, and is not called back: a sentence each.
    pub under_way: Vec<String>,
    /// Whether the journal has it.
    pub journaled: bool,
    /// Why the journal does not have it.
    pub why_not: Option<String>,
}

/// The answer to a resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// The session; none: the host.
    pub resumed: Option<String>,
}

/// The answer to forgetting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgottenCount {
    /// Number of entries that are gone.
    pub forgotten: usize,
}

/// A question to people, and the session in which it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StandingApproval {
    /// The session.
    pub session: String,
    /// The question.
    pub approval: Approval,
}

/// What became of the undo of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Undone {
    /// The action's number in the journal.
    pub action: u64,
    /// What it did.
    pub what: String,
    /// Whether it is undone.
    pub undone: bool,
    /// How, or why not: a sentence.
    pub result: String,
}

impl Operations {
    /// Who judges what.
    ///
    /// # Errors
    ///
    /// A session does not come to the end of its tick.
    pub async fn status(&self) -> Result<JudgingStatus, OperationError> {
        let parts = Arc::clone(&self.parts);
        let looking = self.parts.ticks.spawn_blocking(move || {
            JudgingStatus::of(&parts.library, &parts.sessions.watched(), &parts.folders)
        });
        let mut status = looking.await.map_err(|fault| OperationError::BrokenOff(fault.to_string()))?;
        let halts = self.parts.fleet.halts();
        for one in &mut status.sessions {
            let of_it = |halt: &&Halt| halt.session.as_deref().is_none_or(|halted| halted == one.session);
            let halted = halts.iter().find(of_it).map(|halt| format!("halted: {}", halt.why));
            let halted = halted.or_else(|| self.parts.fleet.suspended());
            // It may have gone meanwhile.
            let Ok(controller) = self.controller(Some(&one.session)) else {
                one.stopped = halted;
                continue;
            };
            let looking = async move { (controller.frozen().await, controller.now().await) };
            let (frozen, now) = self.soon(looking).await?;
            one.stopped = halted.or_else(|| frozen.map(|why| format!("frozen: {why}")));
            one.now = now;
        }
        Ok(status)
    }

    /// Every plugin, and what its calls cost.
    ///
    /// # Errors
    ///
    /// The host is ending.
    pub async fn plugins(&self) -> Result<Vec<PluginReport>, OperationError> {
        // A reload holds what is looked at for as long as it compiles.
        let library = Arc::clone(&self.parts.library);
        let reports = self.parts.ticks.spawn_blocking(move || plugin_reports(&library));
        reports.await.map_err(|fault| OperationError::BrokenOff(fault.to_string()))
    }

    /// What became of the calls that were to be recorded; none: none were to be.
    pub fn recordings(&self) -> Option<RecordingsReport> {
        self.parts.recordings.as_deref().map(recordings_report)
    }

    /// Stops all acting, of this session or of all. When it answers, nothing begins any more.
    ///
    /// # Errors
    ///
    /// There is no such session.
    pub async fn halt(
        &self,
        session: Option<String>,
        why: String,
        by: Caller,
    ) -> Result<Halted, OperationError> {
        self.known(session.as_deref())?;
        let at = self.parts.clock.now();
        let whose: Option<Arc<str>> = session.as_deref().map(Into::into);
        let under_way = self.parts.fleet.halt(Halt { session: whose.clone(), at, why: why.clone() });
        let event = Event::Halted { why, by: Some(by) };
        let record = EventRecord { at, session: whose, tick: 0, event };
        self.tell(record.clone());
        let (journaled, why_not) = match self.parts.unjournaled.record(record).await {
            Kept::Journal => (true, None),
            Kept::Reserve(why) => (false, Some(format!("{why}; it is kept beside the journal meanwhile"))),
            Kept::Memory(why) => (
                false,
                Some(format!("{why}; it would not outlive this host, which tries again until it does")),
            ),
        };
        let under_way = under_way.into_iter().map(|(session, what)| format!("{session}: {what}")).collect();
        Ok(Halted { halted: session, under_way, journaled, why_not })
    }

    /// Lets it act again, after a halt or a freeze. Journaled first: a host that acts again must be able to say so.
    ///
    /// # Errors
    ///
    /// Nothing of that name is halted, or the journal does not take it.
    pub async fn resume(
        &self,
        session: Option<String>,
        why: String,
        by: Caller,
    ) -> Result<Resumed, OperationError> {
        if self.parts.unjournaled.waits(session.as_deref()) {
            return Err(OperationError::HaltNotJournaled);
        }
        self.known(session.as_deref())?;
        let halts = self.parts.fleet.halts();
        let halted = halts.iter().any(|halt| halt.session.as_deref() == session.as_deref());
        let frozen = match &session {
            Some(name) => {
                let controller = self.controller(Some(name))?;
                self.soon(async move { controller.frozen().await.is_some() }).await?
            }
            None => false,
        };
        if !halted && !frozen {
            let halts: Vec<String> = halts.iter().map(halt_text).collect();
            let rest = if halts.is_empty() { "nothing is halted".to_owned() } else { halts.join("; ") };
            return Err(OperationError::NothingToResume { rest });
        }
        let event = Event::Resumed { why, by: Some(by) };
        let at = self.parts.clock.now();
        let record = EventRecord { at, session: session.as_deref().map(Into::into), tick: 0, event };
        let (store, journaled) = (Arc::clone(&self.parts.store), record.clone());
        self.soon(async move { store.record(&journaled).await })
            .await?
            .map_err(OperationError::EndNotJournaled)?;
        self.tell(record);
        self.parts.fleet.resume(session.as_deref());
        if let Some(name) = &session {
            let controller = self.controller(Some(name))?;
            self.soon(async move { controller.thaw().await }).await?;
        }
        Ok(Resumed { resumed: session })
    }

    /// What was done in this session, or in all, and still stands, and what would end it; oldest first.
    ///
    /// # Errors
    ///
    /// There is no such session, or one does not come to the end of its tick.
    pub async fn changes(&self, session: Option<&str>) -> Result<Vec<StandingChange>, OperationError> {
        let controllers = match session {
            Some(name) => vec![self.controller(Some(name))?],
            None => self.parts.sessions.controllers().into_iter().map(|(_, controller)| controller).collect(),
        };
        self.soon(async move {
            let mut standing = Vec::new();
            for controller in controllers {
                standing.extend(controller.changes().await);
            }
            standing
        })
        .await
    }

    /// The questions to people that stand.
    ///
    /// # Errors
    ///
    /// A session does not come to the end of its tick.
    pub async fn approvals(&self) -> Result<Vec<StandingApproval>, OperationError> {
        let controllers = self.parts.sessions.controllers();
        self.soon(async move {
            let mut standing = Vec::new();
            for (session, controller) in controllers {
                for approval in controller.approvals().await {
                    standing.push(StandingApproval { session: session.clone(), approval });
                }
            }
            standing
        })
        .await
    }

    /// A person says yes. It is done on the next tick, if everything still allows it.
    ///
    /// # Errors
    ///
    /// No such question stands, or the answer cannot be journaled.
    pub async fn approve(&self, id: &str, by: Caller) -> Result<Approval, OperationError> {
        let (controller, id) = (self.asking(id).await?, id.to_owned());
        Ok(self.soon(async move { controller.approve(&id, Some(by)).await }).await??)
    }

    /// A person says no.
    ///
    /// # Errors
    ///
    /// No such question stands, or the answer cannot be journaled.
    pub async fn deny(&self, id: &str, why: &str, by: Caller) -> Result<Approval, OperationError> {
        let controller = self.asking(id).await?;
        let (id, why) = (id.to_owned(), why.to_owned());
        Ok(self.soon(async move { controller.deny(&id, &why, Some(by)).await }).await??)
    }

    /// Undoes the newest `count` actions of this session; none: of the only one. What became of each, newest first. It may take
    /// as long as the data plane takes.
    ///
    /// # Errors
    ///
    /// There is no such session, or the journal cannot be read.
    pub async fn rollback(
        &self,
        session: Option<&str>,
        count: usize,
        by: Caller,
    ) -> Result<Vec<Undone>, OperationError> {
        let controller = self.controller(session)?;
        let undoing = async move { controller.rollback(count, &by.to_string()).await };
        let undone = self.parts.ticks.spawn(undoing).await;
        let undone = undone.map_err(|fault| OperationError::BrokenOff(fault.to_string()))??;
        Ok(undone.iter().map(Undone::of).collect())
    }

    /// Forgets what was learnt of actions, or some of it. Journaled first: it must be forgotten after a restart, too.
    ///
    /// # Errors
    ///
    /// The journal does not take it.
    pub async fn forget(&self, learned: LearnedFilter, by: Caller) -> Result<ForgottenCount, OperationError> {
        let event = Event::Forgotten { learned: learned.clone(), by: Some(by) };
        let record = EventRecord { at: self.parts.clock.now(), session: None, tick: 0, event };
        let (store, journaled) = (Arc::clone(&self.parts.store), record.clone());
        self.soon(async move { store.record(&journaled).await })
            .await?
            .map_err(OperationError::NotForgotten)?;
        let forgotten = self.parts.fleet.forget(&learned);
        self.tell(record);
        Ok(ForgottenCount { forgotten })
    }

    fn controller(&self, session: Option<&str>) -> Result<Arc<Controller>, OperationError> {
        let controllers = self.parts.sessions.controllers();
        let known = || controllers.iter().map(|(name, _)| name.clone()).collect();
        match (session, controllers.as_slice()) {
            (None, [(_, only)]) => Ok(Arc::clone(only)),
            (None, _) => Err(OperationError::NameOne { known: known() }),
            (Some(name), all) => all
                .iter()
                .find(|(have, _)| have == name)
                .map(|(_, controller)| Arc::clone(controller))
                .ok_or_else(|| OperationError::NoSession { name: name.to_owned(), known: known() }),
        }
    }

    /// A session that runs, or the whole host.
    fn known(&self, session: Option<&str>) -> Result<(), OperationError> {
        session.map_or(Ok(()), |name| self.controller(Some(name)).map(drop))
    }

    /// On the threads of the ticks, and not for ever.
    async fn soon<T: Send + 'static>(
        &self,
        asked: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, OperationError> {
        match tokio::time::timeout(FOR_A_TICK, self.parts.ticks.spawn(asked)).await {
            Ok(answer) => answer.map_err(|fault| OperationError::BrokenOff(fault.to_string())),
            Err(_) => Err(OperationError::Busy),
        }
    }

    /// Tells whoever listens: the event log at once, so that its order is that of what happened; the others take locks that ticks
    /// take too, and are told beside.
    pub(crate) fn tell(&self, record: EventRecord) {
        let listeners = Arc::clone(&self.parts.listeners);
        if let Some(log) = listeners.log() {
            log.event(&record);
        }
        self.parts.ticks.spawn_blocking(move || listeners.others().for_each(|other| other.event(&record)));
    }

    /// The session in which that question stands.
    async fn asking(&self, id: &str) -> Result<Arc<Controller>, OperationError> {
        let (controllers, wanted) = (self.parts.sessions.controllers(), id.to_owned());
        let looking = async move {
            for (_, controller) in controllers {
                if controller.approvals().await.iter().any(|approval| approval.id == wanted) {
                    return Some(controller);
                }
            }
            None
        };
        self.soon(looking).await?.ok_or_else(|| OperationError::NoQuestion { id: id.to_owned() })
    }
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

/// That something is halted, and what ends it.
pub fn halt_text(halt: &Halt) -> String {
    match &halt.session {
        Some(session) => format!("{session} is halted: {}; `flyball resume {session}` ends it", halt.why),
        None => format!("the host is halted: {}; `flyball resume` ends it", halt.why),
    }
}

impl Undone {
    fn of(undo: &Undo) -> Self {
        let result = match &undo.result {
            Ok(done) => {
                let steps: Vec<_> = done.iter().map(|step| step.proposal.action.to_string()).collect();
                format!("undone: {}; the graph is as it was before", steps.join(", "))
            }
            Err(error) => error.to_string(),
        };
        Self {
            action: undo.action.id,
            what: undo.action.proposal.action.to_string(),
            undone: undo.result.is_ok(),
            result,
        }
    }
}
