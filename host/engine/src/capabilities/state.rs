//! The capability `state`: what a plugin keeps between its calls, for itself in each session. `wasi:keyvalue` is the same.
//!
//! It must uphold that a plugin sees only what it kept itself, and keeps no more than its policy grants. What a call may look at
//! is fixed when it begins, and what it changes is taken over once it has answered (`judge.rs`), so that a recorded call finds the
//! same when it is made again. Guests call this, and the judge.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use flyball_model::Grants;
use flyball_ports::{Changes, Keeper, Kept};
use parking_lot::Mutex;
use wasmtime::component::Linker;

use super::standard::keyvalue;
use super::{Capability, Whole};
use crate::bindings::state;
use crate::call::Call;

/// See the module's page.
pub(super) struct StateImport;

impl Capability for StateImport {
    const NAME: &'static str = "state";
    const IMPORTS: &'static [&'static str] =
        &["flyball:plugin/state@0.1.0", "wasi:keyvalue/store@0.2.0-draft"];

    fn granted(grants: &Grants) -> bool {
        grants.state.is_some()
    }

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        state::add_to_linker::<Call, Whole>(linker, |call| call)?;
        keyvalue::add_to_linker::<Call, Whole>(linker, |call| call)
    }
}

impl Call {
    /// It is linked where it is granted, so the error means that the plugin is only asked what it is.
    pub(crate) fn keeping(&mut self) -> wasmtime::Result<&mut Keeping> {
        self.enter()?;
        self.kept
            .as_mut()
            .ok_or_else(|| wasmtime::Error::msg("nothing is kept before a policy uses the plugin"))
    }

    /// In their order.
    pub(crate) fn kept_keys(&mut self) -> wasmtime::Result<Vec<String>> {
        let mut keys: Vec<String> = self.keeping()?.entries().map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        self.gave(keys)
    }
}

impl state::Host for Call {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let value = self.keeping()?.get(&key).cloned();
        self.gave(value)
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        let (key, value) = self.gave((key, value))?;
        Ok(self.keeping()?.set(key, value))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        self.keeping()?.delete(key);
        Ok(())
    }

    fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        self.kept_keys()
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
