//! A golden case: what a plugin is told, and what it must say. A case is one JSON file beside the plugin's source; it
//! travels in the component, the host asks a version its cases before it serves, and `flyball check` runs them. This file
//! is the one format: the engine, the first-party plugins' tests and `flyball schema case` all read it from here.
//!
//! Whatever a case does not say has the default that a manifest gives it, so that a case names only what it is about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::manifest::{default_capacity, one};
use crate::{
    Action, ActionKind, Constraints, Exchange, Executor, Finding, GraphSpec, HttpAnswer, HttpExchange,
    Learned, LlmExchange, MutationPolicy, NodeId, NodeSpec, NodeStatus, NodeType, PastAction, Proposal,
    Trend, UnixMillis,
};

/// A golden case: what a plugin is told, and what it must answer.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows, in a sentence.
    pub about: String,
    /// The plugin's settings, as a policy gives them.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// The present observation.
    #[serde(default)]
    pub observation: CaseObservation,
    /// Earlier observations, oldest first.
    #[serde(default)]
    pub window: Vec<CaseObservation>,
    /// Findings of the heuristics, for deciders and validators.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The pipeline as it is configured.
    #[serde(default)]
    pub graph: CaseGraph,
    /// The kinds of action that a decider may choose.
    #[serde(default)]
    pub allowed: Vec<ActionKind>,
    /// The node types on offer.
    #[serde(default)]
    pub node_types: Vec<NodeType>,
    /// Earlier actions, newest first.
    #[serde(default)]
    pub past: Vec<PastAction>,
    /// What is known of the outcomes of actions that were tried for a finding.
    #[serde(default)]
    pub learned: Vec<Learned>,
    /// Limits that the session must keep.
    #[serde(default)]
    pub constraints: Constraints,
    /// Level that says which kinds of action are allowed.
    #[serde(default)]
    pub mutation: MutationPolicy,
    /// Nodes that no action may touch.
    #[serde(default)]
    pub protected: Vec<String>,
    /// The proposal that a validator judges.
    pub proposed: Option<Proposal>,
    /// Who proposed it.
    #[serde(default = "rule_decider")]
    pub decided_by: String,
    /// The action that a reverser undoes.
    pub applied: Option<CaseApplied>,
    /// The question to a plugin of a kind that the loop does not ask itself.
    pub question: Option<Value>,
    /// The item that a node processes.
    pub item: Option<Value>,
    /// Values that the plugin kept earlier, by the grant `state`.
    #[serde(default)]
    pub kept: BTreeMap<String, String>,
    /// Answers of HTTP servers, in the order of the requests.
    #[serde(default)]
    pub http: Vec<CaseHttp>,
    /// Answers of a language model, in the order of the questions.
    #[serde(default)]
    pub llm: Vec<LlmExchange>,
    /// Answers of other capabilities, in the order of the questions.
    #[serde(default)]
    pub others: Vec<Exchange>,
    /// The answer that is expected of the plugin.
    pub expect: CaseAnswer,
}

fn rule_decider() -> String {
    "rule-decider".to_owned()
}

/// An action that was done, with the graph before and after it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseApplied {
    /// The action.
    pub action: Action,
    /// The graph before it.
    pub before: CaseGraph,
    /// The graph after it.
    pub after: CaseGraph,
}

/// An observation: what is seen of a pipeline at one tick.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseObservation {
    /// The session's name; `case` when none is given.
    pub session: Option<String>,
    /// Time, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub taken_at: UnixMillis,
    /// A row for each node.
    #[serde(default)]
    pub nodes: Vec<CaseNode>,
    /// Metrics of the whole graph, by name.
    #[serde(default)]
    pub totals: BTreeMap<String, f64>,
    /// The bottleneck: the node that holds back the others.
    pub bottleneck: Option<String>,
    /// The critical path: nodes from a source to a sink.
    #[serde(default)]
    pub critical_path: Vec<String>,
    /// The recent errors, in any order: the plugin sees the newest first.
    #[serde(default)]
    pub errors: Vec<CaseError>,
}

/// What is seen of a node. Every other key of the row is a metric, by its name.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct CaseNode {
    /// Its name.
    pub id: NodeId,
    /// Its status.
    #[serde(default = "healthy")]
    pub status: NodeStatus,
    /// Where its work is done.
    #[serde(default)]
    pub executor: Executor,
    /// Trend of its latency.
    #[serde(default)]
    pub trend: Trend,
    /// Its type.
    #[serde(default, rename = "type")]
    pub node_type: String,
    /// Its newest error.
    pub last_error: Option<String>,
    /// Its metrics, by name.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, f64>,
}

fn healthy() -> NodeStatus {
    NodeStatus::Healthy
}

/// An error that was seen.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseError {
    /// Time, in milliseconds since the Unix epoch.
    pub at: UnixMillis,
    /// The node where it happened: its name, or its number in the observation. Without it, the error is of the whole pipeline.
    pub node: Option<CaseNodeRef>,
    /// The error message.
    pub message: String,
}

/// A node of the observation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CaseNodeRef {
    /// By its place, counted from 0.
    Number(u32),
    /// By its name.
    Name(NodeId),
}

impl CaseObservation {
    /// The number of the node of that name.
    pub fn number(&self, id: &str) -> Option<u32> {
        self.nodes.iter().position(|node| node.id == id).and_then(|index| u32::try_from(index).ok())
    }

    /// The number of the node that an error names, if it is seen.
    pub fn number_of(&self, node: &CaseNodeRef) -> Option<u32> {
        match node {
            CaseNodeRef::Number(number) => (*number as usize).lt(&self.nodes.len()).then_some(*number),
            CaseNodeRef::Name(name) => self.number(name),
        }
    }

    /// The errors, newest first, as an observation holds them.
    pub fn newest_errors(&self) -> Vec<&CaseError> {
        let mut errors: Vec<&CaseError> = self.errors.iter().collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.at));
        errors
    }
}

/// A pipeline as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseGraph {
    /// The nodes.
    #[serde(default)]
    pub nodes: Vec<CaseNodeSpec>,
    /// Each edge: from this node, to that node.
    #[serde(default)]
    pub edges: Vec<(NodeId, NodeId)>,
}

/// A node as it is configured. What is left out has the default of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseNodeSpec {
    /// Its name.
    pub id: NodeId,
    /// Its type.
    #[serde(default, alias = "type")]
    pub node_type: String,
    /// Where its work is done.
    #[serde(default)]
    pub executor: Executor,
    /// Its configuration.
    #[serde(default, alias = "params")]
    pub config: Map<String, Value>,
    /// Number of its workers.
    #[serde(default = "one")]
    pub replicas: u32,
    /// Maximum number of items in the queue before it.
    #[serde(default = "default_capacity")]
    pub queue_capacity: u32,
    /// Whether it is bypassed: items pass it unchanged.
    #[serde(default)]
    pub bypassed: bool,
    /// Whether the pipeline still works without it.
    #[serde(default)]
    pub optional: bool,
}

impl CaseGraph {
    /// As the model has it.
    pub fn spec(&self) -> GraphSpec {
        let node = |node: &CaseNodeSpec| NodeSpec {
            id: node.id.clone(),
            node_type: node.node_type.clone(),
            executor: node.executor,
            config: Value::Object(node.config.clone()),
            replicas: node.replicas,
            queue_capacity: node.queue_capacity,
            bypassed: node.bypassed,
            optional: node.optional,
        };
        GraphSpec { nodes: self.nodes.iter().map(node).collect(), edges: self.edges.clone() }
    }
}

/// One request that the plugin makes, and what it is told of it: `request` and one of `response`, `failed` and `refused`;
/// or, as a recording writes it, `method`, `url`, `headers`, `body` and `answer`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenHttp")]
pub struct CaseHttp {
    /// The request that is expected of the plugin. Headers and body are compared only if the case names some.
    pub request: CaseRequest,
    /// The answer that the plugin gets.
    pub answer: HttpAnswer,
}

// A derived schema would be of the two parts, and not of what is written.
impl JsonSchema for CaseHttp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CaseHttp".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenHttp::json_schema(generator)
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseRequest {
    /// Method. By default GET.
    #[serde(default = "get")]
    pub method: String,
    /// Absolute URL as the plugin writes it. A secret is a placeholder here.
    pub url: String,
    /// Names and values. Empty: they are not compared.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body. Empty: it is not compared.
    #[serde(default)]
    pub body: CaseBody,
}

fn get() -> String {
    "GET".to_owned()
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CaseResponse {
    /// HTTP status. By default 200.
    #[serde(default = "ok")]
    status: u16,
    /// Names and values of the headers.
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The body: text, a JSON object, or a list of bytes.
    #[serde(default)]
    body: CaseBody,
}

fn ok() -> u16 {
    200
}

/// A body, written as text, as a JSON object, or as a list of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaseBody(pub Vec<u8>);

impl<'de> Deserialize<'de> for CaseBody {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
        let wrong = "a body is text, a JSON object, or a list of bytes from 0 to 255";
        match Value::deserialize(from)? {
            Value::String(text) => Ok(Self(text.into_bytes())),
            object @ Value::Object(_) => Ok(Self(object.to_string().into_bytes())),
            Value::Array(bytes) => bytes
                .iter()
                .map(byte)
                .collect::<Option<_>>()
                .map(Self)
                .ok_or_else(|| serde::de::Error::custom(wrong)),
            _ => Err(serde::de::Error::custom(wrong)),
        }
    }
}

impl JsonSchema for CaseBody {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CaseBody".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A body, written as text, as a JSON object, or as a list of bytes.",
            "type": ["string", "object", "array"],
            "items": { "type": "integer", "minimum": 0, "maximum": 255 }
        })
    }
}

/// Both ways in which an exchange is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenHttp {
    /// The request that is expected of the plugin.
    request: Option<CaseRequest>,
    /// The answer of the server.
    response: Option<CaseResponse>,
    /// Why no whole answer came.
    failed: Option<String>,
    /// Why the policy does not allow the request.
    refused: Option<String>,
    /// As a recording writes it.
    method: Option<String>,
    /// As a recording writes it.
    url: Option<String>,
    /// As a recording writes it.
    headers: Option<Vec<(String, String)>>,
    /// As a recording writes it.
    body: Option<CaseBody>,
    /// As a recording writes it.
    answer: Option<RecordedAnswer>,
}

/// An answer as a recording writes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RecordedAnswer {
    /// An answer, whole.
    Answered(CaseResponse),
    /// The policy does not allow it.
    Refused(String),
    /// No whole answer came.
    Failed(String),
}

impl TryFrom<WrittenHttp> for CaseHttp {
    type Error = String;

    fn try_from(written: WrittenHttp) -> Result<Self, String> {
        let WrittenHttp { request, response, failed, refused, method, url, headers, body, answer } = written;
        let recorded = method.is_some() || headers.is_some() || body.is_some();
        let request = match (request, url) {
            (Some(request), None) if !recorded => request,
            (None, Some(url)) => CaseRequest {
                method: method.unwrap_or_else(get),
                url,
                headers: headers.unwrap_or_default(),
                body: body.unwrap_or_default(),
            },
            _ => return Err("an exchange has either `request`, or `method` and `url`".to_owned()),
        };
        let answered =
            |CaseResponse { status, headers, body }| HttpAnswer::Answered { status, headers, body: body.0 };
        let answer = match (response, failed, refused, answer) {
            (Some(response), None, None, None) => answered(response),
            (None, Some(why), None, None) => HttpAnswer::Failed(why),
            (None, None, Some(why), None) => HttpAnswer::Refused(why),
            (None, None, None, Some(answer)) => match answer {
                RecordedAnswer::Answered(response) => answered(response),
                RecordedAnswer::Refused(why) => HttpAnswer::Refused(why),
                RecordedAnswer::Failed(why) => HttpAnswer::Failed(why),
            },
            _ => {
                return Err(
                    "an exchange has exactly one of `response`, `failed`, `refused` and `answer`".to_owned()
                );
            }
        };
        Ok(Self { request, answer })
    }
}

impl CaseHttp {
    /// As a recording has it.
    pub fn exchange(&self) -> HttpExchange {
        let CaseRequest { method, url, headers, body } = self.request.clone();
        HttpExchange { method, url, headers, body: body.0, answer: self.answer.clone() }
    }

    /// How a request differs from this one, in words: `url`, `headers`. None: it is this one.
    pub fn difference(&self, asked: &HttpExchange) -> Option<&'static str> {
        let CaseRequest { method, url, headers, body } = &self.request;
        let same = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        let has = |(name, value): &(String, String)| {
            asked.headers.iter().any(|(other, its)| same(name, other) && value == its)
        };
        match () {
            () if *method != asked.method => Some("method"),
            () if *url != asked.url => Some("URL"),
            () if !headers.iter().all(has) => Some("headers"),
            () if !body.0.is_empty() && body.0 != asked.body => Some("body"),
            () => None,
        }
    }
}

/// The answer that is expected of a plugin: the key for its kind, with the keys that belong to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseAnswer {
    /// Of a heuristic: its findings, each as `severity code target`, in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<String>>,
    /// Of a heuristic, together with `findings`: each check as `code target value limit`, followed by what else would have been
    /// needed. Left out, checks are not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<String>>,
    /// Of a validator: `allow`, `deny`, `amend` or `ask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Of a validator, together with `verdict`: the code of its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of a decider: its action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Of a decider: whether it has no answer and leaves the question to the next.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abstains: bool,
    /// Of a reverser: its actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<Action>>,
    /// Of a reverser: a part of the reason why the action cannot be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
    /// Of a catalog: the names of its node types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<String>>,
    /// Of a node: what it makes of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bodies: Option<Vec<Value>>,
    /// Of a plugin of a kind that the loop does not ask itself: its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// A part of the reason why the item or the plugin failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// JSON Pointers of the settings that are wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Case, String> {
        serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn errors_are_seen_newest_first_and_name_their_node_by_name_or_number() {
        let case = read(json!({
            "about": "errors",
            "observation": {
                "nodes": [{ "id": "a" }, { "id": "b" }],
                "errors": [
                    { "at": 1, "node": 1, "message": "old" },
                    { "at": 3, "node": "a", "message": "new" },
                    { "at": 2, "message": "of all" },
                    { "at": 0, "node": "gone", "message": "of a node that is gone" }
                ]
            },
            "expect": { "findings": [] }
        }))
        .unwrap();
        let seen = &case.observation;
        let newest: Vec<_> = seen
            .newest_errors()
            .into_iter()
            .map(|error| (error.message.as_str(), error.node.as_ref().and_then(|node| seen.number_of(node))))
            .collect();
        assert_eq!(
            newest,
            [("new", Some(0)), ("of all", None), ("old", Some(1)), ("of a node that is gone", None)]
        );
    }

    #[test]
    fn a_node_of_a_graph_has_what_a_manifest_would_give_it() {
        let case = read(json!({
            "about": "partial",
            "graph": { "nodes": [{ "id": "api", "type": "http-enrich", "optional": true }] },
            "expect": { "abstains": true }
        }))
        .unwrap();
        let declared: crate::NodeDeclaration =
            serde_json::from_value(json!({ "id": "api", "type": "http-enrich", "optional": true })).unwrap();
        let node = &case.graph.spec().nodes[0];
        assert_eq!(node.replicas, declared.replicas);
        assert_eq!(node.queue_capacity, declared.queue_capacity);
        assert_eq!(node.executor, declared.executor);
        assert_eq!(node.config, json!({}));
        assert!(node.optional && !node.bypassed);
    }

    #[test]
    fn a_body_is_text_an_object_or_bytes_and_both_ways_of_writing_an_exchange_are_one() {
        let with =
            |http: Value| read(json!({ "about": "http", "http": [http], "expect": { "verdict": "allow" } }));
        let short = |body: Value| {
            with(json!({ "request": { "url": "http://x/" }, "response": { "body": body } })).unwrap().http
        };
        let long = |body: Value| {
            let answer = json!({ "answered": { "status": 200, "headers": [], "body": body } });
            with(json!({ "method": "GET", "url": "http://x/", "headers": [], "body": [], "answer": answer }))
                .unwrap()
                .http
        };
        for body in [json!("{\"a\":1}"), json!({ "a": 1 }), json!([123, 34, 97, 34, 58, 49, 125])] {
            assert_eq!(short(body.clone()), long(body.clone()));
            let HttpAnswer::Answered { body: bytes, .. } = &short(body)[0].answer else {
                panic!("an answer")
            };
            assert_eq!(bytes, b"{\"a\":1}");
        }
    }

    #[test]
    fn what_is_no_exchange_says_what_one_has() {
        let with = |http: Value| {
            read(json!({ "about": "http", "http": [http], "expect": { "verdict": "allow" } })).unwrap_err()
        };
        let neither = with(json!({ "response": {} }));
        assert!(neither.contains("either `request`, or `method` and `url`"), "{neither}");
        let both = with(json!({ "request": { "url": "http://x/" }, "response": {}, "failed": "late" }));
        assert!(both.contains("exactly one of `response`, `failed`"), "{both}");
        let body = with(json!({ "request": { "url": "http://x/" }, "response": { "body": [256] } }));
        assert!(body.contains("a list of bytes from 0 to 255"), "{body}");
    }

    #[test]
    fn headers_and_body_count_where_a_case_names_some() {
        let asked = |headers: Vec<(String, String)>, body: &str| HttpExchange {
            method: "GET".to_owned(),
            url: "http://x/".to_owned(),
            headers,
            body: body.as_bytes().to_vec(),
            answer: HttpAnswer::Failed(String::new()),
        };
        let any: CaseHttp =
            serde_json::from_value(json!({ "request": { "url": "http://x/" }, "failed": "late" })).unwrap();
        assert_eq!(any.difference(&asked(vec![("Accept".into(), "text/plain".into())], "x")), None);
        let named: CaseHttp = serde_json::from_value(
            json!({ "request": { "url": "http://x/", "headers": [["accept", "a/b"]], "body": "x" }, "failed": "" }),
        )
        .unwrap();
        let accept = || vec![("Accept".to_owned(), "a/b".to_owned())];
        assert_eq!(named.difference(&asked(accept(), "x")), None);
        assert_eq!(named.difference(&asked(vec![], "x")), Some("headers"));
        assert_eq!(named.difference(&asked(accept(), "y")), Some("body"));
        let other = HttpExchange { url: "http://y/".to_owned(), ..asked(accept(), "x") };
        assert_eq!(named.difference(&other), Some("URL"));
    }
}
