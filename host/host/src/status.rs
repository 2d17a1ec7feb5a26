//! Who judges what: each session's policy, each policy's sessions and plugins, each plugin's users; and what is missing
//! between them. What nobody judges looks as calm as what is well, so it is said: at the start of a run, by `flyball check`,
//! and by `flyball status`.

use std::collections::BTreeMap;
use std::path::Path;

use flyball_documents::policy_for;
use flyball_engine::{Library, PluginState, Subject};
use flyball_model::{Graph, Manifest, Policy, Problem, SessionNow, Warning, printable_path};
use flyball_ports::Judges;
use serde::{Deserialize, Serialize};

use crate::library::Folders;
use crate::report::{PluginReport, plugin_reports};

/// The form of the JSON document.
const VERSION: u32 = 1;

/// A session, as far as judging it needs.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Its nodes' names.
    pub nodes: Vec<String>,
    /// The types of its nodes: some are plugins.
    pub node_types: Vec<String>,
}

impl Watched {
    /// Of a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            name: manifest.name.clone(),
            nodes: manifest.nodes.iter().map(|node| node.id.to_string()).collect(),
            node_types: manifest.nodes.iter().map(|node| node.node_type.clone()).collect(),
        }
    }

    /// The same of what another data plane runs, as far as it shows its graph.
    pub(crate) fn running(name: &str, graph: Option<&Graph>) -> Self {
        let nodes = || graph.into_iter().flat_map(|graph| &graph.nodes);
        Self {
            name: name.to_owned(),
            nodes: nodes().map(|node| node.id.to_string()).collect(),
            node_types: nodes().map(|node| node.node_type.clone()).collect(),
        }
    }
}

/// What judges what, on a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JudgingStatus {
    /// The version of this document's form.
    pub version: u32,
    /// The generation that the next tick uses.
    pub generation: u64,
    /// Each session.
    pub sessions: Vec<SessionStatus>,
    /// Each policy's file.
    pub policies: Vec<PolicyReport>,
    /// Each plugin.
    pub plugins: Vec<UsedPlugin>,
    /// What is missing between them, a sentence each.
    pub warnings: Vec<Warning>,
}

/// One session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Its name.
    pub session: String,
    /// The policy that judges it; none: it is only observed.
    pub policy: Option<String>,
    /// The generation that brought its judges together.
    pub generation: Option<u64>,
    /// Why it does not act, where a person or the loop itself stopped it: `halted: …`, `frozen: …`.
    pub stopped: Option<String>,
    /// How it was on its newest tick; none: it has not ticked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<SessionNow>,
}

/// One policy's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyReport {
    /// The file's name.
    pub file: String,
    /// The policy's name; none: no text of it ever loaded.
    pub name: Option<String>,
    /// `running`, `held back` (an older text serves), `failed` (none serves) or `gone` (its file was taken away).
    pub state: String,
    /// Names and patterns.
    pub patterns: Vec<String>,
    /// The sessions of this host that it judges.
    pub judges: Vec<String>,
    /// The plugins that it names.
    pub plugins: Vec<String>,
    /// SHA-256 of the text that serves.
    pub running: Option<String>,
    /// At which stage the newest text failed.
    pub stage: Option<String>,
    /// Why it does not serve.
    pub error: Option<String>,
}

/// One plugin, and who uses it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UsedPlugin {
    /// The plugin.
    #[serde(flatten)]
    pub plugin: PluginReport,
    /// Policies by name, and sessions in which it is a node.
    pub used_by: Vec<String>,
}

impl JudgingStatus {
    /// What judges these sessions now, of the policies and plugins in these folders.
    pub fn of(library: &Library, sessions: &[Watched], folders: &Folders) -> Self {
        let seated = |session: &Watched| {
            let panel = library.panel(&session.name);
            SessionStatus {
                session: session.name.clone(),
                policy: panel.as_ref().map(|panel| panel.policy.to_string()),
                generation: panel.map(|panel| panel.generation),
                stopped: None,
                now: None,
            }
        };
        let judged: Vec<SessionStatus> = sessions.iter().map(seated).collect();
        let policies = policies(library, &judged);
        let plugins = plugin_reports(library).into_iter().map(|one| used(one, &policies, sessions)).collect();
        let mut status = Self {
            version: VERSION,
            generation: library.generation(),
            sessions: judged,
            policies,
            plugins,
            warnings: Vec::new(),
        };
        status.warnings = status.missing(library, folders);
        status
    }

    fn missing(&self, library: &Library, folders: &Folders) -> Vec<Warning> {
        let policies = library.policies();
        let policies: Vec<&Policy> = policies.iter().collect();
        let mut warnings = Vec::new();
        for session in self.sessions.iter().filter(|session| session.policy.is_none()) {
            let Problem { message, help, .. } = match policy_for(policies.iter().copied(), &session.session) {
                Err(tie) => Problem::new("", tie.to_string()),
                Ok(_) => nobody_judges(&session.session, &policies),
            };
            let help = help.map(|help| format!("; {help}")).unwrap_or_default();
            warnings.push(Warning::new("no-policy", format!("{message}{help}")));
        }
        warnings.extend(no_plugins(folders.plugins.as_deref()));
        warnings.extend(folders.policies.as_deref().into_iter().flat_map(not_read));
        warnings.extend(self.policies.iter().filter_map(policy_warning));
        warnings.extend(self.plugins.iter().filter_map(plugin_warning));
        warnings.extend(self.plugins_gone(library));
        warnings
    }
}

impl JudgingStatus {
    /// Plugins that nothing used any more when their files were taken away; one that is used serves on, and is told as broken.
    fn plugins_gone(&self, library: &Library) -> Vec<Warning> {
        let gone = taken_away(library).into_iter().filter_map(|subject| match subject {
            Subject::Plugin(name) => Some(name),
            Subject::Policy(_) => None,
        });
        let unknown = |name: &String| self.plugins.iter().all(|one| one.plugin.name != *name);
        gone.filter(unknown)
            .map(|name| {
                let message =
                    format!("the plugin {name} was there in this run, and its file was taken away; nothing used it then");
                Warning::new("plugin-gone", message)
            })
            .collect()
    }
}

fn policies(library: &Library, sessions: &[SessionStatus]) -> Vec<PolicyReport> {
    let mut reports: Vec<PolicyReport> = library
        .policy_status()
        .into_iter()
        .map(|status| PolicyReport {
            judges: sessions
                .iter()
                .filter(|session| session.policy.is_some() && session.policy == status.name)
                .map(|session| session.session.clone())
                .collect(),
            file: status.file,
            name: status.name,
            state: status.state.name().to_owned(),
            patterns: status.sessions,
            plugins: status.plugins.into_iter().collect(),
            running: status.running.map(|digest| digest.to_string()),
            stage: status.stage.map(|stage| stage.name().to_owned()),
            error: status.error,
        })
        .collect();
    reports.extend(gone(library, &reports));
    reports
}

/// What served in this run and was taken away since.
fn taken_away(library: &Library) -> Vec<Subject> {
    let mut last = BTreeMap::new();
    for change in library.reloads().iter().flat_map(|reload| &reload.changes) {
        last.insert(change.subject.clone(), change.to.is_none());
    }
    last.into_iter().filter_map(|(subject, gone)| gone.then_some(subject)).collect()
}

/// The policies that served in this run and whose files were taken away.
fn gone(library: &Library, known: &[PolicyReport]) -> Vec<PolicyReport> {
    let files = taken_away(library).into_iter().filter_map(|subject| match subject {
        Subject::Policy(file) => Some(file),
        Subject::Plugin(_) => None,
    });
    let gone = files.filter(|file| known.iter().all(|one| one.file != *file));
    gone.map(|file| PolicyReport {
        file,
        name: None,
        state: "gone".to_owned(),
        patterns: Vec::new(),
        judges: Vec::new(),
        plugins: Vec::new(),
        running: None,
        stage: None,
        error: None,
    })
    .collect()
}

fn used(plugin: PluginReport, policies: &[PolicyReport], sessions: &[Watched]) -> UsedPlugin {
    let judging = policies.iter().filter(|policy| policy.plugins.contains(&plugin.name));
    let mut used_by: Vec<String> =
        judging.map(|policy| policy.name.clone().unwrap_or_else(|| policy.file.clone())).collect();
    let nodes = sessions.iter().filter(|session| session.node_types.contains(&plugin.name));
    used_by.extend(nodes.map(|session| format!("a node of {}", session.name)));
    UsedPlugin { plugin, used_by }
}

fn policy_warning(policy: &PolicyReport) -> Option<Warning> {
    let error = policy.error.as_deref().unwrap_or_default();
    let file = &policy.file;
    match policy.state.as_str() {
        "gone" => Some(Warning::new(
            "policy-gone",
            format!(
                "the policy in {file} served in this run, and its file was taken away; put it back if that was not meant"
            ),
        )),
        _ if policy.error.is_none() => None,
        state if state == PluginState::HeldBack.name() => Some(Warning::new(
            "policy-broken",
            format!("the policy in {file} does not load, and the text before it serves on: {error}"),
        )),
        _ => Some(Warning::new(
            "policy-broken",
            format!("the policy in {file} does not load, and judges nothing: {error}"),
        )),
    }
}

fn plugin_warning(used: &UsedPlugin) -> Option<Warning> {
    let UsedPlugin { plugin, used_by } = used;
    let name = &plugin.name;
    if let Some(error) = &plugin.error {
        let serves = match plugin.running {
            Some(_) => "the version before it serves on",
            None => "nothing of that name serves",
        };
        let users =
            if used_by.is_empty() { String::new() } else { format!(" (used by {})", used_by.join(", ")) };
        let message = format!("the plugin {name}{users} does not load as it should, and {serves}: {error}");
        return Some(Warning::new("plugin-broken", message));
    }
    // What comes with the host may lie idle.
    (used_by.is_empty() && plugin.from != "first-party").then(|| {
        let message = format!(
            "nobody uses the plugin {name} ({}); name it in a policy's `judges`, or as a node's `type`",
            plugin.from
        );
        Warning::new("plugin-unused", message)
    })
}

/// That no policy judges a session, with the pattern that was probably meant to.
pub fn nobody_judges(session: &str, policies: &[&Policy]) -> Problem {
    let message =
        format!("no policy judges the session {session:?}: it is observed, and nothing is done in it");
    let problem = Problem::new("", message).code("no-policy");
    let patterns =
        || policies.iter().flat_map(|policy| policy.sessions.iter().map(move |one| (*policy, one)));
    let folded = session.to_lowercase();
    let by_case = patterns().find(|(_, pattern)| flyball_model::matches(&pattern.to_lowercase(), &folded));
    if let Some((policy, pattern)) = by_case {
        let help = format!(
            "the policy {} judges {pattern:?}, and capital and small letters differ; write it as the session is written",
            policy.name
        );
        return problem.help(help);
    }
    let near = patterns()
        .map(|(policy, pattern)| (strsim::osa_distance(pattern, session), policy, pattern))
        .filter(|(distance, _, pattern)| {
            *distance <= (pattern.len() / 3).max(1) || session.starts_with(pattern.as_str())
        })
        .min_by_key(|(distance, ..)| *distance);
    if let Some((_, policy, pattern)) = near {
        let help = format!("the policy {} judges {pattern:?}; did you mean {session:?} there?", policy.name);
        return problem.help(help);
    }
    if policies.is_empty() {
        return problem.help("there is no policy at all; put one (*.yaml) into the directory of --policy");
    }
    let known: Vec<String> = policies
        .iter()
        .map(|policy| format!("{} judges {}", policy.name, policy.sessions.join(", ")))
        .collect();
    problem.help(format!("add it to the `sessions` of a policy ({})", known.join("; ")))
}

/// A plugin directory that was named and is not there: it may come, or its name may be wrong.
fn no_plugins(folder: Option<&Path>) -> Option<Warning> {
    let folder = folder.filter(|folder| !folder.is_dir())?;
    let message = format!(
        "the directory of --plugins, {}, is not there, so only the first-party plugins serve; make it, or name another",
        printable_path(folder)
    );
    Some(Warning::new("no-plugins", message))
}

/// Files of a policy directory that look like policies and are none to a host.
pub fn not_read(folder: &Path) -> Vec<Warning> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut warnings: Vec<Warning> = entries.filter_map(|entry| unread(&entry.path())).collect();
    warnings.sort_by(|one, other| one.message.cmp(&other.message));
    warnings
}

fn unread(path: &Path) -> Option<Warning> {
    let holds_documents = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| is_document(&entry.path()))
    };
    let name = path.file_name()?.to_string_lossy();
    let why = if path.is_dir() {
        // Hidden folders are where mounted configuration keeps its versions.
        if name.starts_with('.') || !holds_documents(path) {
            return None;
        }
        "policies lie in the directory itself, not in folders of it; move them up"
    } else if name.starts_with('.') && is_document(path) {
        "hidden files are not read; take the dot away"
    } else if path.extension().is_some_and(|extension| extension == "json") {
        "policies end in .yaml or .yml, and JSON is YAML too; rename it"
    } else if is_document(path)
        && !path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
    {
        "policies end in .yaml or .yml, in small letters; rename it"
    } else {
        return None;
    };
    Some(Warning::new("policy-not-read", format!("{} is not read as a policy: {why}", printable_path(path))))
}

fn is_document(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| extension == "yaml" || extension == "yml")
}
