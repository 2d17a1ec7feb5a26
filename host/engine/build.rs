//! Lists the files of the contract, so that the engine carries them to compare components with. Cargo runs it.
//!
//! Every file of `wit/` is in the list, so that a new interface needs no edit of one. `shape/mod.rs` includes what it writes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    match list() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|_| format!("{name} is not set: cargo runs this"));
    let folder = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../wit");
    println!("cargo::rerun-if-changed={}", folder.display());
    let unread = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(&folder).map_err(unread)?;
    let paths: Result<Vec<PathBuf>, String> =
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(unread)).collect();
    let mut files = paths?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wit"));
    files.sort();
    let included = files.iter().map(|path| format!("    include_str!({:?}),\n", path.display().to_string()));
    let source = format!("&[\n{}]", included.collect::<String>());
    let written = Path::new(&variable("OUT_DIR")?).join("contract.rs");
    fs::write(&written, source).map_err(|error| format!("{}: {error}", written.display()))
}
