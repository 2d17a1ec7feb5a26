//! A document may come from anybody: four times as much of it takes some four times as long to read, and not sixteen times.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use flyball_documents::{DocumentText, is_policy, locate, never_fires, read_manifest, read_policy};
use flyball_model::Problem;
use nix::time::{ClockId, clock_gettime};

/// What of this thread's time a piece of work takes, others on the machine not counted; the least of some tries.
fn cost(work: impl Fn()) -> Duration {
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let tries = (0..3).map(|_| {
        let begun = now();
        work();
        now().saturating_sub(begun)
    });
    tries.min().unwrap()
}

fn read_all(text: &str) {
    let source = DocumentText::new("any.yaml", text);
    let faults = [read_policy(&source).err(), read_manifest(&source).err()];
    faults.iter().flatten().for_each(|faults| assert!(faults.lines().len() <= 101));
    if let Ok(policy) = read_policy(&source) {
        drop(locate(&source, never_fires(&policy)).lines());
    }
    is_policy(&source);
    let problems = (0..200).map(|index| Problem::new(format!("/nodes/{index}/id"), "x")).collect();
    drop(locate(&source, problems).lines());
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|index| line(index) + "\n").collect()
}

fn policy(rest: &str) -> String {
    format!("name: p\njudges: {{}}\n{rest}")
}

/// Each makes a document of about so many parts.
type Shape = (&'static str, fn(usize) -> String);

const SHAPES: &[Shape] = &[
    ("unknown keys", |n| policy(&lines(n, |i| format!("cooldwon_{i}: 1")))),
    ("long unknown keys", |n| policy(&lines(n / 4, |i| format!("{}{i}: 1", "k".repeat(58))))),
    ("one key given again and again", |n| policy(&lines(n, |_| "cooldown_ms: 1".to_owned()))),
    ("unknown keys of nodes", |n| {
        format!(
            "name: m\nnodes:\n{}connections: []\n",
            lines(n, |i| format!("- {{ id: n{i}, tipe: x, replicsa: 0 }}"))
        )
    }),
    ("nodes and connections", |n| {
        format!(
            "name: m\nnodes:\n{}connections:\n{}",
            lines(n, |i| format!("- {{ id: n{i}, type: map }}")),
            lines(n, |i| format!("- {{ from: n{i}, to: n{} }}", i + 1))
        )
    }),
    ("values out of range", |n| {
        format!(
            "name: m\nnodes:\n{}connections: []\n",
            lines(n, |i| format!("- {{ id: n{i}, type: x, replicas: 0 }}"))
        )
    }),
    ("names that cannot be seen", |n| {
        format!(
            "name: m\nnodes:\n{}connections: []\n",
            lines(n, |i| format!("- {{ id: \"n{i}\\u202e\", type: x }}"))
        )
    }),
    ("protected nodes", |n| policy(&format!("protected_nodes:\n{}", lines(n, |i| format!("- n{i}"))))),
    ("protected patterns", |n| {
        policy(&format!("protected_nodes:\n{}", lines(n, |i| format!("- \"n{i}*\""))))
    }),
    ("sessions", |n| policy(&format!("sessions:\n{}", lines(n, |i| format!("- \"s{i}*\""))))),
    ("deciders", |n| {
        format!(
            "name: p\njudges:\n  deciders:\n{}",
            lines(n, |i| format!("  - {{ plugin: rule-decider, name: d{i} }}"))
        )
    }),
    ("deciders that are wrong", |n| {
        format!(
            "name: p\njudges:\n  deciders:\n{}",
            lines(n, |i| format!("  - {{ plugin: Rule{i}, nmae: d{i} }}"))
        )
    }),
    ("groups of validators", |n| {
        format!(
            "name: p\njudges:\n  validators:\n{}",
            lines(n, |i| format!("  - {{ any_off: [{{ plugin: v{i} }}], not: 3 }}"))
        )
    }),
    ("one group of many", |n| {
        format!(
            "name: p\njudges:\n  validators:\n  - any_of:\n{}",
            lines(n, |i| format!("    - {{ plugin: v{i}, limits: {{ time_ms: 0 }} }}"))
        )
    }),
    ("groups in groups", |n| {
        let deep = |_| format!("  - {}{{ plugn: x }}{}", "{ any_of: [".repeat(20), "] }".repeat(20));
        format!("name: p\njudges:\n  validators:\n{}", lines(n / 40, deep))
    }),
    ("ways of a route", |n| {
        let ways = lines(n, |i| format!("    - {{ codes: [c{i}], ask: [{{ plugin: rule-decider }}] }}"));
        format!("name: p\njudges:\n  deciders:\n  - route:\n{ways}")
    }),
    ("steps of an escalation", |n| {
        policy(&format!("safety:\n  escalation:\n{}", lines(n, |i| format!("  - {{ decider: d{i} }}"))))
    }),
    ("lists in lists", |n| policy(&lines(n / 20, |i| format!("k{i}: {}{}", "[".repeat(50), "]".repeat(50))))),
    ("brackets that nothing closes", |n| format!("name: {}", "[".repeat(10 * n))),
    ("braces that nothing closes", |n| format!("name: {}", "{".repeat(10 * n))),
    ("dashes", |n| "- ".repeat(10 * n)),
    ("question marks", |n| "? ".repeat(10 * n)),
    ("colons", |n| format!("a{}", ": a".repeat(5 * n))),
    ("commas", |n| format!("a: [{}", ",".repeat(10 * n))),
    ("a list in a line", |n| policy(&format!("sessions: [{}]", "a,".repeat(5 * n)))),
    ("a mapping in a line", |n| {
        let keys: String = (0..n).map(|i| format!("k{i}: 1, ")).collect();
        policy(&format!("settings: {{{keys}}}"))
    }),
    ("one long word", |n| policy(&format!("sessions: {}", "a".repeat(20 * n)))),
    ("one long key", |n| policy(&format!("{}: 1", "a".repeat(20 * n)))),
    ("one long text in quotes", |n| policy(&format!("sessions: \"{}\"", "a\\u0041 ".repeat(5 * n)))),
    ("a text that nothing closes", |n| policy(&format!("sessions: \"{}", "a b\n  ".repeat(5 * n)))),
    ("a plain text of many lines", |n| policy(&format!("sessions:\n{}", lines(n, |_| "  a b".to_owned())))),
    ("a folded text of many lines", |n| {
        policy(&format!("sessions: >\n{}", lines(n, |_| "  a b".to_owned())))
    }),
    ("empty lines", |n| policy(&format!("sessions: |\n  a\n{}  b\n", "\n".repeat(10 * n)))),
    ("comments", |n| policy(&lines(n, |i| format!("# {i}")))),
    ("spaces", |n| policy(&format!("sessions:{}[]\n", " ".repeat(20 * n)))),
    ("anchors", |n| policy(&lines(n, |i| format!("k{i}: &a{i} x")))),
    ("an anchor's name", |n| policy(&format!("k: &{} x", "a".repeat(20 * n)))),
    ("directives", |n| format!("{}---\nname: x\n", lines(n, |i| format!("%TAG !e{i}! tag:x,2000:")))),
    ("documents", |n| "--- a\n".repeat(n)),
    ("tabs", |n| policy(&format!("sessions:\n{}", "\t".repeat(10 * n)))),
];

#[test]
fn four_times_as_much_of_anything_does_not_take_sixteen_times_as_long_to_read() {
    const PARTS: usize = 300;
    let slow: Vec<String> = SHAPES
        .iter()
        .filter_map(|(name, shape)| {
            let (little, much) = (shape(PARTS), shape(4 * PARTS));
            let (one, four) = (cost(|| read_all(&little)), cost(|| read_all(&much)));
            // Twice of what is in proportion, and what a start or a table that grows once may take.
            let most = 8 * one + Duration::from_millis(25);
            (four > most)
                .then(|| format!("{name}: {one:?} for {} bytes, {four:?} for {}", little.len(), much.len()))
        })
        .collect();
    assert!(slow.is_empty(), "{slow:#?}");
}
