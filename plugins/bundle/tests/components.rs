//! The components themselves: lean, and of the contract only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test")]

use flyball_first_party::ALL;
use wasmparser::{Parser, Payload};

/// The names that a component imports and exports itself, without those of what is nested in it.
fn faces(wasm: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut depth, mut imports, mut exports) = (0, Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

/// The other two folders are what plugins are written with and what builds them.
#[test]
fn every_folder_of_plugins_but_the_sdk_and_the_bundle_is_a_component() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["bundle", "sdk"].contains(&name.as_str()))
        .collect();
    folders.sort_unstable();
    let built: Vec<&str> = ALL.iter().map(|plugin| plugin.name).collect();
    assert_eq!(built, folders);
}

#[test]
fn every_plugin_has_a_lifecycle_and_one_face() {
    for plugin in ALL {
        let (_, exports) = faces(plugin.wasm);
        assert!(
            exports.iter().any(|name| name == "flyball:plugin/lifecycle@0.1.0"),
            "{}: {exports:?}",
            plugin.name
        );
        assert_eq!(exports.len(), 2, "{}: {exports:?}", plugin.name);
    }
}

#[test]
fn no_plugin_imports_anything_but_the_contract() {
    for plugin in ALL {
        let (imports, _) = faces(plugin.wasm);
        assert!(
            imports.iter().all(|name| name.starts_with("flyball:plugin/")),
            "{}: {imports:?}",
            plugin.name
        );
    }
}

#[test]
fn only_a_plugin_that_wants_a_grant_imports_it() {
    for plugin in ALL {
        let (imports, _) = faces(plugin.wasm);
        let granted: Vec<&str> = ["http", "llm", "state"]
            .into_iter()
            .filter(|grant| imports.iter().any(|name| name.contains(&format!("/{grant}@"))))
            .collect();
        let wanted: &[&str] = match plugin.name {
            "http-catalog" => &["http"],
            "llm-decider" => &["llm", "state"],
            _ => &[],
        };
        assert_eq!(granted, wanted, "{}: {imports:?}", plugin.name);
    }
}
