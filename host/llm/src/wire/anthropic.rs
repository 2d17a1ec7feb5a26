//! Anthropic's Messages (<https://docs.claude.com/en/api/messages>; structured output by a tool:
//! <https://docs.claude.com/en/docs/agents-and-tools/tool-use/implement-tool-use#forcing-tool-use>, by a format:
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>).

use serde_json::{Value, json};

use super::{NAME, PURPOSE, Reading, Wire, count_at, malformed, name_at, other, system, text_at};
use crate::error::Fault;
use crate::{AnswerBy, Question, Stop, Tokens};

/// <https://docs.claude.com/en/api/versioning>
pub(super) const VERSION: &str = "2023-06-01";

pub(super) fn body(wire: &Wire, question: &Question) -> Value {
    let mut body = json!({
        "model": wire.model,
        "max_tokens": question.max_tokens,
        "messages": [{ "role": "user", "content": question.user }],
    });
    let system = system(wire, question);
    if !system.is_empty() {
        set(&mut body, "system", json!(system));
    }
    if let Some(temperature) = wire.temperature {
        set(&mut body, "temperature", json!(temperature));
    }
    match (&question.schema, wire.by) {
        (Some(schema), AnswerBy::Tool) => {
            set(
                &mut body,
                "tools",
                json!([{ "name": NAME, "description": PURPOSE, "input_schema": schema }]),
            );
            let choice = json!({ "type": "tool", "name": NAME, "disable_parallel_tool_use": true });
            set(&mut body, "tool_choice", choice);
        }
        (Some(schema), AnswerBy::Schema) => {
            set(&mut body, "output_config", json!({ "format": { "type": "json_schema", "schema": schema } }));
        }
        (Some(_), AnswerBy::Plain) | (None, _) => {}
    }
    body
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Value::Object(entries) = body {
        entries.insert(name.to_owned(), value);
    }
}

pub(super) fn read(body: &Value) -> Result<Reading, Fault> {
    let Some(blocks) = body.get("content").and_then(Value::as_array) else {
        return Err(malformed("the answer has no \"content\""));
    };
    let of_type = |wanted: &'static str| {
        blocks.iter().filter(move |block| block.get("type").and_then(Value::as_str) == Some(wanted))
    };
    let stop = match body.get("stop_reason").and_then(Value::as_str) {
        Some("end_turn" | "stop_sequence") => Stop::End,
        Some("tool_use") => Stop::Tool,
        Some("max_tokens" | "model_context_window_exceeded") => Stop::Limit,
        Some("refusal") => Stop::Filter,
        reason => other(reason),
    };
    // What was read from a cache or written to one is not in `input_tokens`.
    let tokens = body.get("usage").filter(|usage| usage.is_object()).map(|usage| {
        let cached = count_at(usage, "/cache_read_input_tokens");
        let written = count_at(usage, "/cache_creation_input_tokens");
        let input = count_at(usage, "/input_tokens").saturating_add(cached).saturating_add(written);
        Tokens { input, output: count_at(usage, "/output_tokens"), cached }
    });
    Ok(Reading {
        input: of_type("tool_use").find_map(|block| block.get("input").cloned()),
        text: of_type("text").filter_map(|block| block.get("text").and_then(Value::as_str)).collect(),
        refusal: text_at(body, "/stop_details/explanation").filter(|_| stop == Stop::Filter),
        stop,
        tokens,
        id: name_at(body, "/id"),
    })
}
