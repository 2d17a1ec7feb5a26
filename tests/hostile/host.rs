use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flyball_control::{Controller, LoopOptions, Sessions};
use flyball_engine::{Library, LibraryOptions, PolicySource, Subject};
use flyball_model::{
    Action, ActionRecord, EventRecord, Graph, Halt, Learned, NodeType, Observation, Outcome, TickRecord,
    UnixMillis,
};
use flyball_ports::{
    ApplyError, Clock as _, DataPlane, Journal, JournalError, Listener, PlaneError, Support, SystemClock,
};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::guests::{engine, guest};
use crate::scenario::{Scenario, Told};
use crate::sights::sight;

/// From one tick of the session beside to the next.
const INTERVAL: Duration = Duration::from_millis(200);

/// Finds something critical.
const ALARM: &str = "(i32.store8 (i32.const 3008) (i32.const 2))
    (i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))";

/// One host: a library, and two sessions in one runtime as wide as the program's. `beside` has a good plugin only;
/// `hurt` is given each hostile one.
pub struct Host {
    folder: TempDir,
    library: Arc<Library>,
    runtime: Runtime,
    sessions: Arc<Sessions>,
    beside: Arc<Mutex<Beside>>,
    ticks: Receiver<TickRecord>,
    /// Connections wait in its queue for ever.
    silent: TcpListener,
}

#[derive(Default)]
struct Beside {
    ticks: Vec<Instant>,
    unjudged: Vec<String>,
}

impl Host {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["plugins", "policies"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("plugins/good.wasm"), guest("good", "1.0.0", "")).unwrap();
        fs::write(folder.path().join("plugins/alarm.wasm"), guest("alarm", "1.0.0", ALARM)).unwrap();
        let policy = "name: beside\nsessions: [beside]\njudges:\n  heuristics:\n    - { plugin: good, limits: { time_ms: 10000 } }\n";
        fs::write(folder.path().join("policies/beside.yaml"), policy).unwrap();
        let library = Library::open(LibraryOptions {
            engine: engine(),
            first_party: Vec::new(),
            plugins_dir: Some(folder.path().join("plugins")),
            policies: PolicySource::Dir(folder.path().join("policies")),
            versions: None,
        })
        .unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let silent = std::iter::repeat_with(|| TcpListener::bind("127.0.0.1:0").unwrap())
            .find(|server| server.local_addr().unwrap().port() >= 10_000)
            .unwrap();
        let (tell, ticks) = channel();
        let beside = Arc::new(Mutex::new(Beside::default()));
        let sessions = Arc::new(Sessions::new());
        let listener = Arc::new(Ear { tell: Mutex::new(tell), beside: Arc::clone(&beside) });
        let _inside = runtime.enter();
        for (name, interval) in [("beside", INTERVAL), ("hurt", Duration::from_millis(20))] {
            library.register(name, Default::default());
            let options = LoopOptions { interval, ..LoopOptions::default() };
            let (plane, judges) = (Arc::new(Still(name)), Arc::clone(&library));
            let clock = Arc::new(SystemClock);
            let controller =
                Controller::new(plane, judges, Arc::new(Nothing), clock, Arc::clone(&listener) as _, options);
            sessions.start(Arc::new(controller)).unwrap();
        }
        drop(_inside);
        Self { folder, library, runtime, sessions, beside, ticks, silent }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts it into the host, then into the policy of the session `hurt`, and takes it away again.
    pub fn face(&self, scenario: &mut Scenario) -> Told {
        let file = self.path(&format!("plugins/{}.wasm", scenario.name));
        fs::write(&file, scenario.bytes(self.silent.local_addr().unwrap().port())).unwrap();
        self.library.refresh();
        let told = self.told_of(scenario, &file);
        let policy = self.path("policies/hurt.yaml");
        if policy.exists() {
            fs::remove_file(policy).unwrap();
        }
        self.library.refresh();
        fs::remove_file(&file).unwrap();
        self.library.refresh();
        assert!(self.library.troubles().is_empty(), "{}: {:?}", scenario.name, self.library.troubles());
        told
    }

    fn told_of(&self, scenario: &Scenario, file: &std::path::Path) -> Told {
        let status = self.library.status().into_iter().find(|status| status.name == scenario.name).unwrap();
        if let Some(error) = status.error {
            let place = format!("{}: ", file.display());
            return Told::Load(error.strip_prefix(&place).unwrap_or(&error).to_owned());
        }
        let used = if scenario.used.is_empty() { String::new() } else { format!(", {}", scenario.used) };
        let policy = format!(
            "name: hurt\nsessions: [hurt]\nmutation_policy: full\ncooldown_ms: 0\njudges:\n  {}:\n    - {{ plugin: {}{used} }}\n{}",
            scenario.kind,
            scenario.name,
            // Whoever is no heuristic is asked only when something was found.
            if scenario.kind == "heuristics" { "" } else { "  heuristics: [{ plugin: alarm }]\n" }
        );
        fs::write(self.path("policies/hurt.yaml"), policy).unwrap();
        self.library.refresh();
        if let Some(trouble) = self.library.troubles().into_iter().next() {
            assert_eq!(trouble.subject, Subject::Policy("hurt.yaml".to_owned()));
            return Told::Policy(trouble.error);
        }
        let generation = self.library.generation();
        while self.ticks.try_recv().is_ok() {}
        loop {
            let record = self.ticks.recv_timeout(Duration::from_secs(300)).expect("the session ticks on");
            if record.generation < generation {
                continue;
            }
            if let Some(failed) = record.failures.first() {
                return Told::Call(failed.error.clone());
            }
            let said: Vec<_> = record.findings.iter().map(|finding| &finding.said).collect();
            return Told::Answer(serde_json::to_string(&said).unwrap());
        }
    }

    /// What the session beside has missed.
    pub fn end(self) -> Vec<String> {
        self.runtime.block_on(self.sessions.stop_all());
        let beside = self.beside.lock();
        let (first, last) = (beside.ticks[0], beside.ticks[beside.ticks.len() - 1]);
        let due = (last - first).as_millis() / INTERVAL.as_millis() + 1;
        let gaps = beside.ticks.windows(2).map(|pair| pair[1] - pair[0]);
        println!("beside: {} ticks of {due}, longest gap {:?}", beside.ticks.len(), gaps.max());
        let mut wrong = beside.unjudged.clone();
        if (beside.ticks.len() as u128) < due - 1 {
            wrong.push(format!("the session beside ticked {} times instead of {due}", beside.ticks.len()));
        }
        wrong
    }
}

/// Hears every tick of both.
struct Ear {
    tell: Mutex<Sender<TickRecord>>,
    beside: Arc<Mutex<Beside>>,
}

impl Listener for Ear {
    fn tick(&self, record: &Arc<TickRecord>) {
        if &*record.session == "hurt" {
            // At the end nobody listens any more.
            let _ = self.tell.lock().send(TickRecord::clone(record));
            return;
        }
        let mut beside = self.beside.lock();
        beside.ticks.push(Instant::now());
        if !record.failures.is_empty() || record.costs.len() != 1 {
            beside.unjudged.push(format!("tick {} of the session beside: {record:?}", record.tick));
        }
    }

    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}

/// A pipeline in which nothing changes.
struct Still(&'static str);

#[async_trait]
impl DataPlane for Still {
    fn session(&self) -> &str {
        self.0
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        let seen = sight(3, 1).now;
        Ok(Observation { session: self.0.into(), taken_at: SystemClock.now(), ..Observation::clone(&seen) })
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        Ok(Arc::default())
    }

    fn support(&self) -> Vec<Support> {
        Vec::new()
    }

    fn reading_window(&self) -> Duration {
        Duration::ZERO
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        Arc::from([])
    }

    async fn apply(&self, _: &Action) -> Result<(), ApplyError> {
        Err(ApplyError::Refused("nothing is changed here".to_owned()))
    }
}

struct Nothing;

#[async_trait]
impl Journal for Nothing {
    async fn intend(&self, _: &ActionRecord) -> Result<u64, JournalError> {
        Ok(1)
    }

    async fn conclude(&self, _: &ActionRecord) -> Result<(), JournalError> {
        Ok(())
    }

    async fn tick(&self, _: &Arc<TickRecord>) -> Result<(), JournalError> {
        Ok(())
    }

    async fn record(&self, _: &EventRecord) -> Result<(), JournalError> {
        Ok(())
    }

    async fn recent(&self, _: &str, _: usize) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(Vec::new())
    }

    async fn open_intents(&self, _: &str) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(Vec::new())
    }

    async fn resumed_at(&self, _: &str) -> Result<Option<UnixMillis>, JournalError> {
        Ok(None)
    }

    async fn halts(&self) -> Result<Vec<Halt>, JournalError> {
        Ok(Vec::new())
    }

    async fn learned(&self) -> Result<Vec<Learned>, JournalError> {
        Ok(Vec::new())
    }

    async fn undoable(&self, _: &str, _: usize) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(Vec::new())
    }
}

/// What this process holds in memory.
pub fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or_default() / 1024
}
