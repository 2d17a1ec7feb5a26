//! What each provider says, by the examples of their references, and grants to ask it.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flyball_llm::{AnswerBy, LlmError, LlmGrant, Llms, ModelAnswer, Provider, Question};
use flyball_model::SecretSource;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::server::{Reply, Server};

pub const ALL: [Provider; 3] = [Provider::Anthropic, Provider::Openai, Provider::Gemini];

pub const KEY: &str = "sk-test-0123456789abcdef";

/// The form that the tests ask for.
pub fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { "act": { "type": "string" } },
        "required": ["act"],
        "additionalProperties": false,
    })
}

pub fn question() -> Question {
    Question {
        system: "You look after a pipeline.".into(),
        user: "Queue b is full. What now?".into(),
        schema: Some(schema()),
        max_tokens: 200,
        ..Question::default()
    }
}

/// A grant to ask this server, which tries again after a millisecond.
pub fn grant(provider: Provider, server: &Server) -> LlmGrant {
    let mut grant = bare(provider);
    grant.base_url = Some(server.origin.clone());
    grant.key = Some(SecretSource::File(key_file()));
    grant.limits.pause_ms = 1;
    grant
}

/// A grant as a policy would write it with nothing but what it must.
pub fn bare(provider: Provider) -> LlmGrant {
    serde_json::from_value(json!({ "provider": provider, "model": "model-1" })).unwrap()
}

fn key_file() -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("llm-key");
    // Other tests may read it now, so it is never half written.
    let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    writeln!(file, "{KEY}").unwrap();
    file.persist(&path).unwrap();
    path.display().to_string()
}

pub async fn ask(grant: &LlmGrant) -> Result<ModelAnswer, LlmError> {
    ask_for(grant, &question(), Duration::from_secs(20)).await
}

pub async fn ask_for(grant: &LlmGrant, question: &Question, time: Duration) -> Result<ModelAnswer, LlmError> {
    Llms::new().permit(grant).unwrap().ask("s", question, Instant::now() + time).await
}

/// A whole answer with this object in it, in the form that the provider uses unless it is told otherwise.
pub fn says(provider: Provider, object: &Value) -> Reply {
    match provider {
        Provider::Anthropic => says_by(provider, AnswerBy::Tool, object),
        Provider::Openai | Provider::Gemini => says_by(provider, AnswerBy::Schema, object),
    }
}

pub fn says_by(provider: Provider, by: AnswerBy, object: &Value) -> Reply {
    if by != AnswerBy::Tool {
        return writes(provider, &object.to_string());
    }
    Reply::json(
        200,
        &match provider {
            Provider::Anthropic => anthropic(
                &json!([{ "type": "tool_use", "id": "toolu_1", "name": "answer", "input": object }]),
                "tool_use",
            ),
            Provider::Openai => {
                let function = json!({ "name": "answer", "arguments": object.to_string() });
                let call = json!({ "id": "call_1", "type": "function", "function": function });
                openai(&json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls")
            }
            Provider::Gemini => {
                gemini(&json!([{ "functionCall": { "name": "answer", "args": object } }]), "STOP")
            }
        },
    )
}

/// A whole answer of this text.
pub fn writes(provider: Provider, text: &str) -> Reply {
    ends(provider, text, Ending::Done)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    Limit,
    Filter,
}

pub fn ends(provider: Provider, text: &str, ending: Ending) -> Reply {
    let reason = |done, limit, filter| match ending {
        Ending::Done => done,
        Ending::Limit => limit,
        Ending::Filter => filter,
    };
    Reply::json(
        200,
        &match provider {
            Provider::Anthropic => anthropic(
                &json!([{ "type": "text", "text": text }]),
                reason("end_turn", "max_tokens", "refusal"),
            ),
            Provider::Openai => openai(
                &json!({ "role": "assistant", "content": text, "refusal": null }),
                reason("stop", "length", "content_filter"),
            ),
            Provider::Gemini => gemini(&json!([{ "text": text }]), reason("STOP", "MAX_TOKENS", "SAFETY")),
        },
    )
}

/// Each takes 100 input tokens, of which 40 were cached, and 20 output tokens.
fn anthropic(content: &Value, stop: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "model-1", "content": content,
        "stop_reason": stop, "stop_sequence": null,
        "usage": {
            "input_tokens": 50, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 40, "output_tokens": 20,
        },
    })
}

fn openai(message: &Value, finish: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "model-1",
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish }],
        "usage": {
            "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": { "cached_tokens": 40 },
            "completion_tokens_details": { "reasoning_tokens": 5 },
        },
    })
}

fn gemini(parts: &Value, finish: &str) -> Value {
    json!({
        "candidates": [{ "content": { "parts": parts, "role": "model" }, "finishReason": finish, "index": 0 }],
        "usageMetadata": {
            "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 15,
            "thoughtsTokenCount": 5, "totalTokenCount": 120,
        },
        "modelVersion": "model-1", "responseId": "resp-1",
    })
}

/// An error as the provider writes it.
pub fn fails(provider: Provider, status: u16, message: &str) -> Reply {
    Reply::json(
        status,
        &match provider {
            Provider::Anthropic => json!({
                "type": "error", "error": { "type": "api_error", "message": message }, "request_id": "req_1",
            }),
            Provider::Openai => {
                json!({ "error": { "message": message, "type": "server_error", "param": null, "code": null } })
            }
            Provider::Gemini => {
                json!({ "error": { "code": status, "message": message, "status": "INTERNAL" } })
            }
        },
    )
}

/// Keeps what it is told.
#[derive(Default)]
pub struct Kept(std::sync::Mutex<Vec<flyball_llm::ModelExchange>>);

impl flyball_llm::Exchanges for Kept {
    fn keep(&self, exchange: flyball_llm::ModelExchange) {
        self.0.lock().unwrap().push(exchange);
    }
}

impl Kept {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn all(&self) -> Vec<flyball_llm::ModelExchange> {
        self.0.lock().unwrap().clone()
    }
}
