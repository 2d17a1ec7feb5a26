//! The host's own parts, put together: first-party plugins under policies, loops, and a journal on disk.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_control::{Controller, LoopOptions};
use flyball_engine::{Engine, EngineOptions, Library, LibraryOptions, PolicySource};
use flyball_llm::LlmGrant;
use flyball_model::{ActionRecord, Outcome, TickRecord};
use flyball_ports::TickFilter;
use flyball_ports::{DataPlane, Listener, SystemClock};
use flyball_store::{Reader, Store};
use parking_lot::Mutex;
use serde_json::json;
use tempfile::TempDir;

pub struct House {
    pub folder: TempDir,
    pub library: Arc<Library>,
    pub store: Arc<Store>,
}

impl House {
    /// Its policies are of these sessions, each with a grant for its model.
    pub fn with(grants: &[(String, LlmGrant)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policies = folder.path().join("policies");
        fs::create_dir(&policies).unwrap();
        for (session, grant) in grants {
            fs::write(policies.join(format!("{session}.yaml")), policy(session, grant)).unwrap();
        }
        let first_party = flyball_first_party::ALL
            .iter()
            .map(|plugin| (plugin.name.to_owned(), plugin.wasm.into()))
            .collect();
        let library = Library::open(LibraryOptions {
            engine: Engine::new(EngineOptions::default()).unwrap(),
            first_party,
            plugins_dir: None,
            policies: PolicySource::Dir(policies),
            versions: None,
        })
        .unwrap();
        assert!(library.troubles().is_empty(), "{:?}", library.troubles());
        let store = Arc::new(Store::open(&folder.path().join("state")).unwrap());
        Self { folder, library, store }
    }

    /// The loop of this pipeline, which waits so long for an answer before it ticks on.
    pub fn controls(
        &self,
        plane: Arc<dyn DataPlane>,
        answer_within: Duration,
    ) -> (Arc<Controller>, Arc<Heard>) {
        self.library.register(plane.session(), Default::default());
        let heard = Arc::new(Heard::default());
        let controller = Controller::new(
            plane,
            self.library.clone(),
            self.store.clone(),
            Arc::new(SystemClock),
            heard.clone(),
            LoopOptions { interval: Duration::from_millis(20), answer_within, dry_run: false },
        );
        (Arc::new(controller), heard)
    }
}

impl House {
    /// Every tick that stands in the journal.
    pub async fn journaled(&self) -> Vec<TickRecord> {
        // What is written durably comes after all that was written before.
        self.store.begin_run().await.unwrap();
        let filter = TickFilter {
            session: None,
            tick: None,
            run: None,
            ending: None,
            plugin: None,
            since: None,
            until: None,
            limit: usize::MAX,
        };
        Reader::open(&self.folder.path().join("state")).unwrap().ticks(&filter).unwrap()
    }
}

fn policy(session: &str, grant: &LlmGrant) -> String {
    json!({
        "name": session,
        "sessions": [session],
        "mutation_policy": "optimize",
        "cooldown_ms": 0,
        "protected_nodes": ["feed"],
        "judges": {
            "heuristics": [{ "plugin": "threshold-heuristic" }],
            "deciders": [
                {
                    "plugin": "llm-decider",
                    "limits": { "time_ms": 60_000, "memory_mb": 64 },
                    "grants": { "llm": grant, "state": {} },
                },
                { "plugin": "rule-decider" },
            ],
            "validators": [
                { "plugin": "mutation-policy" }, { "plugin": "protected-nodes" }, { "plugin": "no-oscillation" },
            ],
            "reversers": [{ "plugin": "standard-reverser" }],
        },
    })
    .to_string()
}

/// Every tick of a loop.
#[derive(Default)]
pub struct Heard(Mutex<Vec<(Instant, TickRecord)>>);

impl Heard {
    pub fn ticks(&self) -> Vec<TickRecord> {
        self.0.lock().iter().map(|(_, tick)| tick.clone()).collect()
    }

    /// What deciders said, and how ticks ended.
    fn story(&self) -> Vec<String> {
        let told = |tick: &TickRecord| {
            let failures: Vec<_> = tick.failures.iter().map(|failed| failed.error.as_str()).collect();
            let decided = tick.decision.as_ref().map(|decided| decided.said.proposal.action.to_string());
            format!("{}: {:?}, {decided:?}, {failures:?}, {:?}", tick.tick, tick.ending, tick.error)
        };
        self.ticks().iter().filter(|tick| tick.gate.is_none()).map(told).take(20).collect()
    }

    /// Waits for the first tick of which this is so.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&TickRecord) -> bool,
    ) -> TickRecord {
        let begun = Instant::now();
        loop {
            if let Some((_, tick)) = self.0.lock().iter().find(|(_, tick)| is_so(tick)) {
                return tick.clone();
            }
            assert!(begun.elapsed() < limit, "waited {limit:?} in vain until {what}: {:#?}", self.story());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Listener for Heard {
    fn tick(&self, record: &Arc<TickRecord>) {
        self.0.lock().push((Instant::now(), TickRecord::clone(record)));
    }

    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}
