//! Nobody who proposes an action gets out of the sandbox by the data plane, and nobody sees its secrets: a test for each
//! way to propose. That each built-in type is held is in `host/pipeline/tests/reach.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use flyball_control::UndoError;
use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use serde_json::{Value, json};
use support::*;

/// What the manifest named at b.
fn named() -> Value {
    json!({ "command": ["enrich", "--token", "t0p-token-value"], "env": { "DB": "s3cret" }, "timeout_ms": 50 })
}

fn reaching(name: &str) -> NodeType {
    NodeType {
        reach: Reach::Outside,
        config_schema: Some(json!({
            "properties": {
                "command": {
                    "x-decides-reach": true,
                    "prefixItems": [{ "type": "string" }],
                    "items": { "writeOnly": true },
                },
                "env": { "x-decides-reach": true, "writeOnly": true },
                "timeout_ms": { "type": "integer" },
            },
        })),
        ..node_type(name, &[Executor::Native])
    }
}

/// A session at whose node b a `program` runs, as its manifest says, and whose decider wants this.
fn rig(wanted: Action, set_up: impl FnOnce(&mut Panel)) -> Rig {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(wanted)];
        panel.reversers = vec![from_before()];
        set_up(panel);
    });
    let mut view = rig.plane.view.lock();
    view.types.push(reaching("program"));
    view.types.push(reaching("other"));
    let b = view.graph.nodes.iter_mut().find(|node| node.id == "b").unwrap();
    b.node_type = "program".into();
    b.config = named();
    drop(view);
    rig
}

fn replace(node_type: &str, config: Option<Value>) -> Action {
    Action::ReplaceNode { node: "b".into(), node_type: node_type.into(), config }
}

fn insert(node_type: &str, config: Value) -> Action {
    let (id, after) = ("n".into(), vec!["a".into()]);
    Action::InsertNode { id, node_type: node_type.into(), config, executor: None, after, before: vec![] }
}

fn patch(patch: Value) -> Action {
    Action::UpdateNodeConfig { node: "b".into(), patch }
}

/// Puts a node back as it was, by what it is shown.
fn from_before() -> Arc<dyn Reverser> {
    Arc::new(plain("from-before", |action: &Action, before: &GraphSpec| {
        let actions = match action {
            Action::ReplaceNode { node, .. } => {
                let was = before.node(node).unwrap();
                let (node_type, config) = (was.node_type.clone(), Some(was.config.clone()));
                vec![Action::ReplaceNode { node: node.clone(), node_type, config }]
            }
            Action::RemoveNode { node } => {
                let was = before.node(node).unwrap();
                vec![Action::InsertNode {
                    id: node.clone(),
                    node_type: was.node_type.clone(),
                    config: was.config.clone(),
                    executor: None,
                    after: before.before(node).cloned().collect(),
                    before: before.after(node).cloned().collect(),
                }]
            }
            other => return Ok(Reversal::Irreversible { why: format!("{other} is for ever") }),
        };
        Ok(Reversal::Reversible { actions })
    }))
}

fn everything(rig: &Rig, record: &TickRecord) -> String {
    let (actions, ticks, events) =
        (rig.journal.actions.lock(), rig.journal.ticks.lock(), rig.journal.events.lock());
    format!("{record:?} {actions:?} {ticks:?} {events:?}")
}

fn hides_secrets(rig: &Rig, record: &TickRecord) {
    let all = everything(rig, record);
    assert!(!all.contains("t0p") && !all.contains("s3cret"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn no_decider_makes_a_node_that_reaches_outside() {
    for action in [
        replace("program", None),
        replace("program", Some(json!({ "command": ["sh"] }))),
        replace("program", Some(named())),
        replace("other", Some(json!({ "command": ["sh"] }))),
        insert("program", json!({ "command": ["sh"] })),
        insert("other", json!({})),
    ] {
        let rig = rig(action.clone(), |_| {});
        assert_eq!(refusals(&rig.tick().await), ["reaches-outside"], "{action}");
        assert!(rig.applied().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pure_node_may_take_the_place_of_one_that_reaches_outside_and_carries_no_secret_of_it() {
    let rig = rig(replace("upper", Some(json!({ "x": 1 }))), |_| {});
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    let rig = self::rig(replace("upper", None), |_| {});
    assert_eq!(refusals(&rig.tick().await), ["masked-value"], "its configuration holds secrets");
}

#[tokio::test(start_paused = true)]
async fn a_type_is_what_the_data_plane_says_of_it_whatever_a_catalog_lists() {
    let pure =
        |name: &str| NodeType { config_schema: Some(json!({})), ..node_type(name, &[Executor::Native]) };
    for name in ["program", "magic"] {
        let rig = rig(insert(name, json!({ "command": ["sh"] })), |panel| {
            panel.catalogs = vec![Arc::new(plain("lists", move || Ok(vec![pure(name)])))];
        });
        assert_eq!(refusals(&rig.tick().await), ["reaches-outside"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_lets_exactly_what_it_names_be_made() {
    let listed = json!({ "command": ["enrich", "--fast"] });
    let cases = [
        (insert("other", listed.clone()), true),
        (replace("other", Some(listed.clone())), true),
        (insert("program", listed.clone()), false),
        (insert("other", json!({ "command": ["enrich"] })), false),
        (insert("other", json!({ "command": ["enrich", "--fast"], "env": {} })), false),
        (insert("other", json!({ "command": ["enrich", "--fast", "x"] })), false),
    ];
    for (action, may) in cases {
        let rig = rig(action.clone(), |panel| may_create(panel, "other", listed.clone()));
        let record = rig.tick().await;
        assert_eq!(record.ending == Ending::Acted, may, "{action}: {record:#?}");
        assert_eq!(refusals(&record).contains(&"reaches-outside"), !may);
    }
}

#[tokio::test(start_paused = true)]
async fn a_schema_in_the_policy_lets_be_made_what_it_lists_and_an_open_one_nothing() {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "command": { "enum": [["a"], ["b"]] },
            "timeout_ms": { "type": "integer", "maximum": 100 },
        },
    });
    let mut open = schema.clone();
    open["properties"]["command"] = json!({ "type": "array", "items": { "type": "string" } });
    let cases = [
        (&schema, json!({ "command": ["b"], "timeout_ms": 7 }), true),
        (&schema, json!({ "command": ["c"], "timeout_ms": 7 }), false),
        (&schema, json!({ "command": ["b"], "timeout_ms": 700 }), false),
        (&open, json!({ "command": ["b"] }), false),
    ];
    for (schema, config, may) in cases {
        let schema = schema.as_object().cloned();
        let entry = Creatable { node_type: "other".into(), config: None, schema };
        let rig = rig(insert("other", config.clone()), |panel| {
            safety(panel, |safety| safety.may_create.push(entry));
        });
        assert_eq!(rig.tick().await.ending == Ending::Acted, may, "{config}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_never_touches_what_decides_where_a_node_reaches_whatever_the_policy_names() {
    for (touches, code) in [
        (json!({ "command": ["sh"] }), "decides-reach"),
        (json!({ "command": null }), "decides-reach"),
        (json!({ "env": { "DB": null } }), "decides-reach"),
        (json!({ "env": { "NEW": "x" } }), "decides-reach"),
        (json!({ "Command": ["sh"] }), "decides-reach"),
        (json!({ "cwd": "/" }), "decides-reach"),
        (json!({ "timeout_ms": 9 }), "reaches-outside"),
    ] {
        let mut wanted = named();
        merge(&mut wanted, &touches);
        let rig = rig(patch(touches.clone()), |_| {});
        assert_eq!(refusals(&rig.tick().await), [code], "{touches}");
        let rig = self::rig(patch(touches.clone()), |panel| may_create(panel, "program", wanted));
        let record = rig.tick().await;
        assert_eq!(record.ending == Ending::Acted, code == "reaches-outside", "{touches}: {record:#?}");
        hides_secrets(&rig, &record);
    }
}

#[tokio::test(start_paused = true)]
async fn an_amendment_and_a_persons_yes_are_held_to_the_same() {
    let hostile = || replace("program", Some(json!({ "command": ["sh"] })));
    let amends = rig(restart("b"), |panel| {
        panel.validators = vec![validator("amends", move |_| {
            Ok(Verdict::Amend(Amendment { action: hostile(), reason: because("better") }))
        })];
    });
    assert_eq!(refusals(&amends.tick().await), ["reaches-outside"]);
    assert!(amends.applied().is_empty());
    // Nobody is even asked.
    let asks = rig(hostile(), |panel| {
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ReplaceNode]);
    });
    assert_eq!(asks.tick().await.ending, Ending::Rejected);
    assert!(asks.controller.approvals().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_person_approved_is_refused_when_the_policy_names_it_no_more() {
    let listed = json!({ "command": ["enrich"] });
    let set_up = |panel: &mut Panel| {
        panel.deciders = vec![wants(insert("other", json!({ "command": ["enrich"] })))];
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::InsertNode]);
    };
    let rig = rig(restart("b"), |panel| {
        set_up(panel);
        may_create(panel, "other", listed);
    });
    assert_eq!(rig.tick().await.ending, Ending::AwaitingApproval);
    let asked = rig.controller.approvals().await;
    rig.publish(2, set_up);
    rig.controller.approve(&asked[0].id, None).await.unwrap();
    let record = rig.tick_in(10).await;
    assert_eq!(refusals(&record), ["reaches-outside"]);
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_undo_puts_back_the_node_that_the_manifest_named_with_its_secrets() {
    for done in [Action::RemoveNode { node: "b".into() }, replace("upper", Some(json!({})))] {
        let rig = rig(done.clone(), |_| {});
        let acted = rig.tick().await;
        assert_eq!(acted.ending, Ending::Acted, "{acted:#?}");
        let undone = rig.controller.rollback(1, "operator").await.unwrap();
        assert!(undone[0].result.is_ok(), "{undone:#?}");
        let b = rig.plane.view.lock().graph.node("b").unwrap().clone();
        assert_eq!((b.node_type.as_str(), b.config), ("program", named()), "after {done}");
        hides_secrets(&rig, &acted);
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_makes_nothing_that_a_reverser_invents() {
    let said = Arc::new(Mutex::new(Action::NoOp));
    let says = Arc::clone(&said);
    let rig = rig(Action::RemoveNode { node: "b".into() }, |panel| {
        panel.reversers = vec![Arc::new(plain("invents", move |_: &Action, _: &GraphSpec| {
            Ok(Reversal::Reversible { actions: vec![says.lock().clone()] })
        }))];
    });
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    let as_b = |config: Value| Action::InsertNode {
        id: "b".into(),
        node_type: "program".into(),
        config,
        executor: None,
        after: vec!["a".into()],
        before: vec![],
    };
    let mut changed = named();
    changed["command"][1] = json!("--other");
    for invented in [
        insert("program", named()),
        as_b(json!({ "command": ["sh"] })),
        as_b(changed),
        as_b(json!({ "command": ["enrich", "(masked 9)", "(masked)"] })),
        Action::ReplaceNode { node: "a".into(), node_type: "program".into(), config: Some(named()) },
    ] {
        *said.lock() = invented.clone();
        let undone = rig.controller.rollback(1, "operator").await.unwrap();
        assert!(undone[0].result.is_err(), "{invented}: {undone:#?}");
    }
    assert_eq!(rig.applied().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_undo_makes_no_node_that_this_run_has_not_seen() {
    for (config, code) in [(json!({ "command": ["enrich"] }), "reaches-outside"), (named(), "masked-value")] {
        let rig = rig(Action::RemoveNode { node: "b".into() }, |_| {});
        {
            let mut view = rig.plane.view.lock();
            view.graph.nodes.iter_mut().find(|node| node.id == "b").unwrap().config = config;
        }
        assert_eq!(rig.tick().await.ending, Ending::Acted);
        // Another host knows what a journal says, which is no leave to run a program.
        let undone = rig.restarted().rollback(1, "operator").await.unwrap();
        let Err(UndoError::Rejected { reason, .. }) = &undone[0].result else { panic!("{undone:#?}") };
        assert_eq!(reason.code, code);
        assert!(
            rig.controller.rollback(1, "operator").await.unwrap()[0].result.is_ok(),
            "the same run does it"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_an_action_may_make_is_offered() {
    let seen = Arc::new(Mutex::new(vec![]));
    let sees = |seen: &Arc<Mutex<Vec<NodeType>>>| {
        let seen = Arc::clone(seen);
        decider("sees", move |_, situation: &Situation| {
            *seen.lock() = situation.node_types.to_vec();
            Ok(Decided::Abstains("it only looks".into()))
        })
    };
    let offered = |seen: &Mutex<Vec<NodeType>>| -> Vec<String> {
        seen.lock().iter().map(|of| of.name.clone()).collect()
    };
    let rig = rig(restart("b"), |panel| panel.deciders = vec![sees(&seen)]);
    rig.tick().await;
    assert_eq!(offered(&seen), ["upper"]);
    rig.publish(2, |panel| {
        panel.deciders = vec![sees(&seen)];
        may_create(panel, "other", json!({ "command": ["enrich", "t0p"], "env": { "A": "s3cret" } }));
    });
    let record = rig.tick_in(20).await;
    assert_eq!(offered(&seen), ["upper", "other"]);
    let schema = seen.lock()[1].config_schema.clone().unwrap();
    assert_eq!(schema, json!({ "const": { "command": ["enrich", MASKED], "env": { "A": MASKED } } }));
    hides_secrets(&rig, &record);
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_names_with_a_secret_is_made_by_its_masked_form_with_the_secret() {
    let listed = json!({ "command": ["enrich", "t0p"], "env": { "A": "s3cret" } });
    let masked = json!({ "command": ["enrich", MASKED], "env": { "A": MASKED } });
    for said in [masked, listed.clone()] {
        let rig = rig(insert("other", said), |panel| may_create(panel, "other", listed.clone()));
        let record = rig.tick().await;
        assert_eq!(record.ending, Ending::Acted, "{record:#?}");
        assert_eq!(record.action.as_ref().unwrap().outcome, Outcome::Effective);
        assert_eq!(rig.plane.view.lock().graph.node("n").unwrap().config, listed);
        hides_secrets(&rig, &record);
    }
}

#[tokio::test(start_paused = true)]
async fn no_judge_sees_a_secret_of_a_configuration() {
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = |seen: &Arc<Mutex<String>>| {
        let seen = Arc::clone(seen);
        move |what: String| seen.lock().push_str(&what)
    };
    let (decides, reverses) = (keep(&seen), keep(&seen));
    let rig = rig(restart("b"), |panel| {
        may_create(panel, "program", named());
        panel.deciders = vec![decider("sees", move |_, situation: &Situation| {
            decides(format!("{situation:?}"));
            Ok(Decided::For(decision(Action::RemoveNode { node: "b".into() })))
        })];
        panel.reversers = vec![Arc::new(plain("sees", move |action: &Action, before: &GraphSpec| {
            reverses(format!("{action:?} {before:?}"));
            Ok(Reversal::Irreversible { why: "it only looks".into() })
        }))];
    });
    let record = rig.tick().await;
    let _ = rig.controller.rollback(1, "operator").await;
    let seen = seen.lock();
    assert!(seen.contains("enrich") && seen.matches(MASKED).count() >= 4, "{seen}");
    assert!(!seen.contains("t0p") && !seen.contains("s3cret"), "{seen}");
    hides_secrets(&rig, &record);
}

#[tokio::test(start_paused = true)]
async fn a_mask_is_not_written_where_it_stands_for_nothing() {
    for action in [
        insert("upper", json!({ "text": MASKED })),
        insert("upper", json!({ "deep": [{ "password": "(masked 2)" }] })),
        replace("upper", Some(json!({ "command": ["enrich", MASKED] }))),
    ] {
        let rig = rig(action.clone(), |_| {});
        assert_eq!(refusals(&rig.tick().await), ["masked-value"], "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_secrets_at_one_place_are_told_apart_and_the_right_one_is_put_back() {
    let other =
        json!({ "command": ["enrich", "--token", "n3w"], "env": { "DB": "s3cret" }, "timeout_ms": 50 });
    let rig = rig(replace("program", Some(other.clone())), |panel| {
        may_create(panel, "program", other.clone());
    });
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Acted, "{record:#?}");
    let action = record.action.clone().unwrap();
    assert_ne!(action.before.digest(), action.after.as_ref().unwrap().digest(), "only a secret differs");
    let undone = rig.controller.rollback(1, "operator").await.unwrap();
    assert!(undone[0].result.is_ok(), "{undone:#?}");
    assert_eq!(rig.plane.view.lock().graph.node("b").unwrap().config, named());
    let all = everything(&rig, &record);
    assert!(!all.contains("n3w") && !all.contains("t0p"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_repeats_a_secret_is_told_without_it() {
    let rig = rig(restart("b"), |_| {});
    rig.plane.view.lock().refuses = Some("no such token: t0p-token-value".into());
    let record = rig.tick().await;
    assert_eq!(record.action.as_ref().unwrap().note.as_deref(), Some("no such token: (masked)"));
    rig.plane.view.lock().unobservable = Some("t0p-token-value is refused".into());
    assert!(rig.tick_in(9).await.error.unwrap().ends_with("(masked) is refused"));
    hides_secrets(&rig, &record);
}
