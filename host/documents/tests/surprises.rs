//! Golden texts: what YAML means to some readers and not to others is taken as YAML 1.2 says, or told at its line.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use flyball_documents::{DocumentText, is_policy, read_policy, unmatched_nodes};
use insta::assert_snapshot;

const JUDGES: &str = "
judges:
  heuristics: [{ plugin: threshold-heuristic }]
  deciders: [{ plugin: rule-decider }]
";

/// What the fields say that these documents set, or the faults.
fn told(text: &str) -> String {
    match read_policy(&DocumentText::new("p.yaml", text)) {
        Err(faults) => faults.to_string(),
        Ok(policy) => {
            let names = (&policy.name, &policy.sessions, &policy.protected_nodes);
            format!("{names:?} cooldown {} propose_only {}", policy.cooldown_ms, policy.safety.propose_only)
        }
    }
}

#[test]
fn each_surprise_of_yaml_is_read_as_yaml_1_2_says_or_told_at_its_line() {
    let with = |head: &str| format!("{head}{JUDGES}");
    let cases = [
        ("words that were booleans", with("name: NO\nprotected_nodes: [no, on, off, y, 12:30:45]")),
        ("words that are none", with("name: a\nprotected_nodes: [null, 1, 1.0, 0x10, 010, 1e3, true]")),
        ("in quotes", with("name: 'no'\nprotected_nodes: ['null', \"010\"]")),
        ("a key twice", with("name: a\ncooldown_ms: 1\n\"cooldown_ms\": 100000")),
        ("an anchor that nothing uses", with("name: &n a")),
        ("an alias", "name: a\njudges:\n  heuristics: [&h {plugin: threshold-heuristic}]\n  deciders: [*h]\n".into()),
        ("a merge key", with("name: a\nsafety:\n  <<: { propose_only: true }")),
        ("a star", with("name: a\nsessions: [*]")),
        ("tabs", "name: a\njudges:\n\theuristics: []\n".into()),
        ("a byte order mark and CRLF", with("\u{feff}name: a\r\ncooldown_ms: 7\r")),
        ("a second document", with("name: a") + "---\n"),
        ("marks around one document", "---\n".to_owned() + &with("name: a") + "...\n"),
        ("another version", "%YAML 1.1\n---\n".to_owned() + &with("name: a")),
        ("this version", "# of ours\n%YAML 1.2\n---\n".to_owned() + &with("name: a")),
        ("nothing", String::new()),
        ("an exponent", with("name: a\ncooldown_ms: 5e3")),
        ("a fraction", with("name: a\ncooldown_ms: 5000.0")),
        ("digits in groups", with("name: a\ncooldown_ms: 5_000")),
        ("a unit", with("name: a\ncooldown_ms: 5s")),
        ("too large", with("name: a\ncooldown_ms: 99999999999999999999")),
        ("negative", with("name: a\ncooldown_ms: -1")),
        ("a number in quotes", with("name: a\ncooldown_ms: \"5000\"")),
        ("a space that does not break", with("name: a\ncooldown_ms:\u{a0}5000")),
        ("no number", with("name: a\nconstraints: { max_latency_ms: .nan }")),
        ("a word for a boolean", with("name: a\nsafety: { propose_only: yes }")),
        ("an octal number", with("name: a\ncooldown_ms: 0o17")),
        ("a tag", with("name: !!str 5")),
        ("a comment that takes a bracket along", with("name: a#b\nsessions: [a #b]")),
        ("two colons", with("name: a: b")),
        ("one name for a list", with("name: a\nsessions: \"*\"")),
        ("a list of nothing", with("name: a\nprotected_nodes:")),
        ("another case", with("Name: a")),
        ("half a key", with("name: a\ncooldown: 5")),
        ("JSON", "{\n\t\"name\": \"a\",\n\t\"judges\": {\n\t\t\"deciders\": [{\"plugin\": \"rule-decider\"}]\n\t}\n}\n".into()),
        ("a name that looks like another", with("name: \"a\\u200b\"\nsessions: [\"sh\\u00adop\"]")),
        ("a name with a line feed", with("name: |\n  a\n  b")),
    ];
    let told: Vec<String> = cases.iter().map(|(case, text)| format!("{case}\n{}\n", told(text))).collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn a_policy_is_known_by_what_it_says_also_in_json_and_with_other_keys_before() {
    let is_policy = |text: &str| is_policy(&DocumentText::new("p.yaml", text));
    assert!(is_policy("{ name: a, judges: {} }"));
    assert!(is_policy("name: a\n'judges': {}\n"));
    assert!(!is_policy("name: a\nnodes: []\nconnections: []\n# judges:\n"));
    assert!(!is_policy("summary: |\n  judges:\n"));
}

#[test]
fn a_guard_that_fits_no_node_is_told_at_its_place() {
    let text = "name: a
protected_nodes: [in, slwo, \"slow*\", \"fast*\"]
judges:
  validators:
    - any_of: [{ plugin: protected-nodes, settings: { nodes: [out, uot] } }, { plugin: x, settings: { nodes: [y] } }]
";
    let policy = read_policy(&DocumentText::new("p.yaml", text)).unwrap();
    let told = unmatched_nodes(&policy, ["in", "slow-db", "out"]);
    let pointers: Vec<&str> = told.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/protected_nodes/1", "/protected_nodes/3", "/judges/validators/0/any_of/0/settings/nodes/1"]
    );
}
