//! Node components: where their calls run, and how they fare.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_engine::{CallError, Library, LibraryOptions, NodeWorker, PolicySource};
use minisign::KeyPair;
use serde_json::json;
use tempfile::TempDir;

use crate::guests::{engine, node_guest};

/// What one call of a node may take.
const LIMIT: Duration = Duration::from_secs(1);

struct Nodes {
    folder: TempDir,
    library: Arc<Library>,
}

impl Nodes {
    /// With a node that loops for ever, and one that filters everything.
    fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, body) in [("spin", "(loop $again (br $again))"), ("sieve", "")] {
            std::fs::write(folder.path().join(format!("{name}.wasm")), node_guest(name, "1.0.0", body))
                .unwrap();
        }
        let library = Library::open(LibraryOptions {
            engine: engine(),
            first_party: Vec::new(),
            plugins_dir: Some(folder.path().to_owned()),
            versions: None,
            policies: PolicySource::Text(vec![flyball_documents::DocumentText::new("p.yaml", policy)]),
        });
        Self { folder, library: library.unwrap() }
    }

    fn worker(&self, node_type: &str) -> NodeWorker {
        self.library.node_worker("orders", node_type, &json!({})).unwrap()
    }

    fn quarantine(&self) -> Vec<String> {
        let status = self.library.status().into_iter().find(|status| status.name == "spin").unwrap();
        status.quarantined.into_iter().map(|(session, why)| format!("{session}: {why}")).collect()
    }
}

const ANY: &str = "name: p\njudges: {}\n";

fn one_item() -> Vec<(u64, Vec<u8>)> {
    vec![(1, b"{}".to_vec())]
}

/// On one thread, so that whatever holds that up holds up everything.
#[tokio::test(flavor = "current_thread")]
async fn a_node_that_loops_holds_up_nothing_else_of_the_runtime_that_asks_it() {
    let nodes = Nodes::new(ANY);
    let mut spinning: Vec<NodeWorker> = (0..4).map(|_| nodes.worker("spin")).collect();
    let mut ticks = 0;
    let ticking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            ticks += 1;
        }
    };
    let calls = futures::future::join_all(spinning.iter_mut().map(|worker| worker.process(one_item())));
    let answers = tokio::select! {
        answers = calls => answers,
        () = ticking => unreachable!("it ticks for ever"),
    };
    assert!(
        answers.iter().all(|answer| *answer == Err(CallError::TimedOut { limit_ms: 1_000 })),
        "{answers:?}"
    );
    assert!(ticks > 20, "{ticks} ticks in as long as the calls took");
}

#[tokio::test(flavor = "current_thread")]
async fn a_worker_that_is_stopped_is_not_waited_for_until_its_call_ends() {
    let nodes = Nodes::new(ANY);
    let mut worker = nodes.worker("spin");
    let begun = Instant::now();
    assert!(tokio::time::timeout(Duration::from_millis(20), worker.process(one_item())).await.is_err());
    drop((worker, nodes));
    assert!(begun.elapsed() < LIMIT / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_node_that_fails_five_times_in_a_row_is_in_quarantine_until_another_version_comes() {
    let nodes = Nodes::new(ANY);
    let (mut first, mut second) = (nodes.worker("spin"), nodes.worker("spin"));
    for _ in 0..3 {
        let (one, other) = tokio::join!(first.process(one_item()), second.process(one_item()));
        assert!(one.is_err() && other.is_err());
    }
    let begun = Instant::now();
    let said = second.process(one_item()).await.unwrap_err();
    assert!(matches!(said, CallError::Quarantined { .. }), "both workers' failures count together: {said}");
    assert!(begun.elapsed() < LIMIT / 2, "it is not asked: {:?}", begun.elapsed());
    let quarantine = nodes.quarantine();
    assert!(quarantine[0].starts_with("orders: in quarantine after"), "{quarantine:?}");
    let status = nodes.library.status().into_iter().find(|status| status.name == "spin").unwrap();
    let time = status.bills.iter().find(|bill| bill.name == "time_ms").unwrap();
    assert!(time.near() && status.figures.errors >= 5, "{status:?}");
    assert_eq!(nodes.worker("sieve").process(one_item()).await, Ok(vec![Ok(Vec::new())]));

    std::fs::write(nodes.folder.path().join("spin.wasm"), node_guest("spin", "2.0.0", "")).unwrap();
    nodes.library.refresh().unwrap();
    assert_eq!(second.process(one_item()).await, Ok(vec![Ok(Vec::new())]));
    drop(first);
    assert_eq!(nodes.quarantine(), Vec::<String>::new());
}

#[tokio::test]
async fn a_policy_that_asks_for_signers_asks_for_them_of_its_sessions_nodes() {
    let keys = KeyPair::generate_unencrypted_keypair().unwrap();
    let signed = format!("name: p\nsessions: [orders]\nsigners: [{}]\njudges: {{}}\n", keys.pk.to_base64());
    let nodes = Nodes::new(&signed);
    let said = nodes.library.node_worker("orders", "sieve", &json!({})).unwrap_err().to_string();
    assert!(said.contains("whose policy asks for signers: it is not signed"), "{said}");
    assert!(nodes.library.node_worker("bills", "sieve", &json!({})).is_ok(), "another session asks for none");
    let signature = minisign::sign(None, &keys.sk, node_guest("sieve", "1.0.0", "").as_slice(), None, None);
    let path = nodes.folder.path().join("sieve.wasm.minisig");
    std::fs::write(path, signature.unwrap().into_string()).unwrap();
    nodes.library.refresh();
    assert!(nodes.library.node_worker("orders", "sieve", &json!({})).is_ok());
}
