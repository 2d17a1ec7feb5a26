//! What people see of a session at a glance: its newest tick, what is found, which gate holds, what is waited for.
//!
//! Called by the host, for `flyball status`.

use flyball_model::{ActionRecord, FoundNow, NodeNow, Observation, SessionNow, metric, total};

use crate::controller::Controller;
use crate::state::State;

impl Controller {
    /// The session as it was on its newest tick; none: it has not ticked yet, or could never be observed.
    pub async fn now(&self) -> Option<SessionNow> {
        let state = self.state.lock().await;
        let (record, seen) = (state.last.as_ref()?, state.newest.as_ref()?);
        let findings = record.findings.iter().map(|found| FoundNow {
            severity: found.said.severity,
            code: found.said.code.clone(),
            message: found.said.message.clone(),
        });
        let known = |value: Option<f64>| value.filter(|value| value.is_finite());
        Some(SessionNow {
            tick: record.tick,
            at: record.at,
            ending: record.ending,
            delivered_per_second: known(seen.total(total::THROUGHPUT_PER_SECOND)),
            end_to_end_latency_ms: known(seen.total(total::END_TO_END_LATENCY_MS)),
            waiting: waiting(seen),
            findings: findings.collect(),
            held_by: record.gate.as_ref().map(|gate| format!("{}: {}", gate.gate, gate.message)),
            under_way: under_way(&state),
            changes: state.standing.count(),
            nodes: nodes(seen),
        })
    }
}

fn under_way(state: &State) -> Vec<String> {
    let told = |action: &ActionRecord| format!("action {} ({})", action.id, action.proposal.action);
    let mut under_way = Vec::new();
    if let Some(pending) = &state.pending {
        under_way.push(format!("deciders think since tick {}", pending.tick));
    }
    if let Some(applying) = &state.applying {
        under_way.push(format!("the data plane does {}", told(&applying.started.passed.intent)));
    }
    let open = state.follow_ups.iter();
    under_way.extend(open.map(|open| format!("whether {} helped is not known yet", told(&open.record))));
    under_way
}

fn waiting(seen: &Observation) -> Option<f64> {
    let depths = seen.nodes.metrics.get(metric::QUEUE_DEPTH)?;
    depths.iter().copied().filter(|depth| depth.is_finite()).reduce(|sum, depth| sum + depth)
}

fn nodes(seen: &Observation) -> Vec<NodeNow> {
    let nodes = &seen.nodes;
    let of = |index: usize, name: &str| Some(nodes.number(index, name)).filter(|number| number.is_finite());
    let each = nodes.ids.iter().zip(&nodes.statuses).enumerate();
    each.map(|(index, (id, status))| NodeNow {
        node: id.to_string(),
        status: *status,
        items_per_second: of(index, metric::ITEMS_PER_SECOND),
        errors_per_second: of(index, metric::ERRORS_PER_SECOND),
        waiting: of(index, metric::QUEUE_DEPTH),
        capacity: of(index, metric::QUEUE_CAPACITY),
        latency_p99_ms: of(index, metric::LATENCY_P99_MS),
    })
    .collect()
}
