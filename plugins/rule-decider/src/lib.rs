//! Chooses one action by rules: restart what crashed, move what is slow to a faster executor, give what is pressed
//! more room or more workers, bypass what fails and is not needed.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a number may be NaN, and NaN must not pass")]

mod case;
mod remedies;

use flyball_plugin::decider::Failure;
use flyball_plugin::prelude::*;

use case::{Case, Helped};
use remedies::{Remedy, remedies_for};

flyball_plugin::settings! {
    /// The numbers behind the rules.
    pub struct RuleDecider {
        /// How far back an action counts as tried, in milliseconds.
        window_ms: f64 = 300_000.0, in 0.0..=86_400_000.0;
        /// Restarts of one process within the window from which on all else is tried before another.
        restart_limit: u32 = 2, in 1..=1_000;
        /// How long a restart rests at a node where it did not help, in milliseconds; twice as long each time within the window.
        retry_ms: f64 = 60_000.0, in 0.0..=86_400_000.0;
        /// Of the items that a node was done with, the part that may fail before its trouble counts as errors.
        error_fraction: f64 = 0.05, in 0.0..=1.0;
        /// How many times faster another executor must be to be worth a switch.
        min_speedup: f64 = 1.5, in 1.0..=1_000.0;
        /// Ticks over which more must come than is done, before that is no burst.
        sustained_ticks: u32 = 3, in 2..=1_000;
        /// In how many seconds a burst's backlog must be done for a longer queue to be the right answer.
        drain_seconds: f64 = 10.0, in 0.0..=86_400.0;
        /// Workers that a node may be given.
        max_replicas: u32 = 8, in 1..=256;
        /// Tries of a kind of action, in all sessions, from which on what came of them counts.
        learn_from: u32 = 3, in 1..=1_000_000;
        /// Items that may be let wait before a node.
        max_capacity: u32 = 100_000, in 1..=1_000_000;
    }
}

/// Findings that these rules know what to do about.
const KNOWN: &[&str] = &[
    "node-failed",
    "node-degraded",
    "node-stuck",
    "heartbeat-stale",
    "errors-high",
    "queue-pressure",
    "latency-high",
    "latency-rising",
    "latency-over-limit",
    "throughput-under-limit",
];

impl Decider for RuleDecider {
    fn decide(&self, now: &Observation, past: &Window, situation: &Situation) -> Result<Decision, Failure> {
        let mut issues = Vec::new();
        let mut refused = Vec::new();
        for finding in situation.findings.iter().filter(|finding| finding.severity != Severity::Info) {
            if !KNOWN.contains(&finding.code.as_str()) {
                continue;
            }
            issues.push(finding.message.clone());
            let Some(case) = Case::of(self, finding, now, past, situation) else { continue };
            let mut remedies = remedies_for(&case);
            // Of what is alike the order above stands.
            remedies.sort_by_key(|remedy| {
                remedy.as_ref().map_or((0, Helped::Unknown), |remedy| case.order(remedy.action.kind()))
            });
            for remedy in remedies {
                match remedy.and_then(|remedy| case.fits(remedy)) {
                    Ok(remedy) => return Ok(decision(remedy, &case, issues)),
                    Err(why) => refused.push(format!("{}: {why}", case.node_id())),
                }
            }
        }
        if issues.is_empty() {
            return Err(Failure::Abstain("no finding is one that these rules know".to_owned()));
        }
        refused.dedup();
        refused.truncate(8);
        let reason = match refused.as_slice() {
            [] => "no finding names a node that is still there".to_owned(),
            _ => format!("nothing fits: {}", refused.join("; ")),
        };
        let analysis = format!("{} findings, and no action that fits", issues.len());
        Ok(Decision { analysis, issues, proposal: Proposal::new(Action::NoOp, reason) })
    }
}

fn decision(remedy: Remedy, case: &Case, issues: Vec<String>) -> Decision {
    let mut proposal = Proposal::new(remedy.action, remedy.reason);
    proposal.confidence = Some(remedy.confidence);
    proposal.rests_on = remedy.rests_on;
    Decision { analysis: case.finding.message.clone(), issues, proposal }
}

flyball_plugin::decider!(RuleDecider);

flyball_plugin::cases!(
    "../cases/abstains.json",
    "../cases/burst-buffer.json",
    "../cases/crash-again-replace.json",
    "../cases/crash-again-restart.json",
    "../cases/crash-again-switch.json",
    "../cases/crash-restart.json",
    "../cases/crash-waits-longer.json",
    "../cases/crash-waits.json",
    "../cases/failing-needed.json",
    "../cases/failing-optional-bypass.json",
    "../cases/learned-never-alone.json",
    "../cases/learned-never.json",
    "../cases/learned-often.json",
    "../cases/nothing-fits.json",
    "../cases/protected.json",
    "../cases/slow-switch.json",
    "../cases/sustained-no-scale.json",
    "../cases/sustained-scale.json",
);
