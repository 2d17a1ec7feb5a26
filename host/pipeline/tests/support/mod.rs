//! What the tests share: a pipeline on real sources, sinks and children, with a few processors of their own.

#![allow(dead_code, reason = "no test file uses all of it")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::{Action, Executor, Manifest, NodeOffer, NodeStatus, NodeType, Observation};
use flyball_nodes::{Item, Json, Number, ProcessError, Processed, Processor, WasmNodes};
use flyball_pipeline::{BuiltinChild, Pipeline, PipelineInputs, PipelineOptions};
use flyball_ports::{ApplyError, DataPlane};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long any test waits for anything.
pub const LIMIT: Duration = Duration::from_secs(300);

/// Processors that only tests have, as if they were components.
pub struct TestNodes;

#[derive(Clone, Copy)]
enum Behaviour {
    /// As it came.
    Pass,
    /// Each item twice.
    Twice,
    /// Each item fails at its first try.
    Flaky,
    /// Items whose `n` ends in 3 always fail.
    NoThrees,
    /// Items whose `n` is odd always fail.
    NoOdds,
    /// Every item fails.
    Fails,
    /// The worker dies at `n` = 50, whenever it comes.
    DiesAtFifty,
    /// Panics at `n` = 50.
    PanicsAtFifty,
    /// Never answers.
    Hangs,
}

const BEHAVIOURS: [(&str, Behaviour); 9] = [
    ("map", Behaviour::Pass),
    ("twice", Behaviour::Twice),
    ("flaky", Behaviour::Flaky),
    ("no-threes", Behaviour::NoThrees),
    ("no-odds", Behaviour::NoOdds),
    ("fails", Behaviour::Fails),
    ("dies-at-fifty", Behaviour::DiesAtFifty),
    ("panics-at-fifty", Behaviour::PanicsAtFifty),
    ("hangs", Behaviour::Hangs),
];

struct TestNode(Behaviour, BTreeSet<u64>);

#[async_trait]
impl Processor for TestNode {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let mut answers = Vec::new();
        for item in items {
            let n = item.body.get("n").and_then(Json::as_number).and_then(Number::to_u64).unwrap_or_default();
            let same = vec![item.body.clone()];
            answers.push(match self.0 {
                Behaviour::Pass => Ok(same),
                Behaviour::Twice => Ok(vec![item.body.clone(), item.body.clone()]),
                Behaviour::Flaky if self.1.insert(n) => {
                    Err(ProcessError::Item(format!("{n} fails at first")))
                }
                Behaviour::Flaky => Ok(same),
                Behaviour::NoThrees if n % 10 == 3 => Err(ProcessError::Item(format!("{n} ends in 3"))),
                Behaviour::NoOdds if n % 2 == 1 => Err(ProcessError::Item(format!("{n} is odd"))),
                Behaviour::NoThrees | Behaviour::NoOdds => Ok(same),
                Behaviour::Fails => Err(ProcessError::Item("it always fails".to_owned())),
                Behaviour::DiesAtFifty if n == 50 => {
                    answers.resize_with(items.len(), || Err(ProcessError::Worker("it died".to_owned())));
                    return answers;
                }
                Behaviour::PanicsAtFifty if n == 50 => panic!("fifty"),
                Behaviour::DiesAtFifty | Behaviour::PanicsAtFifty => Ok(same),
                Behaviour::Hangs => std::future::pending().await,
            });
        }
        answers
    }
}

impl WasmNodes for TestNodes {
    fn types(&self) -> Vec<NodeType> {
        let offer = NodeOffer { executor: Executor::Wasm, relative_speed: None, relative_cost: None };
        BEHAVIOURS
            .iter()
            .map(|(name, _)| NodeType {
                name: (*name).to_owned(),
                summary: "for tests".to_owned(),
                provides: Vec::new(),
                offers: vec![offer.clone()],
                config_schema: None,
                reach: flyball_model::Reach::Pure,
            })
            .collect()
    }

    fn worker(&self, node_type: &str, config: &Value) -> Result<Box<dyn Processor>, String> {
        if config.get("wrong").is_some() {
            return Err("\"wrong\" is wrong".to_owned());
        }
        let behaviour = BEHAVIOURS.iter().find(|(name, _)| *name == node_type).ok_or("no such type")?.1;
        Ok(Box::new(TestNode(behaviour, BTreeSet::new())))
    }
}

/// A running pipeline and where its files are.
pub struct Run {
    pub pipeline: Arc<Pipeline>,
    pub folder: TempDir,
}

pub fn options() -> PipelineOptions {
    PipelineOptions {
        patience: Duration::from_millis(500),
        drain: Duration::from_secs(5),
        ..PipelineOptions::default()
    }
}

/// A manifest from its nodes and edges; `OUT` in a path stands for the test's folder.
pub fn manifest(keep_order: bool, nodes: Value, edges: &[(&str, &str)]) -> Value {
    let connections: Vec<Value> = edges.iter().map(|(from, to)| json!({"from": from, "to": to})).collect();
    json!({"name": "test", "keep_order": keep_order, "nodes": nodes, "connections": connections})
}

/// `source → …nodes… → out`, at about 5,000 items a second.
pub fn line(keep_order: bool, items: u64, nodes: Vec<Value>) -> Value {
    let mut ids = vec!["source".to_owned()];
    ids.extend(nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()));
    ids.push("out".to_owned());
    let edges: Vec<(&str, &str)> = ids.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let mut all = vec![source(items)];
    all.extend(nodes);
    all.push(sink("out"));
    manifest(keep_order, Value::Array(all), &edges)
}

pub fn source(items: u64) -> Value {
    json!({"id": "source", "type": "generate", "params": {"per_second": 5000, "limit": items, "body": {"n": "{{n}}"}}})
}

pub fn sink(id: &str) -> Value {
    json!({"id": id, "type": "file", "params": {"path": format!("OUT/{id}.jsonl")}})
}

/// A node that passes items on; it exists in all three executors.
pub fn pass(id: &str, executor: &str) -> Value {
    json!({"id": id, "type": "map", "executor": executor, "queue_capacity": 64, "params": {"template": "{{.}}"}})
}

impl Run {
    pub async fn start(manifest: Value) -> Self {
        Self::start_with(manifest, options()).await
    }

    pub async fn start_with(manifest: Value, options: PipelineOptions) -> Self {
        Self::prepared(manifest, options, |_| {}).await
    }

    /// With what is put into its folder before it starts.
    pub async fn prepared(manifest: Value, options: PipelineOptions, prepare: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        prepare(folder.path());
        let text = manifest.to_string().replace("OUT", folder.path().to_str().unwrap());
        let manifest: Manifest = serde_json::from_str(&text).unwrap();
        let parts = PipelineInputs {
            wasm: Arc::new(TestNodes),
            builtin_child: Some(child()),
            dead_letters: Some(folder.path().join("dead.jsonl")),
            options,
        };
        let pipeline = Pipeline::start(manifest, parts).await.unwrap();
        Self { pipeline, folder }
    }

    /// Until so many items were taken in.
    pub async fn accepted(&self, count: u64) {
        self.until(|| self.pipeline.account().accepted >= count, "items to be taken in").await;
    }

    pub async fn until(&self, condition: impl Fn() -> bool, what: &str) {
        let wait = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let account = || self.pipeline.account();
        tokio::time::timeout(LIMIT, wait)
            .await
            .unwrap_or_else(|_| panic!("waited for {what}: {:?}", account()));
    }

    /// Does it while items flow, and makes sure that they did.
    pub async fn act(&self, action: Action) {
        self.try_act(&action).await.unwrap_or_else(|error| panic!("{action}: {error}"));
        assert!(!self.pipeline.progress().sources[0].ended, "the load ended before {action}");
    }

    pub async fn try_act(&self, action: &Action) -> Result<(), ApplyError> {
        tokio::time::timeout(LIMIT, self.pipeline.apply(action)).await.expect("an action ends")
    }

    /// To the end; then everything must be accounted for.
    pub async fn finish(&self) {
        self.finish_without_shutdown().await;
        self.pipeline.shutdown().await;
        let account = self.pipeline.account();
        assert!(account.balances(), "{account:?}");
        assert_eq!((account.in_flight, self.pipeline.lost()), (0, 0), "{account:?}");
    }

    pub async fn finish_without_shutdown(&self) {
        let finished = tokio::time::timeout(LIMIT, self.pipeline.finished()).await;
        assert!(finished.is_ok(), "it does not finish: {:?}", self.pipeline.account());
    }

    pub fn lines(&self, file: &str) -> Vec<Value> {
        let path = self.folder.path().join(file);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The `n` of every item that a sink was given.
    pub fn numbers(&self, sink: &str) -> Vec<u64> {
        self.lines(&format!("{sink}.jsonl")).iter().map(|item| item["n"].as_u64().unwrap()).collect()
    }

    /// Every item exactly once, in order.
    pub fn assert_whole(&self, sink: &str, items: u64) {
        let numbers = self.numbers(sink);
        let wrong = numbers.iter().zip(0..).position(|(have, want)| *have != want);
        assert_eq!(
            wrong,
            None,
            "{:?}",
            wrong.map(|at| &numbers[at.saturating_sub(3)..numbers.len().min(at + 5)])
        );
        assert_eq!(numbers.len() as u64, items);
    }

    /// Every item exactly once, in any order.
    pub fn assert_complete(&self, sink: &str, items: u64) {
        let mut numbers = self.numbers(sink);
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..items), "something is missing or doubled at {sink}");
    }

    pub async fn observe(&self) -> Observation {
        self.pipeline.observe().await.unwrap()
    }

    pub async fn status(&self, node: &str) -> NodeStatus {
        let seen = self.observe().await;
        seen.nodes.statuses[seen.nodes.find(node).unwrap()]
    }

    pub async fn has_status(&self, node: &str, status: NodeStatus) {
        let wait = async {
            while self.status(node).await != status {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{node} never is {status:?}"));
    }
}

pub fn child() -> BuiltinChild {
    BuiltinChild { program: PathBuf::from(env!("CARGO_BIN_EXE_flyball-pipeline-child")), args: Vec::new() }
}

pub fn kill(pid: u32) {
    assert!(killed(pid), "there is no process {pid}");
}

/// `false`: it is gone already.
pub fn killed(pid: u32) -> bool {
    std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success()
}
