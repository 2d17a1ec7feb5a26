//! A pipeline in trouble, and a model beside it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use flyball_plugin::decider::{Allowance, Failure};
use flyball_plugin::llm::{self, Question};
use flyball_plugin::prelude::*;
use flyball_plugin::testing::{Seen, SeenNode, with_llm, with_pipeline, with_settings, with_state};
use flyball_plugin::{Constraints, GraphSpec, MutationPolicy, NodeSpec, Offer};
use llm_decider::LlmDecider;
use serde_json::{Value, json};

pub type Said = Result<Decision, Failure>;

pub struct Scene {
    pub seen: Seen,
    pub graph: GraphSpec,
    pub types: Vec<NodeType>,
    pub situation: Situation,
    pub settings: Value,
    pub kept: BTreeMap<String, Vec<u8>>,
}

/// Every kind, with the host's own summaries.
pub const KINDS: &[(&str, &str)] = &[
    ("no-op", "change nothing, with a reason"),
    ("replace-node", "put a node of another type in this one's place"),
    ("insert-node", "put a new node on an edge"),
    ("remove-node", "take a node out and join its neighbours"),
    ("update-node-config", "merge a patch into a node's configuration"),
    ("bypass-node", "let items pass a node unchanged"),
    ("switch-executor", "do a node's work in another executor"),
    ("restart-process", "start a node's process anew"),
    ("scale-node", "set how many workers a node has"),
    ("adjust-buffering", "set how many items may wait before a node"),
];

pub fn allowed(kind: &str) -> Allowance {
    let summary = KINDS.iter().find(|(name, _)| *name == kind).unwrap().1;
    Allowance { kind: kind.to_owned(), summary: summary.to_owned(), limits: None }
}

/// The seed's session: a microphone, a resampler, a transcriber, a sentiment analyzer beside, an LLM and an output.
pub fn seed() -> Scene {
    let nodes = [
        ("input_source", "Microphone", Executor::Native, false),
        ("audio_resampler", "AudioResampler", Executor::Multiprocess, false),
        ("whisper_transcriber", "Whisper", Executor::Multiprocess, false),
        ("sentiment_analyzer", "SentimentAnalyzer", Executor::Multiprocess, true),
        ("llm_processor", "LlmProcessor", Executor::Multiprocess, false),
        ("output_sink", "Speaker", Executor::Native, false),
    ];
    let spec = |(id, node_type, executor, optional): (&str, &str, Executor, bool)| NodeSpec {
        id: id.to_owned(),
        node_type: node_type.to_owned(),
        executor,
        config: "{}".to_owned(),
        replicas: 1,
        queue_capacity: 50,
        bypassed: false,
        optional,
    };
    let seen = |(id, node_type, executor, _): (&str, &str, Executor, bool)| {
        let mut node = SeenNode::new(id)
            .number(Metric::LatencyP50Ms, 4.0)
            .number(Metric::LatencyP99Ms, 9.5)
            .number(Metric::ItemsPerSecond, 100.0)
            .number(Metric::QueueDepth, 1.0)
            .number(Metric::QueueCapacity, 50.0)
            .number(Metric::ErrorsPerSecond, 0.0)
            .number(Metric::Replicas, 1.0);
        node.node_type = node_type.to_owned();
        node.executor = executor;
        node
    };
    let offered = |(_, node_type, executor, _): (&str, &str, Executor, bool)| NodeType {
        name: node_type.to_owned(),
        summary: format!("the {node_type}"),
        provides: vec![node_type.to_lowercase()],
        offers: vec![Offer { executor, relative_speed: Some(1.0), relative_cost: None }],
        config_schema: None,
    };
    let ids: Vec<String> = nodes.iter().map(|node| node.0.to_owned()).collect();
    let mut types: Vec<NodeType> = nodes.into_iter().map(offered).collect();
    types[1].offers.push(Offer {
        executor: Executor::Native,
        relative_speed: Some(10.0),
        relative_cost: None,
    });
    Scene {
        seen: Seen {
            session: "podcast".to_owned(),
            tick: 12,
            taken_at: 1_000_000,
            nodes: nodes.into_iter().map(seen).collect(),
            totals: vec![
                ("end-to-end-latency-ms".to_owned(), 62.0),
                ("throughput-per-second".to_owned(), 99.7),
            ],
            edges: vec![(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
            bottleneck: None,
            critical_path: vec![0, 1, 2, 4, 5],
            errors: Vec::new(),
        },
        graph: GraphSpec {
            nodes: nodes.into_iter().map(spec).collect(),
            edges: ids.iter().cloned().zip(ids.iter().skip(1).cloned()).collect(),
        },
        types,
        situation: Situation {
            findings: Vec::new(),
            allowed: KINDS.iter().map(|(kind, _)| allowed(kind)).collect(),
            past: Vec::new(),
            learned: Vec::new(),
            constraints: Constraints {
                max_latency_ms: Some(100.0),
                min_throughput: Some(50.0),
                mutation: MutationPolicy::Full,
                protected: vec!["input_source".to_owned(), "output_sink".to_owned()],
            },
        },
        settings: json!({}),
        kept: BTreeMap::new(),
    }
}

impl Scene {
    pub fn node(&mut self, id: &str) -> &mut SeenNode {
        self.seen.nodes.iter_mut().find(|node| node.id == id).unwrap()
    }

    /// Instead of what the node had.
    pub fn number(&mut self, id: &str, metric: Metric, value: f64) {
        let node = self.node(id);
        node.numbers.retain(|(name, _)| name != metric.name());
        node.numbers.push((metric.name().to_owned(), value));
    }

    pub fn finds(&mut self, severity: Severity, code: &str, node: &str, message: &str) {
        self.situation.findings.push(Finding::new(severity, code, message).at(node));
    }

    /// Some ticks of a second later.
    pub fn later(&mut self, seconds: u64) {
        self.seen.tick += seconds;
        self.seen.taken_at += seconds * 1_000;
    }

    /// What it decides with these answers of the model, and what it asked for them. What it keeps is kept.
    pub fn asked(&mut self, answers: Vec<Result<String, llm::Failure>>) -> (Said, Vec<Question>) {
        let questions: Rc<RefCell<Vec<Question>>> = Rc::default();
        let (heard, mut answers) = (Rc::clone(&questions), answers.into_iter());
        let model = move |question: &Question| {
            heard.borrow_mut().push(question.clone());
            answers.next().unwrap_or_else(|| panic!("a question too many: {}", question.user))
        };
        let now = Observation::for_test(self.seen.clone());
        let decide = || LlmDecider::load().decide(&now, &Window::for_test([]), &self.situation);
        let (said, kept) = with_settings(self.settings.clone(), || {
            with_pipeline(self.graph.clone(), self.types.clone(), || {
                with_state(self.kept.clone(), || with_llm(model, decide))
            })
        });
        self.kept = kept;
        (said, questions.take())
    }

    /// The same, of one answer.
    pub fn decides(&mut self, answer: &Value) -> Said {
        self.asked(vec![Ok(answer.to_string())]).0
    }

    /// What would be asked first.
    pub fn question(&self) -> Question {
        let mut copy = Self {
            seen: self.seen.clone(),
            graph: self.graph.clone(),
            types: self.types.clone(),
            situation: self.situation.clone(),
            settings: self.settings.clone(),
            kept: self.kept.clone(),
        };
        let (_, mut questions) = copy.asked(vec![Err(llm::Failure::Failed("nobody is there".to_owned()))]);
        questions.remove(0)
    }
}

/// An answer of the right form.
pub fn answer(action: Value, evidence: Value) -> Value {
    json!({
        "analysis": "it is in trouble",
        "issues": ["trouble"],
        "action": action,
        "reason": "it helps",
        "confidence": 0.9,
        "evidence": evidence,
    })
}

pub fn cited(node: &str, metric: &str, value: f64) -> Value {
    json!({ "node": node, "metric": metric, "value": value, "note": "seen" })
}

/// Why nothing was decided, and by which failure.
pub fn failed(said: Said) -> String {
    match said {
        Err(Failure::Failed(why)) => why,
        other => panic!("not failed: {other:?}"),
    }
}

pub fn abstained(said: Said) -> String {
    match said {
        Err(Failure::Abstain(why)) => why,
        other => panic!("not abstained: {other:?}"),
    }
}
