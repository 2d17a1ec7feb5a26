//! One look for changes: read everything, load what is new, see what fits together.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_control::ports::{Clock, SystemClock};
use flyball_documents::{Faults, Source, locate};
use flyball_model::{Problem, UnixMillis};

use super::bind::Candidate;
use super::folder::{Folder, Found};
use super::generation::{Generation, Seal, Serving};
use super::report::{Change, PluginState, PluginStatus, Reload, Subject, Trouble};
use super::resolve::{Wanted, note, resolve};
use super::shelf::{self, Shelf};
use super::versions::Versions;
use super::{LibraryOptions, OpenError, PolicySource};
use crate::engine::digest_of;
use crate::stage::{Stage, Stopwatch};
use crate::{Description, Engine, Figures, LoadError, Plugin};

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
    Folder(Folder),
    Texts(BTreeMap<String, (Arc<str>, Source)>),
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
    policies: BTreeMap<String, (Arc<str>, Source)>,
    /// A directory that is not there now; it is as if nothing in it had changed.
    missing_plugins: bool,
    missing_policies: bool,
}

impl Reloader {
    pub(super) fn new(options: &LibraryOptions) -> Self {
        Self {
            first_party: options
                .first_party
                .iter()
                .map(|(name, bytes)| (name.clone(), (digest_of(bytes), Arc::clone(bytes))))
                .collect(),
            plugins: options.plugins_dir.as_deref().map(|path| Folder::new(path, &["wasm"])),
            policies: match &options.policies {
                PolicySource::Dir(path) => Policies::Folder(Folder::new(path, &["yaml", "yml"])),
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
            Policies::Folder(folder) => Some(folder),
            Policies::Texts(_) => None,
        };
        let folders = policies.into_iter().chain(&self.plugins).map(|folder| folder.path.clone());
        folders.chain(self.versions.as_ref().map(|versions| versions.dir().to_owned())).collect()
    }

    /// The first generation. What is wrong with a policy is an error here, as there is nothing to go on with.
    pub(super) fn first(&mut self, engine: &Engine) -> Result<Generation, OpenError> {
        if let Policies::Folder(folder) = &self.policies {
            std::fs::read_dir(&folder.path)
                .map_err(|error| OpenError::Unreadable { path: folder.path.clone(), error })?;
        }
        let none = Generation::default();
        let read = self.read();
        for (digest, source) in read.policies.values() {
            self.shelf.policy(source, digest).map_err(OpenError::Documents)?;
        }
        let sources: BTreeMap<String, Source> =
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

    fn read(&mut self) -> Read {
        let mut plugins: BTreeMap<String, Offered> = self
            .first_party
            .iter()
            .map(|(name, (digest, bytes))| {
                let (digest, bytes) = (Arc::clone(digest), Arc::clone(bytes));
                (name.clone(), Offered { digest, bytes, path: None, seal: Seal::Host })
            })
            .collect();
        let found = self.plugins.as_mut().map(Folder::scan);
        let missing_plugins = matches!(found, Some(Err(_)));
        for (file, Found { path, digest, bytes, signature }) in
            found.and_then(Result::ok).into_iter().flatten()
        {
            let name = file.strip_suffix(".wasm").unwrap_or(&file).to_owned();
            let seal = signature.map_or(Seal::None, Seal::Signature);
            plugins.insert(name, Offered { digest, bytes, path: Some(path), seal });
        }
        self.passed_over.clear();
        for (name, offered) in &mut plugins {
            self.go_back(name, offered);
        }
        let (policies, missing_policies) = match &mut self.policies {
            Policies::Texts(texts) => (texts.clone(), false),
            Policies::Folder(folder) => match folder.scan() {
                Ok(found) => {
                    let policy = |(file, found): (String, Found)| {
                        let source = shelf::source(&found);
                        (file, (found.digest, source))
                    };
                    (found.into_iter().map(policy).collect(), false)
                }
                Err(_) => (BTreeMap::new(), true),
            },
        };
        Read { plugins, policies, missing_plugins, missing_policies }
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
        for (name, offered) in &read.plugins {
            let before = running.plugins.get(name);
            let loaded = self.shelf.plugin(engine, &offered.digest, &offered.bytes, watch);
            let loaded = loaded.and_then(|plugin| fitting(name, plugin, before));
            match loaded.and_then(|plugin| modest(name, plugin, before, &policies)) {
                Ok(plugin) => {
                    let (path, bytes) = (offered.path.clone(), Arc::clone(&offered.bytes));
                    let seal = offered.seal.clone();
                    plugins.insert(name.clone(), Serving { plugin, path, bytes, seal });
                }
                Err(error) => {
                    let subject = Subject::Plugin(name.clone());
                    let place = offered.path.as_ref().map(|path| format!("{}: ", path.display()));
                    let message = format!("{}{error}", place.unwrap_or_default());
                    note(troubles, subject, Some(Arc::clone(&offered.digest)), error.stage(), message);
                    match before {
                        Some(before) => drop(plugins.insert(name.clone(), before.clone())),
                        None => drop(unloadable.insert(name.clone(), error)),
                    }
                }
            }
        }
        for (name, before) in running.plugins.iter().filter(|(name, _)| !read.plugins.contains_key(*name)) {
            let used = running.policies.values().any(|bound| bound.uses(name));
            if used || read.missing_plugins {
                let error = match &before.path {
                    Some(path) => format!("{} is gone", path.display()),
                    None => "it is gone".to_owned(),
                };
                note(troubles, Subject::Plugin(name.clone()), None, Stage::Read, error);
                plugins.insert(name.clone(), before.clone());
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
        if read.missing_policies {
            for file in running.policies.keys() {
                let error = "its directory is gone".to_owned();
                note(troubles, Subject::Policy(file.clone()), None, Stage::Read, error);
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
        let mut names: Vec<&String> = self.desired.keys().chain(serving.plugins.keys()).collect();
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
            figures: plugin.map_or_else(Figures::default, |plugin| plugin.stats().figures()),
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
fn modest(
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
fn restated(source: &Source, trouble: &Trouble) -> Faults {
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
            if from != to {
                changes.push(Change { subject: subject.clone(), from, to });
            }
        }
    }
    Reload {
        at,
        changes,
        troubles,
        from: running.number,
        generation: next.map(|next| next.number),
        stages,
        took,
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
