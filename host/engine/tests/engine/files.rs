//! Files of policies and plugins that are not what they were: unreadable, half written, gone, older.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_engine::{
    Library, LibraryOptions, OpenError, PluginStatus, PolicySource, Reload, Stage, Subject, Versions,
    signature_path,
};
use flyball_ports::Judges;
use minisign::KeyPair;
use tempfile::TempDir;

use crate::guests::{engine, guest};
use crate::reloading::until;

const STRICT: &str = "name: strict\nsessions: [\"payments*\"]\nmutation_policy: read-only\njudges: {}\n";
const LAX: &str = "name: lax\njudges:\n  heuristics:\n    - plugin: probe\n";

struct Place {
    folder: TempDir,
    library: Option<Arc<Library>>,
}

impl Place {
    /// Two policies, and a plugin of which the host brings version 1.0.0.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["plugins", "policies"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut place = Self { folder, library: None };
        place.write("policies/strict.yaml", STRICT);
        place.write("policies/lax.yaml", LAX);
        place.write("plugins/probe.wasm", version("2.0.0"));
        place.start().unwrap();
        place
    }

    /// As the host does, anew.
    fn start(&mut self) -> Result<(), OpenError> {
        self.library = None;
        let library = Library::open(LibraryOptions {
            engine: engine(),
            first_party: vec![("probe".to_owned(), version("1.0.0").into())],
            plugins_dir: Some(self.path("plugins")),
            versions: Some(Versions::open(&self.path("versions")).unwrap()),
            policies: PolicySource::Dir(self.path("policies")),
        })?;
        library.register("payments-eu", Default::default());
        library.register("bills", Default::default());
        self.library = Some(library);
        Ok(())
    }

    fn library(&self) -> &Arc<Library> {
        self.library.as_ref().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn refresh(&self) -> Option<Reload> {
        self.library().refresh()
    }

    fn judge_of(&self, session: &str) -> String {
        self.library().panel(session).unwrap().policy.to_string()
    }

    fn probe(&self) -> PluginStatus {
        self.library().status().into_iter().find(|status| status.name == "probe").unwrap()
    }

    fn running(&self) -> String {
        self.probe().version.unwrap().to_string()
    }

    /// The trouble that there is, and its stage.
    fn trouble(&self) -> (Subject, Stage, String) {
        let mut troubles = self.library().troubles();
        assert_eq!(troubles.len(), 1, "{troubles:?}");
        let trouble = troubles.remove(0);
        (trouble.subject, trouble.stage, trouble.error)
    }
}

fn version(version: &str) -> Vec<u8> {
    guest("probe", version, "")
}

fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
        .unwrap();
}

type Breakage = fn(&Path);

/// How a file comes to be there and not to be readable, and what is said of it.
const BREAKAGES: [(Breakage, &str); 5] = [
    (|path| symlink("nowhere", path).unwrap(), "is a link that leads to no file"),
    (|path| symlink(path, path).unwrap(), "is a link that leads to no file"),
    (|path| fs::create_dir(path).unwrap(), "it is a directory, not a file"),
    (|path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(), "it is a pipe, not a file"),
    (|path| fs::write(path, b"name: strict # caf\xe9\n").unwrap(), "the text is not UTF-8"),
];

#[test]
fn a_policy_that_cannot_be_read_judges_on_and_is_told() {
    let place = Place::new();
    let path = place.path("policies/strict.yaml");
    for (breakage, said) in BREAKAGES {
        remove(&path);
        breakage(&path);
        let reload = place.refresh().unwrap();
        assert_eq!((reload.generation, reload.troubles.len()), (None, 1), "{said}");
        assert_eq!(place.judge_of("payments-eu"), "strict", "{said}");
        let (subject, stage, error) = place.trouble();
        assert_eq!((subject, stage), (Subject::Policy("strict.yaml".to_owned()), Stage::Read));
        assert!(error.contains(said), "{error}");
        assert_eq!(place.refresh(), None, "it is told once");
        remove(&path);
        place.write("policies/strict.yaml", STRICT);
        assert_eq!(place.refresh(), None);
        assert!(place.library().troubles().is_empty());
    }
}

#[test]
fn a_policy_that_may_not_be_read_judges_on() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.path("policies/strict.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    place.refresh();
    assert_eq!(place.judge_of("payments-eu"), "strict");
    // Who is root reads it anyway.
    if fs::File::open(&path).is_err() {
        assert!(place.trouble().2.contains("denied"), "{:?}", place.trouble());
    }
}

#[test]
fn a_policy_that_was_taken_away_judges_no_more_and_its_sessions_are_named() {
    let place = Place::new();
    fs::remove_file(place.path("policies/strict.yaml")).unwrap();
    let reload = place.refresh().unwrap();
    assert_eq!(place.judge_of("payments-eu"), "lax");
    assert_eq!(
        (reload.generation, reload.sessions.as_slice()),
        (Some(2), ["payments-eu".to_owned()].as_slice())
    );
    let said = reload.changes[0].to_string();
    assert!(said.starts_with("policy strict.yaml ") && said.ends_with(" was taken away"), "{said}");
}

#[test]
fn a_policy_or_plugin_that_is_missing_for_a_moment_serves_on_in_a_watched_directory() {
    let place = Place::new();
    place.write("policies/lax.yaml", format!("{LAX}plugins: {{ on_missing: fall-back }}\n"));
    place.refresh().unwrap();
    place.library().watch().unwrap();
    let begun = Instant::now();
    for name in ["policies/strict.yaml", "plugins/probe.wasm"] {
        fs::remove_file(place.path(name)).unwrap();
    }
    place.refresh();
    let served = (place.judge_of("payments-eu"), place.running());
    for (name, bytes) in [("policies/strict.yaml", STRICT.into()), ("plugins/probe.wasm", version("2.0.0"))] {
        place.write(name, bytes);
    }
    // On a machine that was busy for that long they may be gone.
    let was_short = begun.elapsed() < Duration::from_secs(1);
    if was_short {
        assert_eq!(served, ("strict".to_owned(), "2.0.0".to_owned()));
    }
    // What is written after they came back is taken after they would have been gone.
    place.write("policies/third.yaml", "name: third\nsessions: [third]\njudges: {}\n");
    until("the third policy serves", || {
        place.library().policies().iter().any(|policy| policy.name == "third")
    });
    let changes = place.library().reloads().into_iter().flat_map(|reload| reload.changes);
    let changes: Vec<String> = changes.map(|change| change.to_string()).collect();
    if was_short {
        assert!(
            !changes.iter().any(|said| said.contains("taken away") || said.contains("1.0.0")),
            "{changes:?}"
        );
    }
    fs::remove_file(place.path("policies/strict.yaml")).unwrap();
    until("what stays away is gone", || place.judge_of("payments-eu") == "lax");
}

#[test]
fn a_name_of_a_file_or_directory_adds_no_line_and_no_colour_to_a_message() {
    let mut place = Place::new();
    let odd = "strict\u{1b}[31m\nforged.yaml";
    place.write(&format!("policies/{odd}"), "name: odd\nsessions: [odd]\njudges: {}\n");
    place.refresh().unwrap();
    fs::rename(place.path(&format!("policies/{odd}")), place.path("policies/.gone")).unwrap();
    place.start().unwrap();
    let (_, _, said) = place.trouble();
    assert!(said.contains("strict\\u{1b}[31m\\nforged.yaml is gone"), "{said}");
    place.write(&format!("policies/{odd}"), b"caf\xe9");
    let said = place.start().unwrap_err().to_string();
    let unreadable =
        OpenError::Unreadable { path: odd.into(), error: std::io::Error::other("why") }.to_string();
    for said in [said, unreadable, Subject::Policy(odd.to_owned()).to_string()] {
        assert!(said.contains("forged") && !said.chars().any(char::is_control), "{said:?}");
    }
}

#[test]
fn a_directory_that_moved_or_has_an_empty_one_in_its_place_takes_nothing_away() {
    let place = Place::new();
    for name in ["policies", "plugins"] {
        let (here, there) = (place.path(name), place.path("elsewhere"));
        fs::rename(&here, &there).unwrap();
        for empty in [false, true] {
            if empty {
                fs::create_dir(&here).unwrap();
            }
            place.refresh().unwrap();
            assert_eq!(
                (place.judge_of("payments-eu").as_str(), place.running().as_str()),
                ("strict", "2.0.0")
            );
            let troubles = place.library().troubles();
            assert!(troubles.iter().all(|trouble| trouble.stage == Stage::Read), "{troubles:?}");
            let said = if empty { "an empty directory is in the place of" } else { "cannot be read" };
            assert!(troubles[0].error.contains(said), "{troubles:?}");
        }
        fs::remove_dir(&here).unwrap();
        fs::rename(&there, &here).unwrap();
        place.refresh();
        assert!(place.library().troubles().is_empty());
    }
}

#[test]
fn a_host_does_not_start_by_a_policy_that_it_cannot_read() {
    let mut place = Place::new();
    let path = place.path("policies/strict.yaml");
    for (breakage, said) in BREAKAGES {
        remove(&path);
        breakage(&path);
        let error = place.start().unwrap_err().to_string();
        assert!(error.contains("the policy strict.yaml cannot be read") && error.contains(said), "{error}");
    }
}

#[test]
fn a_policy_is_not_taken_while_its_writer_pauses() {
    let place = Place::new();
    let whole = "name: strict\nsessions: [\"payments*\"]\njudges:\n  heuristics:\n    - plugin: probe\n";
    // What it holds in the middle is a good policy as well, with nobody who judges.
    let (first, rest) = whole.split_at(whole.find(":\n  heuristics").unwrap());
    let mut writer = fs::File::create(place.path("policies/strict.yaml")).unwrap();
    writer.write_all(first.as_bytes()).unwrap();
    writer.write_all(b": {}\n").unwrap();
    writer.flush().unwrap();
    assert_eq!(place.refresh(), None);
    assert!(place.library().panel("payments-eu").unwrap().rules.mutation.name().contains("read"));
    drop(writer);
    place.write("policies/strict.yaml", format!("{first}{rest}"));
    assert!(place.refresh().unwrap().generation.is_some());
    assert_eq!(place.library().panel("payments-eu").unwrap().heuristics.len(), 1);
}

#[test]
fn a_plugin_that_cannot_be_read_serves_on() {
    let place = Place::new();
    let path = place.path("plugins/probe.wasm");
    for (breakage, said) in BREAKAGES.into_iter().take(4) {
        remove(&path);
        breakage(&path);
        place.refresh().unwrap();
        assert_eq!(place.running(), "2.0.0");
        let (subject, stage, error) = place.trouble();
        assert_eq!((subject, stage), (Subject::Plugin("probe".to_owned()), Stage::Read));
        assert!(error.contains(said), "{error}");
        remove(&path);
        place.write("plugins/probe.wasm", version("2.0.0"));
        place.refresh();
    }
}

#[test]
fn a_guard_whose_file_went_away_serves_on_over_a_restart_until_its_policy_says_otherwise() {
    let mut place = Place::new();
    fs::remove_file(place.path("plugins/probe.wasm")).unwrap();
    place.refresh().unwrap();
    for restarted in [false, true] {
        assert_eq!(place.running(), "2.0.0", "after a restart: {restarted}");
        let (_, stage, error) = place.trouble();
        assert_eq!(stage, Stage::Read);
        assert!(error.contains("probe.wasm is gone; version 2.0.0, which served, serves on"), "{error}");
        assert!(error.contains("on_missing: fall-back"), "{error}");
        place.start().unwrap();
    }
    place.write("policies/lax.yaml", format!("{LAX}plugins: {{ on_missing: fall-back }}\n"));
    let reload = place.refresh().unwrap();
    assert_eq!(place.running(), "1.0.0");
    let said = reload.changes.iter().map(ToString::to_string).find(|said| said.contains("probe")).unwrap();
    assert!(said.starts_with("plugin probe 1.0.0 (") && said.contains("in place of 2.0.0 ("), "{said}");
    place.start().unwrap();
    assert_eq!((place.running().as_str(), place.library().troubles().len()), ("1.0.0", 0));
}

fn put_signed(place: &Place, bytes: &[u8], keys: &KeyPair) {
    let path = place.path("plugins/probe.wasm");
    let signature = minisign::sign(None, &keys.sk, bytes, None, None).unwrap().into_string();
    fs::write(signature_path(&path), signature).unwrap();
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_signed_plugin_does_not_go_back_to_an_older_version_by_itself() {
    let (mut place, keys) = (Place::new(), KeyPair::generate_unencrypted_keypair().unwrap());
    let signed = format!("{LAX}signers: [{}]\n", keys.pk.to_base64());
    put_signed(&place, &version("2.0.0"), &keys);
    place.write("policies/lax.yaml", &signed);
    place.refresh().unwrap();
    put_signed(&place, &version("1.5.0"), &keys);
    assert_eq!(place.refresh().unwrap().generation, None);
    for restarted in [false, true] {
        assert_eq!(place.running(), "2.0.0", "after a restart: {restarted}");
        let (_, stage, error) = place.trouble();
        assert_eq!(stage, Stage::Verify);
        assert!(error.contains("its version 1.5.0 is older than 2.0.0, which served"), "{error}");
        place.start().unwrap();
    }
    put_signed(&place, &version("2.1.0"), &keys);
    place.refresh().unwrap();
    assert_eq!((place.running().as_str(), place.library().troubles().len()), ("2.1.0", 0));
    // By a step of a person's own it goes back, and stays there.
    Versions::open(&place.path("versions")).unwrap().roll_back("probe").unwrap();
    place.refresh().unwrap();
    assert_eq!(place.running(), "2.0.0");
    place.start().unwrap();
    assert_eq!(place.running(), "2.0.0");
    put_signed(&place, &version("1.5.0"), &keys);
    place.write("policies/lax.yaml", format!("{signed}plugins: {{ on_downgrade: allow }}\n"));
    place.refresh().unwrap();
    assert_eq!(place.running(), "1.5.0");
}

#[test]
fn a_version_that_was_deployed_anew_can_be_rolled_back_to_the_one_before_it() {
    let place = Place::new();
    for number in ["3.0.0", "2.0.0"] {
        place.write("plugins/probe.wasm", version(number));
        place.refresh().unwrap();
    }
    Versions::open(&place.path("versions")).unwrap().roll_back("probe").unwrap();
    place.refresh().unwrap();
    assert_eq!(place.running(), "3.0.0");
}

#[test]
fn a_plugin_in_a_file_of_another_name_is_told_to_be_renamed_where_it_is_used() {
    let place = Place::new();
    place.write("plugins/scale_cap.wasm", guest("scale-cap", "1.0.0", ""));
    place.write("policies/lax.yaml", "name: lax\njudges:\n  heuristics:\n    - plugin: scale-cap\n");
    let reload = place.refresh().unwrap();
    let said: Vec<&str> = reload.troubles.iter().map(|trouble| trouble.error.as_str()).collect();
    assert!(said.iter().any(|said| said.contains("rename it to scale-cap.wasm")), "{said:?}");
}

#[test]
fn what_looks_like_a_policy_and_is_not_read_is_told_with_the_reason() {
    let place = Place::new();
    fs::create_dir(place.path("policies/team")).unwrap();
    for name in ["upper.YAML", "data.json", ".hidden.yaml", "team/inner.yaml", "notes.md", ".#lock.yaml"] {
        place.write(&format!("policies/{name}"), STRICT);
    }
    place.refresh();
    let ignored = place.library().ignored().join("\n");
    for told in
        ["upper.YAML: only names", "data.json: only names", ".hidden.yaml: it is hidden", "team: directories"]
    {
        assert!(ignored.contains(told), "{told}: {ignored}");
    }
    assert!(!ignored.contains("notes.md") && !ignored.contains("lock"), "{ignored}");
}

#[test]
fn a_policy_that_judged_before_a_restart_and_is_gone_is_told() {
    let mut place = Place::new();
    fs::remove_file(place.path("policies/strict.yaml")).unwrap();
    place.start().unwrap();
    let (subject, _, error) = place.trouble();
    assert_eq!(subject, Subject::Policy("strict.yaml".to_owned()));
    assert!(error.contains("it judged when a host last ran here"), "{error}");
}

#[test]
fn a_reload_names_the_generation_that_the_next_tick_is_judged_by_and_no_other() {
    let place = Place::new();
    place.write("plugins/idle.wasm", guest("idle", "1.0.0", ""));
    let reload = place.refresh().unwrap();
    assert_eq!((reload.generation, reload.sessions.len()), (Some(2), 0));
    assert_eq!(place.library().panel("bills").unwrap().generation, 1);
    place.write("plugins/probe.wasm", version("3.0.0"));
    let reload = place.refresh().unwrap();
    assert_eq!(reload.sessions, ["bills"]);
    assert_eq!(Some(place.library().panel("bills").unwrap().generation), reload.generation);
    assert_eq!(place.library().panel("payments-eu").unwrap().generation, 1);
}
