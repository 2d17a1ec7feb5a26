//! File descriptors that are kept for people: a process that has none left still accepts who wants to halt it, and can tell who
//! that is. They are taken before the control socket is open, since nobody may find it open and the host without them.
//!
//! Called by `hearing` and `socket`.

use std::fs::File;

use parking_lot::Mutex;

/// How many are kept.
const MOST: usize = 32;

/// Descriptors that are let go when there are no others.
pub(crate) struct SpareDescriptors(Mutex<Vec<File>>);

impl SpareDescriptors {
    /// As many as there are, up to [`MOST`].
    pub(crate) fn take() -> Self {
        let spare = Self(Mutex::default());
        spare.refill();
        spare
    }

    /// Takes back what was let go, as far as there is any.
    pub(crate) fn refill(&self) {
        let mut kept = self.0.lock();
        while kept.len() < MOST
            && let Some(file) = one()
        {
            kept.push(file);
        }
    }

    /// Lets one go. `false`: there is none.
    pub(crate) fn let_one_go(&self) -> bool {
        self.0.lock().pop().is_some()
    }

    /// Lets `count` go, when there is nothing else.
    pub(crate) fn let_go_if_needed(&self, count: usize) {
        if one().is_none() {
            let mut kept = self.0.lock();
            let left = kept.len().saturating_sub(count);
            kept.truncate(left);
        }
    }
}

fn one() -> Option<File> {
    File::open("/dev/null").ok()
}
