//! One look for changes: read everything, load what is new, see what fits together.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_documents::{DocumentFaults, DocumentText, locate};
use flyball_model::{Problem, UnixMillis, printable_path};
use flyball_ports::{Clock, SystemClock};

use super::bind::Candidate;
use super::folder::{Folder, Found, Holds, Scan};
use super::generation::{Generation, Seal, Serving};
use super::missing::{Kept, kept, older};
use super::report::{PluginState, PluginStatus, Reload, ReloadChange, Subject, Trouble};
use super::resolve::{Wanted, note, resolve};
use super::shelf::{self, Shelf};
use super::versions::Versions;
use super::writers::Writing;
use super::{LibraryOptions, OpenError, PolicySource};
use crate::engine::digest_of;
use crate::stage::{Stage, Stopwatch};
use crate::{CallStatistics, Description, Engine, LoadError, Plugin};

/// What makes generations.
pub(super) struct Reloader {
    first_party: BTreeMap<String, (Arc<str>, Arc<[u8]>)>,
    plugins: Option<Folder>,
    policies: Policies,
    versions: Option<Versions>,
    shelf: Shelf,
    desired: BTreeMap<String, (Arc<str>, Option<PathBuf>)>,
    /// By plugin, what its file holds and a person went back from.
    passed_over: BTreeMap<String, Arc<str>>,
    troubles: BTreeMap<Subject, Trouble>,
}

enum Policies {
    Folder(Box<Folder>),
    Texts(BTreeMap<String, (Arc<str>, DocumentText)>),
}

/// What a plugin's name stands for on disk or in the host.
struct Offered {
    digest: Arc<str>,
    bytes: Arc<[u8]>,
    path: Option<PathBuf>,
    seal: Seal,
}

struct Read {
    plugins: BTreeMap<String, Offered>,
    policies: BTreeMap<String, (Arc<str>, DocumentText)>,
    /// By plugin, why its file is not read now; what was last read of it stands among the plugins.
    unread_plugins: BTreeMap<String, String>,
    /// By file, the same.
    unread_policies: BTreeMap<String, String>,
    /// Why a directory cannot be read; it is as if nothing in it had changed.
    missing_plugins: Option<String>,
    missing_policies: Option<String>,
}

impl Reloader {
    pub(super) fn new(options: &LibraryOptions) -> Self {
        Self {
            first_party: options
                .first_party
                .iter()
                .map(|(name, bytes)| (name.clone(), (digest_of(bytes), Arc::clone(bytes))))
                .collect(),
            plugins: options.plugins_dir.as_deref().map(|path| Folder::new(path, Holds::Plugins)),
            policies: match &options.policies {
                PolicySource::Dir(path) => Policies::Folder(Box::new(Folder::new(path, Holds::Policies))),
                PolicySource::Text(texts) => Policies::Texts(
                    texts
                        .iter()
                        .map(|text| (text.name.clone(), (digest_of(text.text.as_bytes()), text.clone())))
                        .collect(),
                ),
            },
            versions: options.versions.clone(),
            shelf: Shelf::default(),
            desired: BTreeMap::new(),
            passed_over: BTreeMap::new(),
            troubles: BTreeMap::new(),
        }
    }

    /// The directories to watch.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let policies = match &self.policies {
            Policies::Folder(folder) => Some(&**folder),
            Policies::Texts(_) => None,
        };
        let folders = policies.into_iter().chain(&self.plugins).map(|folder| folder.path.clone());
        folders.chain(self.versions.as_ref().map(|versions| versions.dir().to_owned())).collect()
    }

    fn each_folder(&mut self) -> impl Iterator<Item = &mut Folder> {
        let policies = match &mut self.policies {
            Policies::Folder(folder) => Some(&mut **folder),
            Policies::Texts(_) => None,
        };
        policies.into_iter().chain(&mut self.plugins)
    }

    /// Lets the folders know what the watch sees, and has files rest before they are taken.
    pub(super) fn let_rest(&mut self, rest: Duration, writing: &Writing) {
        for folder in self.each_folder() {
            folder.rest = rest;
            folder.writing = writing.clone();
        }
    }

    /// Whether some file changed and is not taken yet.
    pub(super) fn is_restless(&mut self) -> bool {
        self.each_folder().any(|folder| folder.is_restless())
    }

    /// What lies in the directories and looks as if it should be read, and is not.
    pub(super) fn ignored(&mut self) -> Vec<String> {
        self.each_folder().flat_map(|folder| folder.ignored().collect::<Vec<_>>()).collect()
    }

    /// The first generation. What is wrong with a policy is an error here, as there is nothing to go on with.
    pub(super) fn first(&mut self, engine: &Engine) -> Result<Generation, OpenError> {
        if let Policies::Folder(folder) = &self.policies {
            std::fs::read_dir(&folder.path)
                .map_err(|error| OpenError::Unreadable { path: folder.path.clone(), error })?;
        }
        let read = self.read_whole();
        if let Some((file, why)) = read.unread_policies.first_key_value() {
            return Err(OpenError::Unread { file: file.clone(), why: why.clone() });
        }
        for (digest, source) in read.policies.values() {
            self.shelf.policy(source, digest).map_err(OpenError::Documents)?;
        }
        let none = Generation { plugins: self.remembered(engine, &read), ..Generation::default() };
        let sources: BTreeMap<String, DocumentText> =
            read.policies.iter().map(|(file, (_, source))| (file.clone(), source.clone())).collect();
        let mut troubles = BTreeMap::new();
        let watch = &mut Stopwatch::start(Stage::Verify);
        let wanted = self.load(engine, &none, read, &mut troubles, watch);
        for candidate in wanted.policies.values() {
            super::bind::bind(candidate, &wanted.plugins, &wanted.unloadable, 1, watch)
                .map_err(|unbound| OpenError::Documents(unbound.faults))?;
        }
        let first = resolve(wanted, &none, &[], &mut troubles, watch);
        for trouble in troubles.values() {
            if let Subject::Policy(file) = &trouble.subject
                && let Some(source) = sources.get(file)
            {
                return Err(OpenError::Documents(restated(source, trouble)));
            }
        }
        self.note_gone(&first, &mut troubles);
        self.troubles = troubles;
        self.serves(&first);
        Ok(first)
    }

    /// The generation after `running`, if anything is otherwise, and what there is to tell.
    pub(super) fn next(
        &mut self,
        engine: &Engine,
        running: &Generation,
        sessions: &[String],
    ) -> (Option<Generation>, Option<Reload>) {
        let (at, begun) = (SystemClock.now(), Instant::now());
        let mut watch = Stopwatch::start(Stage::Read);
        let read = self.read();
        let mut troubles = BTreeMap::new();
        let wanted = self.load(engine, running, read, &mut troubles, &mut watch);
        let next = resolve(wanted, running, sessions, &mut troubles, &mut watch);
        let new_troubles: Vec<Trouble> = troubles
            .values()
            .filter(|trouble| self.troubles.get(&trouble.subject) != Some(trouble))
            .cloned()
            .collect();
        self.troubles = troubles;
        let next = next.differs(running).then_some(next);
        self.forget(next.as_ref().unwrap_or(running));
        if next.is_none() && new_troubles.is_empty() {
            return (None, None);
        }
        self.serves(next.as_ref().unwrap_or(running));
        let stages = watch.stop();
        let reload = told(at, running, next.as_ref(), new_troubles, stages, begun.elapsed());
        (next, Some(reload))
    }

    /// Policies that judged when a host last ran here and are not there any more. It is told once.
    fn note_gone(&self, first: &Generation, troubles: &mut BTreeMap<Subject, Trouble>) {
        let (Some(versions), Policies::Folder(folder)) = (&self.versions, &self.policies) else { return };
        for file in versions.policies().into_keys().filter(|file| !first.policies.contains_key(file)) {
            let path = folder.path.join(&file);
            let error = format!("it judged when a host last ran here, and {} is gone", printable_path(&path));
            note(troubles, Subject::Policy(file), None, Stage::Read, error);
        }
    }

    /// What is there once nobody writes it any more, or what there is when that takes too long.
    fn read_whole(&mut self) -> Read {
        const PATIENCE: u32 = 50;
        const PAUSE: Duration = Duration::from_millis(100);
        let mut read = self.read();
        for _ in 0..PATIENCE {
            if !self.is_restless() {
                return read;
            }
            std::thread::sleep(PAUSE);
            read = self.read();
        }
        if let Policies::Folder(folder) = &self.policies {
            for path in folder.restless() {
                let why = "it is still being written; write it beside its place and rename it".to_owned();
                read.unread_policies.insert(path, why);
            }
        }
        read
    }

    /// What served when a host last ran here, of the plugins whose file holds something else now, or nothing.
    fn remembered(&mut self, engine: &Engine, read: &Read) -> BTreeMap<String, Serving> {
        let Some(versions) = self.versions.clone() else { return BTreeMap::new() };
        let Some(folder) = self.plugins.as_ref().map(|folder| folder.path.clone()) else {
            return BTreeMap::new();
        };
        let watch = &mut Stopwatch::start(Stage::Read);
        let mut remembered = BTreeMap::new();
        for name in versions.names() {
            let Some(served) = versions.of(&name).filter(|served| served.from_file) else { continue };
            let same = |offered: &Offered| offered.path.is_some() && offered.digest == served.running;
            if read.plugins.get(&name).is_some_and(same) {
                continue;
            }
            let Some(bytes) = versions.component(&served.running) else { continue };
            let bytes: Arc<[u8]> = bytes.into();
            match self.shelf.plugin(engine, &served.running, &bytes, watch) {
                Ok(plugin) => {
                    let seal = versions.signature(&served.running).map_or(Seal::None, Seal::Signature);
                    let path = Some(folder.join(format!("{name}.wasm")));
                    remembered.insert(name, Serving { plugin, path, bytes, seal });
                }
                Err(error) => {
                    tracing::warn!(plugin = name, %error, "the version that served last does not load any more");
                }
            }
        }
        remembered
    }

    fn read(&mut self) -> Read {
        let mut plugins: BTreeMap<String, Offered> = self
            .first_party
            .iter()
            .map(|(name, (digest, bytes))| {
                let (digest, bytes) = (Arc::clone(digest), Arc::clone(bytes));
                (name.clone(), Offered { digest, bytes, path: None, seal: Seal::Host })
            })
            .collect();
        let (scan, missing_plugins) = scanned(self.plugins.as_mut());
        let named = |file: &str| file.strip_suffix(".wasm").unwrap_or(file).to_owned();
        let unread_plugins = scan.unread.into_iter().map(|(file, why)| (named(&file), why)).collect();
        for (file, Found { path, digest, bytes, signature }) in scan.found {
            let name = named(&file);
            let seal = signature.map_or(Seal::None, Seal::Signature);
            plugins.insert(name, Offered { digest, bytes, path: Some(path), seal });
        }
        self.passed_over.clear();
        for (name, offered) in &mut plugins {
            self.go_back(name, offered);
        }
        let (policies, unread_policies, missing_policies) = match &mut self.policies {
            Policies::Texts(texts) => (texts.clone(), BTreeMap::new(), None),
            Policies::Folder(folder) => {
                let (scan, missing) = scanned(Some(folder));
                let policy = |(file, found): (String, Found)| {
                    let source = shelf::source(&found);
                    (file, (found.digest, source))
                };
                (scan.found.into_iter().map(policy).collect(), scan.unread, missing)
            }
        };
        Read { plugins, policies, unread_plugins, unread_policies, missing_plugins, missing_policies }
    }

    /// Takes the version that a person went back to, as long as the file holds what he went back from.
    fn go_back(&mut self, name: &str, offered: &mut Offered) {
        let Some(versions) = &self.versions else { return };
        let Some(back) = versions.back(name) else { return };
        if back.over != offered.digest {
            // What is newer than what he went back from serves as usual.
            versions.overtaken(name);
            return;
        }
        match versions.component(&back.to) {
            Some(bytes) => {
                self.passed_over.insert(name.to_owned(), back.over);
                offered.digest = back.to;
                offered.bytes = bytes.into();
                offered.seal = match self.first_party.get(name) {
                    Some((digest, _)) if *digest == offered.digest => Seal::Host,
                    _ => versions.signature(&offered.digest).map_or(Seal::None, Seal::Signature),
                };
            }
            None => {
                tracing::warn!(plugin = name, version = %back.to, "the version that was gone back to is not kept")
            }
        }
    }

    /// Keeps what serves, so that one can go back to it.
    fn serves(&self, generation: &Generation) {
        let Some(versions) = &self.versions else { return };
        for (name, serving) in &generation.plugins {
            let running = serving.digest();
            let offered = self.passed_over.get(name).or(self.desired.get(name).map(|(digest, _)| digest));
            if let Err(error) = versions.serves(name, offered.unwrap_or(running), running, serving) {
                tracing::warn!(plugin = name, %error, "the version that serves is not kept");
            }
        }
        if let Policies::Folder(_) = &self.policies {
            let policies = generation.policies.iter();
            let policies = policies.map(|(file, bound)| (file.clone(), Arc::clone(&bound.digest))).collect();
            if let Err(error) = versions.judge(&policies) {
                tracing::warn!(%error, "which policies judge is not kept");
            }
        }
    }

    fn load(
        &mut self,
        engine: &Engine,
        running: &Generation,
        read: Read,
        troubles: &mut BTreeMap<Subject, Trouble>,
        watch: &mut Stopwatch,
    ) -> Wanted {
        watch.at(Stage::Verify);
        let policies = self.candidates(running, &read, troubles);
        self.desired = read
            .plugins
            .iter()
            .map(|(name, one)| (name.clone(), (Arc::clone(&one.digest), one.path.clone())))
            .collect();
        let (mut plugins, mut unloadable) = (BTreeMap::new(), BTreeMap::new());
        for (name, why) in &read.unread_plugins {
            note(troubles, Subject::Plugin(name.clone()), None, Stage::Read, why.clone());
        }
        for (name, before) in &running.plugins {
            let file = read.plugins.get(name).map(|offered| offered.path.as_deref());
            let unread = read.missing_plugins.as_ref().or(read.unread_plugins.get(name));
            match kept(name, before, file, unread, &policies) {
                Kept::No => {}
                Kept::Told(why) => {
                    note(troubles, Subject::Plugin(name.clone()), None, Stage::Read, why);
                    plugins.insert(name.clone(), before.clone());
                }
            }
        }
        for (name, offered) in &read.plugins {
            if plugins.contains_key(name) {
                continue;
            }
            let before = running.plugins.get(name);
            let loaded = self.shelf.plugin(engine, &offered.digest, &offered.bytes, watch);
            let loaded = loaded.and_then(|plugin| fitting(name, plugin, before));
            let loaded = loaded.and_then(|plugin| hold_if_new_grants(name, plugin, before, &policies));
            let went_back = self.passed_over.contains_key(name);
            match loaded.and_then(|plugin| older(name, plugin, before, went_back, &policies)) {
                Ok(plugin) => {
                    let (path, bytes) = (offered.path.clone(), Arc::clone(&offered.bytes));
                    let seal = offered.seal.clone();
                    plugins.insert(name.clone(), Serving { plugin, path, bytes, seal });
                }
                Err(error) => {
                    let subject = Subject::Plugin(name.clone());
                    let place = offered.path.as_ref().map(|path| format!("{}: ", printable_path(path)));
                    let message = format!("{}{error}", place.unwrap_or_default());
                    note(troubles, subject, Some(Arc::clone(&offered.digest)), error.stage(), message);
                    match before {
                        Some(before) => drop(plugins.insert(name.clone(), before.clone())),
                        None => drop(unloadable.insert(name.clone(), error)),
                    }
                }
            }
        }
        Wanted { plugins, policies, unloadable }
    }

    fn candidates(
        &mut self,
        running: &Generation,
        read: &Read,
        troubles: &mut BTreeMap<Subject, Trouble>,
    ) -> BTreeMap<String, Candidate> {
        let serving = |file: &String| {
            running.policies.get(file).map(|bound| Candidate {
                source: bound.source.clone(),
                digest: Arc::clone(&bound.digest),
                policy: bound.policy.clone(),
            })
        };
        let mut candidates = BTreeMap::new();
        for (file, (digest, source)) in &read.policies {
            let candidate = match self.shelf.policy(source, digest) {
                Ok(policy) => Some(Candidate { source: source.clone(), digest: Arc::clone(digest), policy }),
                Err(faults) => {
                    let subject = Subject::Policy(file.clone());
                    note(troubles, subject, Some(Arc::clone(digest)), Stage::Verify, faults.to_string());
                    serving(file)
                }
            };
            candidates.extend(candidate.map(|candidate| (file.clone(), candidate)));
        }
        for (file, why) in &read.unread_policies {
            note(troubles, Subject::Policy(file.clone()), None, Stage::Read, why.clone());
            // It is among what was read if it was ever read, and that may not have been good.
            if !candidates.contains_key(file) {
                candidates.extend(serving(file).map(|candidate| (file.clone(), candidate)));
            }
        }
        if let Some(why) = &read.missing_policies {
            for file in running.policies.keys() {
                note(troubles, Subject::Policy(file.clone()), None, Stage::Read, why.clone());
                candidates.extend(serving(file).map(|candidate| (file.clone(), candidate)));
            }
        }
        candidates
    }

    fn forget(&mut self, serving: &Generation) {
        let mut needed: HashSet<Arc<str>> =
            self.desired.values().map(|(digest, _)| Arc::clone(digest)).collect();
        needed.extend(serving.plugins.values().map(|one| Arc::clone(one.digest())));
        needed.extend(serving.policies.values().map(|bound| Arc::clone(&bound.digest)));
        needed.extend(self.troubles.values().filter_map(|trouble| trouble.desired.clone()));
        self.shelf.keep(|digest| needed.contains(digest));
    }

    pub(super) fn troubles(&self) -> Vec<Trouble> {
        self.troubles.values().cloned().collect()
    }

    pub(super) fn status(&self, serving: &Generation) -> Vec<PluginStatus> {
        let troubled = self.troubles.keys().filter_map(|subject| match subject {
            Subject::Plugin(name) => Some(name),
            Subject::Policy(_) => None,
        });
        let mut names: Vec<&String> =
            self.desired.keys().chain(serving.plugins.keys()).chain(troubled).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| self.status_of(name, serving)).collect()
    }

    fn status_of(&self, name: &str, serving: &Generation) -> PluginStatus {
        let running = serving.plugins.get(name);
        let trouble = self.troubles.get(&Subject::Plugin(name.to_owned()));
        let desired = self.desired.get(name);
        let plugin = running.map(|running| &running.plugin);
        PluginStatus {
            name: name.to_owned(),
            kind: plugin.map(|plugin| plugin.kind()),
            version: plugin.map(|plugin| Arc::clone(&plugin.id().version)),
            desired: desired.map(|(digest, _)| Arc::clone(digest)),
            running: plugin.map(|plugin| Arc::clone(&plugin.id().digest)),
            state: match (running, trouble) {
                (None, _) => PluginState::Failed,
                (Some(_), Some(_)) => PluginState::HeldBack,
                (Some(_), None) => PluginState::Running,
            },
            stage: trouble.map(|trouble| trouble.stage),
            error: trouble.map(|trouble| trouble.error.clone()),
            quarantined: serving.quarantined(name),
            bills: serving.bills(name),
            passed_over: self.passed_over.get(name).cloned(),
            path: desired.map_or_else(|| running.and_then(|one| one.path.clone()), |(_, path)| path.clone()),
            figures: plugin.map_or_else(CallStatistics::default, |plugin| plugin.stats().figures()),
        }
    }
}

fn fitting(name: &str, plugin: Arc<Plugin>, before: Option<&Serving>) -> Result<Arc<Plugin>, LoadError> {
    if &*plugin.id().name != name {
        return Err(LoadError::OtherName {
            described: plugin.id().name.to_string(),
            file: format!("{name}.wasm"),
        });
    }
    match before.map(|before| before.plugin.kind()) {
        Some(running) if running != plugin.kind() => {
            Err(LoadError::OtherKind { found: plugin.kind(), running })
        }
        _ => Ok(plugin),
    }
}

/// Holds a version that wants more than the one that runs, until every policy that uses it grants that.
fn hold_if_new_grants(
    name: &str,
    plugin: Arc<Plugin>,
    before: Option<&Serving>,
    policies: &BTreeMap<String, Candidate>,
) -> Result<Arc<Plugin>, LoadError> {
    let Some(before) = before.map(|before| before.plugin.description()) else { return Ok(plugin) };
    let wants = |description: &Description| -> Vec<String> {
        description.wants.iter().map(|(grant, _)| grant.clone()).collect()
    };
    let running = wants(before);
    let lacking = |grant: &String| {
        policies
            .values()
            .flat_map(|candidate| candidate.policy.judges.all())
            .any(|used| used.plugin == name && !used.grants.names().any(|granted| granted == grant.as_str()))
    };
    let more: Vec<String> = wants(plugin.description())
        .into_iter()
        .filter(|grant| !running.contains(grant) && lacking(grant))
        .collect();
    if more.is_empty() { Ok(plugin) } else { Err(LoadError::MoreGrants { running, more }) }
}

/// A trouble of the whole that was found when everything was put together.
fn restated(source: &DocumentText, trouble: &Trouble) -> DocumentFaults {
    locate(source, vec![Problem::new("", trouble.error.clone())])
}

fn told(
    at: UnixMillis,
    running: &Generation,
    next: Option<&Generation>,
    troubles: Vec<Trouble>,
    stages: Vec<(Stage, Duration)>,
    took: Duration,
) -> Reload {
    let mut changes = Vec::new();
    if let Some(next) = next {
        let before = digests(running);
        let after = digests(next);
        let mut subjects: Vec<&Subject> = before.keys().chain(after.keys()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        for subject in subjects {
            let (from, to) = (before.get(subject).cloned(), after.get(subject).cloned());
            if from != to || resealed(subject, running, next) {
                let from_version = version(subject, running);
                let to_version = version(subject, next);
                changes.push(ReloadChange { subject: subject.clone(), from, to, from_version, to_version });
            }
        }
    }
    Reload {
        sessions: Vec::new(),
        at,
        changes,
        troubles,
        from: running.number,
        generation: next.map(|next| next.number),
        stages,
        took,
    }
}

/// What vouches for a plugin changed.
fn resealed(subject: &Subject, running: &Generation, next: &Generation) -> bool {
    let Subject::Plugin(name) = subject else { return false };
    let seal = |generation: &Generation| generation.plugins.get(name).and_then(Serving::seal_of_node);
    seal(running) != seal(next)
}

fn version(subject: &Subject, generation: &Generation) -> Option<Arc<str>> {
    let Subject::Plugin(name) = subject else { return None };
    generation.plugins.get(name).map(|serving| Arc::clone(&serving.plugin.id().version))
}

/// What a look at a directory found, or why it cannot be looked at.
fn scanned(folder: Option<&mut Folder>) -> (Scan, Option<String>) {
    match folder.map(Folder::scan) {
        None => (Scan::default(), None),
        Some(Ok(scan)) => (scan, None),
        Some(Err(why)) => (Scan::default(), Some(why)),
    }
}

fn digests(generation: &Generation) -> BTreeMap<Subject, Arc<str>> {
    let plugins = generation
        .plugins
        .iter()
        .map(|(name, serving)| (Subject::Plugin(name.clone()), Arc::clone(serving.digest())));
    let policies = generation
        .policies
        .iter()
        .map(|(file, bound)| (Subject::Policy(file.clone()), Arc::clone(&bound.digest)));
    plugins.chain(policies).collect()
}
