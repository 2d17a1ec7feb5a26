//! Builds the first-party plugins as components, with the lean settings that the SDK recommends.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

/// Every plugin in `plugins/`, in the order of the alphabet.
const PLUGINS: &[&str] = &[
    "http-catalog",
    "llm-decider",
    "mutation-policy",
    "no-oscillation",
    "protected-nodes",
    "rule-decider",
    "standard-reverser",
    "static-catalog",
    "threshold-heuristic",
    "tokenise",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let own = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = own.ancestors().nth(2).ok_or("the bundle is not in plugins/ of its workspace")?;
    watch(root);
    let target_dir = out.join("guests");
    compile(root, &target_dir)?;
    let made = target_dir.join(TARGET).join("plugin");
    let list: Result<Vec<String>, String> = PLUGINS.iter().map(|name| entry(&made, name)).collect();
    let source = format!("&[\n{}]", list?.concat());
    fs::write(out.join("first_party.rs"), source).map_err(|error| format!("{}: {error}", out.display()))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: this is a build script, run by cargo"))
}

fn watch(root: &Path) {
    for path in ["wit", "json", "plugins", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
}

/// A cargo of its own, in a target folder of its own: in the outer one it would wait for the outer's lock for ever.
fn compile(root: &Path, target_dir: &Path) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--quiet", "--profile", "plugin", "--target", TARGET])
        .arg("--target-dir")
        .arg(target_dir);
    for name in PLUGINS {
        cargo.args(["--package", name]);
    }
    // What the outer cargo says is about the outer target, or would send the guests' output elsewhere.
    for outer in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
    ] {
        cargo.env_remove(outer);
    }
    // A small stack: with the data and the heap behind it, an instance begins with two pages.
    cargo.env("RUSTFLAGS", "-C link-arg=-zstack-size=65536");
    let done = cargo.output().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    if said.contains("can't find crate for `core`") || said.contains("target may not be installed") {
        return Err(format!("the plugins need the target {TARGET}; add it with: rustup target add {TARGET}"));
    }
    Err(format!("the first-party plugins do not build:\n{said}"))
}

fn entry(made: &Path, name: &str) -> Result<String, String> {
    let file = made.join(name.replace('-', "_")).with_extension("wasm");
    if !file.exists() {
        return Err(format!("{} was not built", file.display()));
    }
    Ok(format!(
        "    FirstParty {{ name: {name:?}, wasm: include_bytes!({:?}) }},\n",
        file.display().to_string()
    ))
}
