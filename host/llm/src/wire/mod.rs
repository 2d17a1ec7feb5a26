//! The providers' formats: how a question is written, and how an answer and an error are read.

mod anthropic;
mod fault;
mod gemini;
mod openai;
mod strict;

pub(crate) use fault::fault;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::error::{Fault, Kind};
use crate::key::Key;
use crate::text::{object_in, told};
use crate::{AnswerBy, Content, LlmGrant, Provider, Question, Stop, TokenLimit, Tokens};

/// The name of the form, and of the tool that takes it.
const NAME: &str = "answer";

/// What the tool is for.
const PURPOSE: &str = "Takes the answer. Call it once, with the whole answer.";

/// How a grant's questions are written.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) provider: Provider,
    pub(crate) model: String,
    pub(crate) by: AnswerBy,
    pub(crate) token_limit: TokenLimit,
    pub(crate) temperature: Option<f64>,
    pub(crate) url: Url,
}

/// What an answer holds, before it is seen whether it is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// What the tool was given.
    pub(crate) input: Option<Value>,
    /// What was written.
    pub(crate) text: String,
    pub(crate) stop: Stop,
    /// Why it was refused, in the provider's words.
    pub(crate) refusal: Option<String>,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) id: Option<String>,
}

impl Wire {
    /// By a grant, at this base.
    pub(crate) fn new(grant: &LlmGrant, base: &Url) -> Self {
        let provider = grant.provider;
        let own =
            if grant.base_url.is_none() { TokenLimit::MaxCompletionTokens } else { TokenLimit::MaxTokens };
        let url = match provider {
            Provider::Anthropic => beneath(base, ["v1", "messages"]),
            Provider::Openai => beneath(base, ["chat", "completions"]),
            Provider::Gemini => gemini::url(base, &grant.model),
        };
        Self {
            provider,
            model: grant.model.clone(),
            by: grant.answer_by.unwrap_or(provider.answer_by()),
            token_limit: grant.token_limit.unwrap_or(own),
            temperature: grant.temperature.map(f64::from),
            url,
        }
    }

    /// What is sent.
    pub(crate) fn body(&self, question: &Question) -> Value {
        match self.provider {
            Provider::Anthropic => anthropic::body(self, question),
            Provider::Openai => openai::body(self, question),
            Provider::Gemini => gemini::body(self, question),
        }
    }

    /// The header that holds the key, and those that the provider wants beside it.
    pub(crate) fn headers(&self, key: &Key) -> Vec<(HeaderName, HeaderValue)> {
        let (name, before) = match self.provider {
            Provider::Anthropic => ("x-api-key", ""),
            Provider::Openai => ("authorization", "Bearer "),
            Provider::Gemini => ("x-goog-api-key", ""),
        };
        let mut headers: Vec<_> =
            key.header(before).map(|value| (HeaderName::from_static(name), value)).into_iter().collect();
        if self.provider == Provider::Anthropic {
            let version = HeaderValue::from_static(anthropic::VERSION);
            headers.push((HeaderName::from_static("anthropic-version"), version));
        }
        headers
    }

    /// What an answer of status 200 holds.
    pub(crate) fn read(&self, body: &Value) -> Result<Reading, Fault> {
        match self.provider {
            Provider::Anthropic => anthropic::read(body),
            Provider::Openai => openai::read(body),
            Provider::Gemini => gemini::read(body),
        }
    }
}

impl Reading {
    /// The answer, if it is one. What a string holds is JSON again, so it is masked again.
    pub(crate) fn content(&self, question: &Question, key: &Key) -> Result<Content, Fault> {
        match (&self.stop, &self.refusal) {
            (Stop::Filter, why) | (_, why @ Some(_)) => {
                let why = why.as_deref().map(told).filter(|why| !why.is_empty());
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                return Err(Fault::new(Kind::Refused, format!("the model refuses to answer{why}")));
            }
            (Stop::Limit, None) => {
                let cause = format!("the answer is cut after {} output tokens", question.max_tokens);
                return Err(Fault::new(Kind::Truncated, cause));
            }
            (Stop::End | Stop::Tool | Stop::Other(_), None) => {}
        }
        if question.schema.is_none() {
            return Ok(Content::Text(self.text.clone()));
        }
        let malformed = |why: String| Fault::new(Kind::Malformed, told(&why));
        let value = match &self.input {
            Some(Value::String(text)) => key.mask_value(object_in(text).map_err(malformed)?),
            Some(value) if value.is_object() => value.clone(),
            Some(_) => return Err(malformed("the tool was not given an object".to_owned())),
            None if self.text.trim().is_empty() => {
                let why = match &self.stop {
                    Stop::Other(why) => format!("the answer is empty; it ended by {why}"),
                    _ => "the answer is empty".to_owned(),
                };
                return Err(malformed(why));
            }
            None => key.mask_value(object_in(&self.text).map_err(malformed)?),
        };
        if let Some(validator) = &question.validator
            && let Err(error) = validator.validate(&value)
        {
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { String::new() } else { format!(" at {at}") };
            return Err(malformed(format!("the answer is not of its schema{at}: {error}")));
        }
        Ok(Content::Json(value))
    }
}

/// The address with these parts behind it.
fn beneath<'a>(base: &Url, parts: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    // Only a URL without a host has no path, and a base has one.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

/// The system text, with the form of the answer where nothing else tells it.
fn system(wire: &Wire, question: &Question) -> String {
    match &question.schema {
        Some(schema) if wire.by == AnswerBy::Plain => {
            let before = if question.system.is_empty() { "" } else { "\n\n" };
            format!(
                "{}{before}Answer with one JSON object and nothing else: no prose, no code fence. It must be valid by this JSON \
                 Schema:\n{schema}",
                question.system
            )
        }
        _ => question.system.clone(),
    }
}

/// A text at a place.
fn text_at(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// A name that the provider gives, short enough to be told.
fn name_at(value: &Value, pointer: &str) -> Option<String> {
    text_at(value, pointer).map(|name| told(&name)).filter(|name| !name.is_empty())
}

/// An end that nothing is made of.
fn other(reason: Option<&str>) -> Stop {
    Stop::Other(told(reason.unwrap_or("nothing that is told")))
}

/// A count at a place; what is not there is nothing.
fn count_at(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn malformed(cause: &str) -> Fault {
    Fault::new(Kind::Malformed, cause)
}
