use flyball_model::{
    Action, ActionKind, ActionRecord, Event, EventRecord, Finding, Learned, LearnedFilter, NodeSpec, Outcome,
};
use flyball_ports::Journal;
use flyball_store::{Reader, Store};

use crate::records::{concluded, graph, intent};

async fn done(store: &Store, intent: ActionRecord, outcome: Outcome) {
    let id = store.intend(&intent).await.unwrap();
    store.conclude(&concluded(intent, id, outcome)).await.unwrap();
}

fn nothing(finding: &str, kind: ActionKind, program: Option<String>) -> Learned {
    let node_type = program.as_ref().map(|_| "map".to_owned());
    Learned { program, ..Learned::nothing(finding.to_owned(), kind, node_type) }
}

/// The program of the node `map`.
fn program() -> Option<String> {
    graph(1).node("map").map(NodeSpec::program)
}

/// Without their weights.
fn counts(learned: Vec<Learned>) -> Vec<Learned> {
    learned.into_iter().map(|one| Learned { helped_weight: 0.0, in_vain_weight: 0.0, ..one }).collect()
}

async fn forgets(store: &Store, at: u64, learned: LearnedFilter) {
    let event = Event::Forgotten { learned, by: None };
    store.record(&EventRecord { at, session: None, tick: 0, event }).await.unwrap();
}

#[tokio::test]
async fn what_came_of_actions_is_counted_by_finding_kind_and_program_over_runs_and_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert!(store.learned().await.unwrap().is_empty());
    done(&store, intent("shop", 1), Outcome::Verified).await;
    done(&store, intent("till", 2), Outcome::Ineffective).await;
    done(&store, intent("till", 3), Outcome::Worse).await;
    drop(store);

    let store = Store::open(directory.path()).unwrap();
    store.begin_run().await.unwrap();
    for outcome in [Outcome::Verified, Outcome::Unknown, Outcome::Failed, Outcome::RolledBack] {
        done(&store, intent("shop", 4), outcome).await;
    }
    let mut many = intent("shop", 5);
    many.findings.push(many.findings[0].clone());
    many.findings.push(Finding { code: "slow".to_owned(), ..many.findings[0].clone() });
    done(&store, many, Outcome::Verified).await;
    let mut elsewhere = intent("shop", 6);
    elsewhere.proposal.action = Action::RestartProcess { node: "nowhere".to_owned() };
    done(&store, elsewhere, Outcome::Failed).await;

    // None of these says what an action does.
    store.intend(&intent("shop", 7)).await.unwrap();
    done(&store, intent("shop", 8), Outcome::Rejected).await;
    done(&store, intent("shop", 9), Outcome::Effective).await;
    done(&store, ActionRecord { undoes: Some(1), ..intent("shop", 10) }, Outcome::RolledBack).await;

    let full = "queue-pressure";
    let expected = [
        Learned { failed: 1, newest: 1_006, ..nothing(full, ActionKind::RestartProcess, None) },
        Learned {
            verified: 3,
            ineffective: 1,
            worse: 1,
            unknown: 1,
            failed: 1,
            rolled_back: 1,
            newest: 1_005,
            ..nothing(full, ActionKind::ScaleNode, program())
        },
        Learned { verified: 1, newest: 1_005, ..nothing("slow", ActionKind::ScaleNode, program()) },
    ];
    assert_eq!(counts(store.learned().await.unwrap()), expected);
    assert_eq!(counts(Reader::open(directory.path()).unwrap().learned().unwrap()), expected);
}

#[tokio::test]
async fn what_a_person_had_forgotten_is_not_known_after_a_restart_either() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for tick in 1..4 {
        done(&store, intent("shop", tick), Outcome::Ineffective).await;
    }
    forgets(&store, 6_000, LearnedFilter { finding: Some("slow".to_owned()), ..LearnedFilter::default() })
        .await;
    assert_eq!(store.learned().await.unwrap()[0].ineffective, 3, "that was of another finding");
    forgets(&store, 6_001, LearnedFilter::default()).await;
    assert!(store.learned().await.unwrap().is_empty());
    drop(store);

    let store = Store::open(directory.path()).unwrap();
    assert!(store.learned().await.unwrap().is_empty());
    let later = intent("shop", 5);
    let id = store.intend(&later).await.unwrap();
    let settled = ActionRecord { settled_at: Some(6_002), ..concluded(later, id, Outcome::Verified) };
    store.conclude(&settled).await.unwrap();
    let learned = store.learned().await.unwrap();
    assert_eq!((learned.len(), learned[0].verified, learned[0].ineffective), (1, 1, 0));
}
