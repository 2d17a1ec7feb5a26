//! What is wrong with a grant.

use flyball_llm::{Decimal, LlmGrant, Llms, Provider};
use flyball_model::SecretSource;
use serde_json::json;

use crate::speaking::bare;

fn problems(grant: &LlmGrant) -> Vec<(String, String)> {
    let problems = Llms::new().permit(grant).err().unwrap_or_default();
    problems.into_iter().map(|problem| (problem.pointer.clone(), problem.to_string())).collect()
}

fn local(change: impl FnOnce(&mut LlmGrant)) -> LlmGrant {
    let mut grant = bare(Provider::Openai);
    grant.base_url = Some("http://127.0.0.1:8080/v1".into());
    change(&mut grant);
    grant
}

#[test]
fn a_local_server_needs_provider_model_and_address_and_nothing_else() {
    assert_eq!(problems(&local(|_| {})), []);
}

#[test]
fn a_key_goes_over_plain_http_to_this_machine_only_unless_the_host_is_named() {
    for good in ["http://localhost:1/v1", "http://127.0.0.9", "http://[::1]:1/", "https://gateway.example/v1"]
    {
        assert_eq!(problems(&local(|grant| grant.base_url = Some(good.into()))), [], "{good}");
    }
    for (wrong, why) in [
        ("http://gateway.example/v1", "plain http to gateway.example, which is another machine"),
        ("http://10.0.0.1", "plain http"),
        ("http://localhost.example", "plain http"),
        ("ftp://gateway.example", "neither http nor https"),
        ("gateway.example/v1", "no URL"),
        ("https://", "no URL"),
        ("https://me:secretpass@gateway.example", "a user or a password"),
        ("https://gateway.example/?key=1", "a query or a fragment"),
    ] {
        let told = problems(&local(|grant| grant.base_url = Some(wrong.into())));
        let [(at, said)] = &told[..] else { panic!("{wrong}: {told:?}") };
        assert_eq!(at, "/base_url");
        assert!(said.contains(why) && !said.contains("secretpass"), "{wrong}: {said}");
    }
    let named = local(|grant| {
        grant.base_url = Some("http://gateway.example/v1".into());
        grant.plain_http = vec!["Gateway.example".into()];
    });
    assert_eq!(problems(&named), []);
}

#[test]
fn a_provider_that_asks_for_a_key_is_not_asked_without_one() {
    let [(at, said)] = &problems(&bare(Provider::Anthropic))[..] else { panic!() };
    assert_eq!(at, "/key");
    assert!(said.contains("anthropic asks for a key"), "{said}");
    let mut missing = bare(Provider::Gemini);
    missing.key = Some(SecretSource::Env("FLYBALL_LLM_NOT_SET".into()));
    let [(at, said)] = &problems(&missing)[..] else { panic!() };
    assert_eq!(at, "/key/env");
    assert!(said.contains("set FLYBALL_LLM_NOT_SET for the host"), "{said}");
}

#[test]
fn a_key_that_is_written_where_its_variable_is_named_is_not_said_again() {
    let mut mistaken = bare(Provider::Gemini);
    mistaken.key = Some(SecretSource::Env("sk-live-0123456789".into()));
    let [(at, said)] = &problems(&mistaken)[..] else { panic!() };
    assert_eq!(at, "/key/env");
    assert!(said.contains("not the name of an environment variable"), "{said}");
    assert!(!said.contains("sk-live"), "{said}");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = local(|grant| {
        grant.model = " ".into();
        grant.limits.tries = 0;
        grant.limits.max_kb = 1 << 30;
        grant.breaker.failures = 0;
        grant.budgets.host.money = Some(Decimal::millionths(1));
        grant.key = Some(SecretSource::File("/not/there".into()));
        grant.base_url = Some("no".into());
    });
    let told = problems(&wrong);
    let at: Vec<&str> = told.iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(
        at,
        [
            "/limits/max_kb",
            "/limits/tries",
            "/breaker/failures",
            "/budgets/host/money",
            "/model",
            "/key/file",
            "/base_url"
        ]
    );
}

#[test]
fn a_grant_is_read_as_a_policy_writes_it_and_nothing_else_is() {
    let written = json!({
        "provider": "anthropic", "model": "m", "base_url": "https://gateway.example", "key": { "env": "KEY" },
        "answer_by": "tool", "prices": { "input": 3, "output": 15, "cached_input": 0.3 },
        "limits": { "time_ms": 1000 }, "budgets": { "session": { "tokens": 1000, "money": 0.5 } },
        "breaker": { "failures": 2 }, "cache": { "answers": 0 },
    });
    let grant: LlmGrant = serde_json::from_value(written.clone()).unwrap();
    let again: LlmGrant = serde_json::from_value(serde_json::to_value(&grant).unwrap()).unwrap();
    assert_eq!(grant, again);
    let schema = serde_json::to_value(schemars::schema_for!(LlmGrant)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&written));
    for (name, value) in
        [("temprature", json!(1)), ("provider", json!("other")), ("limits", json!({ "tries": 0 }))]
    {
        let mut wrong = written.clone();
        wrong[name] = value;
        assert!(!validator.is_valid(&wrong), "{name}");
    }
    assert!(
        serde_json::from_value::<LlmGrant>(json!({ "provider": "openai", "model": "m", "x": 1 })).is_err()
    );
}
