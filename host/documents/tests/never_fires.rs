//! A guard that can never fire is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use flyball_documents::{DocumentText, locate, never_fires, read_policy};

const JUDGES: &str = "\njudges:\n  deciders: [{ plugin: rule-decider }]\n";

fn warnings(policy: &str) -> Vec<String> {
    let source = DocumentText::new("p.yaml", format!("name: p\n{policy}{JUDGES}"));
    let policy = read_policy(&source).unwrap_or_else(|faults| panic!("{faults}"));
    locate(&source, never_fires(&policy)).lines()
}

#[test]
fn the_defaults_can_all_fire() {
    assert_eq!(warnings("mutation_policy: full"), Vec::<String>::new());
}

#[test]
fn a_breaker_that_the_cooldown_never_lets_fire_is_told_at_its_line() {
    assert_eq!(
        warnings("mutation_policy: full\ncooldown_ms: 30000\nbreaker:\n  max_actions: 5"),
        [
            "p.yaml:5:16: this can never be reached: with a cooldown of 30000 ms there are at most 3 actions in 60000 ms; \
             lower it, lengthen its window, or shorten the cooldown"
        ]
    );
}

#[test]
fn a_breaker_that_can_just_fire_is_not_told() {
    assert_eq!(warnings("cooldown_ms: 30000\nbreaker: { max_actions: 2 }"), Vec::<String>::new());
}

#[test]
fn a_nodes_budget_behind_the_sessions_is_told() {
    let told = warnings("safety: { target: { max: 60, window_ms: 3600000 } }");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("the session's budget is used up before"), "{told:?}");
}

#[test]
fn guards_of_kinds_that_never_happen_are_told() {
    let told = warnings(
        "mutation_policy: heal\nsafety:\n  approval: { kinds: [remove-node] }\n  dry_run: [restart-process, scale-node]\n  \
         kinds: { insert-node: { max: 1, window_ms: 60000 } }",
    );
    let kinds: Vec<bool> = ["remove-node", "scale-node", "insert-node"]
        .iter()
        .map(|kind| told.iter().any(|line| line.contains(&format!("never lets {kind} happen"))))
        .collect();
    assert_eq!((kinds, told.len()), (vec![true; 3], 3), "{told:?}");
}

#[test]
fn a_give_back_of_kinds_that_never_happen_is_told_where_somebody_wrote_it() {
    let told = warnings("mutation_policy: heal\nsafety: { give_back: { kinds: [scale-node] } }");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("never lets scale-node happen"), "{told:?}");
    assert_eq!(warnings("mutation_policy: heal"), Vec::<String>::new(), "nobody wrote the default");
}

#[test]
fn steps_that_change_nothing_and_deciders_that_are_not_there_are_told() {
    let told = warnings(
        "mutation_policy: full\nsafety:\n  escalation:\n    - { kinds: [restart-process] }\n    - { critical: true }\n    \
         - { decider: llm }",
    );
    assert_eq!(
        told,
        [
            "p.yaml:6:7: this step changes nothing; give it `kinds`, a `decider` or `notify: true`",
            "p.yaml:7:18: \"llm\" is none of the policy's deciders; name one of `judges.deciders`"
        ]
    );
}
