use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_control::ports::Judges;
use flyball_engine::{Library, LibraryOptions, PluginState, PluginStatus, PolicySource, Subject};
use tempfile::TempDir;

use crate::guests::{engine, guest};
use crate::sights::sight;

const POLICY: &str = "name: main\njudges:\n  heuristics:\n    - plugin: probe\n";

struct Place {
    folder: TempDir,
    library: Arc<Library>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["plugins", "policies"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("plugins/probe.wasm"), version("1.0.0")).unwrap();
        std::fs::write(folder.path().join("policies/main.yaml"), POLICY).unwrap();
        let library = open(folder.path());
        Self { folder, library }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn probe(&self) -> PluginStatus {
        self.library.status().into_iter().find(|status| status.name == "probe").unwrap()
    }

    fn running(&self) -> String {
        self.probe().version.unwrap().to_string()
    }
}

fn open(folder: &Path) -> Arc<Library> {
    Library::open(LibraryOptions {
        engine: engine(),
        first_party: Vec::new(),
        plugins_dir: Some(folder.join("plugins")),
        policies: PolicySource::Dir(folder.join("policies")),
    })
    .unwrap()
}

fn version(version: &str) -> Vec<u8> {
    guest("probe", version, "")
}

fn until(what: &str, holds: impl Fn() -> bool) {
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
    assert!(status.error.unwrap().ends_with("is gone"));
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
