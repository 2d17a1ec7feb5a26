//! The plugin itself, in a fresh instance for each call.

use std::sync::Arc;

use anyhow::{Context, Result};
use flyball_ports::{Heuristic, Sight};
use flyball_engine::{Engine, EngineOptions, Judge};
use flyball_model::{Finding, PluginUse};
use tokio::runtime::Runtime;

use crate::Peer;
use crate::input::Found;

const PLUGIN: &str = "threshold-heuristic";

pub struct Fresh {
    judge: Judge,
    runtime: Runtime,
    sight: Option<Sight>,
    found: Vec<Finding>,
}

impl Fresh {
    pub fn new() -> Result<Self> {
        let engine = Engine::new(EngineOptions::default())?;
        let wasm = flyball_first_party::find(PLUGIN).context("no such plugin")?.wasm;
        let used = PluginUse {
            plugin: PLUGIN.to_owned(),
            settings: Default::default(),
            limits: Default::default(),
            grants: Default::default(),
            on_failure: Default::default(),
        };
        let judge = Judge::new(Arc::new(engine.load(wasm)?), &used, 1)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { judge, runtime, sight: None, found: Vec::new() })
    }
}

impl Peer for Fresh {
    fn name(&self) -> &'static str {
        "Flyball, fresh sandbox"
    }

    fn give(&mut self, sight: &Sight) -> Result<()> {
        self.sight = Some(sight.clone());
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        let sight = self.sight.as_ref().context("nothing given")?;
        self.found = self.runtime.block_on(self.judge.assess(sight))?.said.findings;
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<Found>> {
        let found = std::mem::take(&mut self.found).into_iter().map(|finding| Found {
            target: finding.target.unwrap_or_default(),
            code: finding.code,
            severity: format!("{:?}", finding.severity).to_lowercase(),
        });
        Ok(found.collect())
    }
}
