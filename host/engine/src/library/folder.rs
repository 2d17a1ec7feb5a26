//! What lies in a directory, by content: a file is read whole again only when it may have changed. Rename-over, symlink swap
//! and a directory that was made anew all look the same from here.
//!
//! What cannot be read is not what was taken away. A file of which there is a name but no content (rights, a link to nothing
//! or to itself, a directory in its place, text that is not UTF-8) keeps what was last read of it and is told; so does one that
//! somebody still writes. Only a name that is missing from a directory that can be read was taken away, and only when it has
//! been missing for as long as a changed file must rest: it may be about to come back (who uploads anew deletes first), or it
//! is there under another name, which rests. Else a laxer policy would judge in between. A directory that is gone, or in whose
//! place there is an empty one, took nothing away; in one that is another than before, the rest begins anew.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flyball_files::Limit;
use flyball_model::printable_path;

use super::writers::{Writing, is_open_to_write};
use crate::contract::LARGEST;
use crate::engine::digest_of;
use crate::signature::signature_beside;

/// A file that was changed a shorter time ago than this is read anyway: times are too coarse to tell two changes apart.
const SETTLED: Duration = Duration::from_secs(2);

/// Who still writes after so long is told, and what is missing for so long waits for no other file.
const LONG: Duration = Duration::from_secs(10);

const LARGEST_PLUGIN: Limit =
    Limit::new(LARGEST as u64, "build it optimised, and without what it does not use");
const LARGEST_POLICY: Limit = Limit::new(4 << 20, "make several policies of it");

/// One file as it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) digest: Arc<str>,
    pub(super) bytes: Arc<[u8]>,
    /// What lies beside a component as its signature. It is looked at each time: it may come later than the file.
    pub(super) signature: Option<Arc<str>>,
}

/// What a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// `NAME.wasm`.
    Plugins,
    /// `FILE.yaml` and `FILE.yml`.
    Policies,
}

impl Holds {
    const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Plugins => &["wasm"],
            Self::Policies => &["yaml", "yml"],
        }
    }
}

/// What one look at a directory found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// By name, what each file holds; of what cannot be read now, what was last read.
    pub(super) found: BTreeMap<String, Found>,
    /// By name, why a file is not read now.
    pub(super) unread: BTreeMap<String, String>,
}

/// A directory that is looked at again and again.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    holds: Holds,
    /// What the watch knows of those who write.
    pub(super) writing: Writing,
    /// How long a file must rest before it is taken.
    pub(super) rest: Duration,
    known: HashMap<PathBuf, (Print, Found)>,
    /// Files that changed and may not be whole yet, and since when each is as it is.
    restless: HashMap<PathBuf, Restless>,
    /// Files that are known and not there, and since when.
    missing: HashMap<PathBuf, Instant>,
    /// Files that could not be read, as each was then. One that did not change since is not awaited again: its trouble would
    /// be gone for as long as it rests, and be told anew.
    unread: HashMap<PathBuf, Print>,
    /// The directory when something was last found in it.
    identity: Option<Identity>,
    /// What lies in it and is not read, with the reason.
    ignored: BTreeMap<PathBuf, String>,
}

#[derive(Debug)]
struct Restless {
    print: Print,
    /// Since when it is like that.
    since: Instant,
    /// When it was first seen to change.
    begun: Instant,
}

/// What shows that a file was not touched. The change time cannot be set by a program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Print {
    length: u64,
    modified: Option<SystemTime>,
    identity: (u64, u64, i64, i64),
}

/// What shows that a directory is the one that it was: device, number, and when it was made, as numbers are given anew.
type Identity = (u64, u64, Option<SystemTime>);

/// What became of one file.
enum Look {
    Found(Found),
    /// There is nothing of that name any more.
    Gone,
    /// Somebody writes it, since then.
    Restless(Instant),
    Unread(String),
}

impl Folder {
    pub(super) fn new(path: &Path, holds: Holds) -> Self {
        Self {
            path: path.to_owned(),
            holds,
            writing: Writing::default(),
            rest: Duration::ZERO,
            known: HashMap::new(),
            restless: HashMap::new(),
            missing: HashMap::new(),
            unread: HashMap::new(),
            identity: None,
            ignored: BTreeMap::new(),
        }
    }

    /// Whether some file waits to be whole, or to be gone.
    pub(super) fn is_restless(&self) -> bool {
        !self.restless.is_empty() || !self.missing.is_empty()
    }

    /// The names of the files that wait to be whole.
    pub(super) fn restless(&self) -> impl Iterator<Item = String> {
        let names = self.restless.keys().filter_map(|path| path.file_name());
        names.map(|name| name.to_string_lossy().into_owned())
    }

    /// What lies in it and is not read, with the reason.
    pub(super) fn ignored(&self) -> impl Iterator<Item = String> {
        self.ignored.iter().map(|(path, why)| format!("{}: {why}", printable_path(path)))
    }

    /// Every file of its kind, by name.
    ///
    /// # Errors
    ///
    /// The directory cannot be read, in a sentence.
    pub(super) fn scan(&mut self) -> Result<Scan, String> {
        let unreadable = |error: std::io::Error| {
            format!("its directory {} cannot be read: {error}", printable_path(&self.path))
        };
        // A file that was renamed is missed no later than it is taken under its new name.
        let begun = Instant::now();
        let here = std::fs::metadata(&self.path).map_err(unreadable)?;
        let identity = (here.dev(), here.ino(), here.created().ok());
        let is_another = self.identity.is_some_and(|before| before != identity);
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        if is_another {
            self.rest_anew(begun);
        }
        paths.sort_unstable();
        let mut scan = Scan::default();
        for path in paths {
            if let Some(name) = self.name_of(&path) {
                self.look_into(name, &path, &mut scan);
            }
        }
        let empty = scan.found.is_empty() && scan.unread.is_empty();
        if empty && !self.known.is_empty() && is_another {
            return Err(format!(
                "an empty directory is in the place of its directory {}",
                printable_path(&self.path)
            ));
        }
        if !empty {
            self.identity = Some(identity);
        }
        let is_there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
        self.restless.retain(|path, _| is_there(path));
        self.unread.retain(|path, _| is_there(path));
        self.ignored.retain(|path, _| is_there(path));
        self.keep_missing(begun, &mut scan);
        Ok(scan)
    }

    /// Another directory may still be being filled, whatever was seen in the one before it.
    fn rest_anew(&mut self, now: Instant) {
        self.restless.values_mut().for_each(|restless| restless.since = now);
        self.missing.values_mut().for_each(|since| *since = now);
    }

    /// What is known and missing serves on until it has been missing for long enough; then it is not known any more.
    fn keep_missing(&mut self, now: Instant, scan: &mut Scan) {
        // One of the files that rest may be what is missing, under a new name: the old one serves until that is taken.
        let least = if self.restless.is_empty() { self.rest } else { self.rest.max(LONG) };
        let missing = &mut self.missing;
        self.known.retain(|path, (_, before)| {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
            if scan.found.contains_key(name) {
                missing.remove(path);
                return true;
            }
            let since = *missing.entry(path.clone()).or_insert(now);
            let stays = since.elapsed() < least;
            if stays {
                scan.found.insert(name.to_owned(), before.clone());
            } else {
                missing.remove(path);
            }
            stays
        });
    }

    fn look_into(&mut self, name: String, path: &Path, scan: &mut Scan) {
        let unread = match self.look(path) {
            Look::Found(mut file) => {
                if self.holds == Holds::Plugins {
                    match signature_beside(path) {
                        Ok(signature) => file.signature = signature.map(Arc::from),
                        Err(error) => drop(
                            scan.unread
                                .insert(name.clone(), format!("its signature cannot be read: {error}")),
                        ),
                    }
                }
                scan.found.insert(name, file);
                return;
            }
            Look::Gone => return,
            Look::Restless(since) if since.elapsed() < LONG => None,
            // How long exactly is not told: it would be another trouble each second.
            Look::Restless(_) => Some(format!(
                "{} is still being written after {} s, so it is not taken; write it beside its place and rename it",
                printable_path(path),
                LONG.as_secs()
            )),
            Look::Unread(why) => Some(why),
        };
        if let Some((_, before)) = self.known.get(path) {
            scan.found.insert(name.clone(), before.clone());
        }
        scan.unread.extend(unread.map(|why| (name, why)));
    }

    /// None: it is no file of its kind. What looks as if somebody thought it were is noted. Hidden files are left out: editors
    /// and ConfigMaps put unfinished things there.
    fn name_of(&mut self, path: &Path) -> Option<String> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            self.ignore(path, "its name is not UTF-8, so it is not read; give it another name");
            return None;
        };
        let extension = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let ours = self.holds.extensions();
        if ours.contains(&extension) && !name.starts_with('.') {
            return Some(name.to_owned());
        }
        let meant = extension.to_ascii_lowercase();
        let meant = ours.contains(&meant.as_str()) || (self.holds == Holds::Policies && meant == "json");
        let first = ours.first().copied().unwrap_or_default();
        if meant && name.starts_with('.') {
            // An editor's lock is a link with such a name, and what is put beside its place is about to be renamed.
            if !name.starts_with(".#") && std::fs::metadata(path).is_ok_and(|file| file.is_file()) {
                self.ignore(path, "it is hidden, so it is not read; take the dot from its name");
            }
        } else if meant {
            self.ignore(
                path,
                &format!("only names that end in .{} are read; give it such a name", ours.join(" or .")),
            );
        } else if self.holds == Holds::Policies && holds_policies(path) {
            self.ignore(path, &format!("directories within are not read; put its .{first} files beside it"));
        }
        None
    }

    fn ignore(&mut self, path: &Path, why: &str) {
        if self.ignored.insert(path.to_owned(), why.to_owned()).is_none() {
            tracing::warn!("{}: {why}", printable_path(path));
        }
    }

    fn look(&mut self, path: &Path) -> Look {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => match std::fs::symlink_metadata(path) {
                // It went away between the listing and the looking.
                Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => return Look::Gone,
                Ok(link) if link.is_symlink() => {
                    return Look::Unread(format!(
                        "{} is a link that leads to no file: {error}",
                        printable_path(path)
                    ));
                }
                _ => return Look::Unread(format!("{} cannot be read: {error}", printable_path(path))),
            },
        };
        if !metadata.is_file() {
            return self.read(path, &metadata);
        }
        let now = print(&metadata);
        if let Some((known, found)) = self.known.get(path)
            && *known == now
            && settled(&metadata)
        {
            self.restless.remove(path);
            return Look::Found(found.clone());
        }
        let unchanged = self.known.get(path).is_some_and(|(known, _)| *known == now)
            || self.unread.get(path).is_some_and(|unread| *unread == now);
        if !unchanged && let Some(since) = self.restless_since(path, &metadata, &now) {
            return Look::Restless(since);
        }
        self.read(path, &metadata)
    }

    /// Since when a changed file may not be whole. None: it is, as far as one can know.
    fn restless_since(&mut self, path: &Path, metadata: &Metadata, now: &Print) -> Option<Instant> {
        let written = self.writing.holds(path) || is_open_to_write(metadata);
        let at = Instant::now();
        let restless = self.restless.entry(path.to_owned());
        let restless = restless.or_insert_with(|| Restless { print: now.clone(), since: at, begun: at });
        if restless.print != *now || written {
            restless.print = now.clone();
            restless.since = at;
        }
        let begun = restless.begun;
        if written || restless.since.elapsed() < self.rest {
            return Some(begun);
        }
        self.restless.remove(path);
        None
    }

    fn read(&mut self, path: &Path, metadata: &Metadata) -> Look {
        let look = self.read_now(path, metadata);
        match &look {
            Look::Unread(_) => drop(self.unread.insert(path.to_owned(), print(metadata))),
            _ => drop(self.unread.remove(path)),
        }
        look
    }

    fn read_now(&mut self, path: &Path, metadata: &Metadata) -> Look {
        let limit = match self.holds {
            Holds::Plugins => LARGEST_PLUGIN,
            Holds::Policies => LARGEST_POLICY,
        };
        let bytes = match flyball_files::read(path, limit) {
            Ok(bytes) => bytes,
            Err(error) => return Look::Unread(error.to_string()),
        };
        // What it was read of must be what was looked at, and as it was then.
        let print = print(metadata);
        if !std::fs::metadata(path).is_ok_and(|after| self::print(&after) == print) {
            return Look::Restless(Instant::now());
        }
        let bytes: Arc<[u8]> = match self.holds {
            Holds::Plugins => bytes.into(),
            Holds::Policies => match flyball_files::text(path, bytes) {
                Ok(text) => text.into_bytes().into(),
                Err(error) => return Look::Unread(error.to_string()),
            },
        };
        let digest = digest_of(&bytes);
        let found = Found { path: path.to_owned(), digest, bytes, signature: None };
        self.known.insert(path.to_owned(), (print, found.clone()));
        Look::Found(found)
    }
}

fn holds_policies(path: &Path) -> bool {
    let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
    let Ok(entries) = (if hidden { return false } else { std::fs::read_dir(path) }) else { return false };
    entries.flatten().take(1_000).any(|entry| {
        let path = entry.path();
        path.extension().and_then(|end| end.to_str()).is_some_and(|end| matches!(end, "yaml" | "yml"))
    })
}

fn print(metadata: &Metadata) -> Print {
    Print {
        length: metadata.len(),
        modified: metadata.modified().ok(),
        identity: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
    }
}

fn settled(metadata: &Metadata) -> bool {
    let changed = u64::try_from(metadata.ctime()).map(Duration::from_secs).unwrap_or_default();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(changed) > SETTLED + Duration::from_secs(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_file_that_must_rest_is_taken_once_it_has_and_until_then_what_was_there_before_serves() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("p.yaml");
        std::fs::write(&path, "name: first").unwrap();
        let mut folder = Folder::new(place.path(), Holds::Policies);
        let text = |folder: &mut Folder| {
            let scan = folder.scan().unwrap();
            scan.found.get("p.yaml").map(|found| String::from_utf8_lossy(&found.bytes).into_owned())
        };
        assert_eq!(text(&mut folder).as_deref(), Some("name: first"));
        folder.rest = Duration::from_secs(3_600);
        std::fs::write(&path, "name: half").unwrap();
        std::fs::write(place.path().join("new.yaml"), "name: new").unwrap();
        assert_eq!(text(&mut folder).as_deref(), Some("name: first"));
        assert_eq!(folder.restless().collect::<std::collections::BTreeSet<_>>().len(), 2);
        folder.rest = Duration::ZERO;
        assert_eq!(text(&mut folder).as_deref(), Some("name: half"));
        assert!(!folder.is_restless());
    }

    #[test]
    fn a_name_that_is_missing_serves_on_until_it_has_been_missing_for_the_rest() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("p.yaml");
        std::fs::write(&path, "name: strict").unwrap();
        std::fs::write(place.path().join("other.yaml"), "name: lax").unwrap();
        let mut folder = Folder::new(place.path(), Holds::Policies);
        let serves = |folder: &mut Folder| folder.scan().unwrap().found.contains_key("p.yaml");
        assert!(serves(&mut folder));
        folder.rest = Duration::from_secs(3_600);
        std::fs::remove_file(&path).unwrap();
        assert!(serves(&mut folder) && folder.is_restless());
        // It comes back, and goes once more.
        std::fs::write(&path, "name: strict").unwrap();
        assert!(serves(&mut folder));
        std::fs::remove_file(&path).unwrap();
        assert!(serves(&mut folder) && folder.is_restless());
        folder.rest = Duration::ZERO;
        assert!(!serves(&mut folder) && !folder.is_restless());
    }

    #[test]
    fn what_is_missing_serves_on_while_a_file_rests_that_it_may_have_become() {
        let place = tempfile::tempdir().unwrap();
        let (path, renamed) = (place.path().join("p.yaml"), place.path().join("q.yaml"));
        std::fs::write(&path, "name: strict").unwrap();
        std::fs::write(place.path().join("other.yaml"), "name: lax").unwrap();
        let mut folder = Folder::new(place.path(), Holds::Policies);
        folder.scan().unwrap();
        std::fs::rename(&path, &renamed).unwrap();
        // Somebody has it open, so it is not taken.
        let writer = std::fs::OpenOptions::new().append(true).open(&renamed).unwrap();
        let names = |folder: &mut Folder| folder.scan().unwrap().found.into_keys().collect::<Vec<_>>();
        assert_eq!(names(&mut folder), ["other.yaml", "p.yaml"]);
        drop(writer);
        assert_eq!(names(&mut folder), ["other.yaml", "q.yaml"]);
    }

    #[test]
    fn in_another_directory_the_rest_begins_anew() {
        let place = tempfile::tempdir().unwrap();
        let here = place.path().join("policies");
        std::fs::create_dir(&here).unwrap();
        for name in ["p.yaml", "q.yaml", "other.yaml"] {
            std::fs::write(here.join(name), format!("name: {name}")).unwrap();
        }
        let mut folder = Folder::new(&here, Holds::Policies);
        folder.scan().unwrap();
        folder.rest = Duration::from_secs(3_600);
        std::fs::remove_file(here.join("p.yaml")).unwrap();
        folder.scan().unwrap();
        let missed = *folder.missing.get(&here.join("p.yaml")).unwrap();
        std::fs::rename(&here, place.path().join("elsewhere")).unwrap();
        assert!(folder.scan().is_err());
        std::fs::create_dir(&here).unwrap();
        assert!(folder.scan().is_err(), "an empty one took nothing away");
        std::fs::write(here.join("other.yaml"), "name: lax").unwrap();
        let swapped = Instant::now();
        assert_eq!(folder.scan().unwrap().found.len(), 3);
        assert!(missed < swapped && folder.missing.len() == 2);
        assert!(folder.missing.values().all(|since| *since >= swapped), "{:?}", folder.missing);
    }

    #[test]
    fn what_cannot_be_read_is_told_in_the_same_words_until_it_changes() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("p.yaml");
        std::fs::write(&path, "name: strict").unwrap();
        let mut folder = Folder::new(place.path(), Holds::Policies);
        folder.scan().unwrap();
        std::fs::write(&path, b"name: caf\xe9").unwrap();
        let unread = |folder: &mut Folder| folder.scan().unwrap().unread.remove("p.yaml");
        let told = unread(&mut folder).unwrap();
        assert!(told.contains("not UTF-8"), "{told}");
        folder.rest = Duration::from_secs(3_600);
        for _ in 0..2 {
            assert_eq!(unread(&mut folder).as_ref(), Some(&told));
            assert!(!folder.is_restless());
        }
        std::fs::write(&path, b"name: still caf\xe9").unwrap();
        assert_eq!(unread(&mut folder), None);
        assert!(folder.is_restless(), "another file may be a good one");
    }
}
