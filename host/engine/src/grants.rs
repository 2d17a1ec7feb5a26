//! What a policy may grant beyond answering: which imports that gives, and how much of each a call may use.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use flyball_model::Grants;
use flyball_ports::{Changes, Keeper, Kept};
use parking_lot::Mutex;

/// What is linked: a plugin that imports more than this is not instantiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Imports {
    pub(crate) wasi: bool,
    pub(crate) state: bool,
    pub(crate) http: bool,
    pub(crate) llm: bool,
}

impl Imports {
    pub(crate) const COMBINATIONS: usize = 16;

    pub(crate) fn index(self) -> usize {
        let Self { wasi, state, http, llm } = self;
        usize::from(wasi) | usize::from(state) << 1 | usize::from(http) << 2 | usize::from(llm) << 3
    }

    /// Everything there is: to ask a plugin what it is, before any policy speaks. Nothing of it answers then.
    pub(crate) fn all(wasi: bool) -> Self {
        Self { wasi, state: true, http: true, llm: true }
    }

    pub(crate) fn granted(wasi: bool, grants: &Grants) -> Self {
        Self { wasi, state: grants.state.is_some(), http: grants.http.is_some(), llm: grants.llm.is_some() }
    }
}

/// A plugin and a session.
type Owner = (Arc<str>, Arc<str>);
type Slot = Arc<Mutex<Option<Kept>>>;

/// What plugins keep, by plugin and session.
pub(crate) struct States {
    keeper: Option<Arc<dyn Keeper>>,
    slots: Mutex<HashMap<Owner, Slot>>,
}

impl States {
    pub(crate) fn new(keeper: Option<Arc<dyn Keeper>>) -> Self {
        Self { keeper, slots: Mutex::default() }
    }

    /// What is kept now.
    pub(crate) fn of(&self, plugin: &Arc<str>, session: &Arc<str>) -> Result<Kept, String> {
        let slot = self.slot(plugin, session);
        let mut kept = slot.lock();
        if let Some(known) = &*kept {
            return Ok(Arc::clone(known));
        }
        let loaded = match &self.keeper {
            Some(keeper) => keeper.load(plugin, session)?,
            None => BTreeMap::new(),
        };
        Ok(Arc::clone(kept.insert(Arc::new(loaded))))
    }

    /// Takes over what a call changed.
    pub(crate) fn change(&self, plugin: &Arc<str>, session: &Arc<str>, changes: Changes) {
        let slot = self.slot(plugin, session);
        let mut kept = slot.lock();
        let kept = Arc::make_mut(kept.get_or_insert_default());
        for (key, value) in &changes {
            match value {
                Some(value) => drop(kept.insert(key.clone(), value.clone())),
                None => drop(kept.remove(key)),
            }
        }
        if let Some(keeper) = &self.keeper {
            keeper.keep(plugin, session, changes);
        }
    }

    fn slot(&self, plugin: &Arc<str>, session: &Arc<str>) -> Slot {
        let mut slots = self.slots.lock();
        Arc::clone(slots.entry((Arc::clone(plugin), Arc::clone(session))).or_default())
    }
}

/// What one call may keep: what was kept before it, and what it changes.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    pub(crate) before: Kept,
    pub(crate) changes: Changes,
    pub(crate) most_bytes: usize,
}

impl Keeping {
    pub(crate) fn new(before: Kept, most_kb: u64) -> Self {
        let most_bytes = usize::try_from(most_kb.saturating_mul(1 << 10)).unwrap_or(usize::MAX);
        Self { before, changes: Changes::new(), most_bytes }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Vec<u8>> {
        match self.changes.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.before.get(key),
        }
    }

    /// Refuses what would not fit.
    pub(crate) fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        let others: usize = self.entries().filter(|(other, _)| **other != key).map(size).sum();
        let asked = others.saturating_add(key.len()).saturating_add(value.len());
        if asked > self.most_bytes {
            return Err(format!(
                "{asked} bytes would be kept, over the limit of {} KiB (`grants.state.max_kb`)",
                self.most_bytes >> 10
            ));
        }
        self.changes.insert(key, Some(value));
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: String) {
        if self.before.contains_key(&key) {
            self.changes.insert(key, None);
        } else {
            self.changes.remove(&key);
        }
    }

    /// Without what was deleted.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        let unchanged = self.before.iter().filter(|(key, _)| !self.changes.contains_key(*key));
        let changed = self.changes.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        unchanged.chain(changed)
    }
}

fn size((key, value): (&String, &Vec<u8>)) -> usize {
    key.len().saturating_add(value.len())
}
