//! Whatever lies in a plugin directory is loaded or refused with a sentence.
#![no_main]

#[path = "../inputs.rs"]
mod inputs;

use std::sync::OnceLock;

use arbitrary::Unstructured;
use flyball_engine::{Engine, EngineOptions};
use flyball_model::Limits;
use libfuzzer_sys::{Corpus, fuzz_target};

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let load_limits = Limits { time_ms: 50, ..Limits::default() };
        Engine::new(EngineOptions { load_limits, ..EngineOptions::default() }).expect("an engine")
    })
}

/// The first-party plugins, the smallest first.
fn whole() -> &'static [Vec<u8>] {
    static WHOLE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let mut whole: Vec<Vec<u8>> =
            flyball_first_party::ALL.iter().map(|plugin| plugin.wasm.to_vec()).collect();
        whole.sort_by_key(Vec::len);
        whole
    })
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(file) = inputs::file(&mut Unstructured::new(bytes), whole()) else { return Corpus::Reject };
    if let Err(error) = engine().load(&file) {
        let said = error.to_string();
        assert!(!said.is_empty() && said.len() < 4_096, "{said}");
        assert!(!said.chars().any(|letter| letter.is_control() && letter != '\n'), "{said:?}");
    }
    Corpus::Keep
});
