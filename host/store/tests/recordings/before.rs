//! Recordings of an earlier host are read as it wrote them.

use flyball_model::PluginKind;
use flyball_ports::{CallInput, Said};

use crate::calls::read;

#[test]
fn calls_that_were_recorded_before_there_were_other_kinds_are_whole_and_unaltered() {
    let directory = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(directory.path().join("recordings.db")).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL;").unwrap();
    db.execute_batch(include_str!("recorded_before.sql")).unwrap();
    drop(db);
    let found = read(directory.path());
    let kinds: Vec<PluginKind> = found.iter().map(|recorded| recorded.call.kind).collect();
    let validator = PluginKind::Validator;
    let judged = [PluginKind::Heuristic, PluginKind::Catalog, PluginKind::Decider];
    assert_eq!(kinds, [&judged[..], &[validator, validator, validator]].concat());
    for recorded in &found {
        assert!(!recorded.altered, "{recorded:?}");
        let call = &recorded.call;
        match (&call.asked, &call.said) {
            (CallInput::Assess(_), Ok(Said::Assessed(said))) => assert_eq!(said.findings.len(), 1),
            (CallInput::List, Ok(Said::NodeTypes(_)))
            | (CallInput::Decide(..), Ok(Said::Decided(_)))
            | (CallInput::Review { .. }, Ok(Said::Verdict(_))) => {}
            other => panic!("{other:?}"),
        }
        assert!(call.others.is_empty() && call.cost.fuel > 0, "{call:?}");
    }
}
