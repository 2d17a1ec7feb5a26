use flyball_engine::{Engine, EngineOptions};
use flyball_model::PluginKind;

use crate::guests::{engine, guest, refusal};

#[test]
fn a_component_that_is_no_plugin_is_told_what_it_exports_and_what_was_expected() {
    let component =
        wat::parse_str(r#"(component (core module $m) (export "wasi:cli/run@0.2.0" (core module $m)))"#)
            .or_else(|_| wat::parse_str("(component)"))
            .unwrap();
    let said = refusal(&component).to_string();
    assert!(
        said.contains("flyball:plugin/lifecycle@0.1.0 and one of flyball:plugin/assessing@0.1.0"),
        "{said}"
    );
}

#[test]
fn a_core_module_is_told_how_to_become_a_component() {
    let said = refusal(&wat::parse_str("(module)").unwrap()).to_string();
    assert!(said.contains("core WebAssembly module") && said.contains("wasm32-wasip2"), "{said}");
}

#[test]
fn text_is_called_text() {
    assert!(refusal(b"this is not a plugin\n").to_string().contains("is text"));
}

#[test]
fn every_truncation_of_a_plugin_is_refused_and_none_panics() {
    let component = guest("whole", "1.0.0", "");
    assert_eq!(engine().load(&component).unwrap().kind(), PluginKind::Heuristic);
    for length in (0..component.len()).step_by(component.len() / 50) {
        let said = refusal(&component[..length]).to_string();
        assert!(!said.is_empty() && !said.contains("0x7f"), "{length}: {said}");
    }
}

#[test]
fn a_plugin_for_another_contract_is_told_both_versions() {
    let text = wasmprinted(&guest("older", "1.0.0", ""));
    let said = refusal(&text).to_string();
    assert_eq!(said, "the plugin was built for flyball:plugin@0.9.0; this host serves flyball:plugin@0.1.0");
}

/// The same component, as if its contract had another version of the same length.
fn wasmprinted(component: &[u8]) -> Vec<u8> {
    let (old, new) = (b"@0.1.0", b"@0.9.0");
    let mut changed = component.to_vec();
    for at in 0..changed.len().saturating_sub(old.len()) {
        if &changed[at..at + old.len()] == old {
            changed[at..at + new.len()].copy_from_slice(new);
        }
    }
    changed
}

#[test]
fn a_version_that_is_none_is_refused() {
    let said = refusal(&guest("named", "one", "")).to_string();
    assert!(said.contains("\"one\" is not a semantic version"), "{said}");
}

#[test]
fn a_damaged_cache_entry_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = || {
        let options = EngineOptions { cache_dir: Some(folder.path().to_owned()), ..EngineOptions::default() };
        Engine::new(options).unwrap()
    };
    let component = guest("cached", "1.0.0", "");
    engine().load(&component).unwrap();
    let inner = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let entry = std::fs::read_dir(inner).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&entry).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for bad in [damaged, whole[..whole.len() / 2].to_vec(), Vec::new()] {
        std::fs::write(&entry, bad).unwrap();
        assert_eq!(&*engine().load(&component).unwrap().id().name, "cached");
        assert_eq!(std::fs::read(&entry).unwrap().len(), whole.len());
    }
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { cache_dir: Some(folder.path().to_owned()), ..EngineOptions::default() };
    drop(Engine::new(options.clone()).unwrap());
    let inner = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    std::fs::set_permissions(inner, std::fs::Permissions::from_mode(0o777)).unwrap();
    let said = Engine::new(options).unwrap_err().to_string();
    assert!(said.contains("another user"), "{said}");
}
