//! Whatever a server says, something is made of it, and the key is not in it.

use std::sync::LazyLock;
use std::time::Duration;

use flyball_llm::{Llms, Provider};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::server::{Reply, Server};
use crate::speaking::{ALL, KEY, Kept, grant, question};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Names and values that the formats know, the key, and anything.
fn name() -> impl Strategy<Value = String> {
    let known = [
        "content",
        "type",
        "text",
        "tool_use",
        "input",
        "stop_reason",
        "usage",
        "input_tokens",
        "choices",
        "message",
        "tool_calls",
        "function",
        "arguments",
        "refusal",
        "finish_reason",
        "prompt_tokens",
        "candidates",
        "parts",
        "functionCall",
        "args",
        "finishReason",
        "promptFeedback",
        "blockReason",
        "usageMetadata",
        "error",
        "code",
        "details",
        "retryDelay",
        "reason",
        "id",
        "end_turn",
        "max_tokens",
        "stop",
        "length",
        "STOP",
        "SAFETY",
        KEY,
    ];
    prop_oneof![4 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        name(),
        (name(), name()).prop_map(|(a, b)| format!("{a} {KEY} {b}")),
        name().prop_map(|text| json!({ "act": text, KEY: KEY }).to_string()),
        "[0-9]{1,20}s",
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A good answer in which one value is another.
fn bent() -> impl Strategy<Value = Value> {
    let good = vec![
        json!({
            "content": [{ "type": "tool_use", "input": { "act": KEY } }], "stop_reason": "tool_use",
            "usage": { "input_tokens": 1, "output_tokens": 1 }, "id": KEY,
        }),
        json!({
            "choices": [{ "message": { "content": "{\"act\": 1}" }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 1, "completion_tokens": 1 }, "id": KEY,
        }),
        json!({
            "candidates": [{ "content": { "parts": [{ "text": "{\"act\": 1}" }] }, "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": 1 }, "responseId": KEY,
        }),
    ];
    (prop::sample::select(good), any::<prop::sample::Index>(), any_json()).prop_map(
        |(mut good, at, value)| {
            let mut places = Vec::new();
            pointers(&good, String::new(), &mut places);
            let place = &places[at.index(places.len())];
            *good.pointer_mut(place).unwrap() = value;
            good
        },
    )
}

fn pointers(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{index}"), all);
            }
        }
        Value::Object(entries) => {
            for (name, value) in entries {
                pointers(value, format!("{at}/{name}"), all);
            }
        }
        _ => {}
    }
    all.push(at);
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => bent().prop_map(|json| json.to_string().into_bytes()),
        2 => any_json().prop_map(|json| json.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (text(), text()).prop_map(|(a, b)| format!("{a}{KEY}{b}").into_bytes()),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let status = prop_oneof![4 => Just(200_u16), 2 => 200..600_u16];
    let header = prop_oneof![
        Just("retry-after"),
        Just("request-id"),
        Just("location"),
        Just("retry-after-ms"),
        Just("date")
    ];
    let value = prop_oneof![
        "[ -~]{0,30}",
        Just(KEY.to_owned()),
        Just("18446744073709551615".to_owned()),
        Just("1e9".to_owned())
    ];
    prop_oneof![
        8 => (status, prop::collection::vec((header, value), 0..3), body())
            .prop_map(|(status, headers, body)| Reply::Whole(status, headers, body)),
        1 => body().prop_map(Reply::CutOff),
    ]
}

fn provider() -> impl Strategy<Value = Provider> {
    prop::sample::select(ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_panics_and_none_gives_the_key_away(provider in provider(), reply in reply(), plain in any::<bool>()) {
        let said = RUNTIME.block_on(async {
            let server = Server::saying([reply]).await;
            let (kept, llms) = (Kept::new(), Llms::new());
            let mut grant = grant(provider, &server);
            grant.limits.tries = 2;
            let llm = llms.permit(&grant).unwrap().kept_by(kept.clone());
            let mut question = question();
            if plain {
                question.schema = None;
            }
            let result = llm.ask("s", &question, Instant::now() + Duration::from_millis(200)).await;
            let mut said = format!("{result:?} {llm:?} {:?}", kept.all());
            said.push_str(&serde_json::to_string(&kept.all()).unwrap());
            match result {
                Ok(answer) => said.push_str(&serde_json::to_string(&answer).unwrap()),
                Err(error) => said.push_str(&error.to_string()),
            }
            said
        });
        prop_assert!(!said.contains(KEY), "{}", said);
    }
}
