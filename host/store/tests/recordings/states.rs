use std::collections::BTreeMap;
use std::fs;

use flyball_ports::Keeper;
use flyball_store::PluginStates;

fn kept(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

#[test]
fn what_a_plugin_keeps_is_there_after_a_restart_for_it_and_its_session_only() {
    let directory = tempfile::tempdir().unwrap();
    let states = PluginStates::open(directory.path()).unwrap();
    assert_eq!(states.load("counter", "orders"), Ok(BTreeMap::new()));
    let set = |key: &str, value: Option<&str>| [(key.to_owned(), value.map(|value| value.into()))].into();
    states.keep("counter", "orders", set("n", Some("1")));
    states.keep("counter", "orders", set("m", Some("2")));
    states.keep("counter", "orders", set("n", Some("3")));
    assert_eq!(states.load("counter", "orders"), Ok(kept(&[("m", "2"), ("n", "3")])), "written yet or not");
    states.keep("counter", "orders", set("m", None));
    assert!(states.settle(crate::calls::SOON));
    let other = PluginStates::open(directory.path()).unwrap();
    assert_eq!(other.load("counter", "orders"), Ok(kept(&[("n", "3")])), "on disk before the first one ends");
    drop((states, other));
    let states = PluginStates::open(directory.path()).unwrap();
    assert_eq!(states.load("counter", "orders"), Ok(kept(&[("n", "3")])));
    assert_eq!(states.load("counter", "chat"), Ok(BTreeMap::new()));
    assert_eq!(states.load("other", "orders"), Ok(BTreeMap::new()));
}

#[test]
fn what_cannot_be_read_is_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plugin-state.db");
    fs::write(&path, "this is no database".repeat(500)).unwrap();
    let states = PluginStates::open(directory.path()).unwrap();
    let said = states.load("counter", "orders").unwrap_err();
    assert!(said.contains("plugin-state.db") && said.contains("move it away"), "{said}");
}

#[test]
fn what_a_disk_does_not_take_now_is_written_when_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let states = PluginStates::open(directory.path()).unwrap();
    states.load("counter", "orders").unwrap();
    let db = rusqlite::Connection::open(directory.path().join("plugin-state.db")).unwrap();
    db.execute_batch("ALTER TABLE kept RENAME TO hidden").unwrap();
    states.keep("counter", "orders", [("n".to_owned(), Some(vec![1]))].into());
    states.keep("counter", "orders", [("n".to_owned(), Some(vec![2]))].into());
    db.execute_batch("ALTER TABLE hidden RENAME TO kept").unwrap();
    drop(states);
    let states = PluginStates::open(directory.path()).unwrap();
    assert_eq!(states.load("counter", "orders").unwrap().get("n"), Some(&vec![2]));
}
