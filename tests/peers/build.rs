//! Builds the rules as an Extism plugin.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs};

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=extism");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// By a cargo of its own, in a target folder of its own: in the outer one it would wait for the outer's lock for ever.
fn build() -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let out = PathBuf::from(variable("OUT_DIR")?);
    let target_dir = out.join("guest");
    let status = Command::new(variable("CARGO")?)
        .args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "extism-rules",
            "--profile",
            "plugin",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(&target_dir)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err(format!("cargo could not build the rules as an Extism plugin: {status}"));
    }
    let wasm = target_dir.join(TARGET).join("plugin/extism_rules.wasm");
    fs::copy(&wasm, out.join("extism_rules.wasm"))
        .map(drop)
        .map_err(|error| format!("{}: {error}", wasm.display()))
}
