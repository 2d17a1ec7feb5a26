//! Notices changes: by the operating system's notifications, and by a slow look at everything in case one was missed.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use flyball_model::printable_path;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Library;
use super::writers::Writing;

/// Changes that come closer together than this are taken over together.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Someone who writes without end does not put it off for longer than this.
const AT_LATEST: u32 = 10;

/// As long a file must rest before it is taken: who uploads it piece by piece, opening it anew for each, may pause.
const REST: Duration = Duration::from_secs(1);

/// How often a file is looked at that must rest.
const RESTLESS: Duration = Duration::from_millis(250);

/// How often everything is looked at without a notification.
const ANYWAY: Duration = Duration::from_secs(2);

/// A library that cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The operating system gives no notifications.
    #[error("cannot watch for changes: {0}")]
    Notify(#[from] notify::Error),
    /// Nor a thread.
    #[error("cannot start the thread that watches for changes: {0}")]
    Thread(#[from] std::io::Error),
}

impl Library {
    /// Begins to take over changes as they happen. Once is enough.
    ///
    /// # Errors
    ///
    /// The operating system does not help.
    pub fn watch(self: &Arc<Self>) -> Result<(), WatchError> {
        let mut watched = self.watched.lock();
        if *watched {
            return Ok(());
        }
        let (folders, writing) = (self.reloader.lock().folders(), Writing::default());
        if folders.is_empty() {
            return Ok(());
        }
        let (events, noticed) = channel();
        let mut watcher = notifier(events, &folders, writing.clone())?;
        for place in folders.iter().flat_map(|folder| places(folder)) {
            listen(&mut watcher, &place);
        }
        let library = Arc::downgrade(self);
        std::thread::Builder::new()
            .name("flyball-reload".to_owned())
            .spawn(move || run(&library, &noticed, watcher, &folders))?;
        self.reloader.lock().let_rest(REST, &writing);
        *watched = true;
        Ok(())
    }
}

fn notifier(
    events: Sender<()>,
    folders: &[PathBuf],
    writing: Writing,
) -> Result<RecommendedWatcher, notify::Error> {
    let folders: Vec<PathBuf> = folders.iter().map(|folder| absolute(folder)).collect();
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = &event {
            writing.saw(event);
        }
        if event.as_ref().map_or(true, |event| concerns(event, &folders)) {
            // Nobody listens any more when the library is gone.
            let _ = events.send(());
        }
    })
}

/// Whether there may be something to take over. Beside a folder lies what has nothing to do with it: the journal, say, which
/// is written all the time.
fn concerns(event: &Event, folders: &[PathBuf]) -> bool {
    // Reading a file is an event too, and reading is what a look does.
    let changes = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        other => !other.is_access(),
    };
    let of_a_folder = |path: &PathBuf| folders.iter().any(|folder| path.starts_with(folder));
    changes && (event.paths.is_empty() || event.paths.iter().any(of_a_folder))
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The directory itself, and the one that holds it, where it is made anew or its symlink is swapped.
fn places(folder: &Path) -> Vec<PathBuf> {
    let absolute = absolute(folder);
    let parent = absolute.parent().map(Path::to_owned);
    std::iter::once(absolute).chain(parent).collect()
}

fn listen(watcher: &mut RecommendedWatcher, place: &Path) {
    if let Err(error) = watcher.watch(place, RecursiveMode::NonRecursive) {
        tracing::debug!(place = %printable_path(place), %error, "not watched; it is looked at every two seconds");
    }
}

fn run(
    library: &Weak<Library>,
    noticed: &Receiver<()>,
    mut watcher: RecommendedWatcher,
    folders: &[PathBuf],
) {
    let mut restless = false;
    loop {
        match noticed.recv_timeout(if restless { RESTLESS } else { ANYWAY }) {
            Ok(()) => settle(noticed),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // When the library is gone, so is this thread, at the latest after the next look.
        let Some(library) = library.upgrade() else { return };
        // A directory that was made anew is another one to the operating system.
        for folder in folders {
            if let Some(place) = places(folder).first() {
                let _ = watcher.unwatch(place);
                listen(&mut watcher, place);
            }
        }
        library.refresh();
        restless = library.reloader.lock().is_restless();
    }
}

/// Waits until it is quiet.
fn settle(noticed: &Receiver<()>) {
    for _ in 0..AT_LATEST {
        if noticed.recv_timeout(DEBOUNCE).is_err() {
            return;
        }
        while noticed.try_recv().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, ModifyKind};

    use super::*;

    #[test]
    fn what_is_written_beside_a_folder_and_what_is_read_in_it_wake_nobody() {
        let folders = [PathBuf::from("/srv/state/versions"), PathBuf::from("/srv/policies")];
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let concerned = |kind, path: &str| concerns(&Event::new(kind).add_path(path.into()), &folders);
        assert!(concerned(written, "/srv/policies/p.yaml"));
        assert!(concerned(EventKind::Create(CreateKind::Any), "/srv/policies"), "its symlink is swapped");
        assert!(concerned(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/srv/policies/p.yaml"));
        assert!(!concerned(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/srv/policies/p.yaml"));
        assert!(!concerned(written, "/srv/state/journal.db-wal"));
        assert!(!concerned(written, "/srv/policies-of-others/p.yaml"));
        assert!(concerns(&Event::new(EventKind::Other), &folders), "events were lost: look at everything");
    }
}
