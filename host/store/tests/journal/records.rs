use flyball_model::{
    Action, ActionRecord, Approval, Decision, Ending, Event, EventRecord, Evidence, Finding, GraphSpec,
    NodeSpec, Outcome, PluginId, Proposal, Reason, Severity, TickRecord, Verdict, VerdictRecord,
};

pub(crate) fn by(name: &str) -> PluginId {
    PluginId { name: name.into(), version: "1.0.0".into(), digest: "abc".into() }
}

pub(crate) fn graph(replicas: u32) -> GraphSpec {
    let node = NodeSpec {
        id: "map".to_owned(),
        node_type: "map".to_owned(),
        executor: flyball_model::Executor::Native,
        config: serde_json::json!({ "template": "{größe}" }),
        replicas,
        queue_capacity: 256,
        bypassed: false,
        optional: true,
    };
    GraphSpec { nodes: vec![node], edges: vec![("map".to_owned(), "map".to_owned())] }
}

/// An intent with something in every field that an intent has.
pub(crate) fn intent(session: &str, tick: u64) -> ActionRecord {
    let evidence = Evidence { node: Some("map".to_owned()), value: Some(0.97), ..Evidence::default() };
    ActionRecord {
        id: 0,
        session: session.into(),
        tick,
        generation: 3,
        at: 1_000 + tick,
        proposal: Proposal {
            action: Action::ScaleNode { node: "map".to_owned(), replicas: 2 },
            reason: "its queue is full".to_owned(),
            confidence: Some(0.8),
            rests_on: vec![evidence.clone()],
        },
        decided_by: by("rule-decider"),
        judged_by: vec![by("threshold-heuristic"), by("mutation-policy")],
        findings: vec![Finding {
            code: "queue-pressure".to_owned(),
            severity: Severity::Warning,
            target: Some("map".to_owned()),
            message: "the queue is nearly full".to_owned(),
            rests_on: vec![evidence],
        }],
        before: graph(1).into(),
        after: None,
        outcome: Outcome::Unknown,
        note: None,
        settled_at: None,
        undoes: None,
    }
}

/// What becomes of an intent that the data plane took.
pub(crate) fn concluded(intent: ActionRecord, id: u64, outcome: Outcome) -> ActionRecord {
    let after = (!matches!(outcome, Outcome::Failed | Outcome::Rejected)).then(|| graph(2).into());
    ActionRecord { id, after, outcome, note: Some("p99 80 ms".to_owned()), settled_at: Some(5_000), ..intent }
}

pub(crate) fn tick(session: &str, tick: u64, ending: Ending) -> TickRecord {
    TickRecord {
        session: session.into(),
        tick,
        at: 1_000 + tick,
        generation: 3,
        ending,
        checks: Vec::new(),
        gates: Vec::new(),
        findings: Vec::new(),
        failures: Vec::new(),
        gate: None,
        decision: None,
        answers: Vec::new(),
        verdicts: Vec::new(),
        action: None,
        error: None,
        took_ns: 30_000,
        costs: vec![(by("threshold-heuristic"), flyball_model::Cost::default())],
    }
}

pub(crate) fn event(session: Option<&str>, number: u64, event: Event) -> EventRecord {
    EventRecord { at: 1_000 + number, session: session.map(Into::into), tick: number, event }
}

pub(crate) fn halted(session: Option<&str>, number: u64) -> EventRecord {
    event(session, number, Event::Halted { why: "I look at it".to_owned(), by: None })
}

pub(crate) fn resumed(session: Option<&str>, number: u64) -> EventRecord {
    event(session, number, Event::Resumed { why: "it is well".to_owned(), by: None })
}

pub(crate) fn decision() -> Decision {
    Decision { analysis: "it is full".to_owned(), issues: Vec::new(), proposal: intent("shop", 1).proposal }
}

pub(crate) fn allowed(by: PluginId) -> VerdictRecord {
    VerdictRecord { by, within: None, action: Action::NoOp, verdict: Verdict::Allow }
}

/// Asked on this tick.
pub(crate) fn approval(tick: u64) -> Approval {
    Approval {
        id: "abc".to_owned(),
        tick,
        action: Action::RemoveNode { node: "map".to_owned() },
        reason: Reason {
            code: "big".to_owned(),
            message: "it is big".to_owned(),
            hint: None,
            rests_on: vec![],
        },
        decided_by: "rule-decider".to_owned(),
        findings: vec!["queue-pressure at map".to_owned()],
        graph: graph(1).digest(),
        expires_at: 9_000,
    }
}
