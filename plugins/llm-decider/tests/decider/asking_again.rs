//! When the model is asked again, and when it is not.

use flyball_plugin::PastAction;
use flyball_plugin::llm;
use flyball_plugin::prelude::*;
use serde_json::json;

use crate::scene::{Scene, abstained, answer, cited, failed};
use crate::use_cases::{crash, slow};

type Change = fn(&mut Scene);

fn restart() -> String {
    let evidence = json!([cited("whisper_transcriber", "queue-depth", 47.0)]);
    answer(json!({ "kind": "restart-process", "node": "whisper_transcriber" }), evidence).to_string()
}

fn holds(scene: &mut Scene) -> String {
    abstained(scene.asked(Vec::new()).0)
}

#[test]
fn nothing_is_asked_twice_of_the_same() {
    let mut scene = crash();
    assert!(scene.asked(vec![Ok(restart())]).0.is_ok());
    for _ in 0..100 {
        scene.later(5);
        assert_eq!(holds(&mut scene), "nothing changed since tick 12, when the model was asked");
    }
}

#[test]
fn without_a_finding_nothing_is_asked() {
    let mut scene = crash();
    scene.situation.findings = vec![Finding::new(Severity::Info, "note", "all is well")];
    assert_eq!(holds(&mut scene), "there is no finding to ask about");
    assert!(scene.kept.is_empty());
}

#[test]
fn when_it_is_known_what_came_of_the_answer_it_is_asked_again_and_told() {
    let mut scene = crash();
    scene.asked(vec![Ok(restart())]).0.unwrap();
    scene.later(40);
    let proposal = Proposal::new(Action::RestartProcess("whisper_transcriber".to_owned()), "it helps");
    let decided_by = "llm-decider".to_owned();
    scene.situation.past.push(PastAction { at: 1_000_500, proposal, outcome: Outcome::Accepted, decided_by });
    assert!(holds(&mut scene).starts_with("nothing changed"));
    scene.situation.past[0].outcome = Outcome::Ineffective;
    let (said, questions) = scene.asked(vec![Ok(restart())]);
    assert!(said.is_ok());
    let told =
        "40 s ago, at tick 12: restart-process \"whisper_transcriber\" because \"it helps\" → did not help";
    assert!(questions[0].user.contains(told), "{}", questions[0].user);
    assert!(holds(&mut scene).starts_with("nothing changed since tick 52"));
}

#[test]
fn an_answer_that_was_not_followed_is_told_as_one() {
    let mut scene = crash();
    scene.asked(vec![Ok(restart())]).0.unwrap();
    scene.later(40);
    scene.finds(Severity::Warning, "latency-high", "llm_processor", "slow, too");
    let (_, questions) = scene.asked(vec![Ok(restart())]);
    assert!(questions[0].user.contains("because \"it helps\" → nothing was done for it"));
}

#[test]
fn a_change_that_matters_is_asked_about_but_not_at_once() {
    let changes: [(&str, Change); 5] = [
        ("a new finding", |it| {
            it.finds(Severity::Warning, "heartbeat-stale", "whisper_transcriber", "silent")
        }),
        ("a worse one", |it| it.situation.findings[1].severity = Severity::Critical),
        ("other allowed kinds", |it| drop(it.situation.allowed.pop())),
        ("a cited number", |it| it.number("whisper_transcriber", Metric::QueueDepth, 20.0)),
        ("another status", |it| it.node("llm_processor").status = Status::Failed),
    ];
    for (what, change) in changes {
        let mut scene = crash();
        scene.finds(Severity::Warning, "latency-high", "llm_processor", "it waits");
        scene.asked(vec![Ok(restart())]).0.unwrap();
        change(&mut scene);
        scene.later(10);
        assert_eq!(holds(&mut scene), "the model was asked at tick 12, less than 30 s ago", "{what}");
        scene.later(20);
        let (_, questions) = scene.asked(vec![Ok(restart())]);
        assert_eq!(questions.len(), 1, "{what}");
    }
}

#[test]
fn what_only_gets_better_or_moves_a_little_is_not_asked_about() {
    let changes: [Change; 3] = [
        |it| drop(it.situation.findings.pop()),
        |it| it.number("whisper_transcriber", Metric::QueueDepth, 40.0),
        |it| it.number("llm_processor", Metric::QueueDepth, 30.0),
    ];
    for change in changes {
        let mut scene = crash();
        scene.asked(vec![Ok(restart())]).0.unwrap();
        change(&mut scene);
        scene.later(60);
        assert!(holds(&mut scene).starts_with("nothing changed"));
    }
}

#[test]
fn what_a_wrong_answer_was_asked_about_is_not_asked_again() {
    let mut scene = crash();
    assert!(
        failed(scene.asked(vec![Ok("no".to_owned()), Ok("no".to_owned())]).0).contains("not of the form")
    );
    scene.later(60);
    assert!(holds(&mut scene).starts_with("nothing changed"));
}

#[test]
fn a_question_that_was_not_sent_does_not_count() {
    let mut scene = crash();
    scene.settings = json!({ "questions_per_hour": 1, "questions_per_incident": 1 });
    abstained(scene.asked(vec![Err(llm::Failure::Refused("busy".to_owned()))]).0);
    scene.later(1);
    assert!(scene.asked(vec![Ok(restart())]).0.is_ok());
}

#[test]
fn an_incident_and_an_hour_have_their_bounds() {
    let mut scene = crash();
    let mut asked = Vec::new();
    for tick in 0..3_600_u64 {
        // Whatever is said of the node, it is said in other words, and its queue goes up and down.
        let depth = if tick / 40 % 2 == 0 { 47.0 } else { 3.0 };
        scene.number("whisper_transcriber", Metric::QueueDepth, depth);
        scene.situation.findings[1].code = format!("code-{}", tick / 7);
        let (said, questions) = scene.asked(vec![Err(llm::Failure::Failed("cut off".to_owned()))]);
        assert!(said.is_err());
        asked.extend(questions.iter().map(|_| tick));
        scene.later(1);
    }
    assert_eq!(asked, [0, 30, 60], "one incident");

    let mut scene = crash();
    let mut count = 0;
    for tick in 0..3_600_u64 {
        // Telemetry that names another node each time.
        scene.situation.findings[0].target = Some(format!("node-{}", tick / 20));
        scene.situation.findings.truncate(1);
        count += scene.asked(vec![Err(llm::Failure::Failed("cut off".to_owned()))]).1.len();
        scene.later(1);
    }
    assert_eq!(count, 9, "one hour");
    scene.later(3_600);
    assert_eq!(scene.asked(vec![Ok(restart())]).1.len(), 1, "another hour");
}

#[test]
fn three_incidents_in_an_hour_take_no_more_than_nine_calls() {
    let mut calls = 0;
    let (mut kept, mut at) = (std::collections::BTreeMap::new(), 0);
    for incident in 0..3 {
        let mut scene = if incident == 1 { slow() } else { crash() };
        scene.kept = kept;
        scene.later(at);
        for tick in 0..120_u64 {
            if tick % 40 == 39 {
                let proposal = Proposal::new(Action::RestartProcess("whisper_transcriber".to_owned()), "");
                let (at, outcome) = (scene.seen.taken_at, Outcome::Ineffective);
                scene
                    .situation
                    .past
                    .insert(0, PastAction { at, proposal, outcome, decided_by: "rule-decider".to_owned() });
            }
            calls += scene.asked(vec![Ok("no".to_owned()), Ok("no".to_owned())]).1.len();
            scene.later(1);
        }
        at += 1_200;
        kept = scene.kept;
    }
    assert_eq!(calls, 9);
}

#[test]
fn after_a_quiet_time_the_same_fault_is_a_new_incident() {
    let mut scene = crash();
    scene.settings = json!({ "questions_per_incident": 1 });
    scene.asked(vec![Ok(restart())]).0.unwrap();
    scene.later(599);
    assert!(holds(&mut scene).starts_with("nothing changed"));
    scene.later(601);
    let (said, questions) = scene.asked(vec![Ok(restart())]);
    assert!(said.is_ok());
    assert!(questions[0].user.contains("## Your Last Answer\n\nnone\n"));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut scene = crash();
    scene.settings = json!({ "questions_per_hour": 1_000, "again_ms": 0 });
    let mut long = serde_json::from_str::<serde_json::Value>(&restart()).unwrap();
    long["reason"] = json!("\u{0}".repeat(5_000));
    for tick in 0..500 {
        for finding in 0..40 {
            scene.situation.findings.truncate(40);
            let name = format!("{tick}-{finding}-{}", "n".repeat(200));
            scene.situation.findings.insert(0, Finding::new(Severity::Critical, &name, "").at(&*name));
        }
        scene.asked(vec![Ok(long.to_string())]).0.ok();
        scene.later(1);
    }
    let bytes: usize = scene.kept.values().map(Vec::len).sum();
    assert!(bytes < 32 << 10, "{bytes}");
}

#[test]
fn what_was_kept_by_something_else_or_by_a_clock_ahead_holds_nothing_up() {
    let mut scene = crash();
    scene.kept = [("incidents".to_owned(), b"{\"asked\":7}".to_vec())].into();
    assert!(scene.asked(vec![Ok(restart())]).0.is_ok());
    scene.seen.taken_at -= 500_000;
    assert!(scene.asked(vec![Ok(restart())]).0.is_ok());
}
