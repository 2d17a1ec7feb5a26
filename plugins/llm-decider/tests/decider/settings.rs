//! What is wrong with settings, and where.

use flyball_plugin::Settings;
use flyball_plugin::settings::check_given;
use flyball_plugin::testing::with_settings;
use llm_decider::LlmDecider;
use serde_json::{Value, json};

fn faults(settings: Value) -> Vec<(String, String)> {
    let faults = with_settings(settings, check_given::<LlmDecider>);
    faults.into_iter().map(|fault| (fault.path, fault.message)).collect()
}

#[test]
fn the_defaults_are_right() {
    assert_eq!(faults(json!({})), []);
    assert_eq!(faults(json!({ "user": "{{findings}}", "prompt_tokens": 2_000 })), []);
}

#[test]
fn a_bad_template_is_told_with_its_place() {
    for (settings, path, message) in [
        (
            json!({ "user": "a\n{{nodes}}" }),
            "/user",
            "line 2: there is no section `nodes`; there are session, constraints,",
        ),
        (json!({ "system": "{{" }), "/system", "line 1: `{{` has no `}}` behind it"),
        (json!({ "system": "{{session}}" }), "/user", "`session` is in `system` already"),
        (
            json!({ "user": "x".repeat(30_000) }),
            "/prompt_tokens",
            "the templates and the answer's form take 9",
        ),
        (json!({ "prompt_tokens": 1_500 }), "/prompt_tokens", "the templates and the answer's form take 1"),
        (json!({ "prompt_tokens": 10 }), "/prompt_tokens", "10 is not between 1500 and 200000"),
        (json!({ "user": 7 }), "/user", "7 is not text"),
        (json!({ "model": "x" }), "/model", "`model` is unknown; the settings are system, user,"),
    ] {
        let found = faults(settings);
        assert!(found.iter().any(|(at, why)| at == path && why.starts_with(message)), "{message}: {found:?}");
    }
}

#[test]
fn every_setting_is_described() {
    let schema = LlmDecider::schema();
    for (name, setting) in schema["properties"].as_object().unwrap() {
        assert!(setting["description"].as_str().is_some_and(|said| said.len() > 20), "{name}");
        assert!(!setting["default"].is_null(), "{name}");
    }
}
