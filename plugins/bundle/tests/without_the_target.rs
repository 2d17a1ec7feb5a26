#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
//! A build in a toolchain that lacks `wasm32-wasip2`: a copy of the real one, made of links.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

fn sysroot() -> PathBuf {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc).args(["--print", "sysroot"]).output().unwrap();
    PathBuf::from(String::from_utf8(printed.stdout).unwrap().trim())
}

/// A file of the toolchain: the compiler finds its libraries by where it is itself, so a symbolic link does not do.
fn link(from: &Path, to: &Path) {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).unwrap();
    }
}

struct Toolchain(tempfile::TempDir);

impl Toolchain {
    /// With a program `rustup` that does what the script says.
    fn with_rustup(script: &str) -> Self {
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (real, bin, lib) = (sysroot(), place.path().join("bin"), place.path().join("lib"));
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(lib.join("rustlib")).unwrap();
        for program in ["cargo", "rustc"] {
            link(&real.join("bin").join(program), &bin.join(program));
        }
        for entry in fs::read_dir(real.join("lib")).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                link(&entry.path(), &lib.join(entry.file_name()));
            }
        }
        for entry in fs::read_dir(real.join("lib/rustlib")).unwrap().map(Result::unwrap) {
            if entry.file_name() != TARGET {
                symlink(entry.path(), lib.join("rustlib").join(entry.file_name())).unwrap();
            }
        }
        let rustup = bin.join("rustup");
        fs::write(&rustup, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&rustup, fs::Permissions::from_mode(0o755)).unwrap();
        Self(place)
    }

    /// Builds the bundle from nothing, and gives what cargo said.
    fn build(&self) -> String {
        let bin = self.0.path().join("bin");
        let output = Command::new(bin.join("cargo"))
            .args(["build", "--locked", "--package", "flyball-first-party", "--target-dir"])
            .arg(self.0.path().join("target"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("RUSTUP_AUTO_INSTALL", "0")
            // rustup sets it for the tests: with it, the copy would find the libraries of the real toolchain.
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("RUSTC")
            .env_remove("CARGO")
            .env_remove("RUSTUP_TOOLCHAIN")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    fn built_from_source(&self) -> bool {
        let built = fs::read_dir(self.0.path().join("target/debug/build")).unwrap();
        let found = built
            .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("out/from_source.rs")).ok())
            .next();
        found.unwrap() == "true"
    }
}

#[test]
fn where_nobody_can_add_the_target_the_carried_components_serve_and_one_line_says_so() {
    let toolchain = Toolchain::with_rustup("exit 1");
    let said = toolchain.build();
    assert_eq!(said.matches(TARGET).count(), 1, "{said}");
    assert!(said.contains("the plugins are the components that the repository carries"), "{said}");
    assert!(!toolchain.built_from_source());
}

#[test]
fn where_rustup_can_add_the_target_it_is_added_and_one_line_says_so() {
    let real = sysroot().join("lib/rustlib").join(TARGET);
    if !real.is_dir() {
        eprintln!("skipped: this compiler has no {TARGET} that could be added");
        return;
    }
    let toolchain = Toolchain::with_rustup(&format!(
        "[ \"$*\" = 'target add {TARGET}' ] && ln -s '{}' \"$(dirname \"$0\")/../lib/rustlib/\"",
        real.display()
    ));
    let said = toolchain.build();
    assert_eq!(said.matches(TARGET).count(), 1, "{said}");
    assert!(said.contains("added the target"), "{said}");
    assert!(toolchain.built_from_source());
}
