//! The built-in nodes: one file each, with its configuration.

mod batch;
mod filter;
mod http_enrich;
mod map;
mod parse_json;
mod rate_limit;
mod regex_extract;
mod tokenise;
mod wait;
mod work;

use async_trait::async_trait;
use flyball_json::{ItemLimits, Json};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub(crate) use batch::Batch;
pub(crate) use filter::Filter;
pub(crate) use http_enrich::HttpEnrich;
pub(crate) use map::Map;
pub(crate) use parse_json::ParseJson;
pub(crate) use rate_limit::RateLimit;
pub(crate) use regex_extract::RegexExtract;
pub(crate) use tokenise::Tokenise;
pub(crate) use wait::Wait;
pub(crate) use work::Work;

use crate::path::FieldPath;
use crate::{Item, ProcessError, Processed, Processor};

/// The configuration of a built-in node. Making it touches nothing outside, so that checking it is making it.
pub(crate) trait NodeConfig: DeserializeOwned + JsonSchema {
    fn build(self, limits: &ItemLimits) -> Result<Box<dyn Processor>, Problem>;
}

/// A node that looks at one item at a time and waits for nothing.
trait Transform: Send + Sync {
    fn transform(&self, body: &Json) -> Processed;
}

struct Each<T>(T);

impl<T: Transform + 'static> Each<T> {
    fn boxed(transform: T) -> Box<dyn Processor> {
        Box::new(Self(transform))
    }
}

#[async_trait]
impl<T: Transform> Processor for Each<T> {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        items.iter().map(|item| self.0.transform(&item.body)).collect()
    }
}

fn field(name: &str, written: &str) -> Result<FieldPath, Problem> {
    written.parse().map_err(|error| Problem::new(format!("/{name}"), format!("{error}")))
}

fn failed(why: impl Into<String>) -> ProcessError {
    ProcessError::Item(why.into())
}

/// The text at a place, or why there is none.
fn text_at<'a>(path: &FieldPath, body: &'a Json) -> Result<&'a str, ProcessError> {
    match path.get(body) {
        Some(Json::Text(text)) => Ok(text),
        Some(other) => Err(failed(format!("\"{path}\" is {}, not a text", crate::path::kind(other)))),
        None => Err(failed(format!("the item ({}) has no \"{path}\"", crate::path::kind(body)))),
    }
}

/// How many units of work an item is: the number at a place, 1 where no place is configured.
fn units(path: Option<&FieldPath>, body: &Json) -> Result<f64, ProcessError> {
    let Some(path) = path else { return Ok(1.0) };
    match path.get(body).and_then(Json::to_number).map(|number| number.to_f64()) {
        Some(units) if units.is_infinite() => Err(failed(format!("\"{path}\" is more than any work"))),
        Some(units) if units >= 0.0 => Ok(units),
        Some(units) => Err(failed(format!("\"{path}\" is {units}; units of work cannot be negative"))),
        None => Err(failed(format!("\"{path}\" holds no number of units"))),
    }
}
