//! The seed's four use cases: its observations, its analyses as recorded answers, its actions.

use flyball_plugin::prelude::*;
use flyball_plugin::{Buffering, Bypass, ExecutorChange};
use insta::assert_snapshot;
use serde_json::json;

use crate::scene::{Scene, answer, cited, seed};

pub fn crash() -> Scene {
    let mut scene = seed();
    let node = scene.node("whisper_transcriber");
    node.status = Status::Failed;
    node.last_error = Some("Process exited with code 137 (OOM)".to_owned());
    scene.number("whisper_transcriber", Metric::QueueDepth, 47.0);
    scene.number("whisper_transcriber", Metric::ItemsPerSecond, 0.0);
    scene.finds(Severity::Critical, "node-failed", "whisper_transcriber", "the process has exited");
    scene.finds(Severity::Warning, "queue-pressure", "whisper_transcriber", "47 of 50 places are taken");
    scene
}

pub fn slow() -> Scene {
    let mut scene = seed();
    scene.node("audio_resampler").latency_trend = Trend::Rising;
    scene.number("audio_resampler", Metric::LatencyP50Ms, 45.0);
    scene.number("audio_resampler", Metric::LatencyP99Ms, 120.0);
    scene.seen.totals[0].1 = 151.25;
    scene.seen.bottleneck = Some(1);
    let evidence = Evidence::of_node("audio_resampler", Metric::LatencyP99Ms, 120.0).against(100.0);
    scene.situation.findings.push(
        Finding::new(Severity::Warning, "latency-high", "its latency is over the limit")
            .at("audio_resampler")
            .because(evidence),
    );
    scene
}

pub fn pressed() -> Scene {
    let mut scene = seed();
    scene.number("llm_processor", Metric::QueueDepth, 48.0);
    scene.number("llm_processor", Metric::ItemsPerSecond, 80.0);
    scene.seen.bottleneck = Some(4);
    scene.finds(Severity::Warning, "queue-pressure", "llm_processor", "48 of 50 places are taken");
    scene
}

pub fn failing() -> Scene {
    let mut scene = seed();
    let node = scene.node("sentiment_analyzer");
    node.status = Status::Degraded;
    node.last_error = Some("API rate limit exceeded".to_owned());
    scene.number("sentiment_analyzer", Metric::ErrorsPerSecond, 85.0);
    scene.number("sentiment_analyzer", Metric::ItemsPerSecond, 15.0);
    scene.finds(Severity::Critical, "errors-high", "sentiment_analyzer", "85% of its items fail");
    scene
}

#[test]
fn a_process_that_ran_out_of_memory_is_restarted() {
    let mut scene = crash();
    assert_snapshot!(scene.question().user);
    let evidence = json!([cited("whisper_transcriber", "queue-depth", 47.0)]);
    let action = json!({ "kind": "restart-process", "node": "whisper_transcriber" });
    let decision = scene.decides(&answer(action, evidence)).unwrap();
    assert_eq!(decision.proposal.action, Action::RestartProcess("whisper_transcriber".to_owned()));
    assert_eq!(decision.proposal.confidence, Some(0.9));
    assert_eq!(decision.proposal.rests_on[0].value, Some(47.0));
}

#[test]
fn a_resampler_over_the_latency_limit_moves_to_native() {
    let mut scene = slow();
    assert_snapshot!(scene.question().user);
    let evidence = json!([
        cited("audio_resampler", "latency-p99-ms", 120.0),
        { "node": null, "metric": "end-to-end-latency-ms", "value": 151.0, "note": "over 100 ms" },
    ]);
    let action = json!({ "kind": "switch-executor", "node": "audio_resampler", "to": "native" });
    let decision = scene.decides(&answer(action, evidence)).unwrap();
    let to = ExecutorChange { node: "audio_resampler".to_owned(), to: Executor::Native };
    assert_eq!(decision.proposal.action, Action::SwitchExecutor(to));
    assert_eq!(decision.proposal.rests_on[1].value, Some(151.25), "as it was observed, not as it was shown");
}

#[test]
fn a_queue_near_its_end_is_made_longer() {
    let mut scene = pressed();
    assert_snapshot!(scene.question().user);
    let evidence = json!([
        cited("llm_processor", "queue-depth", 48.0),
        cited("llm_processor", "items-per-second", 80.0)
    ]);
    let action = json!({ "kind": "adjust-buffering", "node": "llm_processor", "capacity": 100 });
    let decision = scene.decides(&answer(action, evidence)).unwrap();
    let longer = Buffering { node: "llm_processor".to_owned(), capacity: 100 };
    assert_eq!(decision.proposal.action, Action::AdjustBuffering(longer));
}

#[test]
fn an_optional_node_at_its_rate_limit_is_bypassed() {
    let mut scene = failing();
    assert_snapshot!(scene.question().user);
    let evidence = json!([cited("sentiment_analyzer", "errors-per-second", 85.0)]);
    let action = json!({ "kind": "bypass-node", "node": "sentiment_analyzer", "active": true });
    let decision = scene.decides(&answer(action, evidence)).unwrap();
    let passed = Bypass { node: "sentiment_analyzer".to_owned(), active: true };
    assert_eq!(decision.proposal.action, Action::BypassNode(passed));
}
