//! Chains, routes, quorums, deadlines and shadows: who is asked, who is followed, and what of it is journaled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use proptest::prelude::*;
use support::*;

type Entry = Turn<Arc<dyn Decider>>;

const SECOND: Duration = Duration::from_secs(1);

/// A decider whose calls can be counted, also those that nobody waited for.
struct Thinker {
    id: PluginId,
    name: &'static str,
    takes: Duration,
    says: Result<Decided, String>,
    cost: Cost,
    asked: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

impl Judge for Thinker {
    fn id(&self) -> &PluginId {
        &self.id
    }

    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait]
impl Decider for Thinker {
    async fn decide(&self, _: &Sight, _: &Situation) -> Result<Judged<Decided>, JudgeError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        self.answered.fetch_add(1, Ordering::Relaxed);
        match self.says.clone() {
            Ok(said) => Ok(Judged { said, cost: self.cost, refused: Vec::new() }),
            Err(why) => Err(JudgeError { why, cost: self.cost }),
        }
    }
}

fn thinker(name: &'static str, takes: Duration, says: Result<Decided, String>) -> Thinker {
    let count = Arc::<AtomicUsize>::default;
    Thinker { id: id(name), name, takes, says, cost: Cost::default(), asked: count(), answered: count() }
}

fn says(name: &'static str, action: Action) -> Thinker {
    thinker(name, Duration::ZERO, Ok(Decided::For(decision(action))))
}

fn slow(name: &'static str, seconds: u64, action: Action) -> Thinker {
    Thinker { takes: SECOND * u32::try_from(seconds).unwrap(), ..says(name, action) }
}

fn fails(name: &'static str) -> Thinker {
    thinker(name, Duration::ZERO, Err("out of order".into()))
}

fn abstains(name: &'static str) -> Thinker {
    thinker(name, Duration::ZERO, Ok(Decided::Abstains("no rule fits".into())))
}

/// A question to a model, and what it cost.
fn asked_a_model(tokens: u64) -> Cost {
    let llm = LlmUse { questions: 1, input_tokens: tokens, output_tokens: 10, cost_millionths: 3 * tokens };
    Cost { llm, ..Cost::default() }
}

fn within(seconds: u64, entry: Entry) -> Entry {
    Turn { within: Some(Duration::from_secs(seconds)), ..entry }
}

fn quorum(at_least: usize, of: Vec<Entry>) -> Entry {
    Turn { within: None, who: Who::Quorum { name: "they".into(), at_least, of } }
}

fn way(kinds: &[FindingKind], codes: &[&str], ask: Vec<Entry>) -> Way<Arc<dyn Decider>> {
    Way { kinds: kinds.to_vec(), codes: codes.iter().map(|code| (*code).to_owned()).collect(), ask }
}

fn route(ways: Vec<Way<Arc<dyn Decider>>>) -> Entry {
    Turn { within: None, who: Who::Route { name: "by what it is".into(), ways } }
}

fn shadow(decider: Thinker, seconds: u64) -> Shadow {
    Shadow { decider: Arc::new(decider), within: Duration::from_secs(seconds) }
}

fn rig(deciders: Vec<Entry>) -> Rig {
    Rig::new(|panel| panel.deciders = deciders)
}

/// Who said what, and whether it was followed.
fn said(record: &TickRecord) -> Vec<(&str, DeciderSaid, bool)> {
    record.answers.iter().map(|answer| (answer.decider(), answer.said, answer.followed)).collect()
}

fn why<'a>(record: &'a TickRecord, decider: &str) -> &'a str {
    &record.answers.iter().find(|answer| answer.decider() == decider).expect("it is in the answers").why
}

use DeciderSaid::{Abstains, Decision as Decides, Dropped, Failed, Late, NotAsked};

#[tokio::test(start_paused = true)]
async fn what_each_of_a_chain_said_is_journaled_with_who_was_followed_and_why() {
    let cost = asked_a_model(700);
    let rig = rig(vec![
        turn(Thinker { cost, ..fails("fails") }),
        turn(abstains("abstains")),
        turn(says("answers", restart("b"))),
        turn(says("never", scale("b", 2))),
    ]);
    let record = rig.tick().await;
    assert_eq!((record.ending, rig.applied()), (Ending::Acted, vec![restart("b")]));
    let journaled = rig.journal.ticks.lock()[0].clone();
    assert_eq!(
        said(&journaled),
        [
            ("fails", Failed, false),
            ("abstains", Abstains, false),
            ("answers", Decides, true),
            ("never", NotAsked, false)
        ]
    );
    assert_eq!(why(&journaled, "fails"), "out of order");
    assert_eq!(why(&journaled, "abstains"), "no rule fits");
    assert_eq!(why(&journaled, "answers"), "the first that answered");
    assert_eq!(why(&journaled, "never"), "answers answered before");
    assert_eq!(journaled.answers[0].cost, cost, "what failed was paid for, too");
    assert_eq!(journaled.answers[2].decision.as_ref().unwrap().proposal.action, restart("b"));
    assert!(journaled.answers.iter().all(|answer| answer.tick == 1 && !answer.shadow));
}

#[tokio::test(start_paused = true)]
async fn past_its_deadline_a_decider_is_asked_no_more_and_the_next_one_is() {
    let thinks = slow("thinks", 30, scale("b", 9));
    let answered = Arc::clone(&thinks.answered);
    let rig = rig(vec![within(4, turn(thinks)), turn(says("rules", restart("b")))]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    let held = rig.ticks(3).await;
    assert!(held.iter().all(|record| gate(record) == "deciding"));
    let landed = rig.tick_in(2).await;
    assert_eq!((landed.ending, rig.applied()), (Ending::Acted, vec![restart("b")]));
    assert_eq!(said(&landed), [("thinks", Late, false), ("rules", Decides, true)]);
    assert_eq!(
        (why(&landed, "thinks"), landed.answers[0].took_ns),
        ("no answer within 4.0 s", 4_000_000_000)
    );
    assert_eq!((landed.tick, landed.answers[0].tick), (5, 1), "it says on which tick it was asked");
    assert_eq!(landed.failures[0].error, "no answer within 4.0 s");
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(answered.load(Ordering::Relaxed), 0, "its question was dropped");
}

#[tokio::test(start_paused = true)]
async fn an_answer_just_before_its_deadline_counts() {
    let rig = rig(vec![within(4, turn(slow("thinks", 3, scale("b", 2)))), turn(says("rules", restart("b")))]);
    rig.tick().await;
    let landed = rig.tick_in(4).await;
    assert_eq!(said(&landed), [("thinks", Decides, true), ("rules", NotAsked, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_route_asks_whom_it_names_for_what_was_found() {
    let cases = [
        ("node-failed", "repairs"),
        ("queue-pressure", "tunes"),
        ("latency-high", "speeds"),
        ("odd", "wonders"),
    ];
    for (code, expected) in cases {
        let rig = rig(vec![route(vec![
            way(&[FindingKind::Failure], &[], vec![turn(says("repairs", restart("b")))]),
            way(&[FindingKind::Performance], &["queue-*"], vec![turn(says("tunes", restart("b")))]),
            way(&[FindingKind::Performance], &[], vec![turn(says("speeds", restart("b")))]),
            way(&[], &[], vec![turn(says("wonders", restart("b")))]),
        ])]);
        rig.finds(vec![finding(code, Some("b"))]);
        let record = rig.tick().await;
        assert_eq!(record.decision.as_ref().unwrap().by, id(expected), "{code}");
        let asked: Vec<_> = said(&record).into_iter().filter(|(_, said, _)| *said != NotAsked).collect();
        assert_eq!(asked, [(expected, Decides, true)], "{code}");
        let answer = record.answers.iter().find(|answer| answer.followed).unwrap();
        assert_eq!(answer.within.as_deref(), Some("by what it is"));
        let other = record.answers.iter().find(|answer| !answer.followed).unwrap();
        assert_eq!(other.why, "its way of the route is not for what was found");
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_goes_by_the_worst_finding() {
    let rig = rig(vec![route(vec![
        way(&[FindingKind::Performance], &[], vec![turn(says("speeds", scale("b", 2)))]),
        way(&[FindingKind::Failure], &[], vec![turn(says("repairs", restart("b")))]),
    ])]);
    let worst = Finding { severity: Severity::Critical, ..finding("node-failed", Some("b")) };
    rig.finds(vec![finding("latency-high", Some("b")), worst]);
    assert_eq!(rig.tick().await.decision.unwrap().by, id("repairs"));
}

#[tokio::test(start_paused = true)]
async fn what_no_way_of_a_route_is_for_and_what_its_way_does_not_answer_is_asked_of_the_next() {
    for code in ["latency-high", "node-failed"] {
        let failure =
            way(&[FindingKind::Failure], &[], vec![turn(fails("fails")), turn(abstains("abstains"))]);
        let rig = rig(vec![route(vec![failure]), turn(says("rules", restart("b")))]);
        rig.finds(vec![finding(code, Some("b"))]);
        let record = rig.tick().await;
        assert_eq!((record.ending, record.decision.unwrap().by), (Ending::Acted, id("rules")), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quorum_follows_what_enough_of_it_want_whatever_their_reasons() {
    let other_reason = Decision { analysis: "quite another".into(), ..decision(restart("b")) };
    let third = thinker("third", Duration::ZERO, Ok(Decided::For(other_reason)));
    let rig = rig(vec![quorum(
        2,
        vec![turn(says("first", restart("b"))), turn(says("second", scale("b", 2))), turn(third)],
    )]);
    let record = rig.tick().await;
    assert_eq!((record.ending, rig.applied()), (Ending::Acted, vec![restart("b")]));
    assert_eq!(
        said(&record),
        [("first", Decides, true), ("second", Decides, false), ("third", Decides, true)]
    );
    assert_eq!(why(&record, "first"), "2 of 3 want it, and at least 2 must");
    let against = "1 of 3 want it, and at least 2 must; 2 want \"restart b\"";
    assert_eq!(why(&record, "second"), against);
    assert_eq!(record.answers[0].within.as_deref(), Some("they"));
    assert_eq!(record.decision.unwrap().by, id("first"), "the first of them in the policy speaks for them");
}

#[tokio::test(start_paused = true)]
async fn the_same_kind_of_action_with_other_parameters_is_another_action() {
    let rig = rig(vec![
        quorum(2, vec![turn(says("two", scale("b", 2))), turn(says("three", scale("b", 3)))]),
        turn(says("rules", restart("b"))),
    ]);
    let record = rig.tick().await;
    assert_eq!(rig.applied(), [restart("b")]);
    assert_eq!(said(&record), [("two", Decides, false), ("three", Decides, false), ("rules", Decides, true)]);
    assert_eq!(why(&record, "two"), "1 of 2 want it, and at least 2 must");
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_quorum_are_asked_at_once_and_who_cannot_matter_any_more_is_dropped() {
    let third = slow("third", 600, restart("b"));
    let (asked, answered) = (Arc::clone(&third.asked), Arc::clone(&third.answered));
    let rig = rig(vec![quorum(
        2,
        vec![turn(slow("first", 3, restart("b"))), turn(slow("second", 3, restart("b"))), turn(third)],
    )]);
    rig.tick().await;
    let landed = rig.tick_in(4).await;
    assert_eq!(
        said(&landed),
        [("first", Decides, true), ("second", Decides, true), ("third", Dropped, false)]
    );
    assert_eq!(why(&landed, "third"), "they was settled without it");
    tokio::time::sleep(SECOND * 1_000).await;
    assert_eq!((asked.load(Ordering::Relaxed), answered.load(Ordering::Relaxed)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_can_no_longer_agree_waits_for_nobody() {
    let rig = rig(vec![
        quorum(
            3,
            vec![
                turn(fails("fails")),
                turn(slow("a", 600, restart("b"))),
                turn(slow("c", 600, restart("b"))),
            ],
        ),
        turn(says("rules", restart("b"))),
    ]);
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Acted, "on the same tick");
    assert_eq!(
        said(&record),
        [("fails", Failed, false), ("a", NotAsked, false), ("c", NotAsked, false), ("rules", Decides, true)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_is_out_of_time_counts_those_who_have_answered() {
    for (at_least, followed, by) in [(1, true, "quick"), (2, false, "rules")] {
        let members = vec![
            turn(says("quick", restart("b"))),
            turn(slow("slow", 60, restart("b"))),
            turn(slow("slower", 90, scale("b", 2))),
        ];
        let rig = rig(vec![within(5, quorum(at_least, members)), turn(says("rules", scale("b", 3)))]);
        rig.tick().await;
        let landed = rig.tick_in(6).await;
        assert_eq!(landed.decision.as_ref().unwrap().by, id(by));
        let expected = [("quick", Decides, followed), ("slow", Late, false), ("slower", Late, false)];
        assert_eq!(said(&landed)[..3], expected);
        assert_eq!(why(&landed, "slow"), "no answer within the 5.0 s of they");
    }
}

#[tokio::test(start_paused = true)]
async fn it_does_not_matter_who_of_a_divided_quorum_is_quicker() {
    for (first, second) in [(1, 9), (9, 1)] {
        let rig = rig(vec![quorum(
            1,
            vec![turn(slow("first", first, restart("b"))), turn(slow("second", second, scale("b", 2)))],
        )]);
        rig.tick().await;
        assert_eq!(rig.tick_in(10).await.decision.unwrap().by, id("first"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_within_a_quorum_has_one_vote_and_all_who_made_it_are_followed() {
    let pair = quorum(2, vec![turn(says("a", restart("b"))), turn(says("c", restart("b")))]);
    let everything = route(vec![way(&[], &[], vec![turn(fails("d")), turn(says("e", restart("b")))])]);
    let rig = rig(vec![quorum(2, vec![pair, everything, turn(says("f", scale("b", 2)))])]);
    let record = rig.tick().await;
    assert_eq!(rig.applied(), [restart("b")]);
    let followed: Vec<_> = said(&record).into_iter().filter(|(.., followed)| *followed).collect();
    assert_eq!(followed, [("a", Decides, true), ("c", Decides, true), ("e", Decides, true)]);
    assert_eq!(why(&record, "a"), "2 of 3 want it, and at least 2 must");
}

#[tokio::test(start_paused = true)]
async fn whose_turn_had_not_come_when_a_group_was_out_of_time_was_not_asked() {
    let chain = vec![turn(slow("slow", 60, restart("b"))), turn(says("behind", restart("b")))];
    let rig = rig(vec![within(5, route(vec![way(&[], &[], chain)])), turn(says("rules", restart("b")))]);
    rig.tick().await;
    let landed = rig.tick_in(6).await;
    assert_eq!(said(&landed), [("slow", Late, false), ("behind", NotAsked, false), ("rules", Decides, true)]);
    assert_eq!(why(&landed, "behind"), "no answer within the 5.0 s of by what it is");
}

#[tokio::test(start_paused = true)]
async fn what_the_host_would_refuse_is_not_followed_where_another_has_an_answer() {
    let resting_on_nothing = {
        let mut wrong = decision(restart("b"));
        wrong.proposal.rests_on = vec![Evidence { node: Some("z".into()), ..Evidence::default() }];
        thinker("model", Duration::ZERO, Ok(Decided::For(wrong)))
    };
    let cases = [
        (says("model", restart("nowhere")), "unknown-node"),
        (says("model", restart("a")), "protected-node"),
        (says("model", Action::RemoveNode { node: "b".into() }), "kind-not-allowed"),
        (says("model", scale("b", 2)), "escalation"),
        (resting_on_nothing, "unresolved-evidence"),
    ];
    for (model, code) in cases {
        let rig = Rig::new(|panel| {
            panel.rules.mutation = MutationPolicy::Optimize;
            panel.rules.protected = vec!["a".into()];
            let step = Step { kinds: vec![ActionKind::RestartProcess], ..Step::default() };
            safety(panel, |safety| safety.escalation = vec![step]);
            panel.deciders = vec![turn(model), turn(says("rules", restart("b")))];
        });
        let record = rig.tick().await;
        assert_eq!((record.ending, rig.applied()), (Ending::Acted, vec![restart("b")]), "{code}");
        assert_eq!(said(&record), [("model", Decides, false), ("rules", Decides, true)]);
        let why = why(&record, "model");
        assert!(why.starts_with("the host would refuse it: ") && why.contains(code), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_host_would_refuse_lands_where_nobody_else_has_an_answer_and_is_refused() {
    let rig = rig(vec![turn(says("model", restart("nowhere"))), turn(abstains("rules"))]);
    let record = rig.tick().await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["unknown-node"]));
    assert_eq!(said(&record), [("model", Decides, true), ("rules", Abstains, false)]);
}

#[tokio::test(start_paused = true)]
async fn what_the_host_would_refuse_is_no_vote() {
    let wrong = |name| turn(says(name, restart("nowhere")));
    let rig = rig(vec![quorum(2, vec![wrong("a"), wrong("c"), turn(says("d", restart("b")))])]);
    let record = rig.tick().await;
    assert_eq!((record.ending, record.decision), (Ending::Undecided, None));
}

#[tokio::test(start_paused = true)]
async fn the_escalations_decider_is_asked_first_wherever_it_stands_and_once() {
    for answers in [true, false] {
        let stronger = if answers { says("stronger", scale("b", 2)) } else { fails("stronger") };
        let asked = Arc::clone(&stronger.asked);
        let rig = Rig::new(|panel| {
            let kinds = vec![ActionKind::RestartProcess, ActionKind::ScaleNode];
            let step = Step { kinds, decider: Some("stronger".into()), ..Step::default() };
            safety(panel, |safety| safety.escalation = vec![step]);
            panel.deciders = vec![
                turn(says("mild", restart("b"))),
                quorum(1, vec![turn(stronger), turn(says("other", restart("b")))]),
            ];
        });
        let record = rig.tick().await;
        let expected = if answers {
            vec![("stronger", Decides, true), ("mild", NotAsked, false), ("other", NotAsked, false)]
        } else {
            vec![("stronger", Failed, false), ("mild", Decides, true), ("other", NotAsked, false)]
        };
        assert_eq!((said(&record), asked.load(Ordering::Relaxed)), (expected, 1));
        if answers {
            assert_eq!(why(&record, "stronger"), "the policy's escalation names it, and it answered");
            // It leaves out whom it called.
            assert_eq!(why(&record, "mild"), "stronger answered before");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shadow_is_asked_the_same_and_never_followed() {
    let seen = Arc::new(Mutex::new(vec![]));
    let sees = |seen: &Arc<Mutex<Vec<String>>>, action: Action| {
        let seen = Arc::clone(seen);
        move |sight: &Sight, situation: &Situation| {
            let types: Vec<_> = situation.node_types.iter().map(|known| &known.name).collect();
            seen.lock().push(format!("{} {:?} {types:?}", sight.now.tick, situation.findings));
            Ok(Decided::For(decision(action.clone())))
        }
    };
    let rig = Rig::new(|panel| {
        let lists = || Ok(vec![node_type("lower", &[Executor::Native])]);
        may_create(panel, "lower", serde_json::json!({}));
        panel.catalogs = vec![Arc::new(plain("lists", lists))];
        panel.deciders = vec![decider("followed", sees(&seen, restart("b")))];
        let beside = Arc::new(plain("beside", sees(&seen, scale("b", 7))));
        panel.shadows = vec![Shadow { decider: beside, within: SECOND }];
    });
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    rig.finds(vec![]);
    let next = rig.tick_in(1).await;
    assert_eq!(said(&next), [("beside", Decides, false)]);
    let answer = &next.answers[0];
    assert!(answer.shadow && answer.tick == 1 && next.ending == Ending::Quiet);
    assert_eq!(answer.decision.as_ref().unwrap().proposal.action, scale("b", 7));
    assert_eq!(answer.why, "a shadow is never followed");
    assert_eq!(rig.journal.ticks.lock().last().unwrap(), &next, "it is journaled, though all is quiet");
    assert_eq!(rig.applied(), [restart("b")]);
    let seen = seen.lock();
    assert_eq!((seen.len(), &seen[0]), (2, &seen[1]));
    assert!(seen[0].contains("lower"), "with what the catalogs offer");
}

#[tokio::test(start_paused = true)]
async fn a_slow_shadow_holds_up_no_tick_and_no_decision_and_is_asked_one_question_at_a_time() {
    let ponders = Thinker { cost: asked_a_model(50), ..slow("ponders", 20, scale("b", 7)) };
    let asked = Arc::clone(&ponders.asked);
    let rig = Rig::new(|panel| {
        panel.rules.cooldown_ms = 0;
        panel.deciders = vec![turn(says("quick", Action::NoOp))];
        panel.shadows = vec![shadow(ponders, 30)];
    });
    let began = tokio::time::Instant::now();
    let first = rig.tick().await;
    assert_eq!((first.ending, began.elapsed()), (Ending::NoOp, Duration::ZERO));
    assert_eq!(said(&first), [("quick", Decides, true)]);
    let second = rig.tick_in(1).await;
    assert_eq!(said(&second), [("ponders", NotAsked, false), ("quick", Decides, true)]);
    assert_eq!(why(&second, "ponders"), "it still thinks about tick 1");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    rig.finds(vec![]);
    let late = rig.tick_in(20).await;
    assert_eq!((said(&late), late.answers[0].tick), (vec![("ponders", Decides, false)], 1));
    assert_eq!(late.answers[0].cost, asked_a_model(50));
    assert!(late.costs.iter().all(|(by, _)| *by != id("ponders")), "nobody waited for it");
}

#[tokio::test(start_paused = true)]
async fn a_shadow_has_a_deadline_and_may_fail_abstain_or_panic() {
    let rig = Rig::new(|panel| {
        let panics = |_: &Sight, _: &Situation| -> Result<Decided, String> { panic!("oh") };
        panel.shadows = vec![
            shadow(slow("slow", 60, restart("b")), 5),
            shadow(fails("fails"), 5),
            shadow(abstains("abstains"), 5),
            Shadow { decider: Arc::new(plain("panics", panics)), within: SECOND },
        ];
    });
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    rig.finds(vec![]);
    let mut heard: Vec<_> = rig.ticks(6).await.iter().flat_map(|record| record.answers.clone()).collect();
    heard.sort_by_key(|answer| answer.said);
    let heard: Vec<_> =
        heard.iter().map(|answer| (answer.decider(), answer.said, answer.why.as_str())).collect();
    assert_eq!(
        heard,
        [
            ("abstains", Abstains, "no rule fits"),
            ("fails", Failed, "out of order"),
            ("panics", Failed, "it panicked: oh"),
            ("slow", Late, "no answer within 5.0 s"),
        ]
    );
    assert!(
        rig.journal.ticks.lock().iter().all(|tick| tick.failures.is_empty()),
        "none of it is the loop's trouble"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_still_thinks_at_the_end_is_asked_no_more() {
    let ponders = slow("ponders", 30, restart("b"));
    let (asked, answered) = (Arc::clone(&ponders.asked), Arc::clone(&ponders.answered));
    let rig = Rig::new(|panel| panel.shadows = vec![shadow(ponders, 60)]);
    rig.controller.run(tokio::time::sleep(SECOND * 5)).await;
    tokio::time::sleep(SECOND * 100).await;
    assert_eq!((asked.load(Ordering::Relaxed), answered.load(Ordering::Relaxed)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_an_answer_each_says_why_and_a_shadow_is_still_not_followed() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![turn(abstains("abstains"))];
        panel.shadows = vec![shadow(says("beside", restart("b")), 5)];
    });
    let record = rig.tick().await;
    assert_eq!((record.ending, said(&record)), (Ending::Undecided, vec![("abstains", Abstains, false)]));
    rig.tick_in(1).await;
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_approved_decision_is_not_told_as_asked_twice() {
    let rig = Rig::new(|panel| {
        safety(panel, |safety| safety.approval.kinds = [ActionKind::RestartProcess].into());
        panel.deciders = vec![turn(Thinker { cost: asked_a_model(9), ..says("wants", restart("b")) })];
    });
    let asking = rig.tick().await;
    assert_eq!((asking.ending, asking.answers.len()), (Ending::AwaitingApproval, 1));
    let question = rig.controller.approvals().await.remove(0);
    rig.controller.approve(&question.id, None).await.unwrap();
    let landed = rig.tick_in(10).await;
    assert_eq!((landed.ending, landed.answers.len()), (Ending::Acted, 0));
}

#[test]
fn a_tick_of_an_older_journal_has_no_answers() {
    let old = r#"{"session":"s","tick":1,"at":0,"generation":1,"ending":"undecided","took_ns":5}"#;
    let tick: TickRecord = serde_json::from_str(old).unwrap();
    assert_eq!(tick.answers, []);
    assert_eq!(serde_json::to_string(&tick).unwrap(), old);
}

/// What a decider does, or who is in a group, and for how long.
#[derive(Debug, Clone)]
enum Tree {
    One(Option<Action>, u64, Option<u64>),
    Route(Vec<(bool, Vec<Tree>)>, Option<u64>),
    Quorum(usize, Vec<Tree>, Option<u64>),
}

fn trees() -> impl Strategy<Value = Vec<Tree>> {
    let deadline = || prop::option::of(1_u64..8);
    let wants = || {
        let actions = [restart("b"), scale("b", 2), Action::NoOp, restart("nowhere")];
        prop::option::weighted(0.7, prop::sample::select(actions.to_vec()))
    };
    let one =
        (wants(), 0_u64..10, deadline()).prop_map(|(wants, takes, within)| Tree::One(wants, takes, within));
    let tree = one.prop_recursive(3, 16, 4, move |inner| {
        let several = || prop::collection::vec(inner.clone(), 1..4);
        let ways = prop::collection::vec((any::<bool>(), several()), 1..3);
        prop_oneof![
            (ways, deadline()).prop_map(|(ways, within)| Tree::Route(ways, within)),
            (1_usize..4, several(), deadline())
                .prop_map(|(least, of, within)| { Tree::Quorum(least.min(of.len()), of, within) }),
        ]
    });
    prop::collection::vec(tree, 1..4)
}

/// Each decider is called by its number.
fn planted(trees: &[Tree], count: &mut usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for tree in trees {
        let (entry, deadline) = match tree {
            Tree::One(wants, takes, within) => {
                let name: &'static str = Box::leak(format!("d{count}").into_boxed_str());
                *count += 1;
                let says =
                    wants.clone().map(|action| Decided::For(decision(action))).ok_or("fails".to_owned());
                (turn(thinker(name, Duration::from_secs(*takes), says)), within)
            }
            Tree::Route(ways, within) => {
                let planted = ways.iter().map(|(taken, ask)| {
                    way(&[], if *taken { &["slow"] } else { &["other"] }, planted(ask, count))
                });
                (route(planted.collect()), within)
            }
            Tree::Quorum(at_least, of, within) => (quorum(*at_least, planted(of, count)), within),
        };
        entries.push(Turn { within: deadline.map(Duration::from_secs), ..entry });
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_decider_of_any_policy_has_one_answer_in_the_journal_and_a_reason_and_only_what_is_decided_is_followed(
        trees in trees()
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut count = 0;
            let entries = planted(&trees, &mut count);
            let rig = rig(entries);
            let mut record = rig.tick().await;
            while matches!(record.ending, Ending::Deciding | Ending::Held) {
                record = rig.tick_in(1).await;
            }
            let mut names: Vec<_> = record.answers.iter().map(|answer| answer.decider().to_owned()).collect();
            names.sort();
            let mut expected: Vec<_> = (0..count).map(|number| format!("d{number}")).collect();
            expected.sort();
            prop_assert_eq!(names, expected);
            let decided = record.decision.as_ref().map(|decision| &decision.said.proposal.action);
            for answer in &record.answers {
                prop_assert!(!answer.why.is_empty() && answer.why != "it still thinks", "{answer:?}");
                let wants = answer.decision.as_ref().map(|decision| &decision.proposal.action);
                prop_assert_eq!(wants.is_some(), answer.said == Decides);
                prop_assert!(!answer.followed || wants == decided, "{answer:?}");
                prop_assert!(answer.said.is_asked() || answer.took_ns == 0);
            }
            prop_assert_eq!(record.answers.iter().any(|answer| answer.followed), decided.is_some());
            prop_assert!(!rig.applied().contains(&restart("nowhere")));
            Ok(())
        })?;
    }
}
