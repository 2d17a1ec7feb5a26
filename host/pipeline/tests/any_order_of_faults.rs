//! Whatever comes in whatever order (the nine changing actions, killed workers, a full disk under the sinks and the dead
//! letters, stops and starts): every item is at every sink once and byte for byte, or whole among the dead letters, or counted
//! as in flight. The files are held against the account, not only the account against itself.
//!
//! `FLYBALL_CHAINS` says how many chains are tried; the default is small, as each runs a real pipeline.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flyball_model::{Account, Action, Executor, Manifest};
use flyball_pipeline::{Pipeline, PipelineInputs, PipelineOptions};
use flyball_ports::{ApplyError, DataPlane as _};
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};
use support::{LIMIT, TestNodes, child, killed, manifest, pass};
use tempfile::TempDir;

/// Items of one run, from start to stop.
const ITEMS: u64 = 400;
const NODES: [&str; 6] = ["first", "child", "last", "side", "out", "aside"];
const FILES: [&str; 3] = ["out.jsonl", "aside.jsonl", "dead.jsonl"];

#[derive(Debug, Clone)]
enum Step {
    Do(Action),
    Kill,
    /// Nothing more can be written by sinks and dead letters.
    Full,
    Room,
    /// The pipeline is stopped, with items on their way, and another one is started on the same files.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => action().prop_map(Step::Do),
        2 => Just(Step::Kill),
        2 => Just(Step::Full),
        3 => Just(Step::Room),
        1 => Just(Step::Restart),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let node = || proptest::sample::select(&NODES[..]).prop_map(str::to_owned);
    let executor =
        || proptest::sample::select(&[Executor::Native, Executor::Multiprocess, Executor::Wasm][..]);
    let kind = || proptest::sample::select(&["map", "flaky", "no-threes"][..]).prop_map(str::to_owned);
    let config = || json!({"template": "{{.}}"});
    prop_oneof![
        (node(), kind()).prop_map(move |(node, node_type)| {
            Action::ReplaceNode { node, node_type, config: Some(config()) }
        }),
        (node(), 0..3, executor()).prop_map(move |(after, number, executor)| {
            Action::InsertNode {
                id: format!("new-{number}"),
                node_type: "map".to_owned(),
                config: config(),
                executor: Some(executor),
                after: vec![after],
                before: vec![],
            }
        }),
        (0..3).prop_map(|number| Action::RemoveNode { node: format!("new-{number}") }),
        node().prop_map(|node| Action::RemoveNode { node }),
        node().prop_map(|node| Action::UpdateNodeConfig { node, patch: json!({}) }),
        (node(), any::<bool>()).prop_map(|(node, active)| Action::BypassNode { node, active }),
        (node(), executor()).prop_map(|(node, to)| Action::SwitchExecutor { node, to }),
        node().prop_map(|node| Action::RestartProcess { node }),
        (node(), 1u32..4).prop_map(|(node, replicas)| Action::ScaleNode { node, replicas }),
        (node(), 1u32..100).prop_map(|(node, capacity)| Action::AdjustBuffering { node, capacity }),
    ]
}

/// Where the files are, and whether there is room for more. A disk of its own, where this machine gives one: it cuts a line
/// off in its middle. Elsewhere a device that is always full takes each file's place.
struct Disk {
    folder: TempDir,
    mounted: bool,
    full: bool,
}

impl Disk {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(folder.path())
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        Self { folder, mounted, full: false }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn kept(&self, file: &str) -> PathBuf {
        self.path().join(format!("{file}.kept"))
    }

    fn fill(&mut self) {
        if std::mem::replace(&mut self.full, true) {
            return;
        }
        if self.mounted {
            let mut filler = std::fs::File::create(self.path().join("filler")).unwrap();
            while std::io::Write::write_all(&mut filler, &[0; 4_096]).is_ok() {}
            return;
        }
        for file in FILES {
            let (path, device) = (self.path().join(file), self.path().join("device"));
            if path.exists() {
                std::fs::hard_link(&path, self.kept(file)).unwrap();
            }
            // In one step: a writer that finds nothing makes a new file.
            std::os::unix::fs::symlink("/dev/full", &device).unwrap();
            std::fs::rename(device, path).unwrap();
        }
    }

    fn free(&mut self) {
        if !std::mem::replace(&mut self.full, false) {
            return;
        }
        if self.mounted {
            return std::fs::remove_file(self.path().join("filler")).unwrap();
        }
        for file in FILES {
            let path = self.path().join(file);
            let kept = self.kept(file);
            if !kept.exists() {
                std::fs::write(&kept, "").unwrap();
            }
            std::fs::rename(kept, path).unwrap();
        }
    }

    /// Every line of a file; each must be whole.
    fn lines(&self, file: &str) -> Vec<Value> {
        let path = if self.full && !self.mounted { self.kept(file) } else { self.path().join(file) };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "{file} ends in {:?}", text.lines().last());
        let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{file} holds {line:?}"));
        text.lines().map(read).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = std::process::Command::new("umount").arg("-l").arg(self.path()).status();
        }
    }
}

struct Chain {
    disk: Disk,
    /// One for each run; the last one goes on.
    accounts: Vec<Account>,
    pipeline: Arc<Pipeline>,
}

/// `source → first → child → last → out`, and `first → side → aside`.
async fn start(folder: &Path, run: usize) -> Arc<Pipeline> {
    let body = json!({"run": run, "n": "{{n}}", "pad": "0123456789 äöü \"\\\n ".repeat(6)});
    let source = json!({"id": "source", "type": "generate", "params": {"per_second": 5000, "limit": ITEMS, "body": body}});
    let mut child_node = pass("child", "multiprocess");
    // A child that is killed again and again is not the item's fault.
    child_node["retries"] = json!(100);
    let file =
        |id: &str| json!({"id": id, "type": "file", "params": {"path": folder.join(format!("{id}.jsonl"))}});
    let nodes = json!([
        source,
        pass("first", "native"),
        child_node,
        pass("last", "wasm"),
        pass("side", "native"),
        file("out"),
        file("aside")
    ]);
    let edges = [
        ("source", "first"),
        ("first", "child"),
        ("child", "last"),
        ("last", "out"),
        ("first", "side"),
        ("side", "aside"),
    ];
    let manifest: Manifest = serde_json::from_value(manifest(true, nodes, &edges)).unwrap();
    let parts = PipelineInputs {
        wasm: Arc::new(TestNodes),
        builtin_child: Some(child()),
        dead_letters: Some(folder.join("dead.jsonl")),
        options: PipelineOptions {
            patience: Duration::from_millis(500),
            drain: Duration::from_millis(30),
            ..PipelineOptions::default()
        },
    };
    Pipeline::start(manifest, parts).await.unwrap()
}

impl Chain {
    async fn new() -> Self {
        let disk = Disk::new();
        let pipeline = start(disk.path(), 0).await;
        Self { disk, accounts: Vec::new(), pipeline }
    }

    async fn act(&self, action: &Action) {
        let before = self.pipeline.graph().await.unwrap();
        let done = tokio::time::timeout(LIMIT, self.pipeline.apply(action)).await.expect("an action ends");
        match done {
            Ok(()) => {}
            Err(ApplyError::Refused(_)) => {
                assert_eq!(self.pipeline.graph().await.unwrap(), before, "{action}")
            }
            // A sink cannot be opened anew on a full disk.
            Err(ApplyError::Failed(why)) => panic!("{action}: {why}"),
        }
    }

    async fn kill_one(&self) {
        for node in &self.pipeline.graph().await.unwrap().nodes {
            if let Some(pid) = self.pipeline.worker_pids(&node.id).first() {
                // One that died of an action just now is as dead.
                let _ = killed(*pid);
                return;
            }
        }
    }

    /// Stops the run, and holds the files against its account.
    async fn stop(&mut self) {
        self.pipeline.shutdown().await;
        let account = self.pipeline.account();
        assert_eq!(self.pipeline.lost(), 0);
        self.accounts.push(account);
        self.hold_files_against(self.accounts.len() - 1, account);
    }

    fn hold_files_against(&self, run: usize, account: Account) {
        assert!(account.balances(), "{account:?}");
        let of_run = |items: Vec<Value>| -> BTreeMap<u64, Value> {
            let mut found = BTreeMap::new();
            for item in items.into_iter().filter(|item| item["run"] == json!(run)) {
                let n = item["n"].as_u64().unwrap();
                assert!(found.insert(n, item).is_none(), "{n} of run {run} is there twice");
            }
            found
        };
        let (out, aside) = (of_run(self.disk.lines("out.jsonl")), of_run(self.disk.lines("aside.jsonl")));
        let letters = self.disk.lines("dead.jsonl").iter().map(|letter| letter["item"].clone()).collect();
        let mut dead = BTreeSet::new();
        // Each of the two branches may have one.
        for item in Vec::into_iter(letters).filter(|item: &Value| item["run"] == json!(run)) {
            assert_eq!(item, body(run, item["n"].as_u64().unwrap()));
            dead.insert(item["n"].as_u64().unwrap());
        }
        for (n, item) in out.iter().chain(&aside) {
            assert!(*n < account.accepted);
            assert_eq!(*item, body(run, *n), "changed on its way");
        }
        let counted = (0..account.accepted).fold((0, 0), |(whole, in_flight), n| {
            if out.contains_key(&n) && aside.contains_key(&n) && !dead.contains(&n) {
                (whole + 1, in_flight)
            } else {
                (whole, in_flight + u64::from(!self.is_over(n, &out, &aside, &dead)))
            }
        });
        assert_eq!(counted.0, account.delivered, "delivered, by the sinks and by {account:?}");
        assert_eq!(account.in_flight + account.dead_lettered, account.accepted - account.delivered);
        // An item with a letter from one branch is over when the other branch is done with it as well.
        assert!(account.dead_lettered <= dead.len() as u64, "letters and {account:?}");
        assert!(counted.1 <= account.in_flight, "in flight, by the files and by {account:?}");
    }

    /// Whether files alone show that an item is no longer on its way.
    fn is_over(
        &self,
        n: u64,
        out: &BTreeMap<u64, Value>,
        aside: &BTreeMap<u64, Value>,
        dead: &BTreeSet<u64>,
    ) -> bool {
        dead.contains(&n) || out.contains_key(&n) && aside.contains_key(&n)
    }

    async fn restart(&mut self) {
        self.stop().await;
        // Its sinks are opened at the start, and so is its file of dead letters.
        self.disk.free();
        self.pipeline = start(self.disk.path(), self.accounts.len()).await;
    }

    /// What the controller would do, and an operator.
    async fn heal(&mut self) {
        self.disk.free();
        for node in &self.pipeline.graph().await.unwrap().nodes {
            if node.executor == Executor::Multiprocess && !node.bypassed {
                self.act(&Action::RestartProcess { node: node.id.clone() }).await;
            }
        }
    }
}

fn body(run: usize, n: u64) -> Value {
    json!({"run": run, "n": n, "pad": "0123456789 äöü \"\\\n ".repeat(6)})
}

async fn play(steps: Vec<Step>) {
    let mut chain = Chain::new().await;
    for step in &steps {
        // Some load between the steps, where it moves at all.
        let more = chain.pipeline.account().accepted + 40;
        let moved = async {
            while chain.pipeline.account().accepted < more.min(ITEMS) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(40), moved).await;
        match step {
            Step::Do(action) => chain.act(action).await,
            Step::Kill => chain.kill_one().await,
            Step::Full => chain.disk.fill(),
            Step::Room => chain.disk.free(),
            Step::Restart => chain.restart().await,
        }
        let account = chain.pipeline.account();
        assert!(account.balances(), "after {step:?}: {account:?}");
    }
    chain.heal().await;
    let finished = tokio::time::timeout(LIMIT, chain.pipeline.finished()).await;
    assert!(finished.is_ok(), "it does not finish: {:?}", chain.pipeline.account());
    chain.stop().await;
    let last = chain.accounts[chain.accounts.len() - 1];
    assert_eq!((last.accepted, last.in_flight), (ITEMS, 0));
}

fn chains() -> u32 {
    std::env::var("FLYBALL_CHAINS").map_or(12, |count| count.parse().unwrap())
}

proptest! {
    #![proptest_config(Config { cases: chains(), max_shrink_iters: 20, ..Config::default() })]

    #[test]
    fn no_chain_of_actions_and_faults_loses_doubles_or_changes_an_item(steps in proptest::collection::vec(step(), 3..14)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}
