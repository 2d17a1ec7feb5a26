//! What a provider's error means: by its status, and by what its body says where the status says too little
//! (<https://docs.claude.com/en/api/errors>, <https://platform.openai.com/docs/guides/error-codes>,
//! <https://ai.google.dev/gemini-api/docs/troubleshooting>).

use std::time::Duration;

use serde_json::Value;

use super::text_at;
use crate::error::{Fault, Kind};
use crate::pauses::seconds;
use crate::text::told;

/// Of this status, with this body, and with this said about when to come back.
pub(crate) fn fault(status: u16, body: &Value, after: Option<Duration>) -> Fault {
    let kind = by_body(status, body).unwrap_or(by_status(status));
    let said = message(body).map(|said| told(&said)).filter(|said| !said.is_empty());
    let cause = match said {
        Some(said) => format!("it answers {status}: {said}"),
        None => format!("it answers {status}"),
    };
    Fault::new(kind, cause).after(after.or_else(|| retry_info(body)))
}

fn by_status(status: u16) -> Kind {
    match status {
        300..=399 => Kind::Redirected,
        401 | 403 => Kind::Unauthorized,
        404 => Kind::NotFound,
        413 => Kind::TooLarge,
        429 => Kind::RateLimited,
        503 | 529 => Kind::Overloaded,
        500..=599 => Kind::Server,
        _ => Kind::Rejected,
    }
}

/// Of each provider those kinds that its status does not tell.
fn by_body(status: u16, body: &Value) -> Option<Kind> {
    let one = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    match (status, one("/error/code"), one("/error/type")) {
        // OpenAI: waiting does not help.
        (429, Some("insufficient_quota"), _) | (429, _, Some("insufficient_quota")) => Some(Kind::Rejected),
        // Azure's OpenAI: the question did not pass its filter.
        (400, Some("content_filter"), _) => Some(Kind::Refused),
        (_, _, Some("overloaded_error")) => Some(Kind::Overloaded),
        // Gemini: a wrong key is a wrong argument.
        (400, ..) => {
            let details = body.pointer("/error/details").and_then(Value::as_array)?;
            let is_key =
                |detail: &Value| detail.get("reason").and_then(Value::as_str) == Some("API_KEY_INVALID");
            details.iter().any(is_key).then_some(Kind::Unauthorized)
        }
        _ => None,
    }
}

/// Servers put it in one of these places.
fn message(body: &Value) -> Option<String> {
    ["/error/message", "/error", "/message", "/detail", ""].iter().find_map(|pointer| text_at(body, pointer))
}

/// Gemini says in the body when to come back.
fn retry_info(body: &Value) -> Option<Duration> {
    let details = body.pointer("/error/details").and_then(Value::as_array)?;
    details.iter().find_map(|detail| seconds(detail.get("retryDelay")?.as_str()?.strip_suffix('s')?))
}
