#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use std::io::Write;

use flyball_nodes::{ItemLimits, Json, NodeError, Source, Taken, source};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::time::{Duration, Instant, timeout};

macro_rules! item {
    ($($json:tt)+) => {
        Json::from(json!($($json)+))
    };
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn replay(text: &str, more: Value) -> (NamedTempFile, Box<dyn Source>) {
    let file = file(text);
    let mut config = json!({"path": file.path(), "timestamp_column": "TIMESTAMP"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let source = source("csv-replay", &config, &ItemLimits::default()).unwrap();
    (file, source)
}

/// Each item, and how long after the start it was given.
async fn all(source: &mut dyn Source, max: usize) -> Vec<(u64, Taken)> {
    let start = Instant::now();
    let mut all = Vec::new();
    while let Some(taken) = source.next(max).await.unwrap() {
        assert!(!taken.is_empty() && taken.len() <= max);
        all.extend(taken.into_iter().map(|item| (start.elapsed().as_millis() as u64, item)));
    }
    all
}

fn times(all: &[(u64, Taken)]) -> Vec<u64> {
    all.iter().map(|(at, _)| *at).collect()
}

const TRACE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
    2023-11-16 18:15:46.6805900,374,44\n\
    2023-11-16 18:15:50.6805900,396,109\n\
    2023-11-16 18:15:50.7005900,879,55\n\
    2023-11-16 18:16:46.6805900,91,16\n";

#[tokio::test(start_paused = true)]
async fn a_trace_is_replayed_by_its_timestamps_at_its_speed() {
    let (_file, mut source) = replay(TRACE, json!({"speed": 20}));
    let given = all(&mut *source, 10).await;
    let near = |at: u64, wanted: u64| at.abs_diff(wanted) <= 2;
    let times = times(&given);
    assert!(times.iter().zip([0, 200, 201, 3_000]).all(|(at, wanted)| near(*at, wanted)), "{times:?}");
    assert_eq!(
        given[0].1,
        Ok(item!({"TIMESTAMP": "2023-11-16 18:15:46.6805900", "ContextTokens": 374, "GeneratedTokens": 44}))
    );
    assert_eq!(source.progress().fraction, Some(1.0));
    assert_eq!(source.progress().items, 4);
}

#[tokio::test(start_paused = true)]
async fn a_replay_ends_at_its_limit_of_trace_time_or_of_rows() {
    let (_file, mut source) = replay(TRACE, json!({"until_s": 10}));
    assert_eq!(all(&mut *source, 10).await.len(), 3);
    let (_file, mut source) = replay(TRACE, json!({"limit": 2, "speed": 1000}));
    assert_eq!(all(&mut *source, 10).await.len(), 2);
    assert_eq!(source.progress().total, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_bad_row_is_a_failed_item_and_the_replay_goes_on() {
    let (_file, mut source) = replay("TIMESTAMP,a\n1.5,x\nsoon,y\n2\n2.5,z\n", json!({}));
    let given = all(&mut *source, 10).await;
    let errors: Vec<&str> =
        given.iter().filter_map(|(_, item)| item.as_ref().err()).map(|error| error.error.as_str()).collect();
    assert_eq!(errors.len(), 2);
    assert!(errors[0].ends_with(":3: \"soon\" is no time"), "{errors:?}");
    assert!(errors[1].ends_with(":4: the row has 1 cells, the header 2"), "{errors:?}");
    assert_eq!(given[3].1, Ok(item!({"TIMESTAMP": 2.5, "a": "z"})));
    assert_eq!(given[3].0, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_was_not_waited_for_loses_no_row() {
    let (_file, mut source) = replay(TRACE, json!({"speed": 1}));
    assert_eq!(source.next(10).await.unwrap().unwrap().len(), 1);
    for _ in 0..10 {
        assert!(timeout(Duration::from_millis(100), source.next(10)).await.is_err());
    }
    assert_eq!(all(&mut *source, 10).await.len(), 3);
}

#[test]
fn a_column_that_is_not_there_is_named_with_the_one_that_was_meant() {
    let file = file(TRACE);
    let error = source(
        "csv-replay",
        &json!({"path": file.path(), "timestamp_column": "TIMESTMP"}),
        &ItemLimits::default(),
    )
    .err()
    .unwrap();
    assert!(error.to_string().contains("no column \"TIMESTMP\"; did you mean \"TIMESTAMP\"?"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn generated_items_come_at_their_rate_and_faster_in_a_burst() {
    let config = json!({
        "per_second": 10, "limit": 40, "body": {"id": "{{n}}", "text": "number {{n}}"},
        "bursts": [{"at_s": 1, "for_s": 1, "per_second": 20}],
    });
    let mut source = source("generate", &config, &ItemLimits::default()).unwrap();
    let given = all(&mut *source, 100).await;
    assert_eq!(given.len(), 40);
    assert_eq!(given[7].1, Ok(item!({"id": 7, "text": "number 7"})));
    let within = |from: u64, to: u64| given.iter().filter(|(at, _)| (from..to).contains(at)).count();
    let counts = (within(0, 990), within(990, 1_990), within(1_990, 2_990));
    assert!(
        counts.0.abs_diff(10) <= 1 && counts.1.abs_diff(20) <= 1 && counts.2.abs_diff(10) <= 1,
        "{counts:?}"
    );
    assert_eq!(source.progress().fraction, Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn what_was_due_while_nobody_asked_is_given_later() {
    let mut source =
        source("generate", &json!({"per_second": 100, "limit": 200}), &ItemLimits::default()).unwrap();
    source.next(10).await.unwrap().unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(source.next(1_000).await.unwrap().unwrap().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_items_are_made_as_fast_as_they_are_taken() {
    let mut source =
        source("generate", &json!({"per_second": 0, "limit": 1_000}), &ItemLimits::default()).unwrap();
    let given = all(&mut *source, 64).await;
    assert_eq!((given.len(), given[999].0), (1_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_source_gives_no_more() {
    let mut generate = source("generate", &json!({"per_second": 0}), &ItemLimits::default()).unwrap();
    generate.next(5).await.unwrap().unwrap();
    generate.stop();
    assert_eq!(generate.next(5).await.unwrap(), None);
    let (_file, mut replay) = replay(TRACE, json!({}));
    replay.next(5).await.unwrap().unwrap();
    replay.stop();
    assert_eq!(replay.next(5).await.unwrap(), None);
}

#[tokio::test]
async fn lines_of_a_file_are_items() {
    let file = file("one\ntwo\n\nfour");
    let mut source = source("lines", &json!({"path": file.path()}), &ItemLimits::default()).unwrap();
    let given: Vec<Taken> = all(&mut *source, 3).await.into_iter().map(|(_, item)| item).collect();
    assert_eq!(given, [Ok(item!("one")), Ok(item!("two")), Ok(item!("")), Ok(item!("four"))]);
    assert_eq!(source.progress().fraction, Some(1.0));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let Err(NodeError::Config { problems, .. }) =
        source("lines", &json!({"path": "no/such/file"}), &ItemLimits::default())
    else {
        panic!("it must not open");
    };
    assert_eq!(problems[0].pointer, "/path");
    assert!(problems[0].message.starts_with("no/such/file cannot be opened: "));
}

#[tokio::test]
async fn a_pipe_is_opened_without_waiting_for_its_writer_and_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut source = source("lines", &json!({"path": path}), &ItemLimits::default()).unwrap();
    assert!(timeout(Duration::from_millis(50), source.next(10)).await.is_err(), "nobody has written yet");
    let writing = tokio::task::spawn_blocking(move || std::fs::write(path, "one\ntwo\n").unwrap());
    let given =
        timeout(Duration::from_secs(10), all(&mut *source, 10)).await.expect("it ends with its writer");
    assert_eq!(
        given.into_iter().map(|(_, item)| item).collect::<Vec<_>>(),
        [Ok(item!("one")), Ok(item!("two"))]
    );
    writing.await.unwrap();
}

fn failures(given: &[(u64, Taken)]) -> Vec<(String, String)> {
    let failed = given.iter().filter_map(|(_, item)| item.as_ref().err());
    failed.map(|bad| (String::from_utf8_lossy(&bad.bytes).into_owned(), bad.error.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_no_item_is_kept_as_it_stands_in_the_file_and_the_next_is_read() {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(b"TIMESTAMP,a\n1,\"x\"\n2,\xff\n3,\"y,z\",\"w\"\n4,\"open\n5,good\n").unwrap();
    let config = json!({"path": file.path(), "timestamp_column": "TIMESTAMP"});
    let mut source = source("csv-replay", &config, &ItemLimits::default()).unwrap();
    let given = all(&mut *source, 10).await;
    let failed = failures(&given);
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert_eq!(failed[0].0, "2,\u{fffd}");
    assert!(failed[0].1.contains(":3: the row is not UTF-8"), "{failed:?}");
    assert_eq!(failed[1].0, "3,\"y,z\",\"w\"");
    assert_eq!(failed[2].0, "4,\"open");
    assert!(failed[2].1.ends_with(":5: a quote is opened and not closed"), "{failed:?}");
    assert_eq!(given.last().unwrap().1, Ok(item!({"TIMESTAMP": 5, "a": "good"})));
}

#[tokio::test(start_paused = true)]
async fn a_time_far_away_is_told_and_passed_over_and_not_waited_for() {
    let text = "TIMESTAMP,a\n1,x\n9999999999999,y\n2,z\n2023-11-16T19:15:46+01:00[Europe/Berlin],w\n\
        9999-12-31T00:00:00Z,v\n";
    let (_file, mut source) = replay(text, json!({}));
    let given = all(&mut *source, 10).await;
    let failed = failures(&given);
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert!(failed[2].1.contains("is more than 86400 s from the row before"), "{failed:?}");
    assert!(failed[0].1.contains("is more than 86400 s from the row before"), "{failed:?}");
    assert!(failed[1].1.contains("names a zone in brackets"), "{failed:?}");
    assert!(times(&given).iter().all(|at| *at <= 1_000), "{:?}", times(&given));
}

#[test]
fn a_column_that_is_there_twice_is_named() {
    let file = file("TIMESTAMP,a,b,a\n1,2,3,4\n");
    let config = json!({"path": file.path(), "timestamp_column": "TIMESTAMP"});
    let error = source("csv-replay", &config, &ItemLimits::default()).err().unwrap().to_string();
    assert!(error.contains("the column \"a\" is there twice"), "{error}");
}
