//! The rules as an Extism plugin, under the limits that Flyball sets: once in an instance that stays, once in a new one.

use std::time::Duration;

use anyhow::Result;
use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use flyball_ports::Sight;
use flyball_model::Limits;

use crate::Peer;
use crate::input::{Found, input};

pub const WARM: &str = "Extism, warm instance";

const WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/extism_rules.wasm"));

/// Pages of wasm are 64 KiB.
const PAGES_A_MB: u32 = 16;

fn manifest() -> Manifest {
    let limits = Limits::default();
    Manifest::new([Wasm::data(WASM)])
        .with_memory_max(limits.memory_mb as u32 * PAGES_A_MB)
        .with_timeout(Duration::from_millis(limits.time_ms))
        .disallow_all_hosts()
}

pub struct Warm {
    plugin: Plugin,
    asked: Vec<u8>,
    answer: Vec<u8>,
}

impl Warm {
    pub fn new() -> Result<Self> {
        Ok(Self { plugin: Plugin::new(manifest(), [], false)?, asked: Vec::new(), answer: Vec::new() })
    }
}

impl Peer for Warm {
    fn name(&self) -> &'static str {
        WARM
    }

    fn give(&mut self, sight: &Sight) -> Result<()> {
        self.asked = serde_json::to_vec(&input(sight))?;
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        self.answer = self.plugin.call("assess", self.asked.as_slice())?;
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<Found>> {
        Ok(serde_json::from_slice(&self.answer)?)
    }
}

pub struct Fresh {
    compiled: CompiledPlugin,
    asked: Vec<u8>,
    answer: Vec<u8>,
}

impl Fresh {
    pub fn new() -> Result<Self> {
        let compiled = PluginBuilder::new(manifest()).with_wasi(false).compile()?;
        Ok(Self { compiled, asked: Vec::new(), answer: Vec::new() })
    }
}

impl Peer for Fresh {
    fn name(&self) -> &'static str {
        "Extism, new instance"
    }

    fn give(&mut self, sight: &Sight) -> Result<()> {
        self.asked = serde_json::to_vec(&input(sight))?;
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        let mut plugin = Plugin::new_from_compiled(&self.compiled)?;
        self.answer = plugin.call("assess", self.asked.as_slice())?;
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<Found>> {
        Ok(serde_json::from_slice(&self.answer)?)
    }
}
