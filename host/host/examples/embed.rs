//! A program of one's own that watches and heals a pipeline: it starts a host, runs a pipeline in it, tells what is done, and asks
//! the host for a report at the end.

use std::time::Duration;

use flyball_host::{Host, Threads};
use flyball_model::{EntryNumber, Happened, Manifest};

/// Of the source 400 items come in a second, and the node `check` takes 20 ms for each.
const PIPELINE: &str = r#"{ "name": "shop", "controller": { "observation_interval_ms": 100 }, "nodes": [
    { "id": "orders", "type": "generate", "params": { "per_second": 400, "body": { "order": "{{n}}" } } },
    { "id": "check", "type": "wait", "queue_capacity": 32, "params": { "ms_per_unit": 20 } },
    { "id": "done", "type": "discard" }
], "connections": [{ "from": "orders", "to": "check" }, { "from": "check", "to": "done" }] }"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    watch_and_heal()
}

/// Until one action was done.
pub fn watch_and_heal() -> Result<(), Box<dyn std::error::Error>> {
    let state = tempfile::tempdir()?;
    let threads = Threads::start()?;
    threads.run(async {
        let host = Host::builder(state.path().join("state")).start(&threads).await?;
        let mut events = host.events().reader(EntryNumber::default())?;
        host.add(serde_json::from_str::<Manifest>(PIPELINE)?).await?;
        let first_action = async {
            while let Some(entry) = events.next().await? {
                if let Happened::Tick(tick) = &entry.happened
                    && let Some(action) = &tick.action
                {
                    return Ok(Some(action.proposal.action.to_string()));
                }
            }
            Ok::<_, Box<dyn std::error::Error>>(None)
        };
        let done = tokio::time::timeout(Duration::from_secs(60), first_action).await??;
        println!("done: {}", done.unwrap_or_default());
        let report = host.stop().await;
        println!("balanced: {}", report.sessions.iter().all(|session| session.balanced));
        Ok(())
    })
}
