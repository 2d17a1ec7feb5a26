#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
//! What the repository carries for compilers without the target is what the source builds.
//!
//! `FLYBALL_CARRY=1 cargo test -p flyball-first-party --test carried` writes `carried/` anew after a change of a plugin.

use std::fmt::Write as _;
use std::path::PathBuf;

use flyball_first_party::{ALL, FROM_SOURCE};
use sha2::{Digest, Sha256};

fn carried(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("carried").join(file)
}

fn index() -> String {
    let mut index = String::new();
    for plugin in ALL {
        let digest: String = Sha256::digest(plugin.wasm).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(index, "{} {} {digest}", plugin.name, plugin.wasm.len()).unwrap();
    }
    index
}

fn all_bytes() -> Vec<u8> {
    ALL.iter().flat_map(|plugin| plugin.wasm).copied().collect()
}

fn write() {
    std::fs::create_dir_all(carried("")).unwrap();
    std::fs::write(carried("components.txt"), index()).unwrap();
    let mut encoder = zstd::Encoder::new(Vec::new(), 19).unwrap();
    // The components share most of their code, which only a window over all of them sees.
    encoder.window_log(23).unwrap();
    std::io::Write::write_all(&mut encoder, &all_bytes()).unwrap();
    std::fs::write(carried("components.zst"), encoder.finish().unwrap()).unwrap();
}

#[test]
fn the_carried_components_are_those_that_the_source_builds() {
    if !FROM_SOURCE {
        eprintln!(
            "skipped: the compiler has no wasm32-wasip2, so the plugins were not built from their source"
        );
        return;
    }
    if std::env::var_os("FLYBALL_CARRY").is_some() {
        write();
    }
    let written = std::fs::read_to_string(carried("components.txt")).unwrap();
    assert_eq!(
        written,
        index(),
        "the source builds other components than the repository carries; write them anew with \
         FLYBALL_CARRY=1 cargo test -p flyball-first-party --test carried"
    );
    let unpacked = zstd::decode_all(std::fs::File::open(carried("components.zst")).unwrap()).unwrap();
    assert!(unpacked == all_bytes(), "carried/components.zst does not hold what components.txt lists");
}

#[test]
fn a_component_holds_no_path_of_the_machine_that_built_it() {
    if !FROM_SOURCE {
        eprintln!("skipped: the plugins were not built here");
        return;
    }
    let root = env!("CARGO_MANIFEST_DIR").strip_suffix("/plugins/bundle").unwrap();
    let home = std::env::home_dir().unwrap();
    for plugin in ALL {
        for path in [root, home.to_str().unwrap()] {
            let found = plugin.wasm.windows(path.len()).any(|bytes| bytes == path.as_bytes());
            assert!(!found, "{} holds {path}", plugin.name);
        }
    }
}
