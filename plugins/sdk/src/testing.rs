//! Observations for a plugin's own tests, which run natively, without a host.
//!
//! ```
//! use flyball_plugin::testing::{Seen, SeenNode};
//! use flyball_plugin::{Metric, Observation, Status};
//!
//! let seen = Seen::default().with(
//!     SeenNode::new("parse").status(Status::Degraded).number(Metric::QueueDepth, 48.0).number(Metric::QueueCapacity, 50.0),
//! );
//! let now = Observation::for_test(seen);
//! assert!(now.nodes().all(|node| node.queue_fill() > 0.9));
//! ```

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value as Json;

use crate::bindings::observed::{Executor, SeenError, Status, Trend};
use crate::bindings::settings::Value;
use crate::http::{Failure, Request, Response};
use crate::llm;
use crate::source::Source;
use crate::{GraphSpec, Metric, NodeType, Observation};

/// One node as a test says that it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenNode {
    /// Its name.
    pub id: String,
    /// Its type.
    pub node_type: String,
    /// Where its work is done.
    pub executor: Executor,
    /// How it is.
    pub status: Status,
    /// Where its latency is heading.
    pub latency_trend: Trend,
    /// Its newest error.
    pub last_error: Option<String>,
    /// Its numbers, by name.
    pub numbers: Vec<(String, f64)>,
}

impl SeenNode {
    /// A healthy native node without numbers.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            node_type: "test".to_owned(),
            executor: Executor::Native,
            status: Status::Healthy,
            latency_trend: Trend::Stable,
            last_error: None,
            numbers: Vec::new(),
        }
    }

    /// With this status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// With this number.
    #[must_use]
    pub fn number(mut self, metric: Metric, value: f64) -> Self {
        self.numbers.push((metric.name().to_owned(), value));
        self
    }
}

/// What a test says was seen at one tick.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// The session's name.
    pub session: String,
    /// The tick's number.
    pub tick: u64,
    /// Milliseconds since the Unix epoch.
    pub taken_at: u64,
    /// The nodes.
    pub nodes: Vec<SeenNode>,
    /// Numbers of the whole graph, by name.
    pub totals: Vec<(String, f64)>,
    /// From node, to node.
    pub edges: Vec<(u32, u32)>,
    /// The node that holds the others up.
    pub bottleneck: Option<u32>,
    /// From a source to a sink.
    pub critical_path: Vec<u32>,
    /// Newest first.
    pub errors: Vec<SeenError>,
}

impl Seen {
    /// With one more node.
    #[must_use]
    pub fn with(mut self, node: SeenNode) -> Self {
        self.nodes.push(node);
        self
    }

    pub(crate) fn session(&self) -> String {
        self.session.clone()
    }
    pub(crate) fn tick(&self) -> u64 {
        self.tick
    }
    pub(crate) fn taken_at(&self) -> u64 {
        self.taken_at
    }
    pub(crate) fn len(&self) -> u32 {
        self.nodes.len().try_into().unwrap_or(u32::MAX)
    }
    fn node(&self, node: u32) -> Option<&SeenNode> {
        self.nodes.get(node as usize)
    }
    pub(crate) fn id(&self, node: u32) -> String {
        self.node(node).map(|node| node.id.clone()).unwrap_or_default()
    }
    pub(crate) fn node_type(&self, node: u32) -> String {
        self.node(node).map(|node| node.node_type.clone()).unwrap_or_default()
    }
    pub(crate) fn executors(&self) -> Vec<Executor> {
        self.nodes.iter().map(|node| node.executor).collect()
    }
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.nodes.iter().map(|node| node.status).collect()
    }
    pub(crate) fn latency_trends(&self) -> Vec<Trend> {
        self.nodes.iter().map(|node| node.latency_trend).collect()
    }
    pub(crate) fn column(&self, metric: &str) -> Option<Vec<f64>> {
        let column: Vec<f64> =
            self.nodes.iter().map(|node| number(&node.numbers, metric).unwrap_or(f64::NAN)).collect();
        column.iter().any(|value| !value.is_nan()).then_some(column)
    }
    pub(crate) fn total(&self, metric: &str) -> Option<f64> {
        number(&self.totals, metric)
    }
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.nodes.iter().position(|node| node.id == id).and_then(|index| index.try_into().ok())
    }
    pub(crate) fn last_error(&self, node: u32) -> Option<String> {
        self.node(node).and_then(|node| node.last_error.clone())
    }
    pub(crate) fn edges(&self) -> Vec<(u32, u32)> {
        self.edges.clone()
    }
    pub(crate) fn bottleneck(&self) -> Option<u32> {
        self.bottleneck
    }
    pub(crate) fn critical_path(&self) -> Vec<u32> {
        self.critical_path.clone()
    }
    pub(crate) fn errors(&self, limit: u32) -> Vec<SeenError> {
        self.errors.iter().take(limit as usize).cloned().collect()
    }
    pub(crate) fn number_of(&self, node: &str, metric: &str) -> f64 {
        self.find(node)
            .and_then(|index| self.node(index))
            .and_then(|node| number(&node.numbers, metric))
            .unwrap_or(f64::NAN)
    }
    pub(crate) fn trend_of(&self, node: &str) -> Trend {
        self.find(node).and_then(|index| self.node(index)).map_or(Trend::Stable, |node| node.latency_trend)
    }
    pub(crate) fn status_of(&self, node: &str) -> Status {
        self.find(node).and_then(|index| self.node(index)).map_or(Status::Unknown, |node| node.status)
    }
}

fn number(numbers: &[(String, f64)], metric: &str) -> Option<f64> {
    numbers.iter().find(|(name, _)| name == metric).map(|(_, value)| *value)
}

std::thread_local! {
    static SETTINGS: core::cell::RefCell<Json> = const { core::cell::RefCell::new(Json::Null) };
}

/// Does this with these settings given, as a policy gives them.
pub fn with_settings<T>(settings: Json, test: impl FnOnce() -> T) -> T {
    let before = SETTINGS.replace(settings);
    let done = test();
    SETTINGS.set(before);
    done
}

pub(crate) fn given(path: &str) -> Option<Value> {
    SETTINGS.with_borrow(|settings| {
        let found =
            if path.is_empty() { Some(settings) } else { settings.pointer(&alloc::format!("/{path}")) };
        match found? {
            Json::Null => None,
            Json::Bool(value) => Some(Value::Boolean(*value)),
            Json::Number(value) => value.as_f64().map(Value::Number),
            Json::String(value) => Some(Value::Text(value.clone())),
            Json::Array(items) if items.iter().all(Json::is_string) => {
                Some(Value::Texts(items.iter().filter_map(Json::as_str).map(ToOwned::to_owned).collect()))
            }
            other => Some(Value::Other(alloc::string::ToString::to_string(other))),
        }
    })
}

std::thread_local! {
    static PIPELINE: core::cell::RefCell<(GraphSpec, Vec<NodeType>)> = const {
        core::cell::RefCell::new((GraphSpec { nodes: Vec::new(), edges: Vec::new() }, Vec::new()))
    };
}

/// Does this with this pipeline configured, and these node types on offer.
pub fn with_pipeline<T>(graph: GraphSpec, node_types: Vec<NodeType>, test: impl FnOnce() -> T) -> T {
    let before = PIPELINE.replace((graph, node_types));
    let done = test();
    PIPELINE.set(before);
    done
}

/// What the host would answer, from the test's pipeline.
pub(crate) mod configured {
    use alloc::vec::Vec;

    use super::PIPELINE;
    use crate::{GraphSpec, NodeSpec, NodeType};

    pub(crate) fn node(id: &str) -> Option<NodeSpec> {
        PIPELINE.with_borrow(|(graph, _)| graph.nodes.iter().find(|node| node.id == id).cloned())
    }

    pub(crate) fn graph() -> GraphSpec {
        PIPELINE.with_borrow(|(graph, _)| graph.clone())
    }

    pub(crate) fn offered(name: &str) -> Option<NodeType> {
        PIPELINE.with_borrow(|(_, types)| types.iter().find(|offered| offered.name == name).cloned())
    }

    pub(crate) fn all_offered() -> Vec<NodeType> {
        PIPELINE.with_borrow(|(_, types)| types.clone())
    }
}

type Answers = alloc::boxed::Box<dyn FnMut(&Request) -> Result<Response, Failure>>;

std::thread_local! {
    static WEB: core::cell::RefCell<Option<Answers>> = const { core::cell::RefCell::new(None) };
    static KEPT: core::cell::RefCell<BTreeMap<String, Vec<u8>>> = const {
        core::cell::RefCell::new(BTreeMap::new())
    };
}

/// Does this with these answers to HTTP requests.
pub fn with_http<T>(
    answers: impl FnMut(&Request) -> Result<Response, Failure> + 'static,
    test: impl FnOnce() -> T,
) -> T {
    let before = WEB.replace(Some(alloc::boxed::Box::new(answers)));
    let done = test();
    WEB.set(before);
    done
}

pub(crate) fn answer(request: &Request) -> Result<Response, Failure> {
    WEB.with_borrow_mut(|web| match web {
        Some(answers) => answers(request),
        None => Err(Failure::Refused("no HTTP is granted; see testing::with_http".to_owned())),
    })
}

type Models = alloc::boxed::Box<dyn FnMut(&llm::Question) -> Result<String, llm::Failure>>;

std::thread_local! {
    static MODEL: core::cell::RefCell<Option<Models>> = const { core::cell::RefCell::new(None) };
}

/// Does this with these answers of a language model.
pub fn with_llm<T>(
    answers: impl FnMut(&llm::Question) -> Result<String, llm::Failure> + 'static,
    test: impl FnOnce() -> T,
) -> T {
    let before = MODEL.replace(Some(alloc::boxed::Box::new(answers)));
    let done = test();
    MODEL.set(before);
    done
}

pub(crate) fn model_answer(question: &llm::Question) -> Result<String, llm::Failure> {
    MODEL.with_borrow_mut(|model| match model {
        Some(answers) => answers(question),
        None => Err(llm::Failure::Refused("no language model is granted; see testing::with_llm".to_owned())),
    })
}

/// Does this with these values kept, and tells what is kept then.
pub fn with_state<T>(
    kept: BTreeMap<String, Vec<u8>>,
    test: impl FnOnce() -> T,
) -> (T, BTreeMap<String, Vec<u8>>) {
    let before = KEPT.replace(kept);
    let done = test();
    (done, KEPT.replace(before))
}

/// What the host would keep, in the test's own.
pub(crate) mod keeping {
    use alloc::borrow::ToOwned;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::KEPT;

    pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
        KEPT.with_borrow(|kept| kept.get(key).cloned())
    }

    pub(crate) fn set(key: &str, value: &[u8]) -> Result<(), String> {
        KEPT.with_borrow_mut(|kept| kept.insert(key.to_owned(), value.to_vec()));
        Ok(())
    }

    pub(crate) fn delete(key: &str) {
        KEPT.with_borrow_mut(|kept| kept.remove(key));
    }

    pub(crate) fn keys() -> Vec<String> {
        KEPT.with_borrow(|kept| kept.keys().cloned().collect())
    }
}

impl Observation<'static> {
    /// Of a test.
    pub fn for_test(seen: Seen) -> Self {
        Self::from_source(Source::Test(seen))
    }
}
