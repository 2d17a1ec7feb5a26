use std::path::PathBuf;
use std::sync::Arc;

use flyball_model::Limits;
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::bindings::{log, observed, pipeline, settings};
use crate::cache::Cache;
use crate::call::{Call, Whole};
use crate::ticker::Ticker;
use crate::{LoadError, Plugin, wasi};

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where compiled components are kept; none: they are compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// How many calls may be under way at once. Each reserves address space, not memory.
    pub max_calls: u32,
    /// What a plugin may use when it is asked what it is, before any policy says otherwise.
    pub load_limits: Limits,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { cache_dir: None, max_calls: 600, load_limits: Limits { time_ms: 1_000, ..Limits::default() } }
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
    lean: Linker<Call>,
    wasi: Linker<Call>,
    cache: Option<Cache>,
    load_limits: Limits,
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
        let mut lean = Linker::new(&wasmtime);
        offer(&mut lean).map_err(refused)?;
        let mut with_wasi = Linker::new(&wasmtime);
        offer(&mut with_wasi).map_err(refused)?;
        wasi::offer(&mut with_wasi).map_err(refused)?;
        Ok(Self(Arc::new(Inner {
            _ticker: Ticker::start(wasmtime.clone()).map_err(EngineError::Thread)?,
            lean,
            wasi: with_wasi,
            cache: cache.map_err(EngineError::Cache)?,
            load_limits: options.load_limits,
            wasmtime,
        })))
    }

    /// Compiles a component, or takes its compiled form from the cache, and asks it what it is.
    ///
    /// # Errors
    ///
    /// It is no plugin for this host.
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin, LoadError> {
        Plugin::load(self, bytes)
    }

    pub(crate) fn linker(&self, with_wasi: bool) -> &Linker<Call> {
        if with_wasi { &self.0.wasi } else { &self.0.lean }
    }

    pub(crate) fn load_limits(&self) -> Limits {
        self.0.load_limits
    }

    pub(crate) fn compile(&self, bytes: &[u8], digest: &str) -> Result<Component, LoadError> {
        let kept = self.0.cache.as_ref().and_then(|cache| cache.find(&self.0.wasmtime, digest));
        if let Some(component) = kept {
            return Ok(component);
        }
        let component = Component::from_binary(&self.0.wasmtime, bytes)
            .map_err(|error| LoadError::Invalid { why: format!("{:#}", error).replace('\n', " ") })?;
        if let Some(cache) = &self.0.cache {
            cache.keep(digest, &component);
        }
        Ok(component)
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest_of(bytes: &[u8]) -> Arc<str> {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

fn config(max_calls: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    // A component that imports WASI brings an adapter: three core instances and two memories in all.
    pool.total_component_instances(max_calls)
        .total_core_instances(max_calls.saturating_mul(4))
        .total_memories(max_calls.saturating_mul(2))
        .total_tables(max_calls.saturating_mul(2))
        .total_stacks(max_calls)
        .max_unused_warm_slots(64)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        // Neither streams nor tasks cross this contract, and with them every call costs more.
        .concurrency_support(false)
        // No plugin needs them, and each is a way to fail.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn offer(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    settings::add_to_linker::<Call, Whole>(linker, |call| call)?;
    log::add_to_linker::<Call, Whole>(linker, |call| call)?;
    pipeline::add_to_linker::<Call, Whole>(linker, |call| call)?;
    observed::add_to_linker::<Call, Whole>(linker, |call| call)
}
