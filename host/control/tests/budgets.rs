//! What does not help comes to an end: each budget, freeze and escalation can be seen to fire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_control::{Controller, Fleet};
use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use support::*;

const HOUR: u64 = 3_600_000;

/// Nothing but what the test changes is in the way.
fn loose(panel: &mut Panel, change: impl FnOnce(&mut Safety)) {
    panel.rules.max_actions = 1_000;
    let most = Budget { max: 1_000, window_ms: HOUR };
    safety(panel, |safety| {
        *safety = Safety {
            attempts: 1_000,
            futile: 1_000,
            cures: most,
            target: most,
            session: most,
            flaps: most,
            targets_at_once: 1_000,
            ..Safety::default()
        };
        change(safety);
    });
}

/// Ticks every ten seconds: how each that was not held ended.
async fn decisions(rig: &Rig, count: usize) -> Vec<(Ending, Vec<String>)> {
    let mut decisions = vec![];
    while decisions.len() < count {
        let record = rig.tick_in(10).await;
        if record.ending != Ending::Held {
            let codes = refusals(&record).into_iter().map(str::to_owned).collect();
            decisions.push((record.ending, codes));
        }
    }
    decisions
}

fn acted() -> (Ending, Vec<String>) {
    (Ending::Acted, vec![])
}

fn rejected(code: &str) -> (Ending, Vec<String>) {
    (Ending::Rejected, vec![code.to_owned()])
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_did_not_help_a_fault_is_not_tried_for_ever() {
    let rig = Rig::new(|panel| loose(panel, |safety| safety.attempts = 2));
    for _ in 0..2 {
        assert_eq!(rig.tick_in(10).await.ending, Ending::Acted);
        rig.ticks(5).await;
    }
    let record = rig.tick_in(10).await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["attempts-used-up"]));
    rig.publish(2, |panel| {
        loose(panel, |safety| safety.attempts = 2);
        panel.deciders = vec![wants(scale("b", 2))];
    });
    assert_eq!(rig.tick_in(10).await.ending, Ending::Acted, "another kind may be tried");
}

#[tokio::test(start_paused = true)]
async fn an_action_that_was_cured_begins_anew_and_one_that_comes_back_too_often_is_no_cure() {
    let rig = Rig::new(|panel| {
        loose(panel, |safety| {
            safety.attempts = 1;
            safety.cures = Budget { max: 2, window_ms: HOUR };
        });
    });
    for _ in 0..2 {
        rig.finds(vec![finding("slow", Some("b"))]);
        assert_eq!(rig.tick_in(10).await.ending, Ending::Acted);
        rig.finds(vec![]);
        rig.ticks(6).await;
    }
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::Verified, Outcome::Verified));
    rig.finds(vec![finding("slow", Some("b"))]);
    let record = rig.tick_in(10).await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["cures-used-up"]));
}

#[tokio::test(start_paused = true)]
async fn each_budget_refuses_the_action_that_would_be_over_it() {
    let one = Budget { max: 1, window_ms: HOUR };
    type Sets = fn(&mut Safety, Budget);
    let cases: [(&str, Sets); 4] = [
        ("target-budget", |safety, one| safety.target = one),
        ("session-budget", |safety, one| safety.session = one),
        ("host-budget", |safety, one| safety.host = one),
        ("kind-budget", |safety, one| safety.kinds = [(ActionKind::RestartProcess, one)].into()),
    ];
    for (code, set) in cases {
        let rig = Rig::new(|panel| loose(panel, |safety| set(safety, one)));
        assert_eq!(decisions(&rig, 2).await, [acted(), rejected(code)]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_hosts_budget_is_for_all_of_its_sessions() {
    let fleet = Fleet::new(vec![]);
    let one = |panel: &mut Panel| loose(panel, |safety| safety.host = Budget { max: 1, window_ms: HOUR });
    let (first, second) = (Rig::in_fleet(&fleet, one), Rig::in_fleet(&fleet, one));
    assert_eq!(first.tick().await.ending, Ending::Acted);
    assert_eq!(refusals(&second.tick().await), ["host-budget"]);
}

#[tokio::test(start_paused = true)]
async fn there_and_back_again_comes_to_an_end() {
    let next = Arc::new(Mutex::new(1));
    let rig = Rig::new(|panel| {
        loose(panel, |safety| safety.flaps = Budget { max: 2, window_ms: HOUR });
        panel.deciders = vec![decider("flaps", {
            let next = Arc::clone(&next);
            move |_, situation| {
                let replicas = situation.graph.node("b").unwrap().replicas;
                *next.lock() = if replicas == 1 { 2 } else { 1 };
                Ok(Decided::For(decision(scale("b", *next.lock()))))
            }
        })];
    });
    assert_eq!(decisions(&rig, 4).await, [acted(), acted(), acted(), rejected("flapping")]);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_nodes_are_worked_on_at_once() {
    let rig = Rig::new(|panel| {
        loose(panel, |safety| safety.targets_at_once = 1);
        panel.deciders = vec![decider("turns", |_, situation| {
            let node = if situation.past.is_empty() { "b" } else { "c" };
            Ok(Decided::For(decision(restart(node))))
        })];
    });
    // Without a sample nothing is known of the first.
    rig.plane.view.lock().samples = f64::NAN;
    rig.finds(vec![finding("slow", Some("b")), finding("slow", Some("c"))]);
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    rig.finds(vec![finding("slow", Some("c"))]);
    let record = rig.tick_in(10).await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["targets-at-once"]));
}

#[tokio::test(start_paused = true)]
async fn five_actions_that_change_nothing_end_in_a_freeze_and_one_notification_and_not_in_a_sixth() {
    let rig = Rig::new(|panel| loose(panel, |safety| safety.futile = 5));
    for _ in 0..300 {
        rig.tick_in(1).await;
    }
    assert_eq!(rig.applied().len(), 5);
    assert_eq!(rig.notices(), ["frozen"]);
    assert_eq!(gate(&rig.tick_in(1).await), "frozen");
    assert!(rig.controller.thaw().await);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted, "a person lets it begin anew");
}

#[tokio::test(start_paused = true)]
async fn a_freeze_outlives_the_host() {
    let rig = Rig::new(|panel| loose(panel, |safety| safety.futile = 3));
    rig.ticks(60).await;
    assert_eq!(rig.applied().len(), 3);
    let restarted = rig.restarted();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        restarted.tick().await;
    }
    assert_eq!(rig.applied().len(), 3);

    let resumed = EventRecord {
        at: SystemClock.now() + 1,
        session: Some("s".into()),
        tick: 0,
        event: Event::Resumed { why: "mended".into(), by: None },
    };
    rig.journal.record(&resumed).await.unwrap();
    let restarted = rig.restarted();
    assert_eq!(
        gate(restarted.tick().await.as_ref()),
        "settling",
        "what was done just now by the wall clock settles first"
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(restarted.tick().await.ending, Ending::Acted, "a person has ended the freeze");
}

#[tokio::test(start_paused = true)]
async fn who_decides_in_vain_is_asked_half_as_often_each_time() {
    let asked = Arc::new(Mutex::new(0));
    let rig = Rig::new(|panel| {
        let asked = Arc::clone(&asked);
        panel.deciders = vec![decider("nothing", move |_, _| {
            *asked.lock() += 1;
            Ok(Decided::For(decision(Action::NoOp)))
        })];
    });
    rig.ticks(3_600).await;
    assert!(*asked.lock() <= 30, "{} times in an hour", asked.lock());
    let before = *asked.lock();
    rig.finds(vec![finding("slow", Some("b")), finding("broken", Some("c"))]);
    rig.ticks(6).await;
    assert_eq!(*asked.lock(), before + 1, "what is new is not kept waiting");
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_many_sessions_show_at_once_is_left_alone_at_first() {
    let fleet = Fleet::new(vec![]);
    let rigs: Vec<Rig> = (0..4)
        .map(|_| Rig::in_fleet(&fleet, |panel| loose(panel, |safety| safety.systemic.sessions = 3)))
        .collect();
    // The rigs' sessions are all called s, so each stands for another by its own name here.
    let systemic = Systemic { sessions: 3, window_ms: 10_000 };
    assert_eq!(systemic, rigs[0].judges.0.lock().as_ref().unwrap().rules.safety.systemic);
    for (index, rig) in rigs.iter().enumerate() {
        rig.plane.view.lock().name = Box::leak(format!("s{index}").into_boxed_str());
    }
    let controllers: Vec<_> = rigs.iter().map(|rig| rig.restarted().in_fleet(Arc::clone(&fleet))).collect();
    let mut records = vec![];
    for controller in &controllers {
        records.push(controller.tick().await);
    }
    let gates: Vec<Option<&str>> =
        records.iter().map(|record| record.gate.as_ref().map(|gate| gate.gate.as_str())).collect();
    assert_eq!(gates, [None, None, Some("systemic-fault"), Some("systemic-fault")]);
    assert_eq!(rigs[2].notices(), ["systemic-fault"]);
}

/// Sessions of one host, of which each finds its worker dead until it is restarted, where that helps.
struct MassKill {
    rigs: Vec<Rig>,
    controllers: Vec<Controller>,
    restarts_help: bool,
    /// Actions that were under way or not judged yet at one time, at most, until the third had helped.
    most_at_once: usize,
}

impl MassKill {
    fn new(sessions: usize, restarts_help: bool) -> Self {
        let fleet = Fleet::new(vec![]);
        let rigs: Vec<Rig> = (0..sessions).map(|_| Rig::new(|panel| loose(panel, |_| {}))).collect();
        for (index, rig) in rigs.iter().enumerate() {
            rig.plane.view.lock().name = Box::leak(format!("s{index}").into_boxed_str());
        }
        let controllers = rigs.iter().map(|rig| rig.restarted().in_fleet(Arc::clone(&fleet))).collect();
        Self { rigs, controllers, restarts_help, most_at_once: 0 }
    }

    async fn seconds(&mut self, seconds: usize) {
        for _ in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for (rig, controller) in self.rigs.iter().zip(&self.controllers) {
                controller.tick().await;
                if self.restarts_help && !rig.applied().is_empty() {
                    rig.finds(vec![]);
                }
            }
            if self.verified() < 3 {
                let open = |rig: &&Rig| {
                    rig.journal.actions.lock().iter().any(|action| action.outcome == Outcome::Effective)
                };
                self.most_at_once = self.most_at_once.max(self.rigs.iter().filter(open).count());
            }
        }
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let of = |rig: &Rig| rig.journal.actions.lock().iter().map(|one| one.outcome).collect::<Vec<_>>();
        self.rigs.iter().flat_map(of).collect()
    }

    fn verified(&self) -> usize {
        self.outcomes().iter().filter(|outcome| **outcome == Outcome::Verified).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_mass_kill_is_healed_in_every_session_by_single_tries_and_then_at_once() {
    let mut killed = MassKill::new(24, true);
    killed.seconds(120).await;
    assert_eq!(killed.verified(), 24, "{:?}", killed.outcomes());
    let first: Vec<usize> = killed.rigs.iter().map(|rig| rig.applied().len()).collect();
    assert!(first.iter().all(|actions| *actions == 1), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cause_that_no_session_can_mend_is_tried_by_one_at_a_time_and_ever_less_often() {
    let mut down = MassKill::new(24, false);
    down.seconds(30).await;
    let before = down.outcomes().len();
    down.seconds(570).await;
    let tries = down.outcomes().len() - before;
    assert!((2..=7).contains(&tries), "{tries} actions in ten minutes, and {before} before");
    assert!(before <= 11, "those that acted before so many had shown it, and one alone: {before}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_a_while_is_tried_again_after_a_pause_that_doubles() {
    let rig = Rig::new(|panel| {
        loose(panel, |safety| {
            safety.attempts = 2;
            safety.retry = Retry { pause_ms: 100_000, longest_ms: 300_000 };
        });
    });
    let mut acted = vec![];
    for second in 0..1_200 {
        if rig.tick_in(1).await.ending == Ending::Acted {
            acted.push(second);
        }
    }
    let pauses: Vec<u64> = acted.iter().zip(&acted[1..]).map(|(one, next)| next - one).collect();
    // Whoever is refused is asked half as often each time, up to 160 s.
    assert!(pauses[1] >= 100 && pauses[2] >= 200 && pauses[3] >= 300, "{pauses:?}");
    assert!(pauses[3..].iter().all(|pause| *pause < 470), "the longest pause is 300 s: {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_freeze_lets_a_single_action_through_after_each_pause_and_ends_when_one_helps() {
    let rig = Rig::new(|panel| {
        loose(panel, |safety| {
            safety.futile = 2;
            safety.retry = Retry { pause_ms: 100_000, longest_ms: 3_600_000 };
        });
    });
    rig.ticks(30).await;
    assert_eq!((rig.applied().len(), gate(&rig.tick_in(1).await)), (2, "frozen"));
    rig.ticks(100).await;
    assert_eq!(rig.applied().len(), 3, "a single one after the pause");
    assert!(rig.controller.frozen().await.is_some());
    rig.ticks(150).await;
    assert_eq!(rig.applied().len(), 3, "the second pause is twice as long");
    while rig.applied().len() < 4 {
        rig.tick_in(1).await;
    }
    rig.finds(vec![]);
    rig.ticks(10).await;
    assert_eq!((rig.outcome(4), rig.controller.frozen().await), (Outcome::Verified, None));
    assert_eq!(rig.notices(), ["frozen", "frozen", "begins-anew"]);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_ends_when_what_was_found_has_been_gone_for_a_while_and_not_when_it_flickers() {
    let rig = Rig::new(|panel| loose(panel, |safety| safety.futile = 2));
    rig.ticks(30).await;
    for _ in 0..10 {
        rig.finds(vec![]);
        rig.ticks(20).await;
        rig.finds(vec![finding("slow", Some("b"))]);
        rig.tick_in(1).await;
    }
    assert!(rig.controller.frozen().await.is_some(), "it flickers");
    rig.finds(vec![]);
    rig.ticks(302).await;
    assert_eq!(rig.controller.frozen().await, None);
    rig.finds(vec![finding("slow", Some("b"))]);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_ends_when_somebody_else_changes_the_graph_and_not_by_changes_back_and_forth() {
    let rig = Rig::new(|panel| loose(panel, |safety| safety.futile = 2));
    rig.ticks(30).await;
    assert!(rig.controller.frozen().await.is_some());
    rig.plane.view.lock().graph.nodes[0].replicas += 1;
    rig.ticks(2).await;
    assert_eq!(rig.controller.frozen().await, None);
    rig.ticks(30).await;
    assert!(rig.controller.frozen().await.is_some(), "it did not help either");
    let applied = rig.applied().len();
    rig.plane.view.lock().graph.nodes[0].replicas += 1;
    rig.ticks(30).await;
    assert!(rig.applied().len() > applied);
    let applied = rig.applied().len();
    for change in [-1_i64, 1, -1, 1] {
        let replicas = i64::from(rig.plane.view.lock().graph.nodes[0].replicas) + change;
        rig.plane.view.lock().graph.nodes[0].replicas = u32::try_from(replicas).unwrap();
        rig.ticks(20).await;
    }
    assert!(rig.controller.frozen().await.is_some());
    assert_eq!(rig.applied().len(), applied, "these graphs were there before");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_told_with_what_is_next_and_told_when_it_is_over() {
    let rig = Rig::new(|panel| loose(panel, |safety| safety.attempts = 2));
    rig.ticks(60).await;
    assert_eq!(rig.notices(), ["given-up"]);
    let told: Vec<String> = rig
        .told
        .events
        .lock()
        .iter()
        .filter_map(|event| match event {
            Event::Notified(notice) => Some(notice.message.clone()),
            _ => None,
        })
        .collect();
    assert!(
        told[0].starts_with(
            "s: trouble at b stands, and 2 actions did not help; restart-process on b is tried next, in "
        ),
        "{told:?}"
    );
    rig.finds(vec![]);
    rig.ticks(302).await;
    assert_eq!(rig.notices(), ["given-up", "begins-anew"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_help_escalates_step_by_step_to_people() {
    let steps = vec![
        Step { kinds: vec![ActionKind::RestartProcess], ..Step::default() },
        Step {
            kinds: vec![ActionKind::ScaleNode],
            decider: Some("stronger".into()),
            notify: true,
            ..Step::default()
        },
    ];
    let allowed = Arc::new(Mutex::new(vec![]));
    let rig = Rig::new(|panel| {
        loose(panel, |safety| {
            safety.attempts = 2;
            safety.escalation = steps;
        });
        let (seen, stronger) = (Arc::clone(&allowed), Arc::clone(&allowed));
        panel.deciders = vec![
            decider("mild", move |_, situation| {
                seen.lock().push(("mild", situation.allowed.clone()));
                Ok(Decided::For(decision(restart("b"))))
            }),
            decider("stronger", move |_, situation| {
                stronger.lock().push(("stronger", situation.allowed.clone()));
                let replicas = situation.graph.node("b").unwrap().replicas + 1;
                Ok(Decided::For(decision(scale("b", replicas))))
            }),
        ];
    });
    rig.ticks(200).await;
    let (restarts, scales): (Vec<_>, Vec<_>) =
        rig.applied().into_iter().partition(|action| action.kind() == ActionKind::RestartProcess);
    assert_eq!((restarts.len(), scales.len()), (2, 2));
    assert_eq!(rig.notices(), ["escalated", "escalated"], "at the second step, and when there was none left");
    let allowed = allowed.lock();
    assert_eq!(allowed[0], ("mild", vec![ActionKind::NoOp, ActionKind::RestartProcess]));
    assert_eq!(
        allowed[2],
        ("stronger", vec![ActionKind::NoOp, ActionKind::RestartProcess, ActionKind::ScaleNode])
    );
    assert_eq!(allowed.last().unwrap().1, [ActionKind::NoOp]);
}

#[tokio::test(start_paused = true)]
async fn a_critical_fault_begins_where_the_policy_says() {
    let rig = Rig::new(|panel| {
        loose(panel, |safety| {
            safety.escalation = vec![
                Step { kinds: vec![ActionKind::BypassNode], ..Step::default() },
                Step { kinds: vec![ActionKind::RestartProcess], critical: true, ..Step::default() },
            ];
        });
    });
    assert_eq!(refusals(&rig.tick().await), ["escalation"], "a restart is of the second step");
    rig.finds(vec![Finding { severity: Severity::Critical, ..finding("broken", Some("b")) }]);
    assert_eq!(rig.tick_in(10).await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn what_came_of_actions_in_one_session_reaches_the_deciders_of_all() {
    let program = Rig::new(|_| {}).plane.view.lock().graph.node("b").unwrap().program();
    let fleet = Fleet::with_learned(
        vec![],
        vec![Learned {
            verified: 2,
            newest: SystemClock.now(),
            helped_weight: 2.0,
            program: Some(program.clone()),
            ..Learned::nothing("slow".into(), ActionKind::ScaleNode, Some("upper".into()))
        }],
    );
    let one = Rig::in_fleet(&fleet, |_| {});
    assert_eq!(one.tick().await.ending, Ending::Acted);
    one.ticks(6).await;
    assert_eq!(one.outcome(1), Outcome::Ineffective);

    let told = Arc::new(Mutex::new(vec![]));
    let other = Rig::in_fleet(&fleet, |panel| {
        let told = Arc::clone(&told);
        panel.deciders = vec![decider("learns", move |_, situation| {
            told.lock().clone_from(&situation.learned);
            Ok(Decided::Abstains("it only looks".into()))
        })];
    });
    other.tick().await;
    let told: Vec<(ActionKind, u64, u64)> =
        told.lock().iter().map(|learned| (learned.kind, learned.verified, learned.ineffective)).collect();
    assert_eq!(told, [(ActionKind::RestartProcess, 0, 1), (ActionKind::ScaleNode, 2, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_decider_is_told_what_was_refused_for_good_and_is_told_it_once() {
    let told = Arc::new(Mutex::new(vec![]));
    let rig = Rig::new(|panel| {
        loose(panel, |safety| safety.attempts = 1);
        let told = Arc::clone(&told);
        panel.deciders = vec![decider("restarts", move |_, situation| {
            *told.lock() = situation.past.iter().map(|past| past.outcome).collect();
            Ok(Decided::For(decision(restart("b"))))
        })];
    });
    rig.ticks(300).await;
    assert_eq!(*told.lock(), [Outcome::Rejected, Outcome::Ineffective]);
    assert_eq!(rig.applied().len(), 1);
}

/// A session that is given a second worker at b whenever that is slow, which makes things worse.
async fn made_worse(rig: &Rig) -> TickRecord {
    rig.plane.view.lock().latency_ms = 5.0;
    rig.finds(vec![]);
    rig.ticks(60).await;
    rig.finds(vec![finding("slow", Some("b"))]);
    let record = rig.tick_in(1).await;
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(3).await;
    record
}

async fn with_kind_budget(max: u32) -> Rig {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
        let budget = Budget { max, window_ms: HOUR };
        loose(panel, |safety| safety.kinds = [(ActionKind::ScaleNode, budget)].into());
    });
    rig.plane.view.lock().columns =
        vec![(metric::ITEMS_PER_SECOND, 100.0), (metric::ERRORS_PER_SECOND, 0.0), (metric::QUEUE_DEPTH, 3.0)];
    rig
}

#[tokio::test(start_paused = true)]
async fn what_used_up_a_budget_can_still_be_taken_back() {
    let rig = with_kind_budget(1).await;
    assert_eq!(made_worse(&rig).await.ending, Ending::Acted);
    assert_eq!(rig.applied(), [scale("b", 2), scale("b", 1)]);
    assert_eq!(rig.outcome(1), Outcome::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn an_undo_by_the_host_is_a_change_that_budgets_count_over_a_restart_too() {
    for (max, third) in [(2, Ending::Rejected), (3, Ending::Acted)] {
        let rig = with_kind_budget(max).await;
        made_worse(&rig).await;
        let record = made_worse(&rig).await;
        assert_eq!(record.ending, third, "{max}: {record:#?}");
    }
    let mut rig = with_kind_budget(2).await;
    made_worse(&rig).await;
    rig.controller = Arc::new(rig.restarted());
    let record = made_worse(&rig).await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["kind-budget"]));
}

#[tokio::test(start_paused = true)]
async fn an_undo_by_a_person_is_no_change_of_the_loops() {
    let rig = with_kind_budget(2).await;
    leaves_undoing_to_people(&rig);
    assert_eq!(made_worse(&rig).await.ending, Ending::Acted);
    assert!(rig.controller.rollback(1, "").await.unwrap()[0].result.is_ok());
    assert_eq!(made_worse(&rig).await.ending, Ending::Acted);
}

/// The same policy, which leaves undoing to people.
fn leaves_undoing_to_people(rig: &Rig) {
    rig.publish(2, |panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
        let budget = Budget { max: 2, window_ms: HOUR };
        loose(panel, |safety| {
            safety.kinds = [(ActionKind::ScaleNode, budget)].into();
            safety.undo_worse = false;
        });
    });
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_one_undo_are_not_counted_against_each_other() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(Action::RemoveNode { node: "b".into() })];
        panel.reversers = vec![puts_b_back()];
        let once = Budget { max: 1, window_ms: HOUR };
        loose(panel, |safety| {
            safety.target = once;
            safety.session = once;
            safety.host = once;
        });
    });
    rig.plane.view.lock().graph.nodes[1].replicas = 2;
    rig.finds(vec![]);
    rig.plane.view.lock().columns =
        vec![(metric::ITEMS_PER_SECOND, 100.0), (metric::ERRORS_PER_SECOND, 0.0), (metric::QUEUE_DEPTH, 3.0)];
    rig.ticks(10).await;
    rig.finds(vec![finding("slow", Some("b"))]);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(3).await;
    assert_eq!((rig.applied().len(), rig.outcome(1)), (3, Outcome::RolledBack), "{:?}", rig.notices());
}
