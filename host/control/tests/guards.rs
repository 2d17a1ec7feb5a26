//! What stands between a decision and the data plane: the host's checks, then the validators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use serde_json::json;
use support::*;

fn insert(id: &str, node_type: &str, after: &[&str], before: &[&str]) -> Action {
    let names = |nodes: &[&str]| nodes.iter().map(|node| (*node).to_owned()).collect();
    Action::InsertNode {
        id: id.into(),
        node_type: node_type.into(),
        config: json!({}),
        executor: None,
        after: names(after),
        before: names(before),
    }
}

/// The codes of every no that the host says to it, with nothing applied.
async fn refused(action: Action, set_up: impl FnOnce(&mut Rules)) -> Vec<String> {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(action)];
        set_up(&mut panel.rules);
    });
    let record = rig.tick().await;
    let codes: Vec<String> = refusals(&record).into_iter().map(str::to_owned).collect();
    assert_eq!(codes.is_empty(), record.ending == Ending::Acted, "{record:#?}");
    assert_eq!(codes.is_empty(), rig.applied().len() == 1);
    codes
}

#[tokio::test(start_paused = true)]
async fn an_action_over_the_mutation_policy_is_rejected() {
    assert_eq!(
        refused(scale("b", 2), |rules| rules.mutation = MutationPolicy::Heal).await,
        ["kind-not-allowed"]
    );
    assert!(refused(scale("b", 2), |rules| rules.mutation = MutationPolicy::Optimize).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_action_that_the_data_plane_does_not_support_is_rejected() {
    let rig = Rig::new(|_| {});
    rig.plane.view.lock().support.clear();
    assert_eq!(refusals(&rig.tick().await), ["kind-not-supported"]);
}

#[tokio::test(start_paused = true)]
async fn an_action_on_a_node_that_is_not_there_is_rejected() {
    assert_eq!(refused(restart("z"), |_| {}).await, ["unknown-node"]);
    assert_eq!(refused(restart(""), |_| {}).await, ["unknown-node"]);
    assert_eq!(refused(insert("n", "upper", &["z"], &[]), |_| {}).await, ["unknown-node"]);
}

#[tokio::test(start_paused = true)]
async fn no_action_touches_a_protected_node() {
    assert_eq!(refused(restart("b"), |rules| rules.protected = vec!["b".into()]).await, ["protected-node"]);
    assert!(refused(restart("b"), |rules| rules.protected = vec!["c".into()]).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn protected_names_take_patterns_and_hold_for_names_that_an_insertion_would_give() {
    for (pattern, held) in
        [("*", true), ("b*", true), ("*b", true), ("", false), ("*x", false), ("B*", false)]
    {
        let codes = refused(restart("b"), |rules| rules.protected = vec![pattern.into()]).await;
        let expected: &[&str] = if held { &["protected-node"] } else { &[] };
        assert_eq!(codes, expected, "{pattern}");
    }
    let inserted =
        refused(insert("slow-2", "upper", &["a"], &["b"]), |rules| rules.protected = vec!["slow*".into()]);
    assert_eq!(inserted.await, ["protected-node"]);
}

#[tokio::test(start_paused = true)]
async fn protected_nodes_hold_for_the_neighbours_of_an_insertion() {
    let cases = [
        (insert("n", "upper", &["a"], &["b"]), "a", true),
        (insert("n", "upper", &["a"], &["b"]), "b", true),
        (insert("n", "upper", &["a"], &["b"]), "c", false),
        // It names nothing behind it, so the edge to b changes.
        (insert("n", "upper", &["a"], &[]), "b", true),
        (insert("n", "upper", &["a"], &[]), "c", false),
    ];
    for (action, protected, held) in cases {
        let codes = refused(action.clone(), |rules| rules.protected = vec![protected.into()]).await;
        let expected: &[&str] = if held { &["protected-node"] } else { &[] };
        assert_eq!(codes, expected, "{action} while {protected} is protected");
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_out_of_all_reason_are_rejected() {
    let update = |patch| Action::UpdateNodeConfig { node: "b".into(), patch };
    let buffer = |capacity| Action::AdjustBuffering { node: "b".into(), capacity };
    let long = "n".repeat(200);
    for action in [
        scale("b", 0),
        scale("b", u32::MAX),
        buffer(0),
        buffer(u32::MAX),
        update(json!(3)),
        insert(" ", "upper", &["a"], &[]),
        insert("n\n", "upper", &["a"], &[]),
        insert("n\u{202e}", "upper", &["a"], &[]),
        insert("n\u{200b}", "upper", &["a"], &[]),
        insert(&long, "upper", &["a"], &[]),
        insert("n", "upper", &[], &[]),
    ] {
        assert_eq!(refused(action.clone(), |_| {}).await, ["bad-parameters"], "{action}");
    }
    assert!(refused(scale("b", 4), |_| {}).await.is_empty());
    assert!(refused(buffer(500), |_| {}).await.is_empty());
    assert!(refused(update(json!({"x": 1})), |_| {}).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_node_has_a_name_and_a_type_of_its_own() {
    assert_eq!(refused(insert("c", "upper", &["a"], &[]), |_| {}).await, ["node-exists"]);
    assert_eq!(refused(insert("n", "magic", &["a"], &[]), |_| {}).await, ["unknown-node-type"]);
    assert!(refused(insert("n", "upper", &["a"], &[]), |_| {}).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_works_only_where_its_type_is_offered() {
    let switch = |to| Action::SwitchExecutor { node: "b".into(), to };
    assert_eq!(refused(switch(Executor::Multiprocess), |_| {}).await, ["executor-not-offered"]);
    assert!(refused(switch(Executor::Wasm), |_| {}).await.is_empty());
    let replace = Action::ReplaceNode { node: "b".into(), node_type: "magic".into(), config: None };
    assert_eq!(refused(replace, |_| {}).await, ["unknown-node-type"]);
}

#[tokio::test(start_paused = true)]
async fn a_type_that_only_a_catalog_offers_is_used_where_the_policy_names_it() {
    let rig = Rig::new(|panel| {
        may_create(panel, "magic", json!({}));
        panel.catalogs = vec![Arc::new(plain("lists", || Ok(vec![node_type("magic", &[Executor::Native])])))];
        panel.deciders = vec![wants(insert("n", "magic", &["a"], &[]))];
    });
    assert_eq!(rig.tick().await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn evidence_that_is_not_in_the_observation_discredits_the_proposal() {
    let rests_on = |node: Option<&str>, metric: Option<&str>| Evidence {
        node: node.map(Into::into),
        metric: metric.map(Into::into),
        ..Evidence::default()
    };
    let cases = [
        (rests_on(Some("z"), None), false),
        (rests_on(Some("b"), Some("mood")), false),
        (rests_on(None, Some("mood")), false),
        (rests_on(Some("b"), Some(metric::SAMPLES)), true),
        (rests_on(None, Some(total::THROUGHPUT_PER_SECOND)), true),
        (rests_on(None, None), true),
    ];
    for (evidence, resolves) in cases {
        let cited = evidence.clone();
        let rig = Rig::new(|panel| {
            panel.deciders = vec![decider("cites", move |_, _| {
                let mut decision = decision(restart("b"));
                decision.proposal.rests_on = vec![cited.clone()];
                Ok(Decided::For(decision))
            })];
        });
        let expected: &[&str] = if resolves { &[] } else { &["unresolved-evidence"] };
        assert_eq!(refusals(&rig.tick().await), expected, "{evidence:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_check_that_fails_is_named() {
    let codes = refused(scale("b", 0), |rules| {
        rules.mutation = MutationPolicy::Heal;
        rules.protected = vec!["b".into()];
    });
    assert_eq!(codes.await, ["kind-not-allowed", "protected-node", "bad-parameters"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_validator_that_denies_has_the_last_word() {
    let rig = Rig::new(|panel| {
        panel.validators = vec![
            validator("allows", |_| Ok(Verdict::Allow)),
            validator("denies", |_| Ok(Verdict::Deny(because("too-late")))),
            validator("never", |_| panic!("it was asked")),
        ];
    });
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Rejected);
    let by: Vec<_> = record.verdicts.iter().map(|verdict| verdict.by.to_string()).collect();
    assert_eq!(by, ["host", "allows", "denies"]);
    assert!(rig.applied().is_empty() && rig.journal.actions.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_validator_that_fails_closes() {
    for fails in
        [validator("fails", |_| Err("out of memory".into())), validator("fails", |_| panic!("out of memory"))]
    {
        let rig = Rig::new(|panel| panel.validators = vec![fails]);
        let record = rig.tick().await;
        assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["validator-failed"]));
        assert_eq!(
            (record.failures[0].by.clone(), record.failures[0].kind),
            (id("fails"), PluginKind::Validator)
        );
        assert!(rig.applied().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_validator_that_fails_is_passed_over_where_the_policy_says_so() {
    let asked = Arc::new(Mutex::new(0));
    let asks = Arc::clone(&asked);
    let rig = Rig::new(|panel| {
        let fails = plain("fails", |_: &Proposal| Err("out of memory".into()));
        panel.validators = vec![
            Rule::One(Arc::new(support::Plain { on_failure: OnFailure::Open, ..fails })),
            validator("next", move |_| {
                *asks.lock() += 1;
                Ok(Verdict::Allow)
            }),
        ];
    });
    let record = rig.tick().await;
    assert_eq!((record.ending, record.failures.len(), *asked.lock()), (Ending::Acted, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_validators_has_one_word_and_its_members_are_told_too() {
    let allows = |name| validator(name, |_| Ok(Verdict::Allow));
    let denies = |name| validator(name, |_| Ok(Verdict::Deny(because("no"))));
    let group =
        |least, members| Rule::Group { name: "two agree".into(), form: GroupForm::AtLeast(least), members };
    let rig = Rig::new(|panel| {
        panel.validators = vec![group(2, vec![denies("a"), allows("b"), allows("c"), allows("d")])];
    });
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Acted, "{record:#?}");
    let said: Vec<_> = record
        .verdicts
        .iter()
        .map(|verdict| (verdict.by.to_string(), verdict.within.as_deref(), verdict.verdict == Verdict::Allow))
        .collect();
    let within = Some("two agree");
    let expected = [
        ("host", None, true),
        ("a", within, false),
        ("b", within, true),
        ("c", within, true),
        ("host", None, true),
    ];
    assert_eq!(said, expected.map(|(by, within, allows)| (by.to_owned(), within, allows)));

    let rig =
        Rig::new(|panel| panel.validators = vec![group(2, vec![denies("a"), allows("b"), denies("c")])]);
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Rejected);
    assert_eq!(refusals(&record).last(), Some(&"too-few-allow"));
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_amendment_in_a_group_is_judged_by_all_again() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 9))];
        let members = vec![
            validator("denies", |_| Ok(Verdict::Deny(because("no")))),
            amends("amends", scale("b", 9), scale("b", 3)),
        ];
        let gentler = Rule::Group { name: "gentler".into(), form: GroupForm::AtLeast(1), members };
        panel.validators = vec![validator("first", |_| Ok(Verdict::Allow)), gentler];
    });
    let record = rig.tick().await;
    assert_eq!(rig.applied(), [scale("b", 3)]);
    let asked = record.verdicts.iter().filter(|verdict| &*verdict.by.name == "first").count();
    assert_eq!(asked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_validator_that_fails_within_not_opens_nothing() {
    let rig = Rig::new(|panel| {
        let members = vec![validator("fails", |_| Err("out of memory".into()))];
        panel.validators = vec![Rule::Group { name: "not".into(), form: GroupForm::Not, members }];
    });
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Rejected, "{record:#?}");
    assert!(rig.applied().is_empty());
}

/// Answers, and was refused something on the way.
struct Trespasser(PluginId);

impl Judge for Trespasser {
    fn id(&self) -> &PluginId {
        &self.0
    }
}

#[async_trait::async_trait]
impl Heuristic for Trespasser {
    async fn assess(&self, _: &Sight) -> Result<Judged<Assessment>, JudgeError> {
        let refused = vec!["GET was refused: 10.0.0.1 is not public".to_owned()];
        Ok(Judged { said: Assessment::default(), cost: Cost::default(), refused })
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_judge_tried_and_may_not_is_journaled_on_a_quiet_tick_too() {
    let rig = Rig::new(|panel| panel.heuristics = vec![Arc::new(Trespasser(id("trespasser")))]);
    assert_eq!(rig.tick().await.ending, Ending::Quiet);
    let journaled = rig.journal.ticks.lock();
    assert_eq!(journaled[0].failures[0].by, id("trespasser"));
    assert!(journaled[0].failures[0].error.contains("10.0.0.1 is not public"));
}

fn amends(name: &str, from: Action, to: Action) -> Rule<Arc<dyn Validator>> {
    validator(name, move |proposal| {
        let amendment = Amendment { action: to.clone(), reason: because("gentler") };
        Ok(if proposal.action == from { Verdict::Amend(amendment) } else { Verdict::Allow })
    })
}

#[tokio::test(start_paused = true)]
async fn an_amended_action_is_judged_again_by_all() {
    let seen = Arc::new(Mutex::new(vec![]));
    let sees = Arc::clone(&seen);
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 9))];
        panel.validators = vec![
            validator("first", move |proposal| {
                sees.lock().push(proposal.action.clone());
                Ok(Verdict::Allow)
            }),
            amends("amends", scale("b", 9), scale("b", 3)),
        ];
    });
    let record = rig.tick().await;
    assert_eq!(*seen.lock(), [scale("b", 9), scale("b", 3)]);
    assert_eq!(rig.applied(), [scale("b", 3)]);
    let by: Vec<_> = record.verdicts.iter().map(|verdict| verdict.by.to_string()).collect();
    assert_eq!(by, ["host", "first", "amends", "host", "first", "amends"]);
    let action = record.action.unwrap();
    assert_eq!(
        (action.proposal.action, record.decision.unwrap().said.proposal.action),
        (scale("b", 3), scale("b", 9))
    );
}

#[tokio::test(start_paused = true)]
async fn an_amendment_gets_round_no_check_of_the_host() {
    let rig = Rig::new(|panel| {
        panel.rules.protected = vec!["c".into()];
        panel.validators = vec![amends("amends", restart("b"), restart("c"))];
    });
    assert_eq!(refusals(&rig.tick().await), ["protected-node"]);
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_action_that_is_amended_to_nothing_is_a_no_op() {
    let rig = Rig::new(|panel| panel.validators = vec![amends("amends", restart("b"), Action::NoOp)]);
    assert_eq!(rig.tick().await.ending, Ending::NoOp);
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn validators_that_never_agree_come_to_an_end() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.validators =
            vec![amends("up", scale("b", 2), scale("b", 3)), amends("down", scale("b", 3), scale("b", 2))];
    });
    let record = rig.tick().await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["too-many-amendments"]));
    let amended = record.verdicts.iter().filter(|record| matches!(record.verdict, Verdict::Amend(_))).count();
    assert_eq!(amended, 5);
}
