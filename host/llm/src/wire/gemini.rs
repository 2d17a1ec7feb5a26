//! Google's generateContent (<https://ai.google.dev/api/generate-content>, structured output:
//! <https://ai.google.dev/gemini-api/docs/structured-output>). The schema goes as `responseJsonSchema`: the older
//! `responseSchema` is not JSON Schema but a part of OpenAPI's.

use reqwest::Url;
use serde_json::{Map, Value, json};

use super::{NAME, PURPOSE, Reading, Wire, beneath, count_at, malformed, name_at, other, system, text_at};
use crate::error::Fault;
use crate::{AnswerBy, Question, Stop, Tokens};

/// A model may be named with its collection (`models/NAME`, `tunedModels/NAME`) or without.
pub(super) fn url(base: &Url, model: &str) -> Url {
    let (collection, name) = model.split_once('/').unwrap_or(("models", model));
    let method = format!("{name}:generateContent");
    beneath(base, [collection, method.as_str()])
}

pub(super) fn body(wire: &Wire, question: &Question) -> Value {
    let mut config = Map::new();
    config.insert("maxOutputTokens".to_owned(), json!(question.max_tokens));
    if let Some(temperature) = wire.temperature {
        config.insert("temperature".to_owned(), json!(temperature));
    }
    let mut body = Map::new();
    body.insert("contents".to_owned(), json!([{ "role": "user", "parts": [{ "text": question.user }] }]));
    let system = system(wire, question);
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({ "parts": [{ "text": system }] }));
    }
    match (&question.schema, wire.by) {
        (Some(schema), AnswerBy::Schema) => {
            config.insert("responseMimeType".to_owned(), json!("application/json"));
            config.insert("responseJsonSchema".to_owned(), schema.clone());
        }
        (Some(schema), AnswerBy::Tool) => {
            let function = json!({ "name": NAME, "description": PURPOSE, "parametersJsonSchema": schema });
            body.insert("tools".to_owned(), json!([{ "functionDeclarations": [function] }]));
            let calling =
                json!({ "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": [NAME] } });
            body.insert("toolConfig".to_owned(), calling);
        }
        (Some(_), AnswerBy::Plain) | (None, _) => {}
    }
    body.insert("generationConfig".to_owned(), Value::Object(config));
    Value::Object(body)
}

pub(super) fn read(body: &Value) -> Result<Reading, Fault> {
    let candidate = body.pointer("/candidates/0");
    let blocked = text_at(body, "/promptFeedback/blockReason");
    if candidate.is_none() && blocked.is_none() {
        return Err(malformed("the answer has no \"candidates\""));
    }
    let parts = candidate.and_then(|candidate| candidate.pointer("/content/parts")).and_then(Value::as_array);
    let parts = parts.map(Vec::as_slice).unwrap_or_default();
    // What was thought is no part of the answer.
    let said = parts.iter().filter(|part| part.get("thought").and_then(Value::as_bool) != Some(true));
    let stop = match candidate.and_then(|candidate| candidate.get("finishReason")).and_then(Value::as_str) {
        _ if blocked.is_some() => Stop::Filter,
        Some("STOP") => Stop::End,
        Some("MAX_TOKENS") => Stop::Limit,
        Some(
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE"
            | "MODEL_ARMOR",
        ) => Stop::Filter,
        reason => other(reason),
    };
    let reason = candidate.and_then(|candidate| text_at(candidate, "/finishReason"));
    let refusal = blocked.or(reason).filter(|_| stop == Stop::Filter);
    // What was cached is in `promptTokenCount`; what was thought is not in `candidatesTokenCount`.
    let tokens = body.get("usageMetadata").filter(|usage| usage.is_object()).map(|usage| Tokens {
        input: count_at(usage, "/promptTokenCount"),
        output: count_at(usage, "/candidatesTokenCount")
            .saturating_add(count_at(usage, "/thoughtsTokenCount")),
        cached: count_at(usage, "/cachedContentTokenCount"),
    });
    Ok(Reading {
        input: parts.iter().find_map(|part| part.pointer("/functionCall/args").cloned()),
        text: said.filter_map(|part| part.get("text").and_then(Value::as_str)).collect(),
        stop,
        refusal,
        tokens,
        id: name_at(body, "/responseId"),
    })
}
