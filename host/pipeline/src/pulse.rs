//! What the workers' processes use of the machine, read now and then, so that observing need not.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use flyball_nodes::UsageSampler;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::node::Usage;
use crate::pipeline::Running;

const EVERY: Duration = Duration::from_millis(500);

pub(crate) fn begin(running: &Arc<Running>) -> AbortHandle {
    let running = Arc::downgrade(running);
    tokio::spawn(beat(running)).abort_handle()
}

async fn beat(running: Weak<Running>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samplers: BTreeMap<u32, UsageSampler> = BTreeMap::new();
    loop {
        ticks.tick().await;
        let Some(running) = running.upgrade() else { return };
        running.shared.awake.look(Instant::now());
        let mut alive = Vec::new();
        for node in &running.topology().nodes {
            let mut pids = Vec::new();
            node.crew.each(|state| pids.extend(state.pid.filter(|_| !state.is_gone())));
            let mut usage: Option<Usage> = None;
            for pid in &pids {
                let sampled = samplers.entry(*pid).or_insert_with(|| UsageSampler::new(*pid)).sample();
                let Some(sampled) = sampled else { continue };
                let sum = usage.get_or_insert(Usage { memory_mb: 0.0, cpu_percent: 0.0 });
                sum.memory_mb += sampled.memory_bytes as f64 / f64::from(1 << 20);
                sum.cpu_percent += sampled.cpu_percent.unwrap_or(f64::NAN);
            }
            *node.usage.lock() = usage;
            alive.extend(pids);
        }
        samplers.retain(|pid, _| alive.contains(pid));
    }
}
