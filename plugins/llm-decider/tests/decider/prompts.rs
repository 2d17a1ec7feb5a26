//! What the model is asked, and how much of it.

use flyball_plugin::prelude::*;
use flyball_plugin::testing::SeenNode;
use flyball_plugin::{Learned, NodeSpec, PastAction, Replacement, SeenError};
use insta::assert_snapshot;
use serde_json::json;

use crate::scene::{Scene, seed};
use crate::use_cases::{crash, slow};

/// A chain of so many nodes with findings about the 10th, of which every 7th is degraded.
pub fn wide(count: usize, tokens: u32) -> Scene {
    let mut scene = seed();
    scene.settings = json!({ "prompt_tokens": tokens });
    scene.seen.nodes.clear();
    scene.graph.nodes.clear();
    for number in 0..count {
        let id = format!("node-{number:03}");
        let status = if number % 7 == 3 { Status::Degraded } else { Status::Healthy };
        scene.seen.nodes.push(SeenNode::new(&id).status(status).number(Metric::LatencyP99Ms, number as f64));
        scene.graph.nodes.push(NodeSpec {
            id,
            node_type: "test".to_owned(),
            executor: Executor::Native,
            config: "{}".to_owned(),
            replicas: 1,
            queue_capacity: 10,
            bypassed: false,
            optional: false,
        });
    }
    scene.seen.edges = (1..count as u32).map(|to| (to - 1, to)).collect();
    scene.seen.critical_path = vec![0, 1, 2];
    scene.seen.bottleneck = Some(20);
    scene.finds(Severity::Warning, "latency-high", "node-010", "it is slow");
    scene
}

fn rows(user: &str) -> Vec<&str> {
    let rows = user.lines().filter_map(|line| line.strip_prefix("| \"node-"));
    rows.map(|row| &row[..3]).collect()
}

#[test]
fn everything_that_is_known_is_in_the_prompt() {
    let mut scene = crash();
    scene.seen.errors = (0..4)
        .map(|n| SeenError { at: 999_000 - n * 1_000, node: Some(2), message: "out of memory".to_owned() })
        .chain([SeenError { at: 990_000, node: None, message: "late".to_owned() }])
        .collect();
    scene.types[2].config_schema = Some("{\"type\":\"object\"}".to_owned());
    scene.types.push(NodeType {
        name: "WhisperTiny".to_owned(),
        summary: "smaller".to_owned(),
        provides: vec!["whisper".to_owned()],
        offers: vec![flyball_plugin::Offer {
            executor: Executor::Wasm,
            relative_speed: Some(4.0),
            relative_cost: Some(2.5),
        }],
        config_schema: None,
    });
    let replaced =
        Replacement { node: "llm_processor".to_owned(), node_type: "Llama".to_owned(), config: None };
    scene.situation.past.push(PastAction {
        at: 940_000,
        proposal: Proposal::new(Action::ReplaceNode(replaced), "it was slow"),
        outcome: Outcome::RolledBack,
        decided_by: "rule-decider".to_owned(),
    });
    scene.situation.learned.push(Learned {
        finding: "node-failed".to_owned(),
        kind: "restart-process".to_owned(),
        node_type: Some("Whisper".to_owned()),
        verified: 3,
        ineffective: 1,
        worse: 0,
        unknown: 0,
        failed: 0,
        rolled_back: 0,
        newest: 900_000,
    });
    assert_snapshot!(scene.question().user);
}

#[test]
fn the_system_prompt_is_the_seeds() {
    assert_snapshot!(seed_question().system);
}

fn seed_question() -> flyball_plugin::llm::Question {
    crash().question()
}

#[test]
fn of_a_wide_pipeline_the_most_relevant_nodes_are_shown_and_the_others_counted() {
    let question = wide(120, 3_400).question();
    let shown = rows(&question.user);
    assert_eq!(shown[..7], ["010", "009", "011", "020", "000", "001", "002"]);
    assert!((10..60).contains(&shown.len()), "{}", shown.len());
    let degraded = |number: &&&str| number.parse::<usize>().unwrap() % 7 == 3;
    // Those that are degraded go before those that are healthy, and of these the slowest go first.
    assert_eq!(shown[7], "115");
    let rest = 120 - shown.len();
    let hidden_degraded =
        (0..120).filter(|number| number % 7 == 3).count() - shown.iter().filter(degraded).count();
    let counts = if hidden_degraded == 0 { String::new() } else { format!("{hidden_degraded} degraded, ") };
    let told = format!("({rest} more nodes are not shown: {counts}{} healthy)\n", rest - hidden_degraded);
    assert!(question.user.contains(&told), "{told}\n{}", question.user);
}

#[test]
fn no_question_is_longer_than_its_budget() {
    for tokens in [2_500, 3_000, 5_000, 10_000, 40_000] {
        for mut scene in [wide(5, tokens), wide(1_000, tokens)] {
            for n in 0..200 {
                scene.seen.errors.push(SeenError {
                    at: n,
                    node: Some(1),
                    message: format!("{n}{}", "e".repeat(900)),
                });
                scene.finds(Severity::Critical, "many", "node-001", &format!("{n}{}", "m".repeat(900)));
            }
            let question = scene.question();
            let bytes =
                question.system.len() + question.user.len() + question.schema.map_or(0, |it| it.len());
            assert!(bytes <= tokens as usize * 4, "{bytes} of {}", tokens * 4);
            assert!(
                bytes + 2_500 > tokens as usize * 4 || rows(&question.user).len() == scene.seen.nodes.len(),
                "{bytes} of {}",
                tokens * 4
            );
        }
    }
}

#[test]
fn a_template_of_ones_own_says_what_is_asked() {
    let mut scene = slow();
    scene.settings =
        json!({ "system": "Be brief about {{session}}.", "user": "{{graph_metrics}}\nWhat now?" });
    let question = scene.question();
    assert_eq!(question.system, "Be brief about \"podcast\".");
    assert_eq!(
        question.user,
        "- end-to-end-latency-ms: 151\n- throughput-per-second: 99.7\n- Bottleneck: \"audio_resampler\"\n- Critical path: \
         \"input_source\" → \"audio_resampler\" → \"whisper_transcriber\" → \"llm_processor\" → \"output_sink\"\nWhat now?"
    );
    assert_eq!(question.max_tokens, 1_000);
}

#[test]
fn the_same_is_asked_with_the_same_words() {
    assert_eq!(crash().question(), crash().question());
}
