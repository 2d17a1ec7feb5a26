//! Golden texts: what somebody reads whose document is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use flyball_documents::{DocumentFaults, DocumentText, locate, read_manifest, read_policy};
use flyball_model::Problem;
use insta::assert_snapshot;
use miette::{GraphicalReportHandler, GraphicalTheme};

fn policy(text: &str) -> DocumentFaults {
    read_policy(&DocumentText::new("policies/prod.yaml", text)).expect_err("the policy is wrong")
}

fn manifest(text: &str) -> DocumentFaults {
    read_manifest(&DocumentText::new("pipeline.yaml", text)).expect_err("the manifest is wrong")
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
      grants: { network: true }
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

#[test]
fn a_model_without_time_and_a_grant_that_is_none_are_told_at_their_lines() {
    let faults = policy(
        r#"name: models
judges:
  deciders:
    - plugin: asks-in-no-time
      grants: { llm: { provider: openai, model: a, base_url: http://localhost:1 } }
    - plugin: asks-in-time
      limits: { time_ms: 60000 }
      grants: { llm: { provider: anthropic, model: b, key: { env: KEY } } }
    - plugin: asks-nobody-known
      limits: { time_ms: 60000 }
      grants: { llm: { provider: oracle, model: c, key: sk-in-the-policy, budgets: { host: { money: -1 } } } }
      settings: { grants: { llm: {} } }
"#,
    );
    assert_snapshot!(faults);
}

#[test]
fn every_fault_of_groups_of_validators_is_told_at_its_line() {
    let faults = policy(
        r#"name: groups
judges:
  validators:
    - plugin: mutation-policy
      setings: {}
    - name: two agree
      at_least: 3
      of:
        - plugin: protected-nodes
        - plugin: Bad Name
    - any_off:
        - plugin: no-oscillation
    - all_of: []
    - any_of: [{ plugin: a }]
      not: { plugin: b }
    - not:
        plugin: c
        limits: { time_ms: 0 }
    - plugn: d
    - 7
"#,
    );
    assert_snapshot!(faults);
}

#[test]
fn every_fault_of_a_manifest_is_told_at_once() {
    let faults = manifest(
        r"
name: 7
keep_order: yes
nodes:
  - id: read
    type: file
    executor: natve
    queue_capacity: 0
    replicas: 1.5
  - type: parse
    params: none
connections:
  - read -> parse
  - { from: read, too: parse }
controller:
  observation_interval_ms: 5
  mutation_policy: everything
  llm: { provider: x, model: y, temperature: hot }
",
    );
    assert_snapshot!(faults);
}

#[test]
fn a_terminal_shows_the_line_and_the_next_step() {
    let faults = policy("name: prod\ncooldwon_ms: 5000\njudges: {}\n");
    let mut shown = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    for fault in faults.iter() {
        handler.render_report(&mut shown, fault).unwrap();
    }
    assert_snapshot!(shown);
}

#[test]
fn problems_found_elsewhere_get_their_lines() {
    let text = "name: p\nnodes:\n  - id: read\n    type: fiel\n    params: { path: ~, a/b: 1 }\n\
                connections:\n  - { from: read, to: sink }\n";
    let problems = vec![
        Problem::new("/nodes/0/type", "unknown type \"fiel\"").help("did you mean \"file\"?"),
        Problem::new("/nodes/0/params", "of the key, because it is a mapping"),
        Problem::new("/nodes/0/params/path", "of the empty value"),
        Problem::new("/nodes/0/params/a~1b", "of the escaped key's value"),
        Problem::new("/nodes/0/params/missing/deep", "of the innermost part that is there"),
        Problem::new("/connections/0/to", "\"sink\" is no node"),
        Problem::new("/connections/0", "of the beginning of the item"),
        Problem::new("", "of the whole"),
    ];
    assert_snapshot!(locate(&DocumentText::new("pipeline.yaml", text), problems));
}

#[test]
fn what_is_not_one_plain_yaml_document_is_refused_with_its_line() {
    let cases = [
        ("empty", String::new()),
        ("only a comment", "# nothing\n".to_owned()),
        ("a list", "- 1\n- 2\n".to_owned()),
        ("an unclosed bracket", "name: x\nsessions: [a, b\njudges: {}\n".to_owned()),
        ("a tab for indentation", "name: x\njudges:\n\theuristics: []\n".to_owned()),
        ("two documents", "name: x\njudges: {}\n---\nname: y\njudges: {}\n".to_owned()),
        ("a key given twice", "name: x\nname: y\njudges: {}\n".to_owned()),
        ("an alias", "name: &n x\nsessions: [*n]\njudges: {}\n".to_owned()),
        ("a tag", "name: !!str x\njudges: {}\n".to_owned()),
        ("a mapping for a key", "? {a: b}\n: c\n".to_owned()),
        ("no number of JSON", "name: x\nconstraints: {max_latency_ms: .inf}\njudges: {}\n".to_owned()),
        ("too deep", format!("name: {}", "[".repeat(100))),
        ("deeper than any reader goes", format!("name: {}", "[".repeat(100_000))),
        ("too deep without brackets", format!("{}x", "- ".repeat(500_000))),
        ("too large", "#".repeat((1 << 20) + 1)),
        ("too many values", format!("name: [{}]", "1,".repeat(200_000))),
        ("a float for a whole number", "name: x\ncooldown_ms: 1e3\njudges: {}\n".to_owned()),
    ];
    let told: Vec<String> = cases.iter().map(|(case, text)| format!("{case}\n{}\n", policy(text))).collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn a_flood_of_faults_is_cut() {
    let unknown: String = (0..150).map(|number| format!("k{number}: 1\n")).collect();
    let lines = policy(&format!("name: x\njudges: {{}}\n{unknown}")).lines();
    assert_eq!(lines.len(), 101);
    assert_eq!(lines[100], "policies/prod.yaml: 50 more; mend these first");
}

#[test]
fn text_of_a_document_is_quoted_so_that_no_terminal_obeys_it() {
    let told = policy("name: x\n\"\\e[2J\\a\": 1\njudges: {}\n").to_string();
    assert!(told.contains(r"\u{1b}[2J\u{7}"), "{told}");
    assert!(!told.contains('\u{1b}'), "{told}");
}
