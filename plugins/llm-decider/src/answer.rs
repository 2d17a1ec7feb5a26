//! What a model answered: read strictly, and held against what was observed and what is configured and offered.

use flyball_plugin::json::{self, Value};
use flyball_plugin::prelude::*;
use flyball_plugin::{
    Buffering, Bypass, ConfigChange, ExecutorChange, Insertion, Replacement, Scaling, pipeline,
};
use serde::Deserialize;

use crate::numbers::{agrees, shown};
use crate::quoted::{plain, quoted};

/// Of a text of the model's that is passed on, in characters.
const MOST_TOLD: usize = 1_000;

/// Issues and citations that are passed on.
const MOST_LISTED: usize = 32;

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    analysis: String,
    issues: Vec<String>,
    action: Wanted,
    reason: String,
    pub confidence: f64,
    evidence: Vec<Cited>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Wanted {
    NoOp {},
    ReplaceNode {
        node: String,
        node_type: String,
        config: Option<Value>,
    },
    InsertNode {
        id: String,
        node_type: String,
        config: Value,
        executor: Option<Place>,
        after: Vec<String>,
        before: Vec<String>,
    },
    RemoveNode {
        node: String,
    },
    UpdateNodeConfig {
        node: String,
        patch: Value,
    },
    BypassNode {
        node: String,
        active: bool,
    },
    SwitchExecutor {
        node: String,
        to: Place,
    },
    RestartProcess {
        node: String,
    },
    ScaleNode {
        node: String,
        replicas: u32,
    },
    AdjustBuffering {
        node: String,
        capacity: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Place {
    Native,
    Multiprocess,
    Wasm,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cited {
    node: Option<String>,
    metric: Option<String>,
    value: Option<f64>,
    note: String,
}

impl Place {
    const fn executor(self) -> Executor {
        match self {
            Self::Native => Executor::Native,
            Self::Multiprocess => Executor::Multiprocess,
            Self::Wasm => Executor::Wasm,
        }
    }
}

/// Why a decision is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// For machines.
    code: &'static str,
    why: String,
}

impl Rejection {
    pub(crate) fn message(&self) -> String {
        format!("the model's answer is rejected ({}): {}", self.code, self.why)
    }
}

fn rejected<T>(code: &'static str, why: String) -> Result<T, Rejection> {
    Err(Rejection { code, why })
}

/// A name of the model's, as it is told on.
fn named(name: &str) -> String {
    quoted(name, 100)
}

/// What it was observed and offered against.
pub(crate) struct Ground<'a> {
    pub now: &'a Observation<'a>,
    pub situation: &'a Situation,
}

/// Reads an answer; what is wrong with its form, if something is.
pub(crate) fn read(text: &str) -> Result<Answer, String> {
    let answer: Answer = json::from_str(text).map_err(|error| error.to_string())?;
    if !(0.0..=1.0).contains(&answer.confidence) {
        return Err(format!("confidence is {}, and lies between 0 and 1", answer.confidence));
    }
    Ok(answer)
}

impl Answer {
    /// The decision, if everything that it names and cites is there.
    pub(crate) fn decision(&self, ground: &Ground) -> Result<Decision, Rejection> {
        let action = ground.resolved(&self.action)?;
        let cited: Result<Vec<Evidence>, Rejection> =
            self.evidence.iter().take(MOST_LISTED).map(|cited| ground.evidence(cited)).collect();
        let rests_on = cited?;
        if self.evidence.len() > MOST_LISTED {
            let count = self.evidence.len();
            return rejected("too-much-evidence", format!("{count} citations, more than {MOST_LISTED}"));
        }
        if rests_on.is_empty() && action != Action::NoOp {
            return rejected("no-evidence", format!("{} rests on nothing", action.kind()));
        }
        let mut proposal = Proposal::new(action, plain(&self.reason, MOST_TOLD));
        proposal.confidence = Some(self.confidence);
        proposal.rests_on = rests_on;
        Ok(Decision {
            analysis: plain(&self.analysis, MOST_TOLD),
            issues: self.issues.iter().take(MOST_LISTED).map(|issue| plain(issue, MOST_TOLD)).collect(),
            proposal,
        })
    }
}

impl Ground<'_> {
    fn resolved(&self, wanted: &Wanted) -> Result<Action, Rejection> {
        let action = self.action(wanted)?;
        let kind = action.kind();
        if kind != "no-op" && !self.situation.allowed.iter().any(|allowed| allowed.kind == kind) {
            return rejected("kind-not-allowed", format!("{kind} is not among the available actions"));
        }
        match &action {
            Action::NoOp => {}
            Action::InsertNode(it) => self.insertion(it)?,
            other => self.target(other.target().unwrap_or_default())?,
        }
        match &action {
            Action::ReplaceNode(it) => {
                offered(&it.node_type)?;
            }
            Action::SwitchExecutor(it) => {
                let spec = configured(&it.node)?;
                if spec.executor == it.to {
                    return rejected("nothing-changes", format!("{} is there already", named(&it.node)));
                }
                offered_as(&offered(&spec.node_type)?, it.to)?;
            }
            Action::ScaleNode(it) if it.replicas == 0 => {
                return rejected("bad-parameters", "replicas is 0".to_owned());
            }
            Action::AdjustBuffering(it) if it.capacity == 0 => {
                return rejected("bad-parameters", "capacity is 0".to_owned());
            }
            _ => {}
        }
        Ok(action)
    }

    fn action(&self, wanted: &Wanted) -> Result<Action, Rejection> {
        Ok(match wanted.clone() {
            Wanted::NoOp {} => Action::NoOp,
            Wanted::ReplaceNode { node, node_type, config } => {
                let config = config.map(|config| object("config", &config)).transpose()?;
                Action::ReplaceNode(Replacement { node, node_type, config })
            }
            Wanted::InsertNode { id, node_type, config, executor, after, before } => {
                let (config, executor) = (object("config", &config)?, executor.map(Place::executor));
                Action::InsertNode(Insertion { id, node_type, config, executor, after, before })
            }
            Wanted::RemoveNode { node } => Action::RemoveNode(node),
            Wanted::UpdateNodeConfig { node, patch } => {
                let patch = object("patch", &patch)?;
                if patch == "{}" {
                    return rejected("bad-parameters", "the patch is empty".to_owned());
                }
                Action::UpdateNodeConfig(ConfigChange { node, patch })
            }
            Wanted::BypassNode { node, active } => Action::BypassNode(Bypass { node, active }),
            Wanted::SwitchExecutor { node, to } => {
                Action::SwitchExecutor(ExecutorChange { node, to: to.executor() })
            }
            Wanted::RestartProcess { node } => Action::RestartProcess(node),
            Wanted::ScaleNode { node, replicas } => Action::ScaleNode(Scaling { node, replicas }),
            Wanted::AdjustBuffering { node, capacity } => {
                Action::AdjustBuffering(Buffering { node, capacity })
            }
        })
    }

    /// A node that is observed, configured and may be changed.
    fn target(&self, node: &str) -> Result<(), Rejection> {
        if self.now.find(node).is_none() {
            return rejected("unknown-node", format!("no node {} is observed", named(node)));
        }
        configured(node)?;
        if self.situation.constraints.protected.iter().any(|protected| protected == node) {
            return rejected("protected-node", format!("{} is protected", named(node)));
        }
        Ok(())
    }

    fn insertion(&self, it: &Insertion) -> Result<(), Rejection> {
        if it.id.trim().is_empty() || !crate::quoted::is_presentable(&it.id) {
            return rejected("bad-parameters", format!("the new node's name {} is none", named(&it.id)));
        }
        if pipeline::node(&it.id).is_some() || self.now.find(&it.id).is_some() {
            return rejected("node-exists", format!("there is a node {} already", named(&it.id)));
        }
        if it.after.is_empty() {
            return rejected("bad-parameters", "an insertion names no node to insert after".to_owned());
        }
        it.after.iter().chain(&it.before).try_for_each(|node| self.target(node))?;
        let node_type = offered(&it.node_type)?;
        it.executor.map_or(Ok(()), |executor| offered_as(&node_type, executor))
    }

    /// The citation with the number that was observed.
    fn evidence(&self, cited: &Cited) -> Result<Evidence, Rejection> {
        let Cited { node, metric, value, note } = cited;
        let observed = match (node.as_deref(), metric.as_deref()) {
            (None, None) => {
                let note = quoted(note, 100);
                return rejected(
                    "unresolved-evidence",
                    format!("a citation names no node and no metric: {note}"),
                );
            }
            (Some(node), metric) => {
                let Some(seen) = self.now.find(node) else {
                    return rejected(
                        "unresolved-evidence",
                        format!("it cites {}, which is no node", named(node)),
                    );
                };
                metric.map(|metric| {
                    let column = self.now.column(metric).unwrap_or_default();
                    column.get(seen.index() as usize).copied()
                })
            }
            (None, Some(metric)) => Some(self.now.total(metric)),
        };
        let place = || {
            let metric = metric.as_deref().map_or_else(|| "a number".to_owned(), named);
            let of = node.as_deref().map_or_else(|| "the graph".to_owned(), named);
            format!("{metric} of {of}")
        };
        let value = match (observed, value) {
            (None, None) => None,
            (None, Some(value)) => {
                return rejected(
                    "unresolved-evidence",
                    format!("it cites {value} as {}, of no metric", place()),
                );
            }
            (Some(observed), value) => {
                let Some(observed) = observed.filter(|observed| observed.is_finite()) else {
                    return rejected(
                        "unresolved-evidence",
                        format!("it cites {}, which was not observed", place()),
                    );
                };
                if let Some(value) = value.filter(|value| !agrees(*value, observed)) {
                    let observed = shown(observed);
                    return rejected(
                        "false-evidence",
                        format!("it cites {value} as {}, and {observed} was observed", place()),
                    );
                }
                Some(observed)
            }
        };
        let note = plain(note, MOST_TOLD);
        Ok(Evidence { node: node.clone(), metric: metric.clone(), value, limit: None, note })
    }
}

fn configured(node: &str) -> Result<flyball_plugin::NodeSpec, Rejection> {
    pipeline::node(node).ok_or_else(|| Rejection {
        code: "unknown-node",
        why: format!("no node {} is configured", named(node)),
    })
}

fn offered(node_type: &str) -> Result<NodeType, Rejection> {
    pipeline::node_type(node_type).ok_or_else(|| Rejection {
        code: "unknown-node-type",
        why: format!("the node type {} is not offered", named(node_type)),
    })
}

fn offered_as(node_type: &NodeType, executor: Executor) -> Result<(), Rejection> {
    if node_type.offers.iter().any(|offer| offer.executor == executor) {
        return Ok(());
    }
    let executor = crate::words::executor(executor);
    rejected(
        "executor-not-offered",
        format!("the node type {} is not offered as {executor}", named(&node_type.name)),
    )
}

/// The form of an answer has no place for an object of any kind, so it comes as JSON text.
fn object(what: &str, value: &Value) -> Result<String, Rejection> {
    let read = match value {
        Value::String(text) => json::from_str(text).ok(),
        other => Some(other.clone()),
    };
    match read {
        Some(object @ Value::Object(_)) => Ok(object.to_string()),
        _ => rejected("bad-parameters", format!("{what} is no JSON object")),
    }
}
