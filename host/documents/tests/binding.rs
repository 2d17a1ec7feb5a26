//! Which policy judges which session, and how a manifest narrows it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use flyball_documents::{DocumentText, policy_for, read_policy, rules};
use flyball_model::matches;
use flyball_model::{Constraints, ControllerSection, MutationPolicy, Policy};
use proptest::prelude::*;

fn policy(name: &str, sessions: &str) -> Policy {
    read_policy(&DocumentText::new("p.yaml", format!("name: {name}\nsessions: {sessions}\njudges: {{}}\n")))
        .unwrap()
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, session) in [
        ("*", ""),
        ("*", "x"),
        ("a*", "a"),
        ("a*c", "abbc"),
        ("*b*", "abc"),
        ("a*b*c", "axbybc"),
        ("**", "x"),
        ("", ""),
    ] {
        assert!(matches(pattern, session), "{pattern:?} {session:?}");
    }
    for (pattern, session) in
        [("a", "ab"), ("a*", "ba"), ("a*a", "a"), ("*b*", "ac"), ("a*b*c", "acb"), ("", "x")]
    {
        assert!(!matches(pattern, session), "{pattern:?} {session:?}");
    }
}

/// The meaning of a pattern, as slow and plain as can be.
fn means(pattern: &[char], session: &[char]) -> bool {
    match pattern.split_first() {
        None => session.is_empty(),
        Some(('*', rest)) => (0..=session.len()).any(|skipped| means(rest, &session[skipped..])),
        Some((letter, rest)) => {
            session.split_first().is_some_and(|(first, left)| first == letter && means(rest, left))
        }
    }
}

proptest! {
    #[test]
    fn matching_is_what_the_star_means(pattern in "[ab*]{0,7}", session in "[ab]{0,9}") {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(matches(&pattern, &session), means(&letters(&pattern), &letters(&session)));
    }
}

#[test]
fn the_longest_literal_pattern_judges() {
    let policies =
        [policy("any", "[\"*\"]"), policy("shop", "[\"shop-*\", x]"), policy("till", "[\"shop-till*\"]")];
    let chosen = |session| policy_for(policies.iter(), session).unwrap().map(|policy| policy.name.as_str());
    assert_eq!(chosen("shop-till-3"), Some("till"));
    assert_eq!(chosen("shop-cart"), Some("shop"));
    assert_eq!(chosen("x"), Some("shop"));
    assert_eq!(chosen("y"), Some("any"));
    assert_eq!(policy_for(policies[1..].iter(), "y"), Ok(None));
}

#[test]
fn a_whole_name_comes_before_a_pattern_of_its_length() {
    let policies = [policy("pattern", "[\"prod*\"]"), policy("name", "[prod]")];
    assert_eq!(policy_for(policies.iter(), "prod").unwrap().unwrap().name, "name");
}

#[test]
fn a_tie_names_both_policies_and_what_to_do() {
    let policies = [policy("any", "[\"*\"]"), policy("left", "[\"a*\"]"), policy("right", "[\"*a\"]")];
    let tie = policy_for(policies.iter(), "a").unwrap_err();
    insta::assert_snapshot!(tie);
    assert_eq!(policy_for(policies.iter(), "ab").unwrap().unwrap().name, "left");
}

#[test]
fn a_manifest_narrows_and_never_widens() {
    let mut policy = policy("p", "[\"*\"]");
    policy.mutation_policy = MutationPolicy::Optimize;
    policy.constraints = Constraints { max_latency_ms: Some(250.0), min_throughput: Some(10.0) };
    policy.protected_nodes = vec!["sink".into(), "read".into()];
    let asked = ControllerSection {
        enabled: false,
        action_cooldown_ms: 9_000,
        mutation_policy: Some(MutationPolicy::Heal),
        constraints: Constraints { max_latency_ms: Some(100.0), min_throughput: Some(20.0) },
        protected_nodes: vec!["read".into(), "map".into()],
        ..ControllerSection::default()
    };
    let narrowed = rules(&policy, &asked);
    assert!(!narrowed.enabled);
    assert_eq!((narrowed.mutation, narrowed.cooldown_ms), (MutationPolicy::Heal, 9_000));
    assert_eq!((narrowed.max_latency_ms, narrowed.min_throughput), (Some(100.0), Some(20.0)));
    assert_eq!(narrowed.protected, ["sink", "read", "map"]);
    assert_eq!((narrowed.max_actions, narrowed.window_ms, narrowed.history), (5, 60_000, 30));

    let wider = ControllerSection {
        mutation_policy: Some(MutationPolicy::Full),
        constraints: Constraints { max_latency_ms: Some(900.0), min_throughput: Some(1.0) },
        ..ControllerSection::default()
    };
    let narrowed = rules(&policy, &wider);
    assert_eq!((narrowed.mutation, narrowed.cooldown_ms), (MutationPolicy::Optimize, 5_000));
    assert_eq!((narrowed.max_latency_ms, narrowed.min_throughput), (Some(250.0), Some(10.0)));
    assert_eq!(rules(&policy, &ControllerSection::default()).max_latency_ms, Some(250.0));
}
