use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Finding, metric, total};

/// Kind of a finding, by which a policy can route it. The host derives it; plugins do not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Something does not work: its evidence is errors, restarts or a missed heartbeat, or its code has a word for that
    /// (`failed`, `errors`, `stuck`, `stale`, …).
    Failure,
    /// Something works, but too slowly or with too much waiting: its evidence is times, rates, queues, processor or memory,
    /// or its code has a word for that (`latency`, `slow`, `queue`, …).
    Performance,
    /// Neither of the two.
    General,
}

/// Numbers that show what does not work.
const OF_FAILURES: [&str; 3] = [metric::ERRORS_PER_SECOND, metric::RESTARTS, metric::HEARTBEAT_AGE_MS];
/// Numbers that show how well it works.
const OF_PERFORMANCE: [&str; 9] = [
    metric::LATENCY_P50_MS,
    metric::LATENCY_P99_MS,
    metric::ITEMS_PER_SECOND,
    metric::QUEUE_DEPTH,
    metric::QUEUE_CAPACITY,
    metric::MEMORY_MB,
    metric::CPU_PERCENT,
    total::END_TO_END_LATENCY_MS,
    total::THROUGHPUT_PER_SECOND,
];
/// Words of codes, between their dashes.
const WORDS_OF_FAILURES: [&str; 20] = [
    "broken",
    "corrupt",
    "crash",
    "crashed",
    "dead",
    "degraded",
    "disconnected",
    "down",
    "error",
    "errors",
    "exhausted",
    "failed",
    "failing",
    "failure",
    "lost",
    "stale",
    "stuck",
    "timeout",
    "unhealthy",
    "unreachable",
];
const WORDS_OF_PERFORMANCE: [&str; 14] = [
    "backlog",
    "bottleneck",
    "cpu",
    "lag",
    "latency",
    "load",
    "memory",
    "overload",
    "performance",
    "pressure",
    "queue",
    "saturated",
    "slow",
    "throughput",
];

impl FindingKind {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Performance => "performance",
            Self::General => "general",
        }
    }
}

impl Finding {
    /// What it is about. What does not work is often slow as well and not the other way round, so a sign of failure
    /// counts before any of performance, in the evidence as in the code.
    pub fn kind(&self) -> FindingKind {
        let rests_on = |metrics: &[&str]| {
            let mut read = self.rests_on.iter().filter_map(|evidence| evidence.metric.as_deref());
            read.any(|metric| metrics.contains(&metric))
        };
        let says = |words: &[&str]| self.code.split('-').any(|word| words.contains(&word));
        if rests_on(&OF_FAILURES) || says(&WORDS_OF_FAILURES) {
            FindingKind::Failure
        } else if rests_on(&OF_PERFORMANCE) || says(&WORDS_OF_PERFORMANCE) {
            FindingKind::Performance
        } else {
            FindingKind::General
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evidence, Severity};

    fn finding(code: &str, metrics: &[&str]) -> Finding {
        let rests_on = metrics
            .iter()
            .map(|metric| Evidence { metric: Some((*metric).to_owned()), ..Evidence::default() })
            .collect();
        let (code, message) = (code.to_owned(), String::new());
        Finding { code, severity: Severity::Warning, target: None, message, rests_on }
    }

    #[test]
    fn what_the_first_party_heuristic_and_the_host_find_has_the_kind_that_people_would_say() {
        let kinds = [
            ("node-failed", &[][..], FindingKind::Failure),
            ("node-degraded", &[], FindingKind::Failure),
            ("errors-high", &["errors-per-second", "samples"], FindingKind::Failure),
            ("node-stuck", &["queue-depth"], FindingKind::Failure),
            ("heartbeat-stale", &["heartbeat-age-ms"], FindingKind::Failure),
            ("queue-pressure", &["queue-depth"], FindingKind::Performance),
            ("latency-high", &["latency-p99-ms"], FindingKind::Performance),
            ("latency-rising", &["latency-p99-ms", "queue-depth"], FindingKind::Performance),
            ("latency-over-limit", &["end-to-end-latency-ms"], FindingKind::Performance),
            ("throughput-under-limit", &["throughput-per-second"], FindingKind::Performance),
            ("judge-failed", &[], FindingKind::Failure),
        ];
        for (code, metrics, kind) in kinds {
            assert_eq!(finding(code, metrics).kind(), kind, "{code}");
        }
    }

    #[test]
    fn evidence_tells_the_kind_of_a_code_that_nobody_knows() {
        assert_eq!(finding("xyzzy", &["errors-per-second"]).kind(), FindingKind::Failure);
        assert_eq!(finding("xyzzy", &["cpu-percent"]).kind(), FindingKind::Performance);
        assert_eq!(finding("xyzzy", &["latency-p99-ms", "restarts"]).kind(), FindingKind::Failure);
        assert_eq!(finding("xyzzy", &["samples", "of-its-own"]).kind(), FindingKind::General);
        assert_eq!(finding("slowness", &[]).kind(), FindingKind::General, "words count whole");
    }
}
