//! WASI for components that import it because their toolchain always does, with nothing granted: no files, no network, no
//! environment. Time is the tick's and stands still, sleeping takes none, and randomness is drawn from the session, the
//! tick and the plugin, so that a call stays a function of its input.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use flyball_model::Grants;
use parking_lot::Mutex;
use rand_core::TryRng;
use sha2::{Digest, Sha256};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::Capability;
use crate::call::Call;
use crate::quoted::plain;

/// See the module's page.
pub(super) struct WasiImport;

impl Capability for WasiImport {
    const NAME: &'static str = "wasi";
    const IMPORTS: &'static [&'static str] =
        &["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
    const ASYNC: bool = true;

    fn granted(_: &Grants) -> bool {
        true
    }

    /// With a monotonic clock of our own: wasmtime's sleeps in real time.
    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        linker.allow_shadowing(true);
        let offered = monotonic_clock::add_to_linker::<Call, Clocks>(linker, |call| StillClock(call));
        linker.allow_shadowing(false);
        offered
    }
}

/// The end of what a plugin wrote to standard error: enough for a panic's message.
const TAIL: usize = 4096;

/// Handles that a plugin may hold at once.
const MOST_HANDLES: usize = 1024;

/// WASI's part of a call's state; made at the first WASI call, as most calls make none.
pub(crate) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    stderr: Tail,
}

impl Wasi {
    fn new(call: &Call) -> Self {
        let (session, tick, at): (&str, u64, u64) = call
            .sight
            .as_ref()
            .map_or(("", 0, 0), |sight| (&sight.now.session, sight.now.tick, sight.now.taken_at));
        let stderr = Tail::default();
        let seed = Sha256::new()
            .chain_update(session.as_bytes())
            .chain_update([0])
            .chain_update(tick.to_be_bytes())
            .chain_update(call.digest.as_bytes())
            .finalize();
        let insecure = seed.first_chunk::<16>().copied().unwrap_or_default();
        let context = WasiCtxBuilder::new()
            .stderr(stderr.clone())
            .wall_clock(Still { millis: at })
            .monotonic_clock(Still { millis: at })
            .secure_random(Drawn::new(&seed, b"secure"))
            .insecure_random(Drawn::new(&seed, b"insecure"))
            .insecure_random_seed(u128::from_be_bytes(insecure))
            .max_random_size(64 << 10)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_HANDLES);
        Self { context, table, stderr }
    }

    /// What stands on standard error.
    pub(crate) fn last_words(&self) -> Option<String> {
        let tail = self.stderr.0.lock();
        let text = String::from_utf8_lossy(&tail).trim().to_owned();
        (!text.is_empty()).then(|| plain(&text, TAIL))
    }
}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.traffic.calls += 1;
        let wasi = match self.wasi.take() {
            Some(made) => made,
            None => Box::new(Wasi::new(self)),
        };
        let wasi = self.wasi.insert(wasi);
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

struct Clocks;

impl HasData for Clocks {
    type Data<'a> = StillClock<'a>;
}

struct StillClock<'a>(&'a mut Call);

impl monotonic_clock::Host for StillClock<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.0.enter()?;
        Ok(nanos(self.0.sight.as_ref().map_or(0, |sight| sight.now.taken_at)))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(nanos(1))
    }

    fn subscribe_instant(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_duration(0)
    }

    fn subscribe_duration(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let view = self.0.ctx();
        let slept = view.table.push(Slept)?;
        subscribe(view.table, slept)
    }
}

/// A sleep that is over.
struct Slept;

#[async_trait::async_trait]
impl Pollable for Slept {
    async fn ready(&mut self) {}
}

/// A clock that stands still at the tick's time.
struct Still {
    millis: u64,
}

fn nanos(millis: u64) -> u64 {
    millis.saturating_mul(1_000_000)
}

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.millis)
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        nanos(1)
    }

    fn now(&self) -> u64 {
        nanos(self.millis)
    }
}

/// SHA-256 in counter mode.
struct Drawn {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Drawn {
    fn new(seed: &[u8], purpose: &[u8]) -> Self {
        let seed = Sha256::new().chain_update(seed).chain_update(purpose).finalize().into();
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.block = Sha256::new()
                .chain_update(self.seed)
                .chain_update(self.counter.to_be_bytes())
                .finalize()
                .into();
            self.counter += 1;
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, wanted: &mut [u8]) -> Result<(), Infallible> {
        wanted.fill_with(|| self.byte());
        Ok(())
    }
}

/// Takes everything and keeps the end of it.
#[derive(Debug, Clone, Default)]
struct Tail(Arc<Mutex<Vec<u8>>>);

impl IsTerminal for Tail {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Tail {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Tail {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for Tail {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        let mut tail = self.0.lock();
        tail.extend_from_slice(&bytes);
        let over = tail.len().saturating_sub(TAIL);
        tail.drain(..over);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(TAIL)
    }
}
