//! What a model may get wrong, and what becomes of it.

use flyball_plugin::llm;
use flyball_plugin::prelude::*;
use serde_json::{Value, json};

use crate::scene::{Said, abstained, allowed, answer, cited, failed};
use crate::use_cases::{crash, slow};

type Change = fn(&mut Value);

fn seen() -> Value {
    json!([cited("whisper_transcriber", "queue-depth", 47.0)])
}

fn restart() -> Value {
    answer(json!({ "kind": "restart-process", "node": "whisper_transcriber" }), seen())
}

#[test]
fn an_action_that_does_not_resolve_is_rejected_with_its_own_reason() {
    for (action, reason) in [
        (
            json!({ "kind": "restart-process", "node": "whisper" }),
            "(unknown-node): no node \"whisper\" is observed",
        ),
        (
            json!({ "kind": "remove-node", "node": "input_source" }),
            "(protected-node): \"input_source\" is protected",
        ),
        (
            json!({ "kind": "replace-node", "node": "whisper_transcriber", "node_type": "Rubber", "config": null }),
            "(unknown-node-type): the node type \"Rubber\" is not offered",
        ),
        (
            json!({ "kind": "replace-node", "node": "whisper_transcriber", "node_type": "Whisper", "config": "[1]" }),
            "(bad-parameters): config is no JSON object",
        ),
        (
            json!({ "kind": "switch-executor", "node": "whisper_transcriber", "to": "wasm" }),
            "(executor-not-offered): the node type \"Whisper\" is not offered as wasm",
        ),
        (
            json!({ "kind": "switch-executor", "node": "whisper_transcriber", "to": "multiprocess" }),
            "(nothing-changes): \"whisper_transcriber\" is there already",
        ),
        (
            json!({ "kind": "scale-node", "node": "whisper_transcriber", "replicas": 0 }),
            "(bad-parameters): replicas is 0",
        ),
        (
            json!({ "kind": "adjust-buffering", "node": "whisper_transcriber", "capacity": 0 }),
            "(bad-parameters): capacity is 0",
        ),
        (
            json!({ "kind": "update-node-config", "node": "whisper_transcriber", "patch": "{}" }),
            "(bad-parameters): the patch is empty",
        ),
        (
            json!({ "kind": "update-node-config", "node": "whisper_transcriber", "patch": "model: tiny" }),
            "(bad-parameters): patch is no JSON object",
        ),
    ] {
        let why = failed(crash().decides(&answer(action, seen())));
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn an_insertion_is_checked_with_its_neighbours() {
    let insertion = |change: Change| {
        let mut action = json!({
            "kind": "insert-node", "id": "cache", "node_type": "Whisper", "config": "{\"size\":3}", "executor": null,
            "after": ["audio_resampler"], "before": ["whisper_transcriber"],
        });
        change(&mut action);
        crash().decides(&answer(action, seen()))
    };
    let right = insertion(|_| {}).unwrap().proposal.action;
    assert!(matches!(right, Action::InsertNode(it) if it.config == "{\"size\":3}" && it.executor.is_none()));
    let wrong: [(Change, &str); 6] = [
        (|it| it["id"] = json!("llm_processor"), "(node-exists)"),
        (|it| it["id"] = json!(" "), "(bad-parameters)"),
        (|it| it["after"] = json!([]), "(bad-parameters)"),
        (|it| it["after"] = json!(["input_source"]), "(protected-node)"),
        (|it| it["before"] = json!(["nobody"]), "(unknown-node)"),
        (|it| it["executor"] = json!("wasm"), "(executor-not-offered)"),
    ];
    for (change, reason) in wrong {
        let why = failed(insertion(change));
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn a_kind_that_is_not_allowed_is_rejected() {
    let mut scene = crash();
    scene.situation.allowed = vec![allowed("no-op"), allowed("bypass-node")];
    let why = failed(scene.decides(&restart()));
    assert!(why.contains("(kind-not-allowed): restart-process is not among the available actions"), "{why}");
}

#[test]
fn evidence_that_was_not_observed_rejects_the_decision() {
    for (evidence, reason) in [
        (
            cited("whisper_transcriber", "queue-depth", 48.0),
            "(false-evidence): it cites 48 as \"queue-depth\" of \"whisper_transcriber\", and 47 was observed",
        ),
        (
            cited("whisper", "queue-depth", 47.0),
            "(unresolved-evidence): it cites \"whisper\", which is no node",
        ),
        (
            cited("whisper_transcriber", "mood", 1.0),
            "(unresolved-evidence): it cites \"mood\" of \"whisper_transcriber\", which was not observed",
        ),
        (cited("whisper_transcriber", "memory-mb", 900.0), "(unresolved-evidence)"),
        (
            json!({ "node": null, "metric": "throughput-per-second", "value": 12, "note": "" }),
            "(false-evidence): it cites 12 as \"throughput-per-second\" of the graph, and 99.7 was observed",
        ),
        (
            json!({ "node": "whisper_transcriber", "metric": null, "value": 3, "note": "" }),
            "(unresolved-evidence)",
        ),
        (
            json!({ "node": null, "metric": null, "value": null, "note": "I know it" }),
            "(unresolved-evidence): a citation names no node and no metric: \"I know it\"",
        ),
    ] {
        let action = json!({ "kind": "restart-process", "node": "whisper_transcriber" });
        let whole = json!([cited("whisper_transcriber", "queue-depth", 47.0), evidence]);
        let why = failed(crash().decides(&answer(action, whole)));
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn an_action_that_rests_on_nothing_is_rejected_and_a_no_op_is_not() {
    let action = json!({ "kind": "restart-process", "node": "whisper_transcriber" });
    let why = failed(crash().decides(&answer(action, json!([]))));
    assert!(why.contains("(no-evidence): restart-process rests on nothing"), "{why}");
    let decision = crash().decides(&answer(json!({ "kind": "no-op" }), json!([]))).unwrap();
    assert_eq!(decision.proposal.action, Action::NoOp);
}

#[test]
fn an_unsure_answer_is_not_followed() {
    let mut unsure = restart();
    unsure["confidence"] = json!(0.3);
    let why = abstained(crash().decides(&unsure));
    assert_eq!(why, "the model is 0.3 sure of restart-process, and 0.5 is asked for");
}

fn twice(
    first: Result<String, llm::Failure>,
    second: Result<String, llm::Failure>,
) -> (Said, Vec<llm::Question>) {
    crash().asked(vec![first, second])
}

#[test]
fn what_is_not_of_the_form_is_asked_for_once_more_with_what_was_wrong() {
    let mut extra = restart();
    extra["mood"] = json!("fine");
    let mut sure = restart();
    sure["confidence"] = json!(7);
    let mut kind = restart();
    kind["action"] = json!({ "kind": "reboot", "node": "whisper_transcriber" });
    let mut bare = restart();
    bare.as_object_mut().unwrap().remove("evidence");
    for (first, wrong) in [
        ("I would restart it.".to_owned(), "expected value at line 1 column 1"),
        (extra.to_string(), "unknown field \\u0060mood\\u0060"),
        (sure.to_string(), "confidence is 7, and lies between 0 and 1"),
        (kind.to_string(), "unknown variant \\u0060reboot\\u0060"),
        (bare.to_string(), "missing field \\u0060evidence\\u0060"),
        (format!("{} And that is it.", restart()), "trailing characters"),
    ] {
        let (said, questions) = twice(Ok(first.clone()), Ok(restart().to_string()));
        assert_eq!(said.unwrap().proposal.action.kind(), "restart-process");
        assert_eq!(questions.len(), 2);
        let (asked, again) = (&questions[0], &questions[1]);
        assert_eq!((&asked.system, &asked.schema), (&again.system, &again.schema));
        let added = again.user.strip_prefix(&asked.user).expect("the question again");
        assert!(added.contains("You answered: \"") && added.contains(wrong), "{added}");
    }
}

#[test]
fn what_the_host_finds_unfit_is_repaired_too() {
    let unfit =
        || Err(llm::Failure::Unfit("the answer is not of its schema at /action: {} is missing".to_owned()));
    let (said, questions) = twice(unfit(), Ok(restart().to_string()));
    assert!(said.is_ok());
    assert!(
        questions[1].user.contains("What is wrong with it: \"the answer is not of its schema at /action")
    );
    assert!(!questions[1].user.contains("You answered"));
    let (said, _) = twice(unfit(), unfit());
    assert!(
        failed(said)
            .starts_with("the model's answer is not of the form that was asked for: the answer is not")
    );
}

#[test]
fn a_repair_is_one_and_bounded_whatever_was_answered() {
    let prose = format!("No! \u{202e}| `x` \" {}", "blah\n".repeat(10_000));
    let (said, questions) = twice(Ok(prose.clone()), Ok(prose));
    assert!(failed(said).contains("not of the form"));
    let added = questions[1].user.strip_prefix(&questions[0].user).unwrap();
    assert!(added.len() < 2_500, "{}", added.len());
    assert_eq!(added.lines().count(), 7, "{added}");
    assert!(!added.contains('\u{202e}') && !added.contains('|') && !added.contains('`'));
}

#[test]
fn a_model_that_does_not_answer_fails_and_one_that_may_not_be_asked_is_passed_over() {
    let (said, _) = crash().asked(vec![Err(llm::Failure::Failed("timed out".to_owned()))]);
    assert_eq!(failed(said), "the model did not answer: timed out");
    let (said, _) = crash().asked(vec![Err(llm::Failure::Refused("the budget is spent".to_owned()))]);
    assert_eq!(abstained(said), "the model was not asked: the budget is spent");
}

#[test]
fn what_the_model_writes_is_passed_on_bounded_and_in_plain_characters() {
    let mut long = restart();
    long["analysis"] = json!(format!("\u{1b}[2J{}", "x".repeat(100_000)));
    long["issues"] = json!(vec!["y"; 1_000]);
    let decision = crash().decides(&long).unwrap();
    assert!(decision.analysis.chars().count() <= 1_001 && decision.analysis.starts_with("\\u001b[2J"));
    assert_eq!(decision.issues.len(), 32);
}

#[test]
fn a_number_may_be_cited_as_it_was_shown_and_no_rounder() {
    for (value, right) in [(151.25, true), (151.0, true), (150.0, false), (151.9, false)] {
        let action = json!({ "kind": "switch-executor", "node": "audio_resampler", "to": "native" });
        let evidence =
            json!([{ "node": null, "metric": "end-to-end-latency-ms", "value": value, "note": "" }]);
        assert_eq!(slow().decides(&answer(action, evidence)).is_ok(), right, "{value}");
    }
}
