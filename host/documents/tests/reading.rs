//! What is right is read, and means what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use flyball_documents::{DocumentText, manifest_schema, policy_schema, read_manifest, read_policy};
use flyball_model::{Executor, GroupForm, MutationPolicy, Policy, ValidatorRule};
use serde_json::json;

fn policy(text: &str) -> Policy {
    read_policy(&DocumentText::new("p.yaml", text)).unwrap()
}

#[test]
fn the_default_policy_reads() {
    let policy = policy(include_str!("../../../policies/default.yaml"));
    assert_eq!((policy.name.as_str(), policy.sessions.as_slice()), ("default", &["*".to_owned()][..]));
    assert_eq!(policy.mutation_policy, MutationPolicy::Optimize);
    assert_eq!((policy.cooldown_ms, policy.history), (5_000, 30));
    let validators: Vec<&str> = policy
        .judges
        .validators
        .iter()
        .flat_map(ValidatorRule::uses)
        .map(|used| used.plugin.as_str())
        .collect();
    assert_eq!(validators, ["mutation-policy", "protected-nodes", "no-oscillation"]);
    assert_eq!(policy.judges.heuristics[0].plugin, "threshold-heuristic");
    assert_eq!(policy.judges.catalogs[0].plugin, "static-catalog");
    assert_eq!(policy.judges.deciders[0].uses()[0].used.plugin, "rule-decider");
    assert_eq!(policy.judges.reversers[0].plugin, "standard-reverser");
}

#[test]
fn scalars_mean_what_yaml_1_2_says() {
    let policy = policy(
        r#"
name: 'x'
judges:
  heuristics:
    - plugin: a
      settings:
        hex: 0xff
        octal: 0o17
        not_octal: 010
        float: 1.50
        exponent: -1e-3
        text: yes
        quoted: "5"
        version: 1.2.3
        empty:
        bool: True
        largest: 18446744073709551615
        least: -9223372036854775808
        folded: >-
          two
          lines
        größe: "ä\n"
"#,
    );
    assert_eq!(
        json!(policy.judges.heuristics[0].settings),
        json!({
            "hex": 255, "octal": 15, "not_octal": 10, "float": 1.5, "exponent": -0.001, "text": "yes",
            "quoted": "5", "version": "1.2.3", "empty": null, "bool": true, "largest": u64::MAX,
            "least": i64::MIN, "folded": "two lines", "größe": "ä\n",
        })
    );
}

#[test]
fn a_manifest_reads_with_its_defaults() {
    let text = "\u{feff}name: p\r\nnodes:\r\n  - { id: a, type: file }\r\n  - { id: b, type: stdout, executor: wasm }\r\n\
                connections:\r\n  - { from: a, to: b }\r\ncontroller: { mutation_policy: readonly }\r\n";
    let manifest = read_manifest(&DocumentText::new("m.yaml", text)).unwrap();
    assert_eq!(manifest.nodes[0].queue_capacity, 256);
    assert_eq!(manifest.nodes[1].executor, Executor::Wasm);
    assert_eq!(manifest.controller.mutation_policy, Some(MutationPolicy::ReadOnly));
    assert!(manifest.controller.enabled);
}

#[test]
fn lines_and_columns_count_characters_behind_any_line_end_or_letter() {
    let text = "\u{feff}name: \"größe\"\r\n# ✓✓\r\njudges: { \"ü\": 1 }\r\n";
    let faults = read_policy(&DocumentText::new("p.yaml", text)).unwrap_err();
    let fault = faults.iter().next().unwrap();
    assert_eq!((fault.line(), fault.column()), (3, 11), "{faults}");
}

#[test]
fn the_schemas_are_of_2020_12_and_describe_what_is_read() {
    for (schema, title) in [(policy_schema(), "Flyball policy"), (manifest_schema(), "Flyball manifest")] {
        assert_eq!(schema["title"], title);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], json!(null));
        assert_eq!(schema["additionalProperties"], false);
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
    }
}

#[test]
fn validators_are_plugins_and_groups_of_them() {
    let policy = policy(
        "name: p\njudges:\n  validators:\n    - plugin: a\n    - name: someone agrees\n      any_of:\n        - plugin: b\n        \
         - not: { plugin: c, on_failure: open }\n        - { at_least: 1, of: [{ plugin: d }, { plugin: e }] }\n",
    );
    let names: Vec<&str> = policy.judges.all().map(|used| used.plugin.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let ValidatorRule::Group(group) = &policy.judges.validators[1] else { panic!("a group") };
    let (form, members) = group.form().unwrap();
    assert_eq!(
        (group.name.as_deref(), form, members.len()),
        (Some("someone agrees"), GroupForm::AtLeast(1), 3)
    );
    let again: Policy = serde_json::from_value(serde_json::to_value(&policy).unwrap()).unwrap();
    assert_eq!(again, policy);
}

#[test]
fn what_actions_may_create_is_named_by_configurations_or_a_closed_schema() {
    let text = r#"
name: p
safety:
  may_create:
    - { type: http-out, config: { url: "http://a/" } }
    - type: file
      schema:
        type: object
        additionalProperties: false
        required: [path]
        properties: { path: { enum: [a.jsonl, b.jsonl] } }
judges: {}
"#;
    let policy = policy(text);
    assert_eq!(policy.safety.may_create.len(), 2);
    assert!(policy.safety.may_create.iter().all(|entry| entry.open().is_none()));
}

#[test]
fn an_open_entry_of_what_actions_may_create_is_refused_at_its_line() {
    for (entry, line, says) in [
        ("    - { type: file }", 5, "this has neither"),
        ("    - { type: file, config: {}, schema: {} }", 5, "this has both"),
        ("    - type: file\n      schema: { type: object }", 6, "additionalProperties: false"),
        (
            "    - type: file\n      schema:\n        type: object\n        additionalProperties: false\n        properties:\n          \
             path: { type: string }",
            10,
            "any text may stand here",
        ),
        ("    - { type: file, config: { path: x }, also: y }", 5, "unknown key"),
    ] {
        let text = format!("\nname: p\nsafety:\n  may_create:\n{entry}\njudges: {{}}\n");
        let faults = read_policy(&DocumentText::new("p.yaml", text.as_str())).unwrap_err().to_string();
        assert!(faults.contains(says) && faults.contains(&format!("p.yaml:{line}:")), "{entry}\n{faults}");
    }
}
