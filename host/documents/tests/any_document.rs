//! What holds of every document.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;

use flyball_documents::{DocumentText, locate, read_manifest, read_policy};
use flyball_model::{
    BreakerPolicy, Constraints, DeciderRule, Grants, JudgesSection, Limits, MutationPolicy, OnFailure,
    PluginUse, Policy, Problem, ValidatorRule,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_json::Value;

fn told_of(text: &str) -> Vec<String> {
    let source = DocumentText::new("any.yaml", text);
    let told = [read_policy(&source).err(), read_manifest(&source).err()];
    let located =
        locate(&source, vec![Problem::new("/judges/deciders/0", "x"), Problem::new("no pointer", "y")]);
    told.into_iter().flatten().chain([located]).flat_map(|faults| faults.lines()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read_or_refused_with_a_line(bytes in vec(any::<u8>(), 0..300)) {
        for line in told_of(&String::from_utf8_lossy(&bytes)) {
            prop_assert!(line.starts_with("any.yaml:"), "{}", line);
        }
    }

    #[test]
    fn anything_that_looks_like_yaml_is_read_or_refused_with_a_line(
        text in vec(prop::sample::select(PIECES.to_vec()), 0..60)
    ) {
        for line in told_of(&text.concat()) {
            prop_assert!(line.starts_with("any.yaml:"), "{}", line);
        }
    }

    #[test]
    fn a_document_cut_anywhere_is_read_or_refused_with_a_line(at in 0..DEFAULT.len()) {
        let cut = String::from_utf8_lossy(DEFAULT.as_bytes().split_at(at).0).into_owned();
        for line in told_of(&cut) {
            prop_assert!(line.starts_with("any.yaml:"), "{}", line);
        }
    }

    #[test]
    fn a_policy_that_is_written_is_read_back_equal(policy in policies()) {
        let text = serde_json::to_string_pretty(&policy).unwrap();
        let read = read_policy(&DocumentText::new("p.yaml", text));
        prop_assert_eq!(read.map_err(|faults| faults.to_string()), Ok(policy));
    }
}

const DEFAULT: &str = include_str!("../../../policies/default.yaml");

const PIECES: &[&str] = &[
    "name",
    "judges",
    "nodes",
    ":",
    ": ",
    "- ",
    "-",
    "\n",
    "\n  ",
    "\n\t",
    "[",
    "]",
    "{",
    "}",
    ",",
    "? ",
    "&a ",
    "*a",
    "!t ",
    "!!",
    "'",
    "\"",
    "|",
    ">",
    "|2-\n",
    "#",
    " #x",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "<<",
    "~",
    "1",
    "0x",
    ".nan",
    "\\",
    "\\u12",
    "ä",
    "\u{feff}",
    "\0",
    "\r",
    "\u{85}",
    "\u{2028}",
    "@",
    "`",
];

fn words() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,6}(-[a-z0-9]{1,6}){0,2}"
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~äß✓\n\t]{0,20}",
        Just("yes".to_owned()),
        Just("1e3".to_owned()),
        Just("- x: &y".to_owned())
    ]
}

/// Names are what can be seen.
fn names() -> impl Strategy<Value = String> {
    "[!-~äß✓]{1,20}"
}

fn values() -> impl Strategy<Value = Value> {
    let leaves = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaves.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(texts(), inner, 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn uses() -> impl Strategy<Value = Vec<PluginUse>> {
    btree_set(words(), 0..3).prop_flat_map(|names| {
        let uses: Vec<_> = names.into_iter().map(used).collect();
        uses
    })
}

fn used(plugin: String) -> impl Strategy<Value = PluginUse> {
    let settings = btree_map(texts(), values(), 0..4);
    let limits = (1..600_000_u64, 1..1_024_u64, 1..65_536_u64, 0..1_024_u64);
    (settings, limits, any::<bool>(), any::<bool>()).prop_map(
        move |(settings, (time_ms, memory_mb, output_kb, log_kb), logs, open)| PluginUse {
            plugin: plugin.clone(),
            settings: settings.into_iter().collect::<BTreeMap<_, _>>(),
            limits: Limits { time_ms, memory_mb, output_kb, log_kb, ..Limits::default() },
            grants: Grants { log: logs, ..Grants::default() },
            on_failure: if open { OnFailure::Open } else { OnFailure::Closed },
        },
    )
}

fn policies() -> impl Strategy<Value = Policy> {
    let levels = prop::sample::select(vec![
        MutationPolicy::ReadOnly,
        MutationPolicy::Heal,
        MutationPolicy::Optimize,
        MutationPolicy::Full,
    ]);
    let numbers = (any::<u64>(), 1..u32::MAX, 1..u64::MAX, 1..3_600_u32);
    let constraints = (prop::option::of(0.0..1e12), prop::option::of(0.0..1e12));
    let judges = (uses(), uses(), uses(), uses(), uses());
    (words(), vec("[a-z*-]{1,9}", 1..3), levels, numbers, constraints, vec(names(), 0..3), judges).prop_map(
        |(name, sessions, mutation_policy, numbers, constraints, protected_nodes, judges)| Policy {
            safety: Default::default(),
            name,
            sessions,
            mutation_policy,
            cooldown_ms: numbers.0,
            breaker: BreakerPolicy { max_actions: numbers.1, window_ms: numbers.2 },
            constraints: Constraints { max_latency_ms: constraints.0, min_throughput: constraints.1 },
            protected_nodes,
            history: numbers.3,
            signers: Vec::new(),
            plugins: Default::default(),
            judges: JudgesSection {
                heuristics: judges.0,
                catalogs: judges.1,
                deciders: judges.2.into_iter().map(DeciderRule::from).collect(),
                shadows: Vec::new(),
                validators: judges.3.into_iter().map(ValidatorRule::One).collect(),
                reversers: judges.4,
                others: Default::default(),
            },
        },
    )
}
