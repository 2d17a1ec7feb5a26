use flyball_model::{Action, ActionRecord, Outcome};
use flyball_ports::Journal;
use flyball_store::{Reader, Store};

use crate::records::{concluded, intent};

async fn done(store: &Store, intent: ActionRecord, outcome: Outcome) -> u64 {
    let id = store.intend(&intent).await.unwrap();
    store.conclude(&concluded(intent, id, outcome)).await.unwrap();
    id
}

async fn undoable(store: &Store) -> Vec<u64> {
    store.undoable("shop", 20).await.unwrap().iter().map(|action| action.id).collect()
}

fn undo_of(id: u64) -> ActionRecord {
    ActionRecord { undoes: Some(id), ..intent("shop", 9) }
}

#[tokio::test]
async fn only_what_was_applied_and_is_still_in_force_can_be_undone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let effective = done(&store, intent("shop", 1), Outcome::Effective).await;
    done(&store, intent("shop", 2), Outcome::Failed).await;
    done(&store, intent("shop", 3), Outcome::Rejected).await;
    done(&store, intent("shop", 4), Outcome::RolledBack).await;
    done(&store, intent("till", 5), Outcome::Effective).await;
    store.intend(&intent("shop", 6)).await.unwrap();
    let worse = done(&store, intent("shop", 7), Outcome::Worse).await;
    let mut nothing = intent("shop", 8);
    nothing.proposal.action = Action::NoOp;
    done(&store, nothing, Outcome::Effective).await;

    assert_eq!(undoable(&store).await, [worse, effective]);
    assert_eq!(store.undoable("shop", 1).await.unwrap()[0].id, worse);
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.undoable("shop", 20).unwrap(), store.undoable("shop", 20).await.unwrap());
}

#[tokio::test]
async fn an_undo_takes_its_action_off_the_list_and_is_not_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let action = done(&store, intent("shop", 1), Outcome::Effective).await;

    store.intend(&undo_of(action)).await.unwrap();
    assert_eq!(undoable(&store).await, [action], "an undo that is only intended has undone nothing");
    done(&store, undo_of(action), Outcome::Failed).await;
    assert_eq!(undoable(&store).await, [action], "an undo that failed has undone nothing");
    done(&store, undo_of(action), Outcome::RolledBack).await;
    assert!(undoable(&store).await.is_empty());
}

#[tokio::test]
async fn an_undo_that_broke_off_may_be_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let action = done(&store, intent("shop", 1), Outcome::RollbackFailed).await;
    done(&store, undo_of(action), Outcome::RollbackFailed).await;
    assert_eq!(undoable(&store).await, [action]);
}
