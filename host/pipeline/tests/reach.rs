//! Whatever anybody who may propose an action says, no process is started, no file opened and no address reached that
//! manifest and policy do not name. The loop and the embedded pipeline are the real ones; only the judges are closures,
//! which say what they are told to. What happens is observed from outside: the children of this process and their command
//! lines, a watch on the directory that hostile configurations name, a listener on the address that they name, and an
//! attempt to connect to where they would listen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_control::{Controller, LoopOptions};
use flyball_model::*;
use flyball_pipeline::{Pipeline, PipelineInputs, PipelineOptions};
use flyball_ports::*;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use support::{LIMIT, TestNodes, child};
use tempfile::TempDir;

/// Says one thing.
struct Says<T>(PluginId, T);

fn says<T>(name: &str, what: T) -> Arc<Says<T>> {
    Arc::new(Says(PluginId { name: name.into(), version: "1.0.0".into(), digest: name.into() }, what))
}

fn judged<T>(said: T) -> Result<Judged<T>, JudgeError> {
    Ok(Judged { said, cost: Cost::default(), refused: vec![] })
}

impl<T: Send + Sync> Judge for Says<T> {
    fn id(&self) -> &PluginId {
        &self.0
    }
}

#[async_trait]
impl Heuristic for Says<Finding> {
    async fn assess(&self, _: &Sight) -> Result<Judged<Assessment>, JudgeError> {
        judged(vec![self.1.clone()].into())
    }
}

#[async_trait]
impl Decider for Says<Action> {
    async fn decide(&self, _: &Sight, _: &Situation) -> Result<Judged<Decided>, JudgeError> {
        let action = self.1.clone();
        let proposal = Proposal { action, reason: "because".to_owned(), confidence: None, rests_on: vec![] };
        judged(Decided::For(Decision { analysis: String::new(), issues: vec![], proposal }))
    }
}

#[async_trait]
impl Validator for Says<Action> {
    async fn review(
        &self,
        _: &Sight,
        said: &Proposal,
        _: &str,
        _: &Situation,
    ) -> Result<Judged<Verdict>, JudgeError> {
        if said.action == self.1 {
            return judged(Verdict::Allow);
        }
        let reason = Reason { code: "c".into(), message: "m".into(), hint: None, rests_on: vec![] };
        judged(Verdict::Amend(Amendment { action: self.1.clone(), reason }))
    }
}

#[async_trait]
impl Reverser for Says<Vec<Action>> {
    async fn reverse(
        &self,
        _: &Action,
        _: &Arc<Graph>,
        _: &Arc<Graph>,
    ) -> Result<Judged<Reversal>, JudgeError> {
        judged(Reversal::Reversible { actions: self.1.clone() })
    }
}

#[async_trait]
impl Catalog for Says<Vec<NodeType>> {
    async fn list(&self) -> Result<Judged<Vec<NodeType>>, JudgeError> {
        judged(self.1.clone())
    }
}

struct OnePanel(Arc<Panel>);

impl flyball_ports::Judges for OnePanel {
    fn panel(&self, _: &str) -> Option<Arc<Panel>> {
        Some(Arc::clone(&self.0))
    }
}

/// Who is told nothing.
struct Nobody;

impl Listener for Nobody {
    fn tick(&self, _: &Arc<TickRecord>) {}
    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}

/// A journal in memory.
#[derive(Default)]
struct Memory(Mutex<Vec<ActionRecord>>);

#[async_trait]
impl Journal for Memory {
    async fn intend(&self, intent: &ActionRecord) -> Result<u64, JournalError> {
        let mut actions = self.0.lock();
        let id = actions.len() as u64 + 1;
        actions.push(ActionRecord { id, ..intent.clone() });
        Ok(id)
    }

    async fn conclude(&self, action: &ActionRecord) -> Result<(), JournalError> {
        self.0.lock()[action.id as usize - 1] = action.clone();
        Ok(())
    }

    async fn tick(&self, _: &Arc<TickRecord>) -> Result<(), JournalError> {
        Ok(())
    }

    async fn record(&self, _: &EventRecord) -> Result<(), JournalError> {
        Ok(())
    }

    async fn recent(&self, _: &str, _: usize) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(vec![])
    }

    async fn open_intents(&self, _: &str) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(vec![])
    }

    async fn resumed_at(&self, _: &str) -> Result<Option<UnixMillis>, JournalError> {
        Ok(None)
    }

    async fn halts(&self) -> Result<Vec<Halt>, JournalError> {
        Ok(vec![])
    }

    async fn learned(&self) -> Result<Vec<Learned>, JournalError> {
        Ok(vec![])
    }

    async fn undoable(&self, _: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError> {
        let done = |action: &&ActionRecord| action.after.is_some() && action.undoes.is_none();
        Ok(self.0.lock().iter().rev().filter(done).take(count).cloned().collect())
    }
}

/// Who proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Decider,
    /// A decider whose policy asks a person, who says yes.
    Approval,
    /// A validator, by amending.
    Amendment,
    /// A reverser, when an operator undoes an action.
    Undo,
}

static UNDONE: AtomicU32 = AtomicU32::new(0);

const WAYS: [Way; 4] = [Way::Decider, Way::Approval, Way::Amendment, Way::Undo];

/// What would show that something reached outside.
struct Traps {
    folder: TempDir,
    watch: Inotify,
    listener: TcpListener,
    /// Nobody listens there.
    silent: u16,
    named: TempDir,
}

impl Traps {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("lines.txt"), "a line\n").unwrap();
        std::fs::write(folder.path().join("trace.csv"), "t,x\n0,1\n").unwrap();
        let watch = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
        watch.add_watch(folder.path(), AddWatchFlags::IN_ALL_EVENTS).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder, watch, listener, silent, named: TempDir::new().unwrap() }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn named(&self, name: &str) -> String {
        self.named.path().join(name).to_str().unwrap().to_owned()
    }

    fn url(&self) -> String {
        format!("http://{}/x", self.listener.local_addr().unwrap())
    }

    /// A configuration of each type that would spring a trap.
    fn hostile(&self, node_type: &str) -> Value {
        match node_type.to_lowercase().trim() {
            "command" => {
                json!({ "command": ["sh", "-c", format!("echo > {}; exec cat", self.at("process"))] })
            }
            "file" => json!({ "path": self.at("sink") }),
            "lines" => json!({ "path": self.at("lines.txt") }),
            "csv-replay" => json!({ "path": self.at("trace.csv"), "timestamp_column": "t" }),
            "http-in" => json!({ "bind": format!("127.0.0.1:{}", self.silent) }),
            "http-out" | "http-enrich" => json!({ "url": self.url() }),
            "generate" => json!({ "per_second": 1 }),
            "regex-extract" => json!({ "pattern": "(?<a>.)" }),
            "filter" => json!({ "field": "n", "exists": true }),
            "map" => json!({ "template": "{{.}}" }),
            "batch" => json!({ "size": 2 }),
            "rate-limit" => json!({ "per_second": 10_000 }),
            "work" => json!({ "us_per_unit": 1 }),
            "wait" => json!({ "ms_per_unit": 0 }),
            _ => json!({}),
        }
    }

    fn assert_untouched(&self, told: &str) {
        match self.watch.read_events() {
            Err(nix::errno::Errno::EAGAIN) => {}
            touched => panic!("{told}: a file was reached: {touched:?}"),
        }
        let connected = self.listener.accept();
        assert!(connected.is_err(), "{told}: an address was reached: {connected:?}");
        assert!(TcpStream::connect(("127.0.0.1", self.silent)).is_err(), "{told}: somebody listens");
        for argv in children() {
            let own = |program: &String| *program == child().program.to_string_lossy();
            // A supervisor's command line ends with what it starts.
            let supervises = argv.get(1).is_some_and(|arg| arg == "--supervise");
            let cat = |program: &str| Path::new(program).file_name().is_some_and(|name| name == "cat");
            let supervised = argv.iter().skip(2).any(own)
                || matches!(argv.as_slice(), [_, _, program, dash] if cat(program) && dash == "-");
            let named = argv.first().is_some_and(own) && (!supervises || supervised);
            assert!(named, "{told}: a process was started: {argv:?}");
        }
    }
}

/// The command lines of this process's children, those that have one.
fn children() -> Vec<Vec<String>> {
    let me = std::process::id();
    let mut found = vec![];
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // pid (name) state parent …; the name may hold anything, so what follows its last bracket is read.
        let parent = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1).map(str::to_owned);
        if parent != Some(me.to_string()) {
            continue;
        }
        let argv = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let argv: Vec<String> =
            argv.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        let argv: Vec<String> = argv.into_iter().filter(|arg| !arg.is_empty()).collect();
        // Between fork and exec a child has its parent's command line.
        let mine: Vec<String> = std::env::args().collect();
        if !argv.is_empty() && argv != mine {
            found.push(argv);
        }
    }
    found
}

/// in → enrich (a process that the manifest names, with secrets) → slow → out (a file that the manifest names).
async fn pipeline(traps: &Traps) -> Arc<Pipeline> {
    let manifest = json!({
        "name": "s",
        "nodes": [
            { "id": "in", "type": "generate", "params": { "per_second": 500 } },
            { "id": "enrich", "type": "command", "executor": "multiprocess",
              "params": { "command": ["cat", "-"], "env": { "DB_PASSWORD": "s3cret" } } },
            { "id": "slow", "type": "map", "params": { "template": "{{.}}" } },
            { "id": "out", "type": "file", "params": { "path": traps.named("out.jsonl") } },
        ],
        "connections": [
            { "from": "in", "to": "enrich" },
            { "from": "enrich", "to": "slow" },
            { "from": "slow", "to": "out" },
        ],
    });
    let parts = PipelineInputs {
        wasm: Arc::new(TestNodes),
        builtin_child: Some(child()),
        dead_letters: None,
        options: PipelineOptions {
            window: Duration::from_millis(20),
            slots: 2,
            patience: Duration::from_millis(500),
            drain: Duration::from_millis(200),
            ..PipelineOptions::default()
        },
    };
    Pipeline::start(serde_json::from_value(manifest).unwrap(), parts).await.unwrap()
}

/// What a policy names beside the manifest.
fn listed(traps: &Traps) -> Vec<Creatable> {
    let entry = |node_type: &str, config: Value| Creatable {
        node_type: node_type.to_owned(),
        config: config.as_object().cloned(),
        schema: None,
    };
    vec![
        entry("file", json!({ "path": traps.named("other.jsonl") })),
        entry("command", json!({ "command": ["cat", "-"] })),
    ]
}

fn panel(way: Way, proposed: &[Action], may_create: Vec<Creatable>, catalog: Vec<NodeType>) -> Panel {
    let first = proposed.first().cloned().unwrap_or(Action::NoOp);
    let finding = Finding {
        code: "slow".into(),
        severity: Severity::Warning,
        target: Some("slow".into()),
        message: "slow".into(),
        rests_on: vec![],
    };
    let decides = match way {
        Way::Decider | Way::Approval => first.clone(),
        Way::Amendment => Action::ScaleNode { node: "slow".into(), replicas: 7 },
        // Each time another number, so that there is something to undo.
        Way::Undo => {
            let capacity = 100 + UNDONE.fetch_add(1, Ordering::Relaxed);
            Action::AdjustBuffering { node: "out".into(), capacity }
        }
    };
    let mut safety = Safety { may_create, ..Safety::default() };
    if way == Way::Approval {
        safety.approval.kinds = ActionKind::ALL.to_vec();
    }
    let decider: Arc<dyn Decider> = says("decides", decides);
    let validators: Vec<Rule<Arc<dyn Validator>>> = match way {
        Way::Amendment => vec![Rule::One(says("amends", first))],
        _ => vec![],
    };
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
            max_actions: 1_000,
            window_ms: 1_000,
            history: 3,
            safety: Arc::new(safety),
        },
        heuristics: vec![says("finds", finding)],
        catalogs: vec![says("lists", catalog)],
        deciders: vec![Turn::from(decider)],
        shadows: vec![],
        validators,
        reversers: vec![says("reverses", proposed.to_vec())],
    }
}

/// Takes it to its end, and says which codes the host refused it with.
async fn propose(plane: &Arc<Pipeline>, way: Way, panel: Panel) -> BTreeSet<String> {
    let options = LoopOptions { answer_within: LIMIT, ..LoopOptions::default() };
    let journal = Arc::new(Memory::default());
    let judges = Arc::new(OnePanel(Arc::new(panel)));
    let plane: Arc<dyn DataPlane> = Arc::clone(plane) as _;
    let controller =
        Controller::new(plane, judges, journal, Arc::new(SystemClock), Arc::new(Nobody), options);
    let mut record = controller.tick().await;
    let mut codes = BTreeSet::new();
    if way == Way::Approval
        && let Some(asked) = controller.approvals().await.first()
    {
        controller.approve(&asked.id, None).await.unwrap();
        record = controller.tick().await;
    }
    if way == Way::Undo {
        for undo in controller.rollback(1, "operator").await.unwrap() {
            if let Err(flyball_control::UndoError::Rejected { reason, .. }) = undo.result {
                codes.insert(reason.code.clone());
            }
        }
    }
    for verdict in &record.verdicts {
        if let Verdict::Deny(reason) = &verdict.verdict {
            codes.insert(reason.code.clone());
        }
    }
    codes
}

fn insertion(node_type: &str, config: Value) -> Action {
    let (id, node_type) = ("new".to_owned(), node_type.to_owned());
    let (after, before) = (vec!["slow".to_owned()], vec!["out".to_owned()]);
    Action::InsertNode { id, node_type, config, executor: None, after, before }
}

fn replacement(node: &str, node_type: &str, config: Option<Value>) -> Action {
    Action::ReplaceNode { node: node.to_owned(), node_type: node_type.to_owned(), config }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_that_reaches_outside_is_refused_each_way_and_no_other_is() {
    for of in flyball_nodes::catalog() {
        let traps = Traps::new();
        for way in WAYS {
            let plane = pipeline(&traps).await;
            for action in [
                insertion(&of.name, traps.hostile(&of.name)),
                replacement("slow", &of.name, Some(traps.hostile(&of.name))),
            ] {
                let told = format!("{} by {way:?}: {action}", of.name);
                let codes = propose(&plane, way, panel(way, &[action], vec![], vec![])).await;
                // Of an undo it is said before that this inverts nothing.
                let refused = way != Way::Undo && of.reach == Reach::Outside;
                assert_eq!(codes.contains("reaches-outside"), refused, "{told}: {codes:?}");
                assert_named(&plane, &traps, &[], &told).await;
                traps.assert_untouched(&told);
            }
            plane.shutdown().await;
        }
    }
}

/// Which types reach outside is written down here once more, so that a new one is thought about.
#[test]
fn the_types_that_reach_outside_are_these() {
    let outside = flyball_nodes::catalog().into_iter().filter(|of| of.reach == Reach::Outside);
    let names: Vec<String> = outside.map(|of| of.name).collect();
    assert_eq!(
        names,
        ["lines", "http-in", "csv-replay", "http-enrich", "command", "file", "stdout", "http-out"]
    );
}

/// A type by a name that exists, almost exists, or that only a catalog lists.
fn node_type() -> impl Strategy<Value = String> {
    let mut names: Vec<String> = flyball_nodes::catalog().into_iter().map(|of| of.name).collect();
    let outside = ["command", "file", "http-out", "http-enrich", "lines", "http-in", "csv-replay", "stdout"];
    names.extend(outside.into_iter().map(str::to_owned).chain(outside.map(str::to_owned)));
    names.extend(["Command", " command", "evil", "twice", "http-out "].map(str::to_owned));
    select(names)
}

#[derive(Debug, Clone)]
enum Config {
    Hostile,
    /// Another type's hostile configuration.
    Of(String),
    Masked,
    None,
}

fn action(traps: &Arc<Traps>) -> impl Strategy<Value = Action> + use<> {
    let node = || select(vec!["in", "enrich", "slow", "out", "new", "nobody"]).prop_map(str::to_owned);
    let executor = || select(vec![Executor::Native, Executor::Multiprocess, Executor::Wasm]);
    let config = || {
        prop_oneof![
            6 => Just(Config::Hostile),
            2 => node_type().prop_map(Config::Of),
            1 => Just(Config::Masked),
            1 => Just(Config::None),
        ]
    };
    let given = |traps: &Traps, node_type: &str, config: &Config| match config {
        Config::Hostile => Some(traps.hostile(node_type)),
        Config::Of(other) => Some(traps.hostile(other)),
        Config::Masked => Some(json!({ "command": ["cat", MASKED], "env": { "DB_PASSWORD": MASKED } })),
        Config::None => None,
    };
    let (replaces, inserts, patches) = (Arc::clone(traps), Arc::clone(traps), Arc::clone(traps));
    let patch = (node_type(), 0..5_u32).prop_map(move |(of, form)| {
        let hostile = patches.hostile(&of);
        match form {
            0 => hostile,
            1 => json!({ "command": hostile.get("command"), "env": { "LD_PRELOAD": patches.at("x.so") } }),
            2 => json!({ "env": { "PATH": patches.folder.path() } }),
            3 => json!({ "Path": patches.at("sink"), "URL": patches.url(), "cwd": patches.folder.path() }),
            _ => json!({ "command": null, "path": patches.at("sink") }),
        }
    });
    prop_oneof![
        6 => (node(), node_type(), config()).prop_map(move |(node, of, config)| {
            let config = given(&replaces, &of, &config);
            Action::ReplaceNode { node, node_type: of, config }
        }),
        6 => (node(), node_type(), config(), prop::option::of(executor()), node(), prop::option::of(node())).prop_map(
            move |(id, of, config, executor, after, before)| Action::InsertNode {
                id,
                config: given(&inserts, &of, &config).unwrap_or(Value::Null),
                node_type: of,
                executor,
                after: vec![after],
                before: before.into_iter().collect(),
            }
        ),
        4 => (node(), patch).prop_map(|(node, patch)| Action::UpdateNodeConfig { node, patch }),
        1 => node().prop_map(|node| Action::RemoveNode { node }),
        1 => (node(), any::<bool>()).prop_map(|(node, active)| Action::BypassNode { node, active }),
        2 => (node(), executor()).prop_map(|(node, to)| Action::SwitchExecutor { node, to }),
        1 => node().prop_map(|node| Action::RestartProcess { node }),
        1 => (node(), 1..4_u32).prop_map(|(node, replicas)| Action::ScaleNode { node, replicas }),
        1 => (node(), 1..99_u32).prop_map(|(node, capacity)| Action::AdjustBuffering { node, capacity }),
    ]
}

/// A catalog that says of what reaches outside, and of a type that it makes up, that they are harmless.
fn lying_catalog() -> Vec<NodeType> {
    let all = [Executor::Native, Executor::Multiprocess, Executor::Wasm];
    let offers: Vec<NodeOffer> =
        all.map(|executor| NodeOffer { executor, relative_speed: Some(9.0), relative_cost: None }).into();
    ["command", "file", "http-out", "evil", "Command", " command"]
        .map(|name| NodeType {
            name: name.to_owned(),
            summary: "harmless".to_owned(),
            provides: vec!["map".to_owned()],
            offers: offers.clone(),
            config_schema: Some(json!({})),
            reach: Reach::Pure,
        })
        .into()
}

/// Everything that runs is what manifest and policy name.
async fn assert_named(plane: &Pipeline, traps: &Traps, may_create: &[Creatable], told: &str) {
    let outside: BTreeSet<String> = flyball_nodes::catalog()
        .into_iter()
        .filter(|of| of.reach == Reach::Outside)
        .map(|of| of.name)
        .collect();
    let manifests = [
        ("command", json!({ "command": ["cat", "-"], "env": { "DB_PASSWORD": "s3cret" } })),
        ("file", json!({ "path": traps.named("out.jsonl") })),
    ];
    for node in plane.graph().await.unwrap().nodes.iter().filter(|node| outside.contains(&node.node_type)) {
        let by_manifest =
            manifests.iter().any(|(of, config)| *of == node.node_type && *config == node.config);
        let by_policy = may_create.iter().any(|entry| {
            entry.node_type == node.node_type && entry.config.as_ref() == node.config.as_object()
        });
        assert!(by_manifest || by_policy, "{told}: {node:?}");
    }
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

#[test]
fn whatever_anybody_says_nothing_is_reached_that_manifest_and_policy_do_not_name() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let traps = Arc::new(Traps::new());
    let one =
        (select(WAYS.to_vec()), prop::collection::vec(action(&traps), 1..3), any::<bool>(), any::<bool>());
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(attempts in prop::collection::vec(one, 1..8))| {
        runtime.block_on(async {
            let plane = pipeline(&traps).await;
            for (way, proposed, lies, lists) in attempts {
                let told = format!("{way:?} says {proposed:?}");
                let may_create = if lists { listed(&traps) } else { vec![] };
                let catalog = if lies { lying_catalog() } else { vec![] };
                propose(&plane, way, panel(way, &proposed, may_create, catalog)).await;
                // What was made would have been given items by now.
                let accepted = plane.account().accepted;
                let flows = async {
                    while plane.account().accepted < accepted + 5 {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                };
                let _ = tokio::time::timeout(Duration::from_secs(1), flows).await;
                traps.assert_untouched(&told);
                assert_named(&plane, &traps, &listed(&traps), &told).await;
            }
            plane.shutdown().await;
        });
    });
    assert!(exists(&traps.named("out.jsonl")), "the manifest's own sink was written");
}
