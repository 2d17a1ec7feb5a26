//! One call: a fresh store and instance, with limits, and every way it can end as a typed error.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use flyball_model::{Cost, Exchange, HttpExchange, Limits, LlmExchange, LlmUse};
use flyball_ports::Sight;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};
use wasmtime::{ResourceLimiter, Store, Trap};

use crate::boundary::{self, Broke};
use crate::capabilities::Others;
use crate::capabilities::http::Web;
use crate::capabilities::llm::{LanguageModel, Waiting};
use crate::capabilities::log::Log;
use crate::capabilities::metrics::MetricSink;
use crate::capabilities::pipeline::Pulled;
use crate::capabilities::settings::Settings;
use crate::capabilities::state::Keeping;
use crate::capabilities::wasi::Wasi;
use crate::error::CallError;
use crate::quoted::{LONGEST_REASON, plain};
use crate::traffic::Traffic;

/// A table grows in steps of pointers that the host pays for.
const MOST_TABLE_ELEMENTS: usize = 20_000;

/// What a call is a function of, beside its arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    pub(crate) sight: Option<Sight>,
    pub(crate) pulled: Option<Pulled>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) limits: Limits,
    pub(crate) may_log: bool,
    pub(crate) kept: Option<Keeping>,
    pub(crate) web: Option<Web>,
    pub(crate) model: Option<LanguageModel>,
    pub(crate) others: Option<Others>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) metrics: Option<MetricSink>,
}

/// How a call ended, and what it left.
pub(crate) struct Ended<R> {
    pub(crate) said: Result<R, CallError>,
    pub(crate) cost: Cost,
    /// What it would keep.
    pub(crate) kept: Option<Keeping>,
    /// What it asked of HTTP servers.
    pub(crate) http: Vec<HttpExchange>,
    /// What it asked language models.
    pub(crate) llm: Vec<LlmExchange>,
    /// What it asked of other capabilities.
    pub(crate) others: Vec<Exchange>,
}

impl<R> Ended<R> {
    /// The same with what `next` makes of the answer.
    pub(crate) fn and_then<T>(self, next: impl FnOnce(R) -> Result<T, CallError>) -> Ended<T> {
        let Self { said, cost, kept, http, llm, others } = self;
        Ended { said: said.and_then(next), cost, kept, http, llm, others }
    }
}

/// What the host knows of a call that is under way: the store's own state, which capabilities are handed.
pub struct Call {
    pub(crate) plugin: Arc<str>,
    pub(crate) digest: Arc<str>,
    pub(crate) sight: Option<Sight>,
    pub(crate) pulled: Option<Pulled>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) traffic: Traffic,
    pub(crate) log: Log,
    pub(crate) kept: Option<Keeping>,
    pub(crate) web: Option<Web>,
    pub(crate) http: Vec<HttpExchange>,
    pub(crate) model: Option<LanguageModel>,
    pub(crate) llm: Vec<LlmExchange>,
    pub(crate) others: Option<Others>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) deadline: Instant,
    pub(crate) wasi: Option<Box<Wasi>>,
    pub(crate) metrics: Option<MetricSink>,
    memory: Memory,
}

struct Memory {
    used: usize,
    limit: usize,
}

/// A limit that ended the call, as it travels through wasmtime.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Over {
    #[error("memory")]
    Memory { asked: usize },
    #[error("table")]
    Table { asked: usize },
    #[error("host calls")]
    HostCalls,
    #[error("host bytes")]
    HostBytes,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.used.saturating_add(desired.saturating_sub(current));
        if asked > self.limit {
            return Err(Over::Memory { asked }.into());
        }
        self.used = asked;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > MOST_TABLE_ELEMENTS {
            return Err(Over::Table { asked: desired }.into());
        }
        Ok(true)
    }
}

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) instance: InstancePre<Call>,
    pub(crate) name: Arc<str>,
    pub(crate) digest: Arc<str>,
    /// It imports asynchronous functions, which need a stack of their own.
    pub(crate) asynchronous: bool,
}

impl Ready {
    /// Calls one function in a fresh instance.
    pub(crate) fn call<P, R>(&self, function: &ComponentExportIndex, params: P, given: Given) -> Ended<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let (begun, limits) = (Instant::now(), given.limits);
        let mut store = self.store(begun, given);
        let answer = boundary::guarded(|| {
            if self.asynchronous {
                at_once(self.in_turn(&mut store, function, params))
            } else {
                self.directly(&mut store, function, params)
            }
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(broke) => return broken_off(broke, begun, store),
        };
        let said = answer.map_err(|error| explain(&error, store.data_mut(), limits));
        let fuel = granted_fuel(limits).saturating_sub(store.get_fuel().unwrap_or_default());
        let call = store.into_data();
        let bytes = |amount: usize| u64::try_from(amount).unwrap_or(u64::MAX);
        let cost = Cost {
            wall_ns: u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX),
            memory_bytes: bytes(call.memory.used),
            host_calls: call.traffic.calls,
            host_bytes: bytes(call.traffic.bytes),
            log_bytes: bytes(call.log.bytes()),
            fuel,
            llm: call.llm.iter().map(|one| one.used).fold(LlmUse::default(), LlmUse::plus),
        };
        Ended { said, cost, kept: call.kept, http: call.http, llm: call.llm, others: call.exchanges }
    }

    /// Whether the function has this shape, without calling it.
    pub(crate) fn check<P, R>(&self, function: &ComponentExportIndex, limits: Limits) -> Result<(), CallError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let mut store = self.store(Instant::now(), Given { limits, ..Given::default() });
        let checked = boundary::guarded(|| {
            let instance = if self.asynchronous {
                at_once(self.instance.instantiate_async(&mut store))
            } else {
                self.instance.instantiate(&mut store)
            }?;
            instance.get_typed_func::<P, R>(&mut store, function).map(|_| ())
        })?;
        checked.map_err(|error| explain(&error, store.data_mut(), limits))
    }

    fn store(&self, begun: Instant, given: Given) -> Store<Call> {
        let bytes =
            |amount: u64, unit: u64| usize::try_from(amount.saturating_mul(unit)).unwrap_or(usize::MAX);
        let limits = given.limits;
        let call = Call {
            plugin: Arc::clone(&self.name),
            digest: Arc::clone(&self.digest),
            sight: given.sight,
            pulled: given.pulled,
            settings: given.settings,
            traffic: Traffic::new(limits.host_calls, bytes(limits.host_kb, 1 << 10)),
            log: Log::new(bytes(limits.log_kb, 1 << 10), given.may_log),
            kept: given.kept,
            web: given.web,
            http: Vec::new(),
            model: given.model,
            llm: Vec::new(),
            others: given.others,
            exchanges: Vec::new(),
            waiting: given.waiting,
            deadline: begun + Duration::from_millis(limits.time_ms),
            wasi: None,
            metrics: given.metrics,
            memory: Memory { used: 0, limit: bytes(limits.memory_mb, 1 << 20) },
        };
        let mut store = Store::new(self.instance.engine(), call);
        store.limiter(|call| &mut call.memory);
        // The tick that is under way has already begun.
        store.set_epoch_deadline(limits.time_ms.saturating_add(1));
        store.set_hostcall_fuel(bytes(limits.output_kb, 1 << 10));
        // It fails only where no fuel is consumed at all, and this engine consumes it.
        let _ = store.set_fuel(granted_fuel(limits));
        store
    }

    fn directly<P, R>(
        &self,
        store: &mut Store<Call>,
        function: &ComponentExportIndex,
        params: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let instance = self.instance.instantiate(&mut *store)?;
        instance.get_typed_func::<P, R>(&mut *store, function)?.call(store, params)
    }

    async fn in_turn<P, R>(
        &self,
        store: &mut Store<Call>,
        function: &ComponentExportIndex,
        params: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        instance.get_typed_func::<P, R>(&mut *store, function)?.call_async(store, params).await
    }
}

/// The end of a call in which the engine panicked: what it left of the store is given back as far as that goes.
fn broken_off<R>(broke: Broke, begun: Instant, store: Store<Call>) -> Ended<R> {
    // A store that cannot be given back either takes one place of the pool with it, and nothing else.
    let _ = boundary::guarded(|| drop(store));
    let wall_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let cost = Cost { wall_ns, ..Cost::default() };
    Ended { said: Err(broke.into()), cost, kept: None, http: Vec::new(), llm: Vec::new(), others: Vec::new() }
}

fn granted_fuel(limits: Limits) -> u64 {
    limits.fuel.unwrap_or(u64::MAX)
}

#[derive(Debug, thiserror::Error)]
#[error("blocked")]
struct Waits;

/// Nothing that a plugin is given ever waits: clocks stand still and streams take everything. What is not done when
/// it was polled a few times (a zero sleep yields once) waits for something that never comes.
fn at_once<R>(call: impl Future<Output = wasmtime::Result<R>>) -> wasmtime::Result<R> {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..16 {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
    }
    Err(Waits.into())
}

fn explain(error: &wasmtime::Error, call: &mut Call, limits: Limits) -> CallError {
    let kb = |bytes: usize| u64::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u64::MAX);
    if let Some(over) = error.downcast_ref::<Over>() {
        return match *over {
            Over::Memory { asked } => {
                CallError::OutOfMemory { asked_kb: kb(asked), limit_mb: limits.memory_mb }
            }
            Over::Table { asked } => CallError::TableTooLarge { asked, limit: MOST_TABLE_ELEMENTS },
            Over::HostCalls => CallError::TooManyHostCalls { limit: limits.host_calls },
            Over::HostBytes => CallError::TooMuchTraffic { limit_kb: limits.host_kb },
        };
    }
    if error.downcast_ref::<Waits>().is_some() {
        return CallError::Blocked;
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return CallError::Exited { code: exit.0 };
    }
    if let Some(full) = error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>() {
        return CallError::Busy { why: full.to_string() };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallError::TimedOut { limit_ms: limits.time_ms },
        Some(Trap::OutOfFuel) => CallError::OutOfFuel { limit: limits.fuel.unwrap_or(u64::MAX) },
        Some(Trap::StackOverflow) => CallError::StackOverflow,
        Some(trap) => match last_words(call) {
            Some(message) => CallError::Panicked { message },
            None => CallError::Trapped { what: trap.to_string().replace("wasm trap: ", "") },
        },
        None => {
            // A backtrace is a link of the chain, too; its addresses tell nobody anything.
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            let causes = causes.iter().filter(|cause| !cause.starts_with("error while executing"));
            let why = causes.map(String::as_str).collect::<Vec<_>>().join(": ");
            // The type is wasmtime's own.
            if why.contains("fuel allocated for hostcalls") {
                return CallError::OutputTooLarge { limit_kb: limits.output_kb };
            }
            CallError::Failed { why: plain(&why, LONGEST_REASON) }
        }
    }
}

/// What the plugin said before it stopped: by the SDK's last log line, or on standard error.
fn last_words(call: &mut Call) -> Option<String> {
    call.log.last_error().or_else(|| call.wasi.as_ref().and_then(|wasi| wasi.last_words()))
}
