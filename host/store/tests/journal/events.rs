use flyball_model::{Event, EventRecord, Halt, Notice, Outcome};
use flyball_ports::EventFilter;
use flyball_ports::Journal;
use flyball_store::{Reader, Store};

use crate::records::{approval, concluded, event, halted, intent, resumed};

fn halt(session: Option<&str>, at: u64) -> Halt {
    Halt { session: session.map(Into::into), at, why: "I look at it".to_owned() }
}

#[tokio::test]
async fn an_event_is_on_disk_when_its_record_returns_and_is_read_back_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let written = [
        halted(None, 1),
        event(Some("shop"), 2, Event::Frozen { why: "3 of 4 did not help".to_owned() }),
        event(Some("shop"), 3, Event::ApprovalAsked(Box::new(approval(2)))),
        event(Some("shop"), 3, Event::ApprovalGiven { id: "abc".to_owned(), by: None }),
        event(
            Some("till"),
            4,
            Event::Reconciled { action: 7, outcome: Outcome::Failed, note: "2 replicas".to_owned() },
        ),
        event(None, 5, Event::Escalated { fault: "f".to_owned(), step: 2, why: "größer".to_owned() }),
        event(
            Some("shop"),
            6,
            Event::Notified(Notice { code: "frozen".to_owned(), message: "it is frozen".to_owned() }),
        ),
    ];
    for (number, record) in written.iter().enumerate() {
        store.record(record).await.unwrap();
        assert_eq!(reader.events(&EventFilter::default()).unwrap().len(), number + 1);
    }
    let read = reader.events(&EventFilter::default()).unwrap();
    for record in &read {
        let text = serde_json::to_string(record).unwrap();
        assert_eq!(&serde_json::from_str::<EventRecord>(&text).unwrap(), record, "{text}");
    }
    assert_eq!(read, written.iter().rev().cloned().collect::<Vec<EventRecord>>());
}

#[tokio::test]
async fn events_are_found_by_what_is_asked_newest_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for record in
        [halted(None, 1), halted(Some("shop"), 2), resumed(Some("shop"), 3), halted(Some("till"), 4)]
    {
        store.record(&record).await.unwrap();
    }
    let reader = Reader::open(directory.path()).unwrap();
    let all = EventFilter::default();
    let at = |filter: EventFilter| -> Vec<u64> {
        reader.events(&filter).unwrap().iter().map(|event| event.at).collect()
    };
    assert_eq!(at(EventFilter { session: Some("shop".into()), ..all.clone() }), [1_003, 1_002]);
    assert_eq!(at(EventFilter { what: Some("halted".into()), ..all.clone() }), [1_004, 1_002, 1_001]);
    assert_eq!(at(EventFilter { since: Some(1_003), ..all.clone() }), [1_004, 1_003]);
    assert_eq!(at(EventFilter { until: Some(1_002), ..all.clone() }), [1_002, 1_001]);
    assert_eq!(at(EventFilter { limit: 1, ..all.clone() }), [1_004]);
    assert!(at(EventFilter { what: Some("halt".into()), ..all }).is_empty());
}

#[tokio::test]
async fn the_newest_word_on_each_session_and_on_the_host_decides_what_is_halted() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert!(store.halts().await.unwrap().is_empty());
    store.record(&halted(None, 1)).await.unwrap();
    store.record(&halted(Some("shop"), 2)).await.unwrap();
    store.record(&halted(Some("till"), 3)).await.unwrap();
    store.record(&resumed(None, 4)).await.unwrap();
    let both = [halt(Some("shop"), 1_002), halt(Some("till"), 1_003)];
    assert_eq!(store.halts().await.unwrap(), both, "to resume the host resumes no session");

    store.record(&resumed(Some("shop"), 5)).await.unwrap();
    store
        .record(&event(Some("till"), 6, Event::Frozen { why: "it does not help".to_owned() }))
        .await
        .unwrap();
    assert_eq!(store.halts().await.unwrap(), [halt(Some("till"), 1_003)]);
    store.record(&halted(Some("till"), 7)).await.unwrap();
    store.record(&halted(None, 8)).await.unwrap();
    drop(store);

    let still = [halt(Some("till"), 1_007), halt(None, 1_008)];
    assert_eq!(Reader::open(directory.path()).unwrap().halts().unwrap(), still);
    let again = Store::open(directory.path()).unwrap();
    assert_eq!(again.halts().await.unwrap(), still, "a halt outlives the host");
}

#[tokio::test]
async fn the_newest_actions_of_a_session_are_told_whatever_became_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut ids = Vec::new();
    for (number, outcome) in (1..).zip([Outcome::Verified, Outcome::Failed, Outcome::RolledBack]) {
        let id = store.intend(&intent("shop", number)).await.unwrap();
        store.conclude(&concluded(intent("shop", number), id, outcome)).await.unwrap();
        ids.insert(0, id);
    }
    store.intend(&intent("till", 4)).await.unwrap();
    ids.insert(0, store.intend(&intent("shop", 5)).await.unwrap());

    let recent = store.recent("shop", 20).await.unwrap();
    assert_eq!(recent.iter().map(|action| action.id).collect::<Vec<_>>(), ids);
    assert_eq!(recent[1].outcome, Outcome::RolledBack);
    assert_eq!(store.recent("shop", 2).await.unwrap(), recent[..2]);
    assert!(store.recent("shed", 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_intended_and_never_concluded_is_told_for_its_session_oldest_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut open = Vec::new();
    for number in 1..=3 {
        let store = Store::open(directory.path()).unwrap();
        open.push(store.intend(&intent("shop", number)).await.unwrap());
        store.intend(&intent("till", number)).await.unwrap();
        let done = store.intend(&intent("shop", number)).await.unwrap();
        store.conclude(&concluded(intent("shop", number), done, Outcome::Unknown)).await.unwrap();
    }
    let store = Store::open(directory.path()).unwrap();
    let told = store.open_intents("shop").await.unwrap();
    assert_eq!(told.iter().map(|action| action.id).collect::<Vec<_>>(), open);
}
