use flyball_model::{Action, ActionKind, ActionRecord, Finding, Learned, Outcome};
use flyball_ports::Journal;
use flyball_store::{Reader, Store};

use crate::records::{concluded, intent};

async fn done(store: &Store, intent: ActionRecord, outcome: Outcome) {
    let id = store.intend(&intent).await.unwrap();
    store.conclude(&concluded(intent, id, outcome)).await.unwrap();
}

fn nothing(finding: &str, kind: ActionKind, node_type: Option<&str>) -> Learned {
    Learned {
        finding: finding.to_owned(),
        kind,
        node_type: node_type.map(Into::into),
        verified: 0,
        ineffective: 0,
        worse: 0,
        unknown: 0,
        failed: 0,
        rolled_back: 0,
        newest: 0,
    }
}

#[tokio::test]
async fn what_came_of_actions_is_counted_by_finding_kind_and_type_of_node_over_runs_and_sessions() {
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
            ..nothing(full, ActionKind::ScaleNode, Some("map"))
        },
        Learned { verified: 1, newest: 1_005, ..nothing("slow", ActionKind::ScaleNode, Some("map")) },
    ];
    assert_eq!(store.learned().await.unwrap(), expected);
    assert_eq!(Reader::open(directory.path()).unwrap().learned().unwrap(), expected);
}
