//! Many loops in one host.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_control::{Controller, Fleet, LoopOptions, Sessions};
use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use support::*;
use tokio::time::Instant;

/// Sees nothing, and when.
struct Idle(String);

#[async_trait]
impl DataPlane for Idle {
    fn session(&self) -> &str {
        &self.0
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        Ok(Observation {
            session: self.0.as_str().into(),
            tick: 0,
            taken_at: 0,
            nodes: NodeColumns::default(),
            graph: GraphMetrics::default(),
            edges: Arc::from([]),
            errors: vec![],
        })
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        Ok(Arc::default())
    }

    fn support(&self) -> Vec<Support> {
        vec![]
    }

    fn reading_window(&self) -> Duration {
        Duration::ZERO
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        Arc::from([])
    }

    async fn apply(&self, _: &Action) -> Result<(), ApplyError> {
        Err(ApplyError::Refused("idle".into()))
    }
}

struct Nobody;

impl flyball_ports::Judges for Nobody {
    fn panel(&self, _: &str) -> Option<Arc<Panel>> {
        None
    }
}

/// Counts ticks in each tenth of a second since it began.
struct Counts {
    began: Instant,
    tenths: [AtomicU64; 40],
}

impl Listener for Counts {
    fn tick(&self, _: &Arc<TickRecord>) {
        let tenth = self.began.elapsed().as_millis() as usize / 100;
        self.tenths[tenth].fetch_add(1, Ordering::Relaxed);
    }

    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}

fn lone(name: String, listener: Arc<dyn Listener>) -> Controller {
    let (journal, clock) = (Arc::new(Memory::default()), Arc::new(SystemClock));
    Controller::new(Arc::new(Idle(name)), Arc::new(Nobody), journal, clock, listener, LoopOptions::default())
}

fn idle(name: String, listener: Arc<dyn Listener>) -> Arc<Controller> {
    Arc::new(lone(name, listener))
}

#[tokio::test(start_paused = true)]
async fn the_ticks_of_ten_thousand_sessions_are_spread_over_the_second() {
    let counts = Arc::new(Counts { began: Instant::now(), tenths: [const { AtomicU64::new(0) }; 40] });
    let sessions = Sessions::new();
    for number in 0..10_000 {
        sessions.start(idle(format!("s{number}"), counts.clone())).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_995)).await;
    sessions.stop_all().await;
    assert!(sessions.is_empty());
    let tenths: Vec<u64> = counts.tenths.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    assert!(tenths[..20].iter().all(|count| (900..=1_100).contains(count)), "{tenths:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_ticks_at_once_and_every_second_until_it_is_stopped() {
    let told = Arc::new(Told::default());
    let began = Instant::now();
    let controller = idle("s".into(), told.clone());
    let sessions = Sessions::new();
    sessions.start(Arc::clone(&controller)).unwrap();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert!(sessions.stop("s").await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let at: Vec<u128> =
        told.ticks.lock().iter().map(|(at, _)| at.duration_since(began).as_millis()).collect();
    assert_eq!(at, [0, 1_000, 2_000, 3_000]);
    assert!(!sessions.stop("s").await, "it is stopped already");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_gone_is_counted_no_more() {
    let fleet = Fleet::new(Vec::new());
    let told = Arc::new(Told::default());
    let stays = lone("s".into(), told.clone()).in_fleet(fleet.clone());
    let sessions = Sessions::new();
    sessions.start(Arc::new(lone("r".into(), told).in_fleet(fleet.clone()))).unwrap();
    assert_eq!(fleet.sessions(), 2);
    assert!(sessions.stop("r").await);
    assert_eq!(fleet.sessions(), 1);
    drop(stays);
    assert_eq!(fleet.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_sessions_have_two_names() {
    let sessions = Sessions::new();
    let told = Arc::new(Told::default());
    sessions.start(idle("s".into(), told.clone())).unwrap();
    let error = sessions.start(idle("s".into(), told.clone())).unwrap_err();
    assert_eq!(error.to_string(), "a session named \"s\" runs already; give each pipeline a name of its own");
    sessions.start(idle("r".into(), told)).unwrap();
    assert_eq!(sessions.names(), ["r".into(), "s".into()]);
    assert!(sessions.get("r").is_some() && sessions.get("q").is_none());
}

#[tokio::test(start_paused = true)]
async fn ticks_that_were_missed_are_skipped() {
    let rig = Rig::new(|panel| {
        // An action that takes 3.5 seconds to be taken would do the same; deciders are what this rig can slow down.
        panel.deciders = vec![wants_after(Duration::from_secs(60), restart("b"))];
    });
    let slow = Arc::new(Controller::new(
        rig.plane.clone(),
        rig.judges.clone(),
        rig.journal.clone(),
        Arc::new(SystemClock),
        rig.told.clone(),
        LoopOptions { answer_within: Duration::from_millis(3_500), ..LoopOptions::default() },
    ));
    let began = Instant::now();
    slow.run(tokio::time::sleep(Duration::from_millis(5_500))).await;
    let at: Vec<u128> =
        rig.told.ticks.lock().iter().map(|(at, _)| at.duration_since(began).as_millis()).collect();
    assert_eq!(at, [3_500, 3_500, 4_000, 5_000]);
}

#[tokio::test(start_paused = true)]
async fn a_decider_that_still_thinks_at_the_end_is_asked_no_more() {
    let answered = Arc::new(Mutex::new(false));
    let answers = Arc::clone(&answered);
    let rig = Rig::new(|panel| {
        let says = move |_: &Sight, _: &Situation| {
            *answers.lock() = true;
            Ok(Decided::For(decision(restart("b"))))
        };
        panel.deciders = vec![turn(Plain { takes: Duration::from_secs(30), ..plain("slow", says) })];
    });
    rig.controller.run(tokio::time::sleep(Duration::from_secs(5))).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!*answered.lock());
    assert!(rig.applied().is_empty());
}
