//! What is found of a session: the heuristics are asked, all of them, and the graph is held against the policy's constraints. A heuristic that
//! fails has found nothing, which is said and is no good news. Here is also how any judge is asked: its panic is an error of its own.
//!
//! Called by `controller` at each tick, and by whoever asks a judge.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use flyball_model::{
    Assessment, Attributed, Check, Checked, Evidence, FailedJudge, Finding, GraphMetrics, PluginId,
    PluginKind, Rules, Severity, Side, TickRecord, total,
};
use futures::FutureExt;

use flyball_ports::{JudgeError, Judged, Panel, Sight};

/// A heuristic that did not answer.
pub(crate) const JUDGE_FAILED: &str = "judge-failed";
/// The session's end-to-end latency is over the policy's limit.
pub(crate) const LATENCY_OVER_LIMIT: &str = "latency-over-limit";
/// The session delivers less than the policy asks for.
pub(crate) const THROUGHPUT_UNDER_LIMIT: &str = "throughput-under-limit";

/// Ticks in a row that a constraint must be breached on before it is a finding.
const BREACHES_TO_REPORT: u32 = 2;
/// What is kept of a panic's message.
const PANIC_CHARS: usize = 400;

/// On how many measured ticks in a row each constraint was breached.
#[derive(Debug, Default)]
pub(crate) struct Breaches {
    latency: u32,
    throughput: u32,
}

impl Breaches {
    /// Holds the graph against the constraints.
    fn observe(&mut self, rules: &Rules, graph: &GraphMetrics) -> Assessment {
        let latency = graph.end_to_end_latency_ms;
        let throughput = graph.throughput_per_second;
        count(&mut self.latency, latency, rules.max_latency_ms, |value, limit| value > limit);
        count(&mut self.throughput, throughput, rules.min_throughput, |value, limit| value < limit);
        let slow = breach(self.latency, latency, rules.max_latency_ms).map(|limit| Finding {
            code: LATENCY_OVER_LIMIT.to_owned(),
            severity: Severity::Warning,
            target: None,
            message: format!("the end-to-end latency is {latency:.1} ms; the limit is {limit} ms"),
            rests_on: vec![rests_on(total::END_TO_END_LATENCY_MS, latency, limit)],
        });
        let starved = breach(self.throughput, throughput, rules.min_throughput).map(|limit| Finding {
            code: THROUGHPUT_UNDER_LIMIT.to_owned(),
            severity: Severity::Warning,
            target: None,
            message: format!("{throughput:.1} items are delivered a second; the least is {limit}"),
            rests_on: vec![rests_on(total::THROUGHPUT_PER_SECOND, throughput, limit)],
        });
        let constraints = [
            (LATENCY_OVER_LIMIT, total::END_TO_END_LATENCY_MS, latency, rules.max_latency_ms, Side::Above),
            (
                THROUGHPUT_UNDER_LIMIT,
                total::THROUGHPUT_PER_SECOND,
                throughput,
                rules.min_throughput,
                Side::Below,
            ),
        ];
        let checks = constraints.into_iter().zip([self.latency, self.throughput]);
        let checks = checks.filter_map(|((code, metric, value, limit, bad), streak)| {
            Some(Check {
                code: code.to_owned(),
                node: None,
                metric: metric.to_owned(),
                value: Some(value).filter(|value| value.is_finite()),
                limit: limit?,
                bad,
                note: match streak {
                    0 | BREACHES_TO_REPORT.. => String::new(),
                    _ => format!("for {streak} of {BREACHES_TO_REPORT} ticks on end"),
                },
            })
        });
        Assessment { findings: slow.into_iter().chain(starved).collect(), checks: checks.collect() }
    }
}

/// What was not measured is neither a breach nor a success: it leaves the count as it is.
fn count(streak: &mut u32, value: f64, limit: Option<f64>, breached: fn(f64, f64) -> bool) {
    match limit {
        None => *streak = 0,
        Some(_) if !value.is_finite() => {}
        Some(limit) if breached(value, limit) => *streak = streak.saturating_add(1),
        Some(_) => *streak = 0,
    }
}

fn breach(streak: u32, value: f64, limit: Option<f64>) -> Option<f64> {
    limit.filter(|_| streak >= BREACHES_TO_REPORT && value.is_finite())
}

fn rests_on(metric: &str, value: f64, limit: f64) -> Evidence {
    Evidence {
        metric: Some(metric.to_owned()),
        value: Some(value),
        limit: Some(limit),
        ..Evidence::default()
    }
}

/// Asks every heuristic and holds the session against its constraints; what is found is in the record, worst first.
pub(crate) async fn assess(panel: &Panel, sight: &Sight, breaches: &mut Breaches, record: &mut TickRecord) {
    for heuristic in &panel.heuristics {
        match ask(heuristic.assess(sight)).await {
            Ok(Judged { said, cost, refused }) => {
                record.failures.extend(refused_to(heuristic.id(), PluginKind::Heuristic, refused));
                record.costs.push((heuristic.id().clone(), cost));
                let by = heuristic.id();
                let Assessment { findings, checks } = said;
                record.findings.extend(findings.into_iter().map(|said| Attributed { by: by.clone(), said }));
                if !checks.is_empty() {
                    record.checks.push(Checked { by: by.clone(), checks });
                }
            }
            Err(error) => {
                record.findings.push(by_host(judge_failed(heuristic.id(), &error)));
                record.failures.push(failed(heuristic.id(), PluginKind::Heuristic, error));
            }
        }
    }
    let Assessment { findings, checks } = breaches.observe(&panel.rules, &sight.now.graph);
    record.findings.extend(findings.into_iter().map(by_host));
    if !checks.is_empty() {
        record.checks.push(Checked { by: PluginId::host(), checks });
    }
    record.findings.sort_by_key(|finding| std::cmp::Reverse(finding.said.severity));
}

fn by_host(said: Finding) -> Attributed<Finding> {
    Attributed { by: PluginId::host(), said }
}

fn judge_failed(judge: &PluginId, error: &JudgeError) -> Finding {
    Finding {
        code: JUDGE_FAILED.to_owned(),
        severity: Severity::Info,
        target: None,
        message: format!("the heuristic {judge} did not answer: {error}"),
        rests_on: Vec::new(),
    }
}

pub(crate) fn failed(by: &PluginId, kind: PluginKind, error: JudgeError) -> FailedJudge {
    FailedJudge { by: by.clone(), kind, error: error.why }
}

/// What a judge tried and may not: it answered, and whoever reads the journal should know.
pub(crate) fn refused_to(
    by: &PluginId,
    kind: PluginKind,
    refused: Vec<String>,
) -> impl Iterator<Item = FailedJudge> {
    refused.into_iter().map(move |error| FailedJudge { by: by.clone(), kind, error })
}

/// Whether it wakes a decider.
pub(crate) fn wakes(finding: &Attributed<Finding>) -> bool {
    finding.said.severity >= Severity::Warning
}

/// Asks a judge. One that panics did not answer; the loop goes on.
pub(crate) async fn ask<T>(
    judging: impl Future<Output = Result<Judged<T>, JudgeError>>,
) -> Result<Judged<T>, JudgeError> {
    match AssertUnwindSafe(judging).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => Err(format!("it panicked: {}", panic_message(panic.as_ref())).into()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    message.chars().take(PANIC_CHARS).collect()
}
