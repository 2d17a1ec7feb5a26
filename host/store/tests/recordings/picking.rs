use flyball_ports::{CallInput, Decided, Said};
use flyball_store::{CallFilter, RecordingsOptions, RecordingsReader};

use crate::calls::{all, assessed, call, graph, recorded, sight, situation};

fn ticks(calls: &[flyball_store::RecordedCall]) -> Vec<u64> {
    calls.iter().map(|recorded| recorded.call.tick).collect()
}

#[test]
fn all_calls_of_a_tick_on_which_a_judge_says_something_are_recorded_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let calls = vec![
        assessed(1, false),
        assessed(1, false),
        assessed(2, false),
        assessed(2, true),
        assessed(2, false),
        assessed(3, false),
        call(CallInput::Assess(sight(4)), Err("trapped".to_owned())),
        call(CallInput::List, Ok(Said::NodeTypes(Vec::new()))),
    ];
    let found = recorded(directory.path(), RecordingsOptions::default(), calls);
    assert_eq!(ticks(&found), [2, 2, 2, 4, 0]);
}

#[test]
fn the_quiet_calls_of_a_tick_that_a_slow_decider_thinks_about_are_recorded_too() {
    let directory = tempfile::tempdir().unwrap();
    let decided = Ok(Decided::Abstains("nothing".to_owned()).into());
    let calls = vec![
        assessed(1, false),
        assessed(2, false),
        assessed(3, false),
        call(CallInput::Decide(sight(1), situation(graph(().into()))), decided),
    ];
    let found = recorded(directory.path(), RecordingsOptions::default(), calls);
    assert_eq!(ticks(&found), [1, 1]);
}

#[test]
fn calls_are_listed_by_session_plugin_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut other = assessed(7, true);
    other.by.name = "other".into();
    other.session = "chat".into();
    recorded(directory.path(), all(), vec![assessed(1, true), other]);
    let reader = RecordingsReader::open(directory.path()).unwrap();
    let listed = |filter: CallFilter| -> Vec<u64> {
        reader.list(&filter).unwrap().into_iter().map(|call| call.tick).collect()
    };
    assert_eq!(listed(CallFilter::default()), [7, 1]);
    assert_eq!(listed(CallFilter { session: Some("orders".to_owned()), ..CallFilter::default() }), [1]);
    assert_eq!(listed(CallFilter { plugin: Some("other".to_owned()), ..CallFilter::default() }), [7]);
    assert!(listed(CallFilter { since: Some(u64::MAX), ..CallFilter::default() }).is_empty());
    assert_eq!(listed(CallFilter { limit: Some(1), ..CallFilter::default() }), [7]);
}
