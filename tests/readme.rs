#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! The README's first guardrail, followed word by word.

mod support;

use std::path::Path;
use std::process::Command;

use support::{root, said};

/// The shell commands of a section, in their order.
fn commands(readme: &str, section: &str) -> String {
    let from = readme.find(section).unwrap_or_else(|| panic!("the README has no section {section:?}"));
    let body = &readme[from + section.len()..];
    let body = &body[..body.find("\n## ").unwrap_or(body.len())];
    let mut script = String::from("set -euo pipefail\n");
    for block in body.split("```sh\n").skip(1) {
        script.push_str(block.split("\n```").next().unwrap());
        script.push('\n');
    }
    script
}

#[test]
fn the_first_guardrail_works_when_the_readme_is_followed_word_by_word() {
    if !flyball_first_party::FROM_SOURCE {
        eprintln!("skipped: this compiler has no wasm32-wasip2, so no plugin can be built");
        return;
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let script = commands(&readme, "## Your first guardrail");
    let scratch = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_flyball")).parent().unwrap();
    // The README puts a release build first on the path; this very build is to be tried instead.
    let script = script.replace("$PWD/target/release", &program.display().to_string());
    let output = Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(root())
        .env("TMPDIR", scratch.path())
        .env("NO_COLOR", "1")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("plugins/scale-cap.wasm: validator scale-cap 0.1.0"), "{text}");
    assert!(text.contains("judged by the policy capped"), "{text}");
    assert!(text.contains("scale-cap denies:") && text.contains("workers for slow, at most 1"), "{text}");
}

#[test]
fn the_code_that_the_readme_shows_is_that_of_the_example() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let example = root().join("docs/examples/first-guardrail/scale-cap/src/lib.rs");
    let example = std::fs::read_to_string(example).unwrap();
    let shown: Vec<&str> =
        readme.split("```rust\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(shown.len(), 1, "the README shows one piece of code");
    assert!(example.contains(shown[0]), "{} is not in the example", shown[0]);
}
