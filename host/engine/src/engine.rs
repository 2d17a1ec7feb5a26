//! The engine: wasmtime as Flyball sets it up, the cache of compiled components, and what all calls share (the linkers, what
//! plugins keep, the connections to servers and models, the recorder).
//!
//! It must uphold that every call is bounded in time, memory and output, whatever a component does. The library and the program
//! make one; plugins and judges hold it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use flyball_llm::Llms;
use flyball_model::Limits;
use flyball_outbound::{Outbound, OutboundError};
use flyball_ports::{Keeper, Recorder};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::Cache;
use crate::call::Call;
use crate::capabilities::state::States;
use crate::capabilities::{Capabilities, Linked};
use crate::quoted::plain;
use crate::stage::{Stage, Stopwatch};
use crate::ticker::Ticker;
use crate::worlds::Worlds;
use crate::{LoadError, Plugin, census};

/// How an engine is set up.
#[derive(Clone)]
pub struct EngineOptions {
    /// Where compiled components are kept; none: they are compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// How many calls may be under way at once. Each reserves address space, not memory.
    pub max_calls: u32,
    /// What a plugin may use when it is asked what it is, before any policy says otherwise.
    pub load_limits: Limits,
    /// Keeps what plugins with the grant `state` keep; none: it lasts as long as the engine.
    pub keeper: Option<Arc<dyn Keeper>>,
    /// Is told of each call of a judge.
    pub recorder: Option<Arc<dyn Recorder>>,
    /// The kinds of plugin that it serves.
    pub worlds: Worlds,
    /// What it offers them.
    pub capabilities: Capabilities,
}

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cache_dir, max_calls, load_limits, .. } = self;
        f.debug_struct("EngineOptions")
            .field("cache_dir", cache_dir)
            .field("max_calls", max_calls)
            .field("load_limits", load_limits)
            .finish_non_exhaustive()
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            cache_dir: None,
            max_calls: 600,
            load_limits: Limits { time_ms: 1_000, ..Limits::default() },
            keeper: None,
            recorder: None,
            worlds: Worlds::default(),
            capabilities: Capabilities::default(),
        }
    }
}

/// An engine that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses.
    #[error("the WebAssembly engine does not start: {0}")]
    Wasmtime(String),
    /// The cache's folder cannot be used.
    #[error("the cache of compiled plugins cannot be used: {0}")]
    Cache(std::io::Error),
    /// The machine gives no thread.
    #[error("the thread that keeps time limits does not start: {0}")]
    Thread(std::io::Error),
}

/// Compiles and runs plugins. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    /// By what they define.
    linkers: Mutex<HashMap<Linked, Arc<Linker<Call>>>>,
    states: States,
    /// Started when the first policy grants it.
    outbound: Mutex<Option<Outbound>>,
    /// What was spent is known as long as the engine is there, whatever becomes of policies.
    llms: Llms,
    recorder: Option<Arc<dyn Recorder>>,
    cache: Option<Cache>,
    load_limits: Limits,
    worlds: Worlds,
    capabilities: Capabilities,
    _ticker: Ticker,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("cache", &self.0.cache).finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets one up, with the thread that keeps its time limits.
    ///
    /// # Errors
    ///
    /// The machine does not give what it needs, or the cache's folder is not safe.
    pub fn new(options: EngineOptions) -> Result<Self, EngineError> {
        let refused = |error: wasmtime::Error| EngineError::Wasmtime(error.to_string());
        let wasmtime = wasmtime::Engine::new(&config(options.max_calls)).map_err(refused)?;
        let cache = options.cache_dir.map(|folder| Cache::open(&folder, &wasmtime)).transpose();
        Ok(Self(Arc::new(Inner {
            _ticker: Ticker::start(wasmtime.clone()).map_err(EngineError::Thread)?,
            linkers: Mutex::default(),
            outbound: Mutex::default(),
            llms: Llms::new(),
            states: States::new(options.keeper),
            recorder: options.recorder,
            cache: cache.map_err(EngineError::Cache)?,
            load_limits: options.load_limits,
            worlds: options.worlds,
            capabilities: options.capabilities,
            wasmtime,
        })))
    }

    /// Compiles a component, or takes its compiled form from the cache, and asks it what it is.
    ///
    /// # Errors
    ///
    /// It is no plugin for this host.
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin, LoadError> {
        Plugin::load(self, bytes, &mut Stopwatch::start(Stage::Verify))
    }

    /// What defines exactly these capabilities, made when they are first asked for.
    pub(crate) fn linker(&self, linked: Linked) -> wasmtime::Result<Arc<Linker<Call>>> {
        let mut linkers = self.0.linkers.lock();
        if let Some(made) = linkers.get(&linked) {
            return Ok(Arc::clone(made));
        }
        let mut linker = Linker::new(&self.0.wasmtime);
        for capability in linked.iter().filter_map(|name| self.0.capabilities.find(name)) {
            (capability.add_to_linker)(&mut linker)?;
        }
        Ok(Arc::clone(linkers.entry(linked).or_insert(Arc::new(linker))))
    }

    pub(crate) fn outbound(&self) -> Result<Outbound, OutboundError> {
        let mut outbound = self.0.outbound.lock();
        if let Some(started) = &*outbound {
            return Ok(started.clone());
        }
        Ok(outbound.insert(Outbound::start()?).clone())
    }

    pub(crate) fn llms(&self) -> &Llms {
        &self.0.llms
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.states
    }

    pub(crate) fn recorder(&self) -> Option<&Arc<dyn Recorder>> {
        self.0.recorder.as_ref()
    }

    pub(crate) fn worlds(&self) -> &Worlds {
        &self.0.worlds
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    pub(crate) fn load_limits(&self) -> Limits {
        self.0.load_limits
    }

    pub(crate) fn compile(&self, bytes: &[u8], digest: &str) -> Result<Component, LoadError> {
        let kept = self.0.cache.as_ref().and_then(|cache| cache.find(&self.0.wasmtime, digest));
        if let Some(component) = kept {
            return Ok(component);
        }
        census::check(bytes)?;
        let component = Component::from_binary(&self.0.wasmtime, bytes)
            .map_err(|error| LoadError::Invalid { why: told(&error) })?;
        if let Some(cache) = &self.0.cache {
            cache.keep(digest, &component);
        }
        Ok(component)
    }
}

/// One line of bounded length: it may quote names from the file.
fn told(error: &wasmtime::Error) -> String {
    plain(&format!("{error:#}"), 500)
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest_of(bytes: &[u8]) -> Arc<str> {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// A component that is linked from libraries has an instance for each.
const MOST_INSTANCES: u32 = 64;

fn config(max_calls: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    // A component that imports WASI brings an adapter: three core instances and two memories in all.
    pool.total_component_instances(max_calls)
        .total_core_instances(max_calls.saturating_mul(4))
        .total_memories(max_calls.saturating_mul(2))
        .total_tables(max_calls.saturating_mul(2))
        .total_stacks(max_calls)
        // One call must not take the room of hundreds.
        .max_core_instances_per_component(MOST_INSTANCES)
        .max_memories_per_component(4)
        .max_tables_per_component(MOST_INSTANCES)
        .max_unused_warm_slots(64)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // The cost of a call that is the same on every machine: it bounds calls, and replays compare it.
        .consume_fuel(true)
        .memory_init_cow(true)
        // Neither streams nor tasks cross this contract, and with them every call costs more.
        .concurrency_support(false)
        // No plugin needs them, and each is a way to fail.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
