//! Standard interfaces under the host's rules, for guests of any toolchain: `wasi:logging` is the plugin's log,
//! `wasi:config` its settings, `wasi:keyvalue` what it keeps, with one bucket whatever its name.
//!
//! The capabilities `log`, `settings` and `state` link them; nothing here decides anything that those do not.

#![allow(missing_docs, reason = "generated; the interfaces' own packages document them")]
#![allow(clippy::all, clippy::unwrap_used, clippy::indexing_slicing, reason = "generated")]

use wasmtime::component::Resource;

use crate::bindings::{log, settings};
use crate::call::Call;

wasmtime::component::bindgen!({
    inline: r#"
        package flyball:standard;

        world standard {
            import wasi:logging/logging@0.1.0-draft;
            import wasi:config/store@0.2.0-rc.1;
            import wasi:keyvalue/store@0.2.0-draft;
        }

        package wasi:logging@0.1.0-draft {
            interface logging {
                enum level { trace, debug, info, warn, error, critical }
                log: func(level: level, context: string, message: string);
            }
        }

        package wasi:config@0.2.0-rc.1 {
            interface store {
                variant error { upstream(string), io(string) }
                get: func(key: string) -> result<option<string>, error>;
                get-all: func() -> result<list<tuple<string, string>>, error>;
            }
        }

        package wasi:keyvalue@0.2.0-draft {
            interface store {
                variant error { no-such-store, access-denied, other(string) }
                record key-response { keys: list<string>, cursor: option<u64> }
                open: func(identifier: string) -> result<bucket, error>;
                resource bucket {
                    get: func(key: string) -> result<option<list<u8>>, error>;
                    set: func(key: string, value: list<u8>) -> result<_, error>;
                    delete: func(key: string) -> result<_, error>;
                    exists: func(key: string) -> result<bool, error>;
                    list-keys: func(cursor: option<u64>) -> result<key-response, error>;
                }
            }
        }
    "#,
    with: { "wasi:keyvalue/store.bucket": Bucket },
    imports: { default: trappable },
});

pub(super) use wasi::config::store as config;
pub(super) use wasi::keyvalue::store as keyvalue;
pub(super) use wasi::logging::logging;

/// The one bucket.
pub enum Bucket {}

impl logging::Host for Call {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Trace | logging::Level::Debug => log::Level::Debug,
            logging::Level::Info => log::Level::Info,
            logging::Level::Warn => log::Level::Warn,
            logging::Level::Error | logging::Level::Critical => log::Level::Error,
        };
        let message = if context.is_empty() { message } else { format!("{context}: {message}") };
        log::Host::log(self, level, message)
    }
}

/// A setting as a text: what is none in the policy is JSON.
fn text(value: settings::Value) -> String {
    match value {
        settings::Value::Boolean(value) => value.to_string(),
        settings::Value::Number(value) => value.to_string(),
        settings::Value::Text(text) | settings::Value::Other(text) => text,
        settings::Value::Texts(texts) => serde_json::Value::from(texts).to_string(),
    }
}

impl config::Host for Call {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, config::Error>> {
        self.enter()?;
        let value = self.settings.get(&key).map(text);
        Ok(Ok(self.gave(value)?))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, config::Error>> {
        self.enter()?;
        let keys = self.settings.value().as_object().into_iter().flat_map(serde_json::Map::keys);
        let all: Vec<(String, String)> =
            keys.filter_map(|key| Some((key.clone(), text(self.settings.get(key)?)))).collect();
        Ok(Ok(self.gave(all)?))
    }
}

impl keyvalue::Host for Call {
    fn open(&mut self, _: String) -> wasmtime::Result<Result<Resource<Bucket>, keyvalue::Error>> {
        self.enter()?;
        Ok(Ok(Resource::new_own(0)))
    }
}

impl keyvalue::HostBucket for Call {
    fn get(
        &mut self,
        _: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, keyvalue::Error>> {
        let value = self.keeping()?.get(&key).cloned();
        Ok(Ok(self.gave(value)?))
    }

    fn set(
        &mut self,
        _: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), keyvalue::Error>> {
        let (key, value) = self.gave((key, value))?;
        Ok(self.keeping()?.set(key, value).map_err(keyvalue::Error::Other))
    }

    fn delete(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), keyvalue::Error>> {
        self.keeping()?.delete(key);
        Ok(Ok(()))
    }

    fn exists(
        &mut self,
        _: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, keyvalue::Error>> {
        Ok(Ok(self.keeping()?.get(&key).is_some()))
    }

    fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        _: Option<u64>,
    ) -> wasmtime::Result<Result<keyvalue::KeyResponse, keyvalue::Error>> {
        let keys = self.kept_keys()?;
        Ok(Ok(keyvalue::KeyResponse { keys, cursor: None }))
    }

    fn drop(&mut self, _: Resource<Bucket>) -> wasmtime::Result<()> {
        Ok(())
    }
}
