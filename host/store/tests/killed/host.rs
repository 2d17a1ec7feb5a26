//! A host with the real loop and the real journal: it scales a node up and up, and every third time takes it back.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use flyball_control::{Controller, LoopOptions};
use flyball_model::*;
use flyball_ports::*;
use flyball_store::Store;
use parking_lot::Mutex;

use crate::HERE;
use crate::plane::Plane;

/// Ticks of one life.
const TICKS: usize = 12;

/// Where this process is to stop: `after apply 2` is the second time that it comes there.
pub struct Steps {
    wanted: Option<(String, usize)>,
    seen: Mutex<usize>,
}

impl Steps {
    fn new(step: Option<String>) -> Self {
        let wanted = step.map(|step| {
            let (name, times) = step.rsplit_once(' ').unwrap();
            (name.to_owned(), times.parse().unwrap())
        });
        Self { wanted, seen: Mutex::new(0) }
    }

    pub fn at(&self, step: &str) {
        let Some((name, times)) = &self.wanted else { return };
        if name != step {
            return;
        }
        let mut seen = self.seen.lock();
        *seen += 1;
        if *seen == *times {
            println!("{HERE}");
            std::io::stdout().flush().unwrap();
            loop {
                std::thread::park();
            }
        }
    }
}

struct Stepwise {
    store: Store,
    steps: Arc<Steps>,
    intended: Arc<AtomicU64>,
}

#[async_trait]
impl Journal for Stepwise {
    async fn intend(&self, intent: &ActionRecord) -> Result<u64, JournalError> {
        self.steps.at("before intend");
        let id = self.store.intend(intent).await?;
        self.intended.store(id, Ordering::SeqCst);
        self.steps.at("after intend");
        Ok(id)
    }

    async fn conclude(&self, action: &ActionRecord) -> Result<(), JournalError> {
        self.steps.at("before conclude");
        self.store.conclude(action).await?;
        self.steps.at("after conclude");
        Ok(())
    }

    async fn tick(&self, record: &Arc<TickRecord>) -> Result<(), JournalError> {
        self.store.tick(record).await?;
        self.steps.at("after tick");
        Ok(())
    }

    async fn record(&self, event: &EventRecord) -> Result<(), JournalError> {
        self.steps.at("before record");
        self.store.record(event).await
    }

    async fn recent(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError> {
        self.store.recent(session, count).await
    }

    async fn open_intents(&self, session: &str) -> Result<Vec<ActionRecord>, JournalError> {
        self.store.open_intents(session).await
    }

    async fn resumed_at(&self, session: &str) -> Result<Option<UnixMillis>, JournalError> {
        self.store.resumed_at(session).await
    }

    async fn halts(&self) -> Result<Vec<Halt>, JournalError> {
        self.store.halts().await
    }

    async fn learned(&self) -> Result<Vec<Learned>, JournalError> {
        self.store.learned().await
    }

    async fn undoable(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError> {
        self.store.undoable(session, count).await
    }
}

struct Plain(PluginId);

impl flyball_ports::Judge for Plain {
    fn id(&self) -> &PluginId {
        &self.0
    }
}

fn answered<T>(said: T) -> Result<Judged<T>, JudgeError> {
    Ok(Judged { said, cost: Cost::default(), refused: vec![] })
}

#[async_trait]
impl Heuristic for Plain {
    async fn assess(&self, _: &Sight) -> Result<Judged<Assessment>, JudgeError> {
        answered(Assessment::from(vec![Finding {
            code: "slow".into(),
            severity: Severity::Warning,
            target: Some("b".into()),
            message: "b is slow".into(),
            rests_on: vec![],
        }]))
    }
}

fn scale(replicas: u32) -> Action {
    Action::ScaleNode { node: "b".into(), replicas }
}

#[async_trait]
impl Decider for Plain {
    async fn decide(&self, _: &Sight, situation: &Situation) -> Result<Judged<Decided>, JudgeError> {
        let action = scale(situation.graph.node("b").unwrap().replicas % 1_000 + 1);
        let proposal = Proposal { action, reason: "it helps".into(), confidence: None, rests_on: vec![] };
        answered(Decided::For(Decision { analysis: String::new(), issues: vec![], proposal }))
    }
}

#[async_trait]
impl Reverser for Plain {
    async fn reverse(
        &self,
        _: &Action,
        before: &Arc<Graph>,
        _: &Arc<Graph>,
    ) -> Result<Judged<Reversal>, JudgeError> {
        answered(Reversal::Reversible { actions: vec![scale(before.node("b").unwrap().replicas)] })
    }
}

struct Always(Arc<Panel>);

impl flyball_ports::Judges for Always {
    fn panel(&self, _: &str) -> Option<Arc<Panel>> {
        Some(Arc::clone(&self.0))
    }
}

struct Nobody;

impl Listener for Nobody {
    fn tick(&self, _: &Arc<TickRecord>) {}
    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}

fn panel() -> Panel {
    let plain = |name: &str| {
        Arc::new(Plain(PluginId { name: name.into(), version: "1.0.0".into(), digest: name.into() }))
    };
    let most = Budget { max: u32::MAX, window_ms: 1 };
    Panel {
        generation: 1,
        policy: "p".into(),
        rules: Rules {
            enabled: true,
            mutation: MutationPolicy::Full,
            max_latency_ms: None,
            min_throughput: None,
            protected: vec![],
            cooldown_ms: 0,
            max_actions: u32::MAX,
            window_ms: 1,
            history: 5,
            safety: Arc::new(Safety {
                attempts: u32::MAX,
                futile: u32::MAX,
                cures: most,
                target: most,
                session: most,
                host: most,
                flaps: most,
                ..Safety::default()
            }),
        },
        heuristics: vec![plain("finds")],
        catalogs: vec![],
        deciders: vec![Turn::from(plain("wants") as Arc<dyn Decider>)],
        shadows: vec![],
        validators: vec![],
        reversers: vec![plain("puts-back")],
    }
}

/// One life, that ends by itself or is ended. It always leaves nothing open that it found.
pub fn run(home: &Path, step: Option<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let steps = Arc::new(Steps::new(step));
        let intended = Arc::new(AtomicU64::new(0));
        let plane =
            Plane { home: home.to_owned(), steps: Arc::clone(&steps), intended: Arc::clone(&intended) };
        let journal = Stepwise { store: Store::open(home).unwrap(), steps, intended };
        let controller = Controller::new(
            Arc::new(plane),
            Arc::new(Always(Arc::new(panel()))),
            Arc::new(journal),
            Arc::new(SystemClock),
            Arc::new(Nobody),
            LoopOptions::default(),
        );
        for tick in 0..TICKS {
            controller.tick().await;
            if tick % 3 == 2 {
                controller.rollback(1, "").await.unwrap();
            }
        }
    });
}
