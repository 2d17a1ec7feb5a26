#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "a test")]
//! A host in a program of one's own.

use std::sync::Arc;
use std::time::Duration;

use flyball_host::{Host, HostError, OperationError, StateDirError, Threads, Webhook};
use flyball_model::{Caller, EntryNumber, Event, Happened, LogEntry, Manifest};
use flyball_ports::EventStore;
use flyball_store::EventEntries;

#[path = "../examples/embed.rs"]
#[allow(dead_code, reason = "a program, which runs by itself")]
mod embed;

const PATIENCE: Duration = Duration::from_secs(300);

fn manifest(name: &str) -> Manifest {
    let manifest = serde_json::json!({
        "name": name,
        "nodes": [
            { "id": "in", "type": "generate", "params": { "per_second": 50, "body": { "n": "{{n}}" } } },
            { "id": "out", "type": "discard" },
        ],
        "connections": [{ "from": "in", "to": "out" }],
        "controller": { "observation_interval_ms": 20 },
    });
    serde_json::from_value(manifest).unwrap()
}

fn me() -> Caller {
    Caller { uid: 0, pid: std::process::id(), program: "a test".to_owned() }
}

#[test]
fn the_example_runs() {
    let done = embed::first_action().unwrap();
    assert!(done.contains("check"), "{done}");
}

#[test]
fn sessions_come_and_go_while_the_host_runs() {
    let dir = tempfile::tempdir().unwrap();
    let threads = Threads::start().unwrap();
    threads.run(async {
        let host = Host::builder(dir.path().join("state"))
            .manifest(manifest("first"))
            .start(&threads)
            .await
            .unwrap();
        host.add(manifest("second")).await.unwrap();
        let again = host.add(manifest("second")).await.unwrap_err();
        assert!(matches!(again, HostError::SameName { .. }), "{again}");
        let names = || host.sessions().iter().map(|session| session.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(), ["first", "second"]);
        let second = host.session("second").unwrap();
        let delivered = || second.pipeline().unwrap().account().delivered;
        tokio::time::timeout(PATIENCE, async {
            while delivered() < 5 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
        let removed = host.remove("second").await.unwrap();
        assert!(removed.balanced && removed.account.unwrap().delivered >= 5, "{removed:?}");
        assert!(!removed.endings.is_empty(), "it was watched: {removed:?}");
        assert_eq!(names(), ["first"]);
        assert!(host.remove("second").await.is_none());
        let halted = host.operations().halt(Some("second".to_owned()), "a test".to_owned(), me()).await;
        assert!(matches!(halted, Err(OperationError::NoSession { .. })), "{halted:?}");
        // What is gone can come again.
        host.add(manifest("second")).await.unwrap();
        let report = host.stop().await;
        assert_eq!(report.sessions.len(), 2);
        assert!(report.sessions.iter().all(|session| session.balanced));
    });
}

#[test]
fn a_second_host_does_not_start_in_the_same_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let threads = Threads::start().unwrap();
    threads.run(async {
        let state = dir.path().join("state");
        let host = Host::builder(&state).start(&threads).await.unwrap();
        let second = Host::builder(&state).start(&threads).await.unwrap_err();
        assert!(matches!(second, HostError::StateDir(StateDirError::Held { .. })), "{second}");
        host.stop().await;
        Host::builder(&state).start(&threads).await.unwrap().stop().await;
    });
}

#[test]
fn a_host_that_is_dropped_lets_its_state_directory_go_and_acts_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let threads = Threads::start().unwrap();
    threads.run(async {
        let first = Host::builder(&state)
            .manifest(manifest("first"))
            .control_socket(true)
            .start(&threads)
            .await
            .unwrap();
        let mut reader = first.events().reader(first.beginning()).unwrap();
        let session = first.session("first").unwrap();
        let (pipeline, controller) =
            (Arc::downgrade(session.pipeline().unwrap()), Arc::downgrade(session.controller()));
        drop((session, first));
        let ended = async { while reader.next().await.unwrap().is_some() {} };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
        let gone = async {
            // What stops when nobody has it any more: the loop, and the sources and workers of the pipeline.
            while pipeline.upgrade().is_some() || controller.upgrade().is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
        let second = async {
            loop {
                match Host::builder(&state).control_socket(true).start(&threads).await {
                    Ok(host) => break host,
                    Err(HostError::StateDir(StateDirError::Held { .. })) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, second).await.unwrap().stop().await;
    });
}

#[test]
fn of_two_that_come_at_once_under_one_name_one_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let threads = Threads::start().unwrap();
    threads.run(async {
        let host = Host::builder(dir.path().join("state")).start(&threads).await.unwrap();
        let (one, other) = tokio::join!(host.add(manifest("shop")), host.add(manifest("shop")));
        let refused = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert!(matches!(refused.as_slice(), [HostError::SameName { .. }]), "{refused:?}");
        assert_eq!(host.sessions().len(), 1);
        host.stop().await;
    });
}

#[test]
fn a_log_whose_journal_was_taken_away_goes_on_after_its_newest_entry() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let threads = Threads::start().unwrap();
    threads.run(async {
        for why in ["one", "two"] {
            let host = Host::builder(&state).start(&threads).await.unwrap();
            host.operations().halt(None, why.to_owned(), me()).await.unwrap();
            host.stop().await;
            for journal in ["journal.db", "journal.db-wal", "journal.db-shm"] {
                let _ = std::fs::remove_file(state.join(journal));
            }
        }
    });
    let kept = EventEntries::look_at(&state).unwrap().unwrap().read(EntryNumber::default(), 1_000).unwrap();
    assert_eq!(whats(&kept), ["halted: one", "halted: two"]);
}

#[test]
fn who_is_to_be_told_again_is_not_told_what_happened_while_nobody_was() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let threads = Threads::start().unwrap();
    let position = || EventEntries::look_at(&state).unwrap().unwrap().position("webhook").unwrap();
    threads.run(async {
        let url = "http://127.0.0.1:9/".parse().unwrap();
        let told = Host::builder(&state).webhook(Some(Webhook::new(url, None)));
        told.start(&threads).await.unwrap().stop().await;
        assert!(position().is_some());
        Host::builder(&state).start(&threads).await.unwrap().stop().await;
        assert_eq!(position(), None);
    });
}

fn whats(entries: &[Arc<LogEntry>]) -> Vec<String> {
    let told = entries.iter().filter_map(|entry| match &entry.happened {
        Happened::Event(record) => match &record.event {
            Event::Halted { why, .. } => Some(format!("halted: {why}")),
            Event::Resumed { why, .. } => Some(format!("resumed: {why}")),
            _ => None,
        },
        _ => None,
    });
    told.collect()
}

#[test]
fn who_reads_the_event_log_goes_on_after_a_restart_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let threads = Threads::start().unwrap();
    threads.run(async {
        let host = Host::builder(&state).start(&threads).await.unwrap();
        let operations = host.operations().clone();
        operations.halt(None, "one".to_owned(), me()).await.unwrap();
        let mut reader = host.events().reader(EntryNumber::default()).unwrap();
        let mut read = Vec::new();
        while whats(&read).is_empty() {
            read.push(tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap().unwrap());
        }
        // It is cut here, and more happens.
        let at = reader.position();
        drop(reader);
        operations.resume(None, "two".to_owned(), me()).await.unwrap();
        host.stop().await;

        let host = Host::builder(&state).start(&threads).await.unwrap();
        let mut reader = host.events().reader(at).unwrap();
        host.operations().halt(None, "three".to_owned(), me()).await.unwrap();
        while whats(&read).len() < 3 {
            read.push(tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap().unwrap());
        }
        assert_eq!(whats(&read), ["halted: one", "resumed: two", "halted: three"]);
        let numbers: Vec<EntryNumber> = read.iter().map(|entry| entry.number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        host.stop().await;
    });
    let kept = EventEntries::look_at(&state).unwrap().unwrap().read(EntryNumber::default(), 1_000).unwrap();
    assert_eq!(whats(&kept), ["halted: one", "resumed: two", "halted: three"], "and so it is kept");
}
