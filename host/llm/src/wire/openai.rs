//! OpenAI's chat completions (<https://platform.openai.com/docs/api-reference/chat/create>, structured output:
//! <https://platform.openai.com/docs/guides/structured-outputs>), as others speak it too: llama.cpp
//! (<https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>), vLLM
//! (<https://docs.vllm.ai/en/latest/serving/openai_compatible_server/>), Ollama
//! (<https://docs.ollama.com/api/openai-compatibility>).

use serde_json::{Value, json};

use super::{NAME, PURPOSE, Reading, Wire, count_at, malformed, name_at, other, strict, system, text_at};
use crate::error::Fault;
use crate::{AnswerBy, Question, Stop, TokenLimit, Tokens};

pub(super) fn body(wire: &Wire, question: &Question) -> Value {
    let mut messages = Vec::new();
    let system = system(wire, question);
    if !system.is_empty() {
        messages.push(json!({ "role": "system", "content": system }));
    }
    messages.push(json!({ "role": "user", "content": question.user }));
    let limit = match wire.token_limit {
        TokenLimit::MaxTokens => "max_tokens",
        TokenLimit::MaxCompletionTokens => "max_completion_tokens",
    };
    let mut body = json!({ "model": wire.model, "messages": messages });
    let Value::Object(entries) = &mut body else { return body };
    entries.insert(limit.to_owned(), json!(question.max_tokens));
    if let Some(temperature) = wire.temperature {
        entries.insert("temperature".to_owned(), json!(temperature));
    }
    match (&question.schema, wire.by) {
        (Some(schema), AnswerBy::Schema) => {
            let mut form = json!({ "name": NAME, "schema": schema });
            if let Value::Object(form) = &mut form
                && strict::takes(schema)
            {
                form.insert("strict".to_owned(), json!(true));
            }
            entries
                .insert("response_format".to_owned(), json!({ "type": "json_schema", "json_schema": form }));
        }
        (Some(schema), AnswerBy::Tool) => {
            let function = json!({ "name": NAME, "description": PURPOSE, "parameters": schema });
            entries.insert("tools".to_owned(), json!([{ "type": "function", "function": function }]));
            // Of one tool this is the same as its name, which llama.cpp's server takes for "auto"
            // (<https://github.com/ggml-org/llama.cpp/issues/26535>).
            entries.insert("tool_choice".to_owned(), json!("required"));
        }
        (Some(_), AnswerBy::Plain) | (None, _) => {}
    }
    body
}

pub(super) fn read(body: &Value) -> Result<Reading, Fault> {
    let Some(choice) = body.pointer("/choices/0") else {
        return Err(malformed("the answer has no \"choices\""));
    };
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        return Err(malformed("the answer's choice has no \"message\""));
    };
    let stop = match choice.get("finish_reason").and_then(Value::as_str) {
        Some("stop") => Stop::End,
        Some("tool_calls" | "function_call") => Stop::Tool,
        Some("length") => Stop::Limit,
        Some("content_filter") => Stop::Filter,
        reason => other(reason),
    };
    // What was cached is in `prompt_tokens`, what was thought in `completion_tokens`.
    let tokens = body.get("usage").filter(|usage| usage.is_object()).map(|usage| Tokens {
        input: count_at(usage, "/prompt_tokens"),
        output: count_at(usage, "/completion_tokens"),
        cached: count_at(usage, "/prompt_tokens_details/cached_tokens"),
    });
    Ok(Reading {
        input: message.pointer("/tool_calls/0/function/arguments").cloned(),
        text: written(message.get("content")),
        stop,
        refusal: text_at(message, "/refusal").filter(|refusal| !refusal.is_empty()),
        tokens,
        id: name_at(body, "/id"),
    })
}

/// Some gateways write parts where OpenAI writes a text.
fn written(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}
