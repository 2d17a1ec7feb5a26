//! The import `state`: what a plugin keeps between its calls.

use crate::bindings::state;
use crate::call::Call;
use crate::grants::Keeping;

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
