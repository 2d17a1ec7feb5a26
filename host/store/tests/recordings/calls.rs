//! Calls to record.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    Cost, Executor, Finding, GraphSpec, History, MutationPolicy, NodeSpec, Observation, PluginId, PluginKind,
    PluginUse, Rules, Severity,
};
use flyball_ports::{CallInput, CallRecord, Recorder, Said, Sight, Situation};
use flyball_store::{CallFilter, RecordedCall, Recordings, RecordingsOptions, RecordingsReader, Which};
use serde_json::{Value, json};

pub const SOON: Duration = Duration::from_secs(300);

pub fn all() -> RecordingsOptions {
    RecordingsOptions { which: Which::All, ..RecordingsOptions::default() }
}

pub fn start(directory: &Path, options: RecordingsOptions) -> Recordings {
    Recordings::start(directory, options).unwrap()
}

/// Records them and reads what is written then, oldest first.
pub fn recorded(directory: &Path, options: RecordingsOptions, calls: Vec<CallRecord>) -> Vec<RecordedCall> {
    let recordings = start(directory, options);
    for call in calls {
        recordings.record(call);
    }
    assert!(recordings.settle(SOON));
    read(directory)
}

pub fn read(directory: &Path) -> Vec<RecordedCall> {
    let reader = RecordingsReader::open(directory).unwrap();
    let ids = reader.ids(&CallFilter::default()).unwrap();
    ids.into_iter().map(|id| reader.call(id).unwrap()).collect()
}

pub fn observation(tick: u64) -> Observation {
    Observation {
        session: "orders".into(),
        tick,
        taken_at: 1_700_000_000_000 + tick * 1_000,
        nodes: Default::default(),
        graph: Default::default(),
        edges: Arc::from([(0, 1)]),
        errors: Vec::new(),
    }
}

pub fn sight(tick: u64) -> Sight {
    let mut past = History::new(30);
    for ago in (1..=30).rev() {
        if let Some(before) = tick.checked_sub(ago).filter(|before| *before > 0) {
            past.push(Arc::new(observation(before)));
        }
    }
    Sight { now: Arc::new(observation(tick)), past: Arc::new(past) }
}

pub fn used() -> PluginUse {
    PluginUse {
        plugin: "watcher".to_owned(),
        settings: [("most".to_owned(), json!(0.1))].into(),
        limits: Default::default(),
        grants: Default::default(),
        on_failure: Default::default(),
    }
}

pub fn finding() -> Finding {
    Finding {
        code: "sky-fell".to_owned(),
        severity: Severity::Critical,
        target: Some("index".to_owned()),
        message: "the sky fell".to_owned(),
        rests_on: Vec::new(),
    }
}

pub fn graph(config: Value) -> GraphSpec {
    let node = NodeSpec {
        id: "index".to_owned(),
        node_type: "sink".to_owned(),
        executor: Executor::Native,
        config,
        replicas: 1,
        queue_capacity: 16,
        bypassed: false,
        optional: false,
    };
    GraphSpec { nodes: vec![node], edges: vec![("a".to_owned(), "index".to_owned())] }
}

pub fn situation(graph: GraphSpec) -> Situation {
    Situation {
        findings: vec![finding()],
        graph: graph.into(),
        allowed: vec![flyball_model::ActionKind::ScaleNode],
        node_types: Arc::from([]),
        past: Vec::new(),
        learned: Vec::new(),
        rules: Rules {
            enabled: true,
            mutation: MutationPolicy::Heal,
            max_latency_ms: Some(250.5),
            min_throughput: None,
            protected: vec!["index".to_owned()],
            cooldown_ms: 5_000,
            max_actions: 5,
            window_ms: 60_000,
            history: 30,
            safety: Default::default(),
        },
    }
}

pub fn call(asked: CallInput, said: Result<Said, String>) -> CallRecord {
    let kind = match &asked {
        CallInput::Assess(_) => PluginKind::Heuristic,
        CallInput::List => PluginKind::Catalog,
        CallInput::Decide(..) => PluginKind::Decider,
        CallInput::Review { .. } => PluginKind::Validator,
        CallInput::Reverse { .. } => PluginKind::Reverser,
        CallInput::Process(_) => PluginKind::Node,
        CallInput::Other { .. } => PluginKind::of("forecaster"),
    };
    CallRecord {
        by: PluginId { name: "watcher".into(), version: "1.2.3".into(), digest: "ab".repeat(32).into() },
        kind,
        contract: "0.1.0".into(),
        generation: 4,
        session: asked.sight().map(|sight| Arc::clone(&sight.now.session)).unwrap_or_default(),
        tick: asked.sight().map_or(0, |sight| sight.now.tick),
        at: asked.sight().map_or(0, |sight| sight.now.taken_at),
        used: Arc::new(used()),
        asked,
        kept: None,
        http: Vec::new(),
        llm: Vec::new(),
        others: Vec::new(),
        said,
        cost: Cost {
            wall_ns: 1,
            memory_bytes: 2,
            host_calls: 3,
            host_bytes: 4,
            log_bytes: 5,
            fuel: 12_345,
            llm: flyball_model::LlmUse::default(),
        },
    }
}

/// A heuristic's on this tick, which finds something or nothing.
pub fn assessed(tick: u64, finds: bool) -> CallRecord {
    call(
        CallInput::Assess(sight(tick)),
        Ok(Said::Assessed(if finds { vec![finding()] } else { Vec::new() }.into())),
    )
}
