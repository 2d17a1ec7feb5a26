//! Golden texts: what somebody reads whose document is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use flyball_documents::{Faults, Source, read_policy};
use insta::assert_snapshot;

fn policy(text: &str) -> Faults {
    read_policy(&Source::new("policies/prod.yaml", text)).expect_err("the policy is wrong")
}

#[test]
fn every_fault_of_a_policy_is_told_at_once() {
    let faults = policy(
        r#"
sessions: []
mutation_policy: optimise
cooldwon_ms: 5000
cooldown_ms: soon
history: 0
breaker: { max_actions: 0, window_ms: 99999999999999999999, extra: 1 }
constraints:
  max_latency_ms: "250"
  min_throughput: -1
protected_nodes: sink
judges:
  heuristic: []
  deciders:
    - plugin: rule-decider
      on_failure: opened
      grants: [network]
      limits: { time_ms: 0, memory_mb: 4096 }
      settings: [1]
    - plugin: rule-decider
    - settings: {}
    - plugin: ../../etc/passwd
  validators:
"#,
    );
    assert_snapshot!(faults);
}
