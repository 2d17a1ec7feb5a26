//! A program of one's own that watches and heals a pipeline: it starts a host, runs a pipeline in it, and tells what was done.

use std::error::Error;

use flyball_host::{Host, Threads};
use flyball_model::{Happened, Manifest};

/// Of the source 400 items come in a second, and the node `check` takes 20 ms for each.
const PIPELINE: &str = r#"{ "name": "shop", "controller": { "observation_interval_ms": 100 }, "nodes": [
    { "id": "orders", "type": "generate", "params": { "per_second": 400, "body": { "order": "{{n}}" } } },
    { "id": "check", "type": "wait", "queue_capacity": 32, "params": { "ms_per_unit": 20 } },
    { "id": "done", "type": "discard" }
], "connections": [{ "from": "orders", "to": "check" }, { "from": "check", "to": "done" }] }"#;

fn main() -> Result<(), Box<dyn Error>> {
    println!("done: {}", first_action()?);
    Ok(())
}

/// Until the host has done something.
pub fn first_action() -> Result<String, Box<dyn Error>> {
    let state = tempfile::tempdir()?;
    let threads = Threads::start()?;
    threads.run(async {
        let host = Host::builder(state.path().join("state")).start(&threads).await?;
        let mut events = host.events().reader(host.beginning())?;
        host.add(serde_json::from_str::<Manifest>(PIPELINE)?).await?;
        while let Some(entry) = events.next().await? {
            if let Happened::Tick(tick) = &entry.happened
                && let Some(action) = &tick.action
            {
                host.stop().await;
                return Ok(action.proposal.action.to_string());
            }
        }
        Err("the host ended".into())
    })
}
