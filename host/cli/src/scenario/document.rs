//! What a scenario's folder holds.

use std::path::{Path, PathBuf};

use anyhow::Context;
use flyball_documents::{DocumentText, locate, policy_for, read_as, read_manifest, read_policy};
use flyball_engine::{Engine, PolicySource};
use flyball_host::{Folders, Host, HostBuilder, read_document};
use flyball_model::{
    ActionKind, Executor, Manifest, NodeId, Outcome, Policy, Problem, UnixMillis, printable_path,
};
use flyball_sim::{Fault, FaultPlan, Plan, SimulatedWorld, Unsound};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::embedded::Embedded;
use crate::args::Judging;
use crate::exit::Failure;

/// What goes wrong with a pipeline, and what the controller is expected to make of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// How long it lasts, in seconds of the pipeline's own time.
    #[schemars(range(min = 1.0, max = 1_000_000.0))]
    pub(crate) duration_s: f64,
    /// From which all chance comes.
    #[serde(default = "one")]
    pub(crate) seed: u64,
    /// What goes wrong with the simulated pipeline, and when.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// It is played on the embedded pipeline instead, with real processes and in real time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) embedded: Option<Embedded>,
    /// Why it does not come as expected yet. It is told when it does, so that this is taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) known_gap: Option<String>,
    /// What is to come of it.
    pub(crate) expect: Expected,
}

fn one() -> u64 {
    1
}

/// What is to come of it; what is not given does not matter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expected {
    /// Exactly these actions, undos among them, in this order; an empty list: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actions: Option<Vec<ExpectedAction>>,
    /// No more actions than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) most_actions: Option<usize>,
    /// Exactly these notices to people, by code and in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notices: Option<Vec<String>>,
    /// Each of these is in the story that `--story` prints.
    pub(crate) says: Vec<String>,
    /// None of these is.
    pub(crate) never_says: Vec<String>,
    /// The graph by which the pipeline runs at the end is the one that it began with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) graph_as_before: Option<bool>,
}

/// One action, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedAction {
    /// Of which kind.
    pub(crate) kind: ActionKind,
    /// On which node.
    pub(crate) node: NodeId,
    /// What became of it in the end.
    pub(crate) outcome: Outcome,
    /// Whether it is an undo.
    #[serde(default)]
    pub(crate) undo: bool,
}

/// What the clock shows when a scenario begins: 2026-01-01, midnight, UTC.
const START: UnixMillis = 1_767_225_600_000;

/// The wall time that a judge has here, in milliseconds: on a busy machine no scenario may come otherwise.
const TIME_MS: u64 = 60_000;

/// A scenario's folder, read.
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) scenario: Scenario,
    pub(crate) manifest: Manifest,
    /// The policies on trial; one of them judges the manifest's session.
    policies: Vec<DocumentText>,
    /// Where plugins of one's own lie.
    plugins: Option<PathBuf>,
    /// None: it is played on the embedded pipeline.
    pub(crate) world: Option<SimulatedWorld>,
    sources: Sources,
}

struct Sources {
    scenario: DocumentText,
    manifest: DocumentText,
    world: Option<DocumentText>,
}

/// The folders below this one that hold a scenario, itself included, in the order of their names.
pub(crate) fn folders(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    if root.join("scenario.yaml").is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = std::fs::read_dir(root).with_context(|| format!("cannot read {}", printable_path(root)))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", printable_path(root)))?.path();
        if path.join("scenario.yaml").is_file() {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(anyhow::anyhow!(
            "{} holds no scenario.yaml, nor does a folder in it",
            printable_path(root)
        )
        .into());
    }
    Ok(found)
}

impl Folder {
    /// `scenario.yaml`, and `pipeline.yaml`, `policy.yaml` and `world.yaml` of the folder or, where it has none, of the one
    /// above it. Policies of a directory that is named are taken instead.
    pub(crate) fn read(path: &Path, judging: &Judging) -> Result<Self, Failure> {
        let scenario = source(path, "scenario.yaml")?;
        let manifest = source(path, "pipeline.yaml")?;
        let policies = match &judging.policy {
            Some(dir) => policies_in(dir)?,
            None => vec![source(path, "policy.yaml")?],
        };
        let told: Scenario = read_as(&scenario, "a scenario")?;
        let read = read_manifest(&manifest)?;
        let policies = unhurried_all(&policies, &read.name)?;
        let problems = misplaced(&told, &read);
        if !problems.is_empty() {
            return Err(locate(&scenario, problems).into());
        }
        let world = match told.embedded {
            Some(_) => None,
            None => Some(source(path, "world.yaml")?),
        };
        Ok(Self {
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            scenario: told,
            manifest: read,
            world: world.as_ref().map(|world| read_as(world, "a world")).transpose()?,
            policies,
            plugins: judging.plugins.clone(),
            sources: Sources { scenario, manifest, world },
        })
    }

    /// A host that is judged by the policies and plugins on trial.
    pub(crate) fn host(&self, engine: &Engine, state: &Path) -> HostBuilder {
        let judging = Folders { policies: None, plugins: self.plugins.clone() };
        Host::builder(state)
            .folders(judging)
            .policy_source(PolicySource::Text(self.policies.clone()))
            .engine(engine.clone())
            .watch(false)
    }

    /// What is simulated.
    pub(crate) fn plan(&self, world: SimulatedWorld) -> Plan {
        let faults = FaultPlan { faults: self.scenario.faults.clone() };
        let plan = Plan::of(&self.manifest, world, self.scenario.seed).with(faults);
        Plan { start: START, ..plan }
    }

    /// What is wrong with the plan, at its lines.
    pub(crate) fn located(&self, unsound: Unsound) -> Failure {
        let Unsound { graph, world, faults } = unsound;
        let documents = [
            (Some(&self.sources.manifest), graph),
            (self.sources.world.as_ref(), world),
            (Some(&self.sources.scenario), faults),
        ];
        for (source, problems) in documents {
            if let Some(source) = source
                && !problems.is_empty()
            {
                return locate(source, problems).into();
            }
        }
        anyhow::anyhow!("{}: the simulation cannot be made", self.name).into()
    }

    /// What is wrong with the manifest, at its lines.
    pub(crate) fn manifest_is_wrong(&self, problems: Vec<Problem>) -> Failure {
        locate(&self.sources.manifest, problems).into()
    }
}

/// What an embedded scenario says that such a pipeline cannot do.
fn misplaced(scenario: &Scenario, manifest: &Manifest) -> Vec<Problem> {
    let Some(terms) = &scenario.embedded else { return Vec::new() };
    let mut problems = Vec::new();
    if !scenario.faults.is_empty() {
        let message = "these are faults of a simulated pipeline, and this one is embedded";
        let help = "write what is done to its processes under `embedded.faults`";
        problems.push(Problem::new("/faults", message).help(help));
    }
    for (index, fault) in terms.faults.iter().enumerate() {
        let at = format!("/embedded/faults/{index}");
        if fault.at_s >= scenario.duration_s {
            let problem = Problem::new(format!("{at}/at_s"), "the scenario is over by then");
            problems.push(problem.help("let it happen earlier, or the scenario last longer"));
        }
        let name = fault.what.node();
        let message = match manifest.nodes.iter().find(|node| node.id == *name) {
            None => format!("there is no node {name:?} in {}", manifest.name),
            Some(node) if node.executor != Executor::Multiprocess => {
                format!("{name} works in the host and has no process of its own")
            }
            Some(_) => continue,
        };
        problems.push(
            Problem::new(format!("{at}/what"), message).help("name a node whose executor is multiprocess"),
        );
    }
    problems
}

fn source(folder: &Path, name: &str) -> Result<DocumentText, Failure> {
    let own = folder.join(name);
    let shared = folder.parent().map(|parent| parent.join(name));
    let file = match shared {
        Some(shared) if !own.is_file() && shared.is_file() => shared,
        _ => own,
    };
    Ok(read_document(&file)?)
}

/// The policies of a directory, as `flyball run` takes them.
fn policies_in(dir: &Path) -> Result<Vec<DocumentText>, Failure> {
    let cannot =
        || format!("cannot read {}; name a directory of policies with --policy DIR", printable_path(dir));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
    found.sort();
    found.iter().map(|file| Ok(read_document(file)?)).collect()
}

/// The policies with no judge in a hurry, if one of them judges the session: a scenario that nobody judges shows nothing.
fn unhurried_all(sources: &[DocumentText], session: &str) -> Result<Vec<DocumentText>, Failure> {
    let read: Vec<Policy> = sources.iter().map(read_policy).collect::<Result<_, _>>()?;
    if policy_for(read.iter(), session).map_err(anyhow::Error::from)?.is_none() {
        let patterns: Vec<String> = read
            .iter()
            .map(|policy| format!("{} judges {}", policy.name, policy.sessions.join(", ")))
            .collect();
        return Err(anyhow::anyhow!(
            "no policy judges the session {session:?} of the scenario ({}); name it in the `sessions` of one",
            if patterns.is_empty() { "there is no policy".to_owned() } else { patterns.join("; ") }
        )
        .into());
    }
    let text = |(source, policy): (&DocumentText, &Policy)| {
        Ok(DocumentText::new(source.name.clone(), unhurried(policy)?))
    };
    sources.iter().zip(&read).map(text).collect()
}

/// The policy with no judge in a hurry. JSON is YAML, too.
fn unhurried(policy: &Policy) -> Result<String, Failure> {
    let mut policy = serde_json::to_value(policy).context("cannot write the policy")?;
    take_time(&mut policy);
    Ok(policy.to_string())
}

fn take_time(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("plugin")
                && let Some(limits) = fields.get_mut("limits").and_then(Value::as_object_mut)
            {
                limits.insert("time_ms".to_owned(), json!(TIME_MS));
            }
            fields.values_mut().for_each(take_time);
        }
        Value::Array(items) => items.iter_mut().for_each(take_time),
        _ => {}
    }
}
