#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use std::path::Path;

use flyball_model::{Executor, Problem};
use flyball_nodes::{
    ItemLimits, NodeError, Role, catalog, check_config, child_command, kind_of, native, sink, source,
};
use serde_json::{Value, json};

fn told(node_type: &str, config: Value) -> Vec<String> {
    check_config(node_type, &config).iter().map(Problem::to_string).collect()
}

#[test]
fn every_type_is_listed_once_with_a_role_an_executor_and_a_schema() {
    let types = catalog();
    for node_type in &types {
        assert_eq!(types.iter().filter(|other| other.name == node_type.name).count(), 1);
        assert!(kind_of(&node_type.name).is_some());
        assert!(!node_type.offers.is_empty() && !node_type.summary.is_empty());
        assert!(
            jsonschema::validator_for(node_type.config_schema.as_ref().unwrap()).is_ok(),
            "{}",
            node_type.name
        );
    }
    assert_eq!(kind_of("lines"), Some(Role::Source));
    assert_eq!(kind_of("filter"), Some(Role::Processor));
    assert_eq!(kind_of("file"), Some(Role::Sink));
    assert_eq!(kind_of("nothing"), None);
}

#[test]
fn pure_transformations_work_in_a_child_too() {
    let multiprocess: Vec<String> = catalog()
        .into_iter()
        .filter(|node| node.offers.iter().any(|offer| offer.executor == Executor::Multiprocess))
        .map(|node| node.name)
        .collect();
    let wanted = [
        "parse-json",
        "regex-extract",
        "filter",
        "map",
        "tokenise",
        "work",
        "wait",
        "http-enrich",
        "command",
    ];
    assert_eq!(multiprocess, wanted);
}

#[test]
fn a_right_configuration_has_no_problem() {
    for (node_type, config) in [
        ("lines", json!({"path": "no/such/file/yet"})),
        ("http-in", json!({"bind": "127.0.0.1:0"})),
        ("csv-replay", json!({"path": "t.csv", "timestamp_column": "T", "speed": 20, "until_s": 600})),
        ("generate", json!({"per_second": 0, "body": "item {{n}}"})),
        ("parse-json", json!({})),
        ("regex-extract", json!({"pattern": "(?<a>x)", "on_mismatch": "pass"})),
        ("filter", json!({"field": "a", "equals": null, "then": "drop"})),
        ("map", json!({"template": null})),
        ("tokenise", json!({})),
        ("batch", json!({"size": 10})),
        ("rate-limit", json!({"per_second": 0.5})),
        ("work", json!({"us_per_unit": 10, "field": "n"})),
        ("wait", json!({"ms_per_unit": 1})),
        ("http-enrich", json!({"url": "http://localhost:1/x"})),
        ("command", json!({"command": ["sh", "-c", "x"], "env": {"A": "b"}})),
        ("file", json!({"path": "x"})),
        ("stdout", json!({})),
        ("http-out", json!({"url": "http://localhost:1/x"})),
        ("http-out", json!({"url": "https://localhost:1/x", "redirects_to": ["https://localhost:2"]})),
        ("discard", json!({})),
    ] {
        assert_eq!(told(node_type, config), Vec::<String>::new(), "{node_type}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_its_cause_and_the_next_step() {
    for (node_type, config, expected) in [
        ("tokenise", json!({"feild": "x"}), "/feild: unknown key \"feild\"; did you mean \"field\"?"),
        ("discard", json!({"x": 1}), "/x: unknown key \"x\"; there is nothing to configure here"),
        ("tokenise", json!({"lowercase": "yes"}), "/lowercase: this must be true or false, not \"yes\""),
        ("parse-json", json!({"field": 5}), "/field: this must be a text, not 5"),
        ("batch", json!({}), "\"size\" is missing"),
        ("batch", json!({"size": 0}), "/size: this must be at least 1, not 0"),
        ("batch", json!({"size": 1.5}), "/size: this must be a whole number, not 1.5"),
        (
            "filter",
            json!({"field": "a"}),
            "the filter has no condition; give at least one of equals, not_equals, matches, min, max, exists",
        ),
        (
            "generate",
            json!({"per_second": 1, "bursts": [{"at_s": 1, "for": 2, "per_second": 3, "for_s": 1}]}),
            "/bursts/0/for: unknown key \"for\"; did you mean \"for_s\"?",
        ),
        (
            "regex-extract",
            json!({"pattern": "a"}),
            "/pattern: the pattern has no named group; name what is to be taken out: (?<status>\\d+)",
        ),
        (
            "http-in",
            json!({"bind": "8080"}),
            "/bind: \"8080\" is no address with a port; write it like 127.0.0.1:8080",
        ),
        (
            "http-out",
            json!({"url": "gopher://user:password@x/"}),
            "/url: this is no URL that can be POSTed to: its scheme is gopher, neither http nor https; write it like https://host:8080/path",
        ),
        ("tokenize", json!({}), "unknown node type \"tokenize\"; did you mean \"tokenise\"?"),
        ("tokenise", json!([]), "this must be an object, not a list"),
        (
            "map",
            json!({"template": "{{x"}),
            "/template: \"{{x\" opens {{ without closing it; close it with }}",
        ),
    ] {
        assert_eq!(told(node_type, config.clone()), [expected], "{node_type} {config}");
    }
}

#[test]
fn a_word_that_is_none_of_the_choices_is_told_the_choices() {
    let problems = told("filter", json!({"field": "a", "exists": true, "then": "dorp"}));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("/then: this must be one of "), "{problems:?}");
    assert!(problems[0].contains("keep") && problems[0].contains("drop") && problems[0].contains("dorp"));
}

#[test]
fn no_message_about_a_wrong_value_tells_what_may_be_a_secret() {
    let program = json!(["./enrich"]);
    for (node_type, config, expected) in [
        (
            "command",
            json!({"command": program, "env": "A=SEKRET"}),
            "/env: this must be an object, not a text",
        ),
        (
            "command",
            json!({"command": program, "env": ["A=SEKRET"]}),
            "/env: this must be an object, not a list",
        ),
        (
            "command",
            json!({"command": program, "env": {"PIN": 739_391}}),
            "/env/PIN: this must be a text, not a number",
        ),
        (
            "command",
            json!({"command": program, "env": {"A": ["SEKRET"]}}),
            "/env/A: this must be a text, not a list",
        ),
        (
            "command",
            json!({"command": ["./enrich", 739_391]}),
            "/command/1: this must be a text, not a number",
        ),
        ("command", json!({"command": "./enrich --key SEKRET"}), "/command: this must be a list, not a text"),
        ("http-in", json!({"bind": {"a": "SEKRET"}}), "/bind: this must be a text, not an object"),
        (
            "http-out",
            json!({"url": "http://h/", "timeout_ms": "http://me:SEKRET@h/"}),
            "/timeout_ms: this must be a whole number, not a text",
        ),
    ] {
        assert_eq!(told(node_type, config.clone()), [expected], "{node_type} {config}");
    }
    for config in [
        json!({"command": program, "pass_env": ["A=SEKRET"]}),
        json!({"command": program, "env": {"A=SEKRET": ""}}),
    ] {
        let problems = check_config("command", &config);
        assert!(
            problems[0].message.starts_with("\"A\" with \"=\" behind it cannot be a variable"),
            "{problems:?}"
        );
        assert!(!problems[0].message.contains("SEKRET"), "{problems:?}");
    }
    let problems = told("map", json!({"template": {"authorization": "Bearer SEKRET {{x"}}));
    assert!(!problems[0].contains("SEKRET"), "{problems:?}");
    let problems = told("map", json!({"template": {"authorization": "Bearer SEKRET {{.a..b}}"}}));
    assert!(!problems[0].contains("SEKRET"), "{problems:?}");
}

#[test]
fn several_faults_are_told_at_once() {
    let problems = told("http-enrich", json!({"url": 1, "timeout_ms": 0, "wow": 2}));
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn a_type_in_the_wrong_place_is_refused() {
    assert_eq!(
        native("lines", &json!({}), &ItemLimits::default()).err().unwrap().to_string(),
        "\"lines\" is a source, not a processor"
    );
    assert_eq!(
        source("file", &json!({}), &ItemLimits::default()).err().unwrap().to_string(),
        "\"file\" is a sink, not a source"
    );
    assert_eq!(sink("map", &json!({})).err().unwrap().to_string(), "\"map\" is a processor, not a sink");
    assert!(matches!(native("command", &json!({}), &ItemLimits::default()), Err(NodeError::Executor { .. })));
    assert!(
        matches!(native("mapp", &json!({}), &ItemLimits::default()), Err(NodeError::Unknown { near: Some(near), .. }) if near == "map")
    );
}

#[test]
fn a_child_is_the_command_that_is_named_or_the_host_itself() {
    let host = Path::new("/usr/bin/flyball");
    let (command, options) =
        child_command("command", &json!({"command": ["awk", "x"], "item_timeout_ms": 5}), host).unwrap();
    assert_eq!((command.program.to_str(), command.args), (Some("awk"), vec!["x".to_owned()]));
    assert_eq!(options.item_timeout.as_millis(), 5);
    let (command, _) = child_command("tokenise", &json!({"field": "t"}), host).unwrap();
    assert_eq!(command.program, host);
    assert_eq!(command.args, ["node", "tokenise", "--config", "{\"field\":\"t\"}"]);
    assert!(matches!(child_command("batch", &json!({"size": 1}), host), Err(NodeError::Executor { .. })));
    assert!(matches!(child_command("work", &json!({}), host), Err(NodeError::Config { .. })));
}
