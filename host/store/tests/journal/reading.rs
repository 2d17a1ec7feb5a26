use std::sync::Arc;

use flyball_model::{Action, ActionKind, Attributed, Cost, Ending, Outcome};
use flyball_ports::Journal;
use flyball_ports::{ActionFilter, TickFilter};
use flyball_store::{Reader, Store};

use crate::records::{allowed, by, concluded, decision, intent, tick};

#[tokio::test]
async fn actions_are_found_by_what_is_asked_newest_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let first = store.intend(&intent("shop", 1)).await.unwrap();
    store.conclude(&concluded(intent("shop", 1), first, Outcome::Verified)).await.unwrap();
    let run = store.begin_run().await.unwrap();
    let mut restart = intent("till", 2);
    restart.proposal.action = Action::RestartProcess { node: "read".to_owned() };
    restart.judged_by.push(by("no-oscillation"));
    let second = store.intend(&restart).await.unwrap();
    let third = store.intend(&intent("shop", 3)).await.unwrap();

    let reader = Reader::open(directory.path()).unwrap();
    let all = ActionFilter::default();
    let ids = |filter: ActionFilter| -> Vec<u64> {
        reader.actions(&filter).unwrap().iter().map(|action| action.id).collect()
    };
    assert_eq!(ids(all.clone()), [third, second, first]);
    assert_eq!(ids(ActionFilter { limit: 2, ..all.clone() }), [third, second]);
    assert_eq!(ids(ActionFilter { session: Some("shop".into()), ..all.clone() }), [third, first]);
    assert_eq!(ids(ActionFilter { run: Some(run), ..all.clone() }), [third, second]);
    assert_eq!(ids(ActionFilter { outcome: Some(Outcome::Verified), ..all.clone() }), [first]);
    assert_eq!(ids(ActionFilter { kind: Some(ActionKind::RestartProcess), ..all.clone() }), [second]);
    assert_eq!(ids(ActionFilter { node: Some("read".into()), ..all.clone() }), [second]);
    assert_eq!(ids(ActionFilter { since: Some(1_002), ..all.clone() }), [third, second]);
    assert_eq!(ids(ActionFilter { until: Some(1_002), ..all.clone() }), [second, first]);
    assert_eq!(
        ids(ActionFilter { plugin: Some("rule-decider".into()), ..all.clone() }),
        [third, second, first]
    );
    assert_eq!(ids(ActionFilter { plugin: Some("no-oscillation".into()), ..all.clone() }), [second]);
    assert!(ids(ActionFilter { plugin: Some("map".into()), ..all }).is_empty(), "that is a node");
}

#[tokio::test]
async fn ticks_are_found_by_what_is_asked_and_are_on_disk_when_the_run_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let run = store.begin_run().await.unwrap();
    let mut records =
        [tick("shop", 1, Ending::Held), tick("till", 2, Ending::NoOp), tick("shop", 3, Ending::NoOp)];
    records[1].costs.push((by("catalog"), Cost::default()));
    records[1].decision = Some(Attributed { by: by("rule-decider"), said: decision() });
    records[2].verdicts.push(allowed(by("host")));
    for record in &records {
        store.tick(&record.clone().into()).await.unwrap();
    }
    store.end_run(run).await.unwrap();

    let reader = Reader::open(directory.path()).unwrap();
    let [first, second, third] = records;
    let all = TickFilter::default();
    let ticks = |filter: TickFilter| reader.ticks(&filter).unwrap();
    assert_eq!(ticks(TickFilter { session: Some("shop".into()), ..all.clone() }), [third.clone(), first]);
    assert_eq!(
        ticks(TickFilter { ending: Some(Ending::NoOp), ..all.clone() }),
        [third.clone(), second.clone()]
    );
    assert_eq!(
        ticks(TickFilter { since: Some(1_003), run: Some(run), ..all.clone() }),
        std::slice::from_ref(&third)
    );
    assert_eq!(
        ticks(TickFilter { since: Some(1_002), until: Some(1_002), ..all.clone() }),
        std::slice::from_ref(&second)
    );
    for (plugin, expected) in [("catalog", &second), ("rule-decider", &second), ("host", &third)] {
        let of = TickFilter { plugin: Some(plugin.into()), ..all.clone() };
        assert_eq!(ticks(of), std::slice::from_ref(expected), "{plugin}");
    }
    assert!(ticks(TickFilter { run: Some(run + 1), ..all }).is_empty());
    let ran = &reader.runs(10).unwrap()[0];
    assert!(ran.id == run && ran.ended.is_some_and(|ended| ended >= ran.started), "{ran:?}");
}

#[tokio::test]
async fn the_oldest_ticks_are_forgotten_and_no_action_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::keeping(directory.path(), 10).unwrap();
    let run = store.begin_run().await.unwrap();
    store.intend(&intent("shop", 1)).await.unwrap();
    for number in 1..=25 {
        store.tick(&tick("shop", number, Ending::Held).into()).await.unwrap();
    }
    store.end_run(run).await.unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let kept: Vec<u64> = reader.ticks(&TickFilter::default()).unwrap().iter().map(|tick| tick.tick).collect();
    assert_eq!(kept, (16..=25).rev().collect::<Vec<_>>());
    assert_eq!(reader.actions(&ActionFilter::default()).unwrap().len(), 1);
}

#[tokio::test]
async fn every_tick_is_written_or_counted_as_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let run = store.begin_run().await.unwrap();
    // Another connection holds the write lock, so that the queue fills.
    let other = rusqlite::Connection::open(directory.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let given: u64 = 3_000;
    for number in 1..=given {
        store.tick(&tick("shop", number, Ending::Held).into()).await.unwrap();
    }
    assert!(store.dropped_ticks() > 0);
    other.execute_batch("ROLLBACK").unwrap();
    store.end_run(run).await.unwrap();
    let all = TickFilter { limit: usize::MAX, ..TickFilter::default() };
    let kept = Reader::open(directory.path()).unwrap().ticks(&all).unwrap().len() as u64;
    assert_eq!(kept + store.dropped_ticks(), given);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_readers_see_whole_records_while_many_sessions_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(directory.path()).unwrap());
    let readers = [1, 2].map(|_| {
        let reader = Reader::open(directory.path()).unwrap();
        std::thread::spawn(move || {
            let mut seen = 0;
            while seen < 80 {
                let now = reader.actions(&ActionFilter::default()).unwrap().len();
                assert!(now >= seen, "what was seen does not go away");
                seen = now;
            }
        })
    });
    let sessions: Vec<_> = (0..8)
        .map(|session| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 1..=10 {
                    let intent = intent(&format!("s{session}"), number);
                    let id = store.intend(&intent).await.unwrap();
                    store.conclude(&concluded(intent, id, Outcome::Effective)).await.unwrap();
                }
            })
        })
        .collect();
    for session in sessions {
        session.await.unwrap();
    }
    for reader in readers {
        reader.join().unwrap();
    }
    let reader = Reader::open(directory.path()).unwrap();
    let written = reader.actions(&ActionFilter::default()).unwrap();
    assert!(written.iter().all(|action| action.outcome == Outcome::Effective && action.settled_at.is_some()));
}
