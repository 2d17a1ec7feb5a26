//! How several deciders are written, what is wrong with them, and which of them are never asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use flyball_documents::{DocumentText, locate, never_fires, policy_schema, read_policy};
use flyball_model::{DeciderForm, DeciderRule, FindingKind, Policy};
use insta::assert_snapshot;
use serde_json::json;

const ALL_FORMS: &str = r#"name: p
judges:
  deciders:
    - name: by what is wrong
      route:
        - kinds: [failure]
          ask: [{ plugin: rule-decider }]
        - codes: ["queue-*", latency-high]
          ask:
            - at_least: 2
              answer_within_ms: 9000
              of:
                - { plugin: llm-decider, name: fast, answer_within_ms: 4000, limits: { time_ms: 5000 } }
                - { plugin: llm-decider, name: thorough, limits: { time_ms: 20000 } }
                - { plugin: rule-decider }
    - { plugin: rule-decider }
  shadows:
    - { plugin: llm-decider, name: on-trial, settings: { model: small } }
"#;

fn source(text: &str) -> DocumentText {
    DocumentText::new("p.yaml", text)
}

fn read(text: &str) -> Policy {
    read_policy(&source(text)).unwrap_or_else(|faults| panic!("{faults}"))
}

fn warnings(judges: &str) -> Vec<String> {
    let text = format!("name: p\njudges:\n{judges}");
    locate(&source(&text), never_fires(&read(&text))).lines()
}

#[test]
fn a_chain_a_route_a_quorum_and_shadows_are_read_as_they_are_written() {
    let policy = read(ALL_FORMS);
    let names: Vec<_> = policy.judges.deciders().map(|used| used.name().to_owned()).collect();
    assert_eq!(names, ["rule-decider", "fast", "thorough", "rule-decider", "rule-decider"]);
    let DeciderRule::Group(route) = &policy.judges.deciders[0] else { panic!("it is a group") };
    let Ok(DeciderForm::Route(ways)) = route.form() else { panic!("it is a route") };
    assert_eq!(
        (route.name().as_str(), &ways[0].kinds[..]),
        ("by what is wrong", &[FindingKind::Failure][..])
    );
    let DeciderRule::Group(quorum) = &ways[1].ask[0] else { panic!("it is a group") };
    assert!(matches!(quorum.form(), Ok(DeciderForm::Quorum(2, of)) if of.len() == 3));
    assert_eq!((quorum.name().as_str(), quorum.answer_within_ms), ("at least 2 of 3", Some(9000)));
    assert_eq!(policy.judges.shadows[0].name(), "on-trial");
    assert_eq!(policy.judges.shadows[0].used.settings["model"], "small");
    let again: Policy = serde_json::from_value(serde_json::to_value(&policy).unwrap()).unwrap();
    assert_eq!(again, policy);
    assert_eq!(warnings(ALL_FORMS.split_once("judges:\n").unwrap().1), Vec::<String>::new());
}

#[test]
fn the_schema_of_a_policy_says_what_an_entry_among_the_deciders_may_hold() {
    let schema = policy_schema();
    let keys = |name: &str| -> Vec<String> {
        let of = schema.pointer(&format!("/$defs/{name}/properties")).unwrap();
        of.as_object().unwrap().keys().cloned().collect()
    };
    let mut keys_of_a_use = keys("DeciderUse");
    keys_of_a_use.sort();
    let expected = ["answer_within_ms", "grants", "limits", "name", "on_failure", "plugin", "settings"];
    assert_eq!(keys_of_a_use, expected);
    assert!(keys("DeciderGroup").contains(&"route".to_owned()));
    assert!(keys("DeciderBranch").contains(&"codes".to_owned()));
    assert_eq!(schema.pointer("/$defs/DeciderUse/required"), Some(&json!(["plugin"])));
}

#[test]
fn every_fault_of_deciders_is_told_at_its_line() {
    let faults = read_policy(&source(
        r#"name: p
judges:
  deciders:
    - { plugin: rule-decider, answer_within_ms: 0 }
    - { plugin: rule-decider }
    - { plugin: llm-decider, name: rule-decider }
    - { plugin: llm-decider, answer_witin_ms: 5 }
    - { plugin: a, name: Not One }
    - { plugin: b, name: host }
    - at_least: 1
      of: []
    - at_least: 3
      of: [{ plugin: c }, { plugin: d }]
    - { at_least: 1 }
    - of: [{ plugin: e }]
      at_least: 1
      route: []
    - route: []
    - route:
        - { kinds: [slow], ask: [{ plugin: f }] }
        - { ask: [] }
        - { codes: ["queue-*"] }
    - route: [{ ask: [{ plugin: g }, { plugin: g }] }]
    - plugn: h
  shadows:
    - { plugin: llm-decider }
    - { plugin: rule-decider }
    - { plugin: i }
    - { plugin: i }
    - { at_least: 1, of: [] }
"#,
    ))
    .expect_err("the policy is wrong");
    assert_snapshot!(faults);
}

#[test]
fn groups_that_are_nested_too_deep_are_refused() {
    let nested = |depth: usize| {
        let (open, close) = ("{ at_least: 1, of: [".repeat(depth), "] }".repeat(depth));
        format!("name: p\njudges:\n  deciders: [{open}{{ plugin: a }}{close}]\n")
    };
    read(&nested(8));
    let faults = read_policy(&source(&nested(9))).expect_err("it is too deep");
    assert!(faults.to_string().contains("groups are nested deeper than 8; make it flatter"), "{faults}");
}

#[test]
fn a_key_of_a_group_without_a_value_makes_no_group() {
    for judges in [
        "deciders: [{ route: }]",
        "deciders: [{ at_least: ~, of: [{ plugin: a }] }]",
        "validators: [{ any_of: }]",
    ] {
        let text = format!("name: p\njudges:\n  {judges}\n");
        let faults = read_policy(&source(&text)).expect_err(judges).to_string();
        assert!(faults.contains("an entry is one plugin or one kind of group"), "{judges}: {faults}");
    }
}

#[test]
fn a_way_that_is_never_taken_is_told() {
    let told = warnings(
        r#"  deciders:
    - route:
        - { kinds: [failure, performance], codes: ["queue-*"], ask: [{ plugin: a }] }
        - { kinds: [performance], codes: ["queue-pressure", "queue-*-long"], ask: [{ plugin: b }] }
        - { kinds: [general], codes: ["queue-x"], ask: [{ plugin: b }] }
        - { codes: ["queue-x"], ask: [{ plugin: b }] }
        - { kinds: [failure, performance, general], ask: [{ plugin: c }] }
        - { codes: ["*"], ask: [{ plugin: d }] }
"#,
    );
    assert_eq!(
        told,
        [
            "p.yaml:6:11: this way is never taken: way 1 of the route takes all that it is for; put it before that one, or \
             leave it out",
            "p.yaml:10:11: this way is never taken: way 5 of the route takes all that it is for; put it before that one, or \
             leave it out",
        ]
    );
}

#[test]
fn a_deadline_behind_the_calls_own_limit_and_shadows_of_nobody_are_told() {
    let told = warnings(
        "  deciders: []\n  shadows:\n    - { plugin: a, answer_within_ms: 500 }\n    - { plugin: b, answer_within_ms: 99 }\n",
    );
    assert_eq!(
        told,
        [
            "p.yaml:4:3: shadows are asked beside the deciders, and there is none that may be followed; they are asked all \
             the same; name a decider in `judges.deciders` for something to be done",
            "p.yaml:5:38: this can never pass: the call itself is ended after 100 ms, by `limits.time_ms`; make it shorter, \
             or raise the limit",
        ]
    );
}
