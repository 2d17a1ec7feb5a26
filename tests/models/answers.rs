//! Whatever a server says, the loop ends with the decision that is to be expected, the model's or the rules', and goes
//! on ticking meanwhile.

use std::sync::Arc;
use std::time::Duration;

use flyball_llm::{AnswerBy, LlmGrant, Provider};
use flyball_model::{Action, Ending};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::house::House;
use crate::pipeline::{Failing, WORK};
use crate::server::{Reply, Server};
use crate::speaking::{ALL, KEY, fails, grant, says, writes};

const LIMIT: Duration = Duration::from_secs(300);

/// What the model says that the rules would not.
pub fn decision(action: Value, evidence: Value) -> Value {
    json!({
        "analysis": "work has failed under load",
        "issues": ["work fails"],
        "action": action,
        "reason": "two share the work",
        "confidence": 0.9,
        "evidence": evidence,
    })
}

fn good() -> Value {
    let seen = json!([{ "node": WORK, "metric": "queue-capacity", "value": 256, "note": "it is not full" }]);
    decision(json!({ "kind": "scale-node", "node": WORK, "replicas": 2 }), seen)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    TheModel,
    TheRules,
}

use Follows::{TheModel, TheRules};

/// A way of answering: its name, what the server says in turn, who is followed then, and what the journal says of the
/// model when it is not followed.
struct Way {
    name: &'static str,
    replies: Vec<Reply>,
    follows: Follows,
    says: &'static str,
}

fn ways(provider: Provider) -> Vec<Way> {
    let way = |name, replies: Vec<Reply>, follows, says| Way { name, replies, follows, says };
    let whole = says(provider, &good());
    let Reply::Whole(_, _, bytes) = &whole else { panic!() };
    let half = bytes[..bytes.len() / 2].to_vec();
    let seen = json!([{ "node": WORK, "metric": "queue-capacity", "value": 256, "note": "it is not full" }]);
    let acts = |action: Value| says(provider, &decision(action, seen.clone()));
    let late = fails(provider, 429, "slow down").header("retry-after", "1");
    let lies = json!([{ "node": WORK, "metric": "queue-capacity", "value": 8, "note": "it is full" }]);
    let prose = format!("Certainly! Here it is:\n```json\n{}\n```\nGood luck.", good());
    vec![
        way("success", vec![whole.clone()], TheModel, ""),
        way("slow", vec![Reply::Nothing], TheRules, "not answered"),
        way("cut-off", vec![Reply::CutOff(half)], TheRules, "not answered"),
        way("busy-then-well", vec![late, whole.clone()], TheModel, ""),
        way("broken", vec![fails(provider, 500, "oh no")], TheRules, "not answered"),
        way("wrong-json", vec![says(provider, &json!({ "act": 1 }))], TheRules, "not usable"),
        way("prose", vec![writes(provider, &prose)], TheModel, ""),
        way("prose-alone", vec![writes(provider, "I would restart it.")], TheRules, "not usable"),
        way(
            "unknown-node",
            vec![acts(json!({ "kind": "scale-node", "node": "nowhere", "replicas": 2 }))],
            TheRules,
            "nowhere",
        ),
        way("forbidden", vec![acts(json!({ "kind": "remove-node", "node": WORK }))], TheRules, "remove-node"),
        way(
            "false-evidence",
            vec![says(
                provider,
                &decision(json!({ "kind": "scale-node", "node": WORK, "replicas": 2 }), lies),
            )],
            TheRules,
            "queue-capacity",
        ),
    ]
}

fn terms(provider: Provider, way: &Way, server: &Server) -> LlmGrant {
    let mut grant = grant(provider, server);
    grant.limits.tries = 2;
    grant.limits.time_ms = if way.name == "slow" { 1_000 } else { 30_000 };
    if way.name.starts_with("prose") {
        grant.answer_by = Some(AnswerBy::Plain);
    }
    grant
}

/// One case from its beginning to a decision.
async fn ends(house: &House, session: String, way: &Way, mut server: Server) {
    let plane = Failing::new(&session);
    let (controller, heard) = house.controls(plane.clone(), Duration::from_millis(1));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move { controller.run(async move { drop(stopped.await) }).await });
    tokio::time::timeout(LIMIT, server.arrived.recv()).await.unwrap().unwrap();
    let acted = heard.until(&format!("{session} acts"), LIMIT, |tick| tick.ending == Ending::Acted).await;
    drop(stop);
    running.await.unwrap();

    let by = acted.decision.as_ref().unwrap().by.name.to_string();
    let expected = match way.follows {
        TheModel => ("llm-decider", Action::ScaleNode { node: WORK.into(), replicas: 2 }),
        TheRules => ("rule-decider", Action::RestartProcess { node: WORK.into() }),
    };
    assert_eq!((by.as_str(), &plane.applied()), (expected.0, &vec![expected.1]), "{session}: {acted:?}");
    let ticks = heard.ticks();
    let failures: Vec<_> = ticks.iter().flat_map(|tick| &tick.failures).map(|failed| &failed.error).collect();
    assert!(
        way.says.is_empty() || failures.iter().any(|failure| failure.contains(way.says)),
        "{session}: {failures:?}"
    );
    assert!(ticks.iter().zip(1..).all(|(tick, number)| tick.tick == number), "{session} missed a tick");
    if way.name == "slow" {
        let meanwhile =
            ticks.iter().filter(|tick| tick.gate.as_ref().is_some_and(|gate| gate.gate == "deciding"));
        assert!(meanwhile.count() >= 10, "{session} did not tick on while it waited: {} ticks", ticks.len());
    }
    assert!(!format!("{ticks:?}").contains(KEY), "{session}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_way_in_which_each_provider_may_answer_ends_as_expected_and_no_tick_is_missed() {
    let mut grants = Vec::new();
    let mut cases = Vec::new();
    for provider in ALL {
        for way in ways(provider) {
            let session = format!("{}-{}", provider.name(), way.name);
            let server = Server::saying(way.replies.clone()).await;
            grants.push((session.clone(), terms(provider, &way, &server)));
            cases.push((session, way, server));
        }
    }
    let house = Arc::new(House::with(&grants));
    join_all(cases.into_iter().map(|(session, way, server)| {
        let house = house.clone();
        async move { ends(&house, session, &way, server).await }
    }))
    .await;
}
