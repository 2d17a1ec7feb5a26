//! Plays a scenario on the embedded pipeline: real processes, real signals and real time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use flyball_engine::Engine;
use flyball_host::{HostError, Threads};
use flyball_model::NodeId;
use flyball_pipeline::Pipeline;
use flyball_ports::{DataPlane as _, Journal as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::document::Folder;
use super::play::{Chronicle, Played};
use crate::commands::run::this_program_as_a_node;
use crate::exit::Failure;
use crate::process_faults::{Throttle, kill};

/// What is on its way may take so long to arrive at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// A slowed process is let go for so long at a time.
const STEP: Duration = Duration::from_millis(30);

/// The pipeline of `flyball run`, with its processes, in real time. There is no `world.yaml` then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Embedded {
    /// How far back its observations look, in milliseconds.
    #[serde(default = "default_window")]
    #[schemars(range(min = 100, max = 60_000))]
    pub(crate) window_ms: u64,
    /// What is done to its processes, and when.
    #[serde(default)]
    pub(crate) faults: Vec<ProcessFault>,
}

const fn default_window() -> u64 {
    1_000
}

/// Something that is done to the processes of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessFault {
    /// When, in seconds from the beginning.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub(crate) at_s: f64,
    /// What.
    pub(crate) what: Harm,
}

/// What may be done to processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Harm {
    /// SIGKILL, to each of the node's processes.
    Kill {
        /// Which.
        node: NodeId,
    },
    /// The processes that the node has then are stopped and let go in turns, until they end.
    Slow {
        /// Which.
        node: NodeId,
        /// How much longer everything takes.
        #[schemars(range(min = 1.0, max = 1_000.0))]
        factor: f64,
    },
}

impl Harm {
    /// To whose processes.
    pub(crate) fn node(&self) -> &NodeId {
        match self {
            Self::Kill { node } | Self::Slow { node, .. } => node,
        }
    }
}

pub(crate) fn play(
    folder: &Folder,
    terms: &Embedded,
    engine: &Engine,
    state: &Path,
) -> Result<Played, Failure> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    runtime.block_on(run(folder, terms, engine, state))
}

async fn run(folder: &Folder, terms: &Embedded, engine: &Engine, state: &Path) -> Result<Played, Failure> {
    let chronicle = Arc::new(Chronicle::default());
    let times = flyball_pipeline::PipelineOptions::default();
    let host = folder
        .host(engine, state)
        .manifest(folder.manifest.clone())
        .pipeline_options(flyball_pipeline::PipelineOptions {
            window: Duration::from_millis(terms.window_ms),
            ..times
        })
        .node_program(this_program_as_a_node()?)
        .listener(chronicle.clone())
        .drain(DRAIN)
        .start(&Threads::here()?)
        .await
        .map_err(|error| match error {
            HostError::Pipeline { problems, .. } => folder.manifest_is_wrong(problems),
            other => other.into(),
        })?;
    let session = host.session(&folder.manifest.name).context("the scenario has no session")?;
    let pipeline = Arc::clone(session.pipeline().context("the scenario's pipeline is not embedded")?);
    let began_with = pipeline.graph().await.map_err(|error| anyhow!(error))?;
    let mut harming = JoinSet::new();
    for fault in terms.faults.clone() {
        harming.spawn(harm(fault, pipeline.clone()));
    }
    tokio::time::sleep(Duration::from_secs_f64(folder.scenario.duration_s)).await;
    let mut not_done = Vec::new();
    while let Some(done) = harming.try_join_next() {
        not_done.extend(done.map_err(|error| anyhow!(error))?.err().map(|error| error.to_string()));
    }
    harming.shutdown().await;
    let ends_with = pipeline.graph().await.map_err(|error| anyhow!(error))?;
    let journal = Arc::clone(host.journal());
    host.stop().await;
    let recent = journal.recent(session.name(), usize::MAX).await;
    let mut actions = recent.map_err(|error| anyhow!(error))?;
    actions.reverse();
    let told = chronicle.told();
    Ok(Played {
        actions,
        notices: told.notices,
        story: told.story,
        ticks: told.ticks,
        not_done,
        balances: pipeline.account().balances() && pipeline.lost() == 0,
        began_with,
        ends_with,
    })
}

async fn harm(fault: ProcessFault, pipeline: Arc<Pipeline>) -> Result<()> {
    tokio::time::sleep(Duration::from_secs_f64(fault.at_s)).await;
    match fault.what {
        Harm::Kill { node } => processes(&pipeline, &node)?.into_iter().try_for_each(kill),
        Harm::Slow { node, factor } => {
            let stopped = STEP.mul_f64((factor - 1.0).max(0.0));
            let pids = processes(&pipeline, &node)?;
            let throttles: Vec<_> = pids.into_iter().map(|pid| Throttle::start(pid, stopped, STEP)).collect();
            for throttle in throttles {
                throttle.ended().await;
            }
            Ok(())
        }
    }
}

fn processes(pipeline: &Pipeline, node: &str) -> Result<Vec<u32>> {
    let pids = pipeline.worker_pids(node);
    if pids.is_empty() {
        return Err(anyhow!("nothing could be done to {node}, as it had no process then"));
    }
    Ok(pids)
}
