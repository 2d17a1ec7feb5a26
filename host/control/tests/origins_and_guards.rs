//! Every origin of an action against every guard. In each cell the guard gets in the way at the last moment, when the action is about to be
//! proposed, and the data plane must stay untouched and people must be told why, or, where `SPARED`, the action must be done all
//! the same. Without a guard in its way every origin gets to the data plane, so no cell passes for another reason.
//!
//! That an action which is under way holds every origin is in `slow_plane`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_control::Fleet;
use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use support::*;

/// Who wants an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A decider, which answers after forty seconds.
    Decider,
    /// A decider's action to which a person said yes.
    Approval,
    /// The host, of what made things worse.
    HostUndo,
    /// The host, of what is no longer needed.
    GiveBack,
    /// A person, by a rollback.
    PersonUndo,
    /// A reverser that wants a second step, once the first was done.
    Reverser,
}

use Origin::{Approval, Decider, GiveBack, HostUndo, PersonUndo, Reverser};

const ORIGINS: [Origin; 6] = [Decider, Approval, HostUndo, GiveBack, PersonUndo, Reverser];

/// A guard, what puts it in the way, what is told of it, and whom it spares.
type Row = (&'static str, fn(&Scene), &'static str, &'static [Origin]);

const UNDOS: &[Origin] = &[HostUndo, GiveBack, PersonUndo, Reverser];
const AT_ONCE: &[Origin] = &[HostUndo, PersonUndo, Reverser];
const BY_PEOPLE: &[Origin] = &[PersonUndo, Reverser];
const NOBODY: &[Origin] = &[];

const GUARDS: &[Row] = &[
    ("no policy", |scene| *scene.rig.judges.0.lock() = None, "no policy", NOBODY),
    (
        "acting is switched off",
        |scene| scene.publish(|panel| panel.rules.enabled = false),
        "acting is switched off",
        BY_PEOPLE,
    ),
    (
        "the breaker",
        |scene| scene.publish(|panel| panel.rules.max_actions = 0),
        "the limit is 0; opens when the policy allows an action",
        AT_ONCE,
    ),
    ("the finding is gone", |scene| scene.rig.finds(vec![]), "is not found", UNDOS),
    (
        "the evidence is gone",
        |scene| scene.rig.plane.view.lock().columns.retain(|(name, _)| *name != EVIDENCE),
        "which the newest observation does not have",
        UNDOS,
    ),
    (
        "the host's check of the node",
        |scene| scene.publish(|panel| panel.rules.protected = vec!["b".into()]),
        "b is protected",
        NOBODY,
    ),
    (
        "the host's check of the kind",
        |scene| scene.publish(|panel| panel.rules.mutation = MutationPolicy::Heal),
        "the mutation policy heal does not allow",
        NOBODY,
    ),
    (
        "the host's check of what the data plane can",
        |scene| scene.rig.plane.view.lock().support.clear(),
        "the data plane does not support",
        NOBODY,
    ),
    (
        "a validator",
        |scene| *scene.verdict.lock() = Some(Ok(Verdict::Deny(because("a validator's no")))),
        "a validator's no",
        NOBODY,
    ),
    (
        "a validator that fails",
        |scene| *scene.verdict.lock() = Some(Err("out of cheese".into())),
        "out of cheese",
        NOBODY,
    ),
    (
        "a validator that makes something else of it",
        |scene| scene.amends_to(scale("b", 77)),
        "it does not put back what b had before|what a person approved is not what would be done now",
        &[Decider],
    ),
    ("attempts", |scene| scene.safety(|safety| safety.attempts = 0), "did not help; the limit is 0", UNDOS),
    (
        "nodes at once",
        |scene| scene.safety(|safety| safety.targets_at_once = 0),
        "the limit is 0 nodes at once",
        UNDOS,
    ),
    (
        "the budget of the node",
        |scene| scene.safety(|safety| safety.target = USED_UP),
        "0 such actions within 1.0 s; the limit is 0",
        NOBODY,
    ),
    (
        "the budget of the kind",
        |scene| scene.safety(|safety| safety.kinds = [(ActionKind::ScaleNode, USED_UP)].into()),
        "0 such actions within 1.0 s; the limit is 0",
        NOBODY,
    ),
    (
        "the budget of the session",
        |scene| scene.safety(|safety| safety.session = USED_UP),
        "0 such actions within 1.0 s; the limit is 0",
        NOBODY,
    ),
    (
        "the budget of the host",
        |scene| scene.safety(|safety| safety.host = USED_UP),
        "0 actions in all sessions within 1.0 s; the limit is 0",
        NOBODY,
    ),
    ("a halt", |scene| scene.halt(), "a person halted the host: enough", NOBODY),
    (
        "a state directory that is lost",
        |scene| {
            scene.fleet.suspend(Some("the state directory is gone".into()));
        },
        "the state directory is gone",
        NOBODY,
    ),
    (
        "dry run",
        |scene| scene.safety(|safety| safety.dry_run = vec![ActionKind::ScaleNode]),
        "Proposed|`safety.dry_run: [scale-node]`",
        NOBODY,
    ),
    (
        "propose only",
        |scene| scene.safety(|safety| safety.propose_only = true),
        "Proposed|`safety.propose_only`",
        NOBODY,
    ),
    (
        "an approval that the policy wants",
        |scene| scene.safety(|safety| safety.approval.kinds = vec![ActionKind::ScaleNode]),
        "the policy wants a person to approve each scale-node",
        &[Approval, PersonUndo, Reverser],
    ),
    (
        "an approval that a validator wants",
        |scene| *scene.verdict.lock() = Some(Ok(Verdict::Ask(because("a validator's question")))),
        "a validator's question",
        &[Approval, PersonUndo, Reverser],
    ),
    (FREEZE, |_| {}, "is frozen|did not help; the limit is 0", AT_ONCE),
    (
        "the journal",
        |scene| *scene.rig.journal.fails_to_intend.lock() = true,
        "its intent could not be recorded",
        NOBODY,
    ),
    (
        AFTER_THE_INTENT,
        |scene| {
            let fleet = Arc::clone(&scene.fleet);
            *scene.rig.journal.meanwhile.lock() = Some(Box::new(move || halt(&fleet)));
        },
        "a person halted the host: enough",
        NOBODY,
    ),
];

const AFTER_THE_INTENT: &str = "a halt after the intent";
const FREEZE: &str = "a freeze";
const EVIDENCE: &str = "evidence";
const USED_UP: Budget = Budget { max: 0, window_ms: 1_000 };

fn halt(fleet: &Fleet) {
    fleet.halt(Halt { session: None, at: 0, why: "enough".into() });
}

/// What the one validator says; none: yes.
type Says = Arc<Mutex<Option<Result<Verdict, String>>>>;

/// A session in which somebody is about to want a change of b's workers.
struct Scene {
    origin: Origin,
    rig: Rig,
    fleet: Arc<Fleet>,
    verdict: Says,
}

/// What came of it.
struct Outcome {
    /// Whether the change was made that the origin wants.
    done: bool,
    /// Whether it was intended.
    intended: bool,
    told: String,
}

impl Scene {
    fn new(origin: Origin) -> Arc<Self> {
        let fleet = Fleet::new(vec![]);
        let rig = Rig::in_fleet(&fleet, |_| {});
        rig.plane.view.lock().columns = vec![
            (metric::ITEMS_PER_SECOND, 100.0),
            (metric::ERRORS_PER_SECOND, 0.0),
            (metric::QUEUE_DEPTH, 3.0),
            (EVIDENCE, 1.0),
        ];
        rig.plane.view.lock().graph.nodes[1].replicas = if origin == Reverser { 2 } else { 1 };
        let scene = Self { origin, rig, fleet, verdict: Says::default() };
        scene.publish(|_| {});
        Arc::new(scene)
    }

    /// The scene's policy, changed.
    fn publish(&self, change: impl FnOnce(&mut Panel)) {
        self.rig.publish(2, |panel| {
            panel.deciders = vec![match self.origin {
                Decider => turn(Plain { takes: Duration::from_secs(40), ..plain("slow", by_evidence) }),
                Reverser => wants(Action::RemoveNode { node: "b".into() }),
                Approval | HostUndo | GiveBack | PersonUndo => turn(plain("wants", by_evidence)),
            }];
            panel.reversers = vec![puts_everything_back()];
            let says = Arc::clone(&self.verdict);
            panel.validators = vec![validator("says", move |proposal| match says.lock().clone() {
                Some(Ok(Verdict::Amend(amended))) if amended.action == proposal.action => Ok(Verdict::Allow),
                says => says.unwrap_or(Ok(Verdict::Allow)),
            })];
            if self.origin == Approval {
                safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]);
            }
            change(panel);
        });
    }

    fn safety(&self, change: impl FnOnce(&mut Safety)) {
        self.publish(|panel| safety(panel, change));
    }

    fn halt(&self) {
        halt(&self.fleet);
    }

    fn amends_to(&self, action: Action) {
        let amendment = Amendment { action, reason: because("amended") };
        *self.verdict.lock() = Some(Ok(Verdict::Amend(amendment)));
    }

    /// The first thing in this session: a restart of c, of which it is not known for half a minute whether it helped.
    async fn restarts_c(&self) {
        self.rig.plane.view.lock().samples = f64::NAN;
        self.rig.finds(vec![finding("stuck", Some("c"))]);
        self.rig.publish(1, |panel| panel.deciders = vec![wants(restart("c"))]);
        assert_eq!(self.rig.tick().await.ending, Ending::Acted);
        self.rig.finds(vec![finding("slow", Some("b"))]);
        self.publish(|_| {});
    }

    /// Whether the session is frozen within a minute.
    async fn freezes(&self) {
        for _ in 0..60 {
            if self.rig.controller.frozen().await.is_some() {
                return;
            }
            self.rig.tick_in(1).await;
        }
        panic!("{:?}: it never froze", self.origin);
    }

    /// An action of the session's that is about to be undone.
    async fn acts(&self, frozen: bool) {
        self.rig.finds(vec![]);
        self.rig.ticks(10).await;
        self.rig.finds(vec![finding("slow", Some("b"))]);
        self.safety(|safety| safety.futile = if frozen { 0 } else { 5 });
        assert_eq!(self.rig.tick_in(1).await.ending, Ending::Acted);
        assert_eq!(self.rig.controller.frozen().await.is_some(), frozen);
        self.publish(|_| {});
        self.rig.told.events.lock().clear();
    }

    /// Lets somebody want it, with this guard in the way at the last moment.
    async fn play(self: &Arc<Self>, guard: Option<&'static Row>) -> Outcome {
        let in_the_way = guard.map_or((|_| {}) as fn(&Self), |(_, set, ..)| *set);
        let freezes = guard.is_some_and(|(name, ..)| *name == FREEZE);
        match self.origin {
            Decider | Approval => {
                self.restarts_c().await;
                self.decided(in_the_way, freezes).await
            }
            HostUndo => {
                self.acts(freezes).await;
                self.rig.plane.view.lock().latency_ms = 80.0;
                in_the_way(self);
                let records = self.rig.ticks(4).await;
                self.outcome(&records, String::new())
            }
            GiveBack => {
                self.acts(freezes).await;
                self.rig.finds(vec![]);
                self.rig.plane.view.lock().columns[0] = (metric::ITEMS_PER_SECOND, 10.0);
                self.rig.ticks(115).await;
                assert!(self.rig.applied().len() == 1, "it was taken back too soon");
                in_the_way(self);
                let records = self.rig.ticks(15).await;
                let changes = format!("{:?}", self.rig.controller.changes().await);
                self.outcome(&records, changes)
            }
            PersonUndo => {
                self.acts(freezes).await;
                in_the_way(self);
                self.rolled_back().await
            }
            Reverser => {
                self.acts(freezes).await;
                let scene = Arc::clone(self);
                self.rig.plane.view.lock().once_applied = Some(Box::new(move || in_the_way(&scene)));
                self.rolled_back().await
            }
        }
    }

    async fn decided(&self, in_the_way: fn(&Self), freezes: bool) -> Outcome {
        let asked = if self.origin == Decider { Ending::Deciding } else { Ending::AwaitingApproval };
        for second in 0.. {
            if self.rig.tick_in(1).await.ending == asked {
                break;
            }
            assert!(second < 10, "{:?}: nobody was asked", self.origin);
        }
        if freezes {
            self.safety(|safety| safety.futile = 0);
            self.freezes().await;
        }
        let question = self.rig.controller.approvals().await.pop();
        if let Some(question) = question {
            // What is only a matter of time is over when the person says yes.
            tokio::time::sleep(Duration::from_secs(10)).await;
            self.rig.controller.approve(&question.id, None).await.unwrap();
        }
        self.rig.told.events.lock().clear();
        in_the_way(self);
        let mut records = vec![];
        for _ in 0..45 {
            records.push(self.rig.tick_in(1).await);
            let ended = records.last().unwrap().ending;
            if !matches!(ended, Ending::Deciding | Ending::Held | Ending::Quiet) {
                break;
            }
        }
        self.outcome(&records, String::new())
    }

    async fn rolled_back(&self) -> Outcome {
        let undone = self.rig.controller.rollback(1, "alice").await.unwrap();
        let told = undone[0].result.as_ref().err().map(ToString::to_string);
        self.outcome(&[], told.unwrap_or_default())
    }

    fn outcome(&self, records: &[TickRecord], mut told: String) -> Outcome {
        for record in records {
            told += &format!("{:?} ", record.ending);
            for said in &record.verdicts {
                told += &format!("{:?}", said.verdict);
            }
            told += &record.gate.as_ref().map(|gate| gate.message.clone()).unwrap_or_default();
            told += record.error.as_deref().unwrap_or_default();
        }
        told += &format!("{:?}", self.rig.told.events.lock());
        let before = usize::from(matches!(self.origin, HostUndo | GiveBack | PersonUndo));
        let more = |actions: Vec<Action>| {
            actions.iter().filter(|action| action.kind() == ActionKind::ScaleNode).count() > before
        };
        let intended =
            self.rig.journal.actions.lock().iter().map(|intent| intent.proposal.action.clone()).collect();
        Outcome { done: more(self.rig.applied()), intended: more(intended), told }
    }
}

fn by_evidence(_: &Sight, _: &Situation) -> Result<Decided, String> {
    let mut decision = decision(scale("b", 2));
    let evidence = Evidence {
        node: Some("b".into()),
        metric: Some(EVIDENCE.into()),
        value: None,
        limit: None,
        note: String::new(),
    };
    decision.proposal.rests_on = vec![evidence];
    Ok(Decided::For(decision))
}

/// Puts workers back; and a node that was taken out, in two steps.
fn puts_everything_back() -> Arc<dyn flyball_ports::Reverser> {
    Arc::new(plain("puts-back", |action: &Action, before: &GraphSpec| {
        let b = before.node("b").unwrap();
        let workers = scale("b", b.replicas);
        let insert = Action::InsertNode {
            id: "b".into(),
            node_type: b.node_type.clone(),
            config: b.config.clone(),
            executor: Some(b.executor),
            after: vec!["a".into()],
            before: vec!["c".into()],
        };
        let actions = match action {
            Action::RemoveNode { .. } => vec![insert, workers],
            _ => vec![workers],
        };
        Ok(Reversal::Reversible { actions })
    }))
}

#[tokio::test(start_paused = true)]
async fn every_origin_gets_to_the_data_plane_where_no_guard_is_in_its_way() {
    for origin in ORIGINS {
        let outcome = Scene::new(origin).play(None).await;
        assert!(outcome.done, "{origin:?}: {}", outcome.told);
    }
}

#[tokio::test(start_paused = true)]
async fn no_origin_passes_by_a_guard_and_each_is_told_which_one_it_was() {
    let mut wrong = vec![];
    for row in GUARDS {
        let (guard, _, told, spared) = *row;
        for origin in ORIGINS {
            let spared = spared.contains(&origin);
            let outcome = Scene::new(origin).play(Some(row)).await;
            let said = told.split('|').any(|told| outcome.told.contains(told));
            // Only what comes after the intent may find one.
            let intended = spared || guard == AFTER_THE_INTENT;
            if outcome.done != spared || outcome.intended != intended || (!spared && !said) {
                wrong.push(format!(
                    "{origin:?} against {guard}: intended {}, done {}, told: {}",
                    outcome.intended, outcome.done, outcome.told
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}
