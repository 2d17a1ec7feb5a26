use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_engine::{
    Library, LibraryOptions, PluginState, PluginStatus, PolicySource, Stage, Subject, Versions,
};
use flyball_ports::Judges;
use tempfile::TempDir;

use crate::guests::{engine, guest, guest_importing};
use crate::sights::sight;

const POLICY: &str = "name: main\njudges:\n  heuristics:\n    - plugin: probe\n";

pub struct Place {
    folder: TempDir,
    pub library: Arc<Library>,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["plugins", "policies"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("plugins/probe.wasm"), version("1.0.0")).unwrap();
        std::fs::write(folder.path().join("policies/main.yaml"), POLICY).unwrap();
        let library = open(folder.path());
        Self { folder, library }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn probe(&self) -> PluginStatus {
        self.library.status().into_iter().find(|status| status.name == "probe").unwrap()
    }

    pub fn running(&self) -> String {
        self.probe().version.unwrap().to_string()
    }
}

fn open(folder: &Path) -> Arc<Library> {
    Library::open(LibraryOptions {
        engine: engine(),
        first_party: Vec::new(),
        plugins_dir: Some(folder.join("plugins")),
        versions: Some(Versions::open(&folder.join("versions")).unwrap()),
        policies: PolicySource::Dir(folder.join("policies")),
    })
    .unwrap()
}

fn version(version: &str) -> Vec<u8> {
    guest("probe", version, "")
}

pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_newer_plugin_serves_in_a_new_generation() {
    let place = Place::new();
    assert_eq!(place.library.generation(), 1);
    place.write("plugins/probe.wasm", version("2.0.0"));
    let reload = place.library.refresh().unwrap();
    assert_eq!((reload.from, reload.generation), (1, Some(2)));
    assert_eq!(reload.changes.len(), 1);
    assert_eq!(reload.changes[0].subject, Subject::Plugin("probe".into()));
    assert_eq!(place.running(), "2.0.0");
}

#[test]
fn the_same_bytes_do_not_reload() {
    let place = Place::new();
    place.write("plugins/probe.wasm", version("1.0.0"));
    place.write("policies/main.yaml", POLICY);
    assert_eq!(place.library.refresh(), None);
    assert_eq!(place.library.generation(), 1);
}

#[test]
fn text_over_a_plugin_leaves_the_last_good_one_serving_and_names_the_error() {
    let place = Place::new();
    place.write("plugins/probe.wasm", "not a plugin");
    let reload = place.library.refresh().unwrap();
    assert_eq!(reload.generation, None);
    let status = place.probe();
    assert_eq!((status.state, status.version.as_deref()), (PluginState::HeldBack, Some("1.0.0")));
    assert_ne!(status.desired, status.running);
    assert!(status.error.unwrap().contains("is text, not WebAssembly"));
    assert_eq!(place.library.refresh(), None, "a trouble is told once");
    place.write("plugins/probe.wasm", version("1.0.0"));
    place.library.refresh();
    assert_eq!((place.probe().state, place.probe().error), (PluginState::Running, None));
}

#[test]
fn a_half_written_plugin_serves_once_it_is_whole() {
    let place = Place::new();
    let whole = version("2.0.0");
    place.write("plugins/probe.wasm", &whole[..whole.len() / 2]);
    assert_eq!(place.library.refresh().unwrap().generation, None);
    assert!(place.probe().error.unwrap().contains("ends in the middle"));
    place.write("plugins/probe.wasm", &whole);
    assert_eq!(place.library.refresh().unwrap().generation, Some(2));
    assert_eq!(place.running(), "2.0.0");
}

#[test]
fn a_plugin_under_another_name_is_refused() {
    let place = Place::new();
    place.write("plugins/probe.wasm", guest("other", "1.0.0", ""));
    place.library.refresh();
    assert!(place.probe().error.unwrap().contains("rename the file to other.wasm"));
    assert_eq!(place.running(), "1.0.0");
}

#[test]
fn a_removed_plugin_that_a_policy_uses_serves_on_with_an_error() {
    let place = Place::new();
    std::fs::remove_file(place.path("plugins/probe.wasm")).unwrap();
    assert_eq!(place.library.refresh().unwrap().generation, None);
    let status = place.probe();
    assert_eq!((status.state, status.desired), (PluginState::HeldBack, None));
    assert!(status.error.unwrap().ends_with("is gone; version 1.0.0, which served, serves on"));
}

#[test]
fn a_policy_with_a_typo_keeps_the_old_one_and_is_told_with_its_line() {
    let place = Place::new();
    place.library.register("orders", Default::default());
    place.write("policies/main.yaml", format!("{POLICY}cooldwon_ms: 7\n"));
    let reload = place.library.refresh().unwrap();
    assert_eq!(reload.generation, None);
    assert!(reload.troubles[0].error.contains("main.yaml:5:"), "{}", reload.troubles[0].error);
    assert_eq!(place.library.panel("orders").unwrap().rules.cooldown_ms, 5_000);
    place.write("policies/main.yaml", format!("{POLICY}cooldown_ms: 7\n"));
    assert_eq!(place.library.refresh().unwrap().generation, Some(2));
    assert_eq!(place.library.panel("orders").unwrap().rules.cooldown_ms, 7);
    assert!(place.library.troubles().is_empty());
}

#[test]
fn of_two_policies_the_more_exact_one_judges() {
    let place = Place::new();
    place.write("policies/orders.yaml", "name: exact\nsessions: [\"ord*\"]\ncooldown_ms: 1\njudges: {}\n");
    place.library.refresh();
    assert_eq!(&*place.library.panel("orders").unwrap().policy, "exact");
    assert_eq!(&*place.library.panel("bills").unwrap().policy, "main");
}

#[test]
fn two_policies_that_claim_a_session_equally_do_not_take_its_policy_away() {
    let place = Place::new();
    place.library.register("orders", Default::default());
    place.write("policies/second.yaml", "name: second\njudges: {}\n");
    let reload = place.library.refresh().unwrap();
    assert_eq!(reload.generation, None);
    assert!(reload.troubles[0].error.contains("second.yaml"), "{}", reload.troubles[0].error);
    assert_eq!(&*place.library.panel("orders").unwrap().policy, "main");
}

#[tokio::test]
async fn a_tick_in_flight_ends_in_its_generation() {
    let place = Place::new();
    let panel = place.library.panel("orders").unwrap();
    place.write("plugins/probe.wasm", version("2.0.0"));
    place.library.refresh();
    panel.heuristics[0].assess(&sight(3, 1)).await.unwrap();
    assert_eq!((panel.generation, &*panel.heuristics[0].id().version), (1, "1.0.0"));
    let next = place.library.panel("orders").unwrap();
    assert_eq!((next.generation, &*next.heuristics[0].id().version), (2, "2.0.0"));
}

#[test]
fn a_watched_library_takes_over_a_rename_and_a_symlink_swap_and_a_new_directory() {
    let place = Place::new();
    place.library.watch().unwrap();
    let mut told = place.library.subscribe();

    place.write("plugins/.new", version("2.0.0"));
    std::fs::rename(place.path("plugins/.new"), place.path("plugins/probe.wasm")).unwrap();
    until("the renamed one serves", || place.running() == "2.0.0");
    assert_eq!(told.blocking_recv().unwrap().generation, Some(2));

    for (folder, number) in [("a", "3.0.0"), ("b", "4.0.0")] {
        std::fs::create_dir(place.path(folder)).unwrap();
        place.write(&format!("{folder}/probe.wasm"), version(number));
    }
    swap(&place, "a");
    until("what the symlink shows serves", || place.running() == "3.0.0");
    swap(&place, "b");
    until("what the swapped symlink shows serves", || place.running() == "4.0.0");

    std::fs::remove_dir_all(place.path("policies")).unwrap();
    until("the missing directory is told", || !place.library.troubles().is_empty());
    assert_eq!(&*place.library.panel("orders").unwrap().policy, "main");
    std::fs::create_dir(place.path("policies")).unwrap();
    place.write("policies/main.yaml", format!("{POLICY}cooldown_ms: 9\n"));
    until("the new directory is read", || {
        place.library.panel("orders").is_some_and(|panel| panel.rules.cooldown_ms == 9)
    });
}

fn swap(place: &Place, to: &str) {
    std::os::unix::fs::symlink(place.path(to).join("probe.wasm"), place.path("plugins/.link")).unwrap();
    std::fs::rename(place.path("plugins/.link"), place.path("plugins/probe.wasm")).unwrap();
}

#[tokio::test]
async fn a_reload_leaves_sessions_alone_that_do_not_use_what_changed() {
    let place = Place::new();
    place.write("plugins/other.wasm", guest("other", "1.0.0", ""));
    place.write(
        "policies/other.yaml",
        "name: other\nsessions: [other]\njudges:\n  heuristics:\n    - plugin: other\n",
    );
    place.library.refresh().unwrap();
    for session in ["main", "other"] {
        place.library.register(session, Default::default());
    }
    let (main, other) = (place.library.panel("main").unwrap(), place.library.panel("other").unwrap());
    place.write("plugins/other.wasm", guest("other", "2.0.0", ""));
    let reload = place.library.refresh().unwrap();
    assert!(Arc::ptr_eq(&main, &place.library.panel("main").unwrap()));
    let newer = place.library.panel("other").unwrap();
    assert!(!Arc::ptr_eq(&other, &newer));
    assert_eq!(Some(newer.generation), reload.generation);
}

#[test]
fn every_stage_of_a_reload_is_named_and_timed() {
    let place = Place::new();
    place.write("plugins/probe.wasm", version("2.0.0"));
    let reload = place.library.refresh().unwrap();
    let names: Vec<&str> = reload.stages.iter().map(|(stage, _)| stage.name()).collect();
    assert_eq!(names, ["read", "verify", "compile", "world", "link", "settings", "cases", "swap"]);
    let compiled = reload.stages[2].1;
    assert!(compiled > Duration::ZERO && compiled < reload.took, "{reload:?}");
}

#[test]
fn a_version_that_fails_a_golden_case_of_its_own_does_not_serve() {
    let place = Place::new();
    let case = r#"(@custom "flyball:cases" "{\"about\": \"all is lost\", \"expect\": {\"findings\": [\"critical doom \"]}}")"#;
    place.write("plugins/probe.wasm", guest_importing("probe", "2.0.0", case, ""));
    assert_eq!(place.library.refresh().unwrap().generation, None);
    let status = place.probe();
    assert_eq!((status.stage, status.version.as_deref()), (Some(Stage::Cases), Some("1.0.0")));
    let error = status.error.unwrap();
    assert!(error.contains("golden case \"all is lost\"") && error.contains("critical doom"), "{error}");
    place.write(
        "plugins/probe.wasm",
        guest_importing("probe", "3.0.0", &case.replace("critical doom ", "").replace("\\\"\\\"", ""), ""),
    );
    place.library.refresh();
    assert_eq!(place.running(), "3.0.0");
}

#[test]
fn rolling_back_passes_over_exactly_the_bytes_that_were_rolled_back() {
    let place = Place::new();
    let versions = Versions::open(&place.path("versions")).unwrap();
    for number in ["2.0.0", "3.0.0"] {
        place.write("plugins/probe.wasm", version(number));
        place.library.refresh().unwrap();
    }
    versions.roll_back("probe").unwrap();
    place.library.refresh().unwrap();
    assert_eq!(place.running(), "2.0.0");
    assert!(place.probe().passed_over.is_some());
    versions.roll_back("probe").unwrap();
    place.library.refresh().unwrap();
    assert_eq!(place.running(), "1.0.0");
    let said = versions.roll_back("probe").unwrap_err().to_string();
    assert!(said.contains("no version of \"probe\" before"), "{said}");
    versions.go_forward("probe").unwrap();
    place.library.refresh().unwrap();
    assert_eq!(place.running(), "3.0.0");
    versions.roll_back("probe").unwrap();
    place.library.refresh().unwrap();
    place.write("plugins/probe.wasm", version("4.0.0"));
    place.library.refresh().unwrap();
    assert_eq!((place.running().as_str(), place.probe().passed_over), ("4.0.0", None));
}

#[test]
fn rolling_back_outlives_the_host_and_a_broken_file() {
    let place = Place::new();
    place.write("plugins/probe.wasm", version("2.0.0"));
    place.library.refresh().unwrap();
    place.write("plugins/probe.wasm", "broken");
    place.library.refresh().unwrap();
    Versions::open(&place.path("versions")).unwrap().roll_back("probe").unwrap();
    let again = open(place.folder.path());
    let status = again.status().into_iter().find(|status| status.name == "probe").unwrap();
    assert_eq!((status.version.as_deref(), status.error), (Some("1.0.0"), None));
}

#[test]
fn only_the_last_versions_are_kept() {
    let place = Place::new();
    for number in 2..15 {
        place.write("plugins/probe.wasm", version(&format!("{number}.0.0")));
        place.library.refresh().unwrap();
    }
    let kept = std::fs::read_dir(place.path("versions")).unwrap().flatten();
    let kept = kept.filter(|entry| entry.path().extension().is_some_and(|end| end == "wasm")).count();
    assert_eq!(kept, 10);
}

#[test]
fn a_version_that_wants_more_than_the_running_one_is_held_until_the_policy_grants_it() {
    let place = Place::new();
    let wants = r#"
  (data (i32.const 1056) "\00\0a\00\00\01\00\00\00")
  (data (i32.const 2560) "\28\0a\00\00\05\00\00\00\30\0a\00\00\08\00\00\00")
  (data (i32.const 2600) "state")
  (data (i32.const 2608) "to count")"#;
    place.write("plugins/probe.wasm", guest_importing("probe", "2.0.0", wants, ""));
    place.library.refresh().unwrap();
    let status = place.probe();
    assert_eq!((status.stage, status.version.as_deref()), (Some(Stage::Link), Some("1.0.0")));
    let error = status.error.unwrap();
    assert!(error.contains("wants state beside what the running one has (no grant)"), "{error}");
    place.write("policies/main.yaml", format!("{POLICY}      grants: {{ state: {{}} }}\n"));
    place.library.refresh().unwrap();
    assert_eq!(place.running(), "2.0.0");
}
