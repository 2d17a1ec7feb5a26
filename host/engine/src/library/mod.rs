//! All plugins and policies, in numbered generations, and how a change makes the next one.

mod bind;
mod folder;
mod generation;
mod missing;
mod nodes;
mod policies;
mod reload;
mod report;
mod resolve;
mod shelf;
mod versions;
mod watch;
mod writers;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use flyball_documents::{DocumentFaults, DocumentText};
use flyball_model::{ControllerSection, PluginKind, Policy, printable, printable_path};
use flyball_ports::{Judges, Panel, Shadow};
use parking_lot::{Mutex, RwLock};
use tokio::sync::broadcast;

use crate::{Engine, PluginJudge};
use generation::{Bound, Generation};
use nodes::Nodes;
use reload::Reloader;
use report::Past;

pub use nodes::{NodeWorker, WorkerError};
pub use policies::PolicyStatus;
pub use report::{PluginState, PluginStatus, PluginUsage, Reload, ReloadChange, Subject, Trouble};
pub use versions::{Back, Served, Versions, VersionsError};
pub use watch::WatchError;

/// Listeners that fall further behind than this miss reloads; [`Library::reloads`] has them.
const UNHEARD: usize = 64;

/// What a library is made of.
#[derive(Debug, Clone)]
pub struct LibraryOptions {
    /// Runs the plugins.
    pub engine: Engine,
    /// Plugins that come with the host: name and component.
    pub first_party: Vec<(String, Arc<[u8]>)>,
    /// Where plugins lie as `NAME.wasm`; each comes before the first-party plugin of its name.
    pub plugins_dir: Option<PathBuf>,
    /// The policies.
    pub policies: PolicySource,
    /// Where components that served are kept; none: one cannot go back to them.
    pub versions: Option<Versions>,
}

/// Where policies come from.
#[derive(Debug, Clone)]
pub enum PolicySource {
    /// Each `.yaml` and `.yml` file of a directory.
    Dir(PathBuf),
    /// These.
    Text(Vec<DocumentText>),
}

/// A library that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A policy is wrong, or a plugin that it uses is.
    #[error("{0}")]
    Documents(DocumentFaults),
    /// A directory cannot be read.
    #[error("cannot read {path}: {error}", path = printable_path(path))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A policy cannot be read, so nobody knows whom it judges.
    #[error("the policy {file} cannot be read: {why}", file = printable(file))]
    Unread {
        /// Its file's name.
        file: String,
        /// Why.
        why: String,
    },
}

/// All plugins and policies, as they serve now.
pub struct Library {
    engine: Engine,
    serving: RwLock<Arc<Generation>>,
    sessions: Mutex<HashMap<String, Session>>,
    reloader: Mutex<Reloader>,
    past: Mutex<Past>,
    nodes: Nodes,
    tell: broadcast::Sender<Reload>,
    watched: Mutex<bool>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

/// A session that was registered, and its panel. A generation that changes nothing of what judges it leaves it its panel.
struct Session {
    controller: ControllerSection,
    panel: Option<Seated>,
}

/// A panel, and of what it was made.
struct Seated {
    /// When this was last looked at.
    looked: u64,
    bound: Option<Arc<Bound>>,
    panel: Option<Arc<Panel>>,
}

impl Library {
    /// Reads everything for the first time. A plugin file that does not load is an error only if a policy uses it; else
    /// [`Library::status`] shows it.
    ///
    /// # Errors
    ///
    /// A policy is wrong or cannot be read.
    pub fn open(options: LibraryOptions) -> Result<Arc<Self>, OpenError> {
        let (mut reloader, engine) = (Reloader::new(&options), options.engine);
        let first = reloader.first(&engine)?;
        let mut past = Past::default();
        past.used(&first);
        Ok(Arc::new(Self {
            engine,
            serving: RwLock::new(Arc::new(first)),
            sessions: Mutex::default(),
            reloader: Mutex::new(reloader),
            past: Mutex::new(past),
            nodes: Nodes::new(),
            tell: broadcast::channel(UNHEARD).0,
            watched: Mutex::new(false),
        }))
    }

    /// The number of the generation that serves.
    pub fn generation(&self) -> u64 {
        self.serving.read().number
    }

    /// Tells how a session wants to be controlled. Its policy's rules are narrowed by it.
    pub fn register(&self, session: &str, controller: ControllerSection) {
        self.sessions.lock().insert(session.to_owned(), Session { controller, panel: None });
    }

    /// The session is gone.
    pub fn unregister(&self, session: &str) {
        self.sessions.lock().remove(session);
    }

    /// The policies that serve.
    pub fn policies(&self) -> Vec<Policy> {
        self.serving().policies.values().map(|bound| bound.policy.clone()).collect()
    }

    /// Every plugin: what should run, what runs, and why these differ if they do.
    pub fn status(&self) -> Vec<PluginStatus> {
        let mut status = self.reloader.lock().status(&self.serving());
        for one in status.iter_mut().filter(|one| one.kind == Some(PluginKind::Node)) {
            let (quarantined, bills) = self.nodes.fares(&one.name);
            one.quarantined = quarantined;
            one.bills = bills;
        }
        status
    }

    /// What does not load at present, policies too.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.reloader.lock().troubles()
    }

    /// What lies in the directories and looks as if it should be read, and is not: each with its path and why.
    pub fn ignored(&self) -> Vec<String> {
        self.reloader.lock().ignored()
    }

    /// What the calls of each component cost so far, also of those that were replaced meanwhile.
    pub fn usage(&self) -> Vec<PluginUsage> {
        self.past.lock().usage()
    }

    /// The newest reloads, oldest first.
    pub fn reloads(&self) -> Vec<Reload> {
        self.past.lock().reloads()
    }

    /// Each reload from now on, as it happens.
    pub fn subscribe(&self) -> broadcast::Receiver<Reload> {
        self.tell.subscribe()
    }

    /// Looks for changes now, and takes them over. Answers with what happened; none: nothing changed. Blocks for as long
    /// as compiling takes, so it is not for an async thread.
    pub fn refresh(&self) -> Option<Reload> {
        let mut reloader = self.reloader.lock();
        let running = self.serving();
        let sessions = self.registered();
        let (next, reload) = reloader.next(&self.engine, &running, &sessions);
        let mut judged_anew = Vec::new();
        if let Some(next) = next {
            self.past.lock().used(&next);
            judged_anew =
                sessions.into_iter().filter(|session| !running.judges_alike(&next, session)).collect();
            judged_anew.sort_unstable();
            *self.serving.write() = Arc::new(next);
        }
        let reload = Reload { sessions: judged_anew, ..reload? };
        self.past.lock().reloaded(reload.clone());
        // Nobody need listen.
        let _ = self.tell.send(reload.clone());
        Some(reload)
    }

    /// The judges of one kind that the session's policy names under `judges.others`, for whoever asks them: the loop does not.
    pub fn others(&self, session: &str, kind: PluginKind) -> Vec<Arc<PluginJudge>> {
        let bound = self.serving().judges(session);
        bound.and_then(|bound| bound.others.get(&kind).cloned()).unwrap_or_default()
    }

    fn serving(&self) -> Arc<Generation> {
        Arc::clone(&self.serving.read())
    }

    fn registered(&self) -> Vec<String> {
        self.sessions.lock().keys().cloned().collect()
    }
}

impl Judges for Library {
    fn panel(&self, session: &str) -> Option<Arc<Panel>> {
        let generation = self.serving();
        let mut sessions = self.sessions.lock();
        let Some(known) = sessions.get_mut(session) else {
            return generation.judges(session).map(|bound| panel(&bound, &ControllerSection::default()));
        };
        if let Some(seated) = &known.panel
            && seated.looked == generation.number
        {
            return seated.panel.clone();
        }
        let (looked, bound) = (generation.number, generation.judges(session));
        let before = known.panel.take();
        let same = |before: &Seated| match (&before.bound, &bound) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            _ => false,
        };
        let panel = match before.filter(same) {
            Some(before) => before.panel,
            None => bound.as_ref().map(|bound| panel(bound, &known.controller)),
        };
        known.panel = Some(Seated { looked, bound, panel: panel.clone() });
        panel
    }
}

fn panel(bound: &Bound, controller: &ControllerSection) -> Arc<Panel> {
    let Bound { policy, generation, heuristics, catalogs, deciders, shadows, validators, reversers, .. } =
        bound;
    Arc::new(Panel {
        generation: *generation,
        policy: policy.name.as_str().into(),
        rules: flyball_documents::rules(policy, controller),
        heuristics: heuristics.iter().map(|judge| Arc::clone(judge) as _).collect(),
        catalogs: catalogs.iter().map(|judge| Arc::clone(judge) as _).collect(),
        deciders: deciders.iter().map(|turn| turn.map(&|judge| Arc::clone(judge) as _)).collect(),
        shadows: shadows
            .iter()
            .map(|(judge, within)| Shadow { decider: Arc::clone(judge) as _, within: *within })
            .collect(),
        validators: validators.iter().map(|rule| rule.map(&|judge| Arc::clone(judge) as _)).collect(),
        reversers: reversers.iter().map(|judge| Arc::clone(judge) as _).collect(),
    })
}
