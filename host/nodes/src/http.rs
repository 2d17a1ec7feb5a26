//! Speaking HTTP to others: what `http-enrich` and `http-out` share. What may be reached, and how answers are bounded, is
//! `flyball_outbound`'s to uphold; here its faults become those of items.

use std::time::Duration;

use flyball_json::{ItemLimits, Json, JsonError};
use flyball_model::Problem;
use flyball_outbound::{Endpoint, PostError};

use crate::ProcessError;
use crate::processor::Unavailable;

/// Where JSON is POSTed.
pub(crate) struct JsonEndpoint(Endpoint);

impl JsonEndpoint {
    /// Touches nothing outside.
    pub(crate) fn new(url: &str, timeout: Duration, redirects_to: &[String]) -> Result<Self, Problem> {
        Endpoint::new(url, timeout, redirects_to).map(Self)
    }

    /// Until the other side says success.
    pub(crate) async fn deliver(&self, body: &Json) -> Result<(), ProcessError> {
        self.0.deliver(json(body)?).await.map_err(fault)
    }

    /// The answer's body as JSON, if it is no longer than this.
    pub(crate) async fn ask(
        &self,
        body: &Json,
        most: usize,
        limits: &ItemLimits,
    ) -> Result<Json, ProcessError> {
        let read = self.0.ask(json(body)?, most).await.map_err(fault)?;
        Json::read(&read, limits).map_err(|error| {
            let what = if matches!(error, JsonError::Syntax { .. }) {
                "what is not JSON"
            } else {
                "what is no item"
            };
            ProcessError::Item(format!("{} answered with {what}: {error}", self.0.origin()))
        })
    }
}

fn json(body: &Json) -> Result<Vec<u8>, ProcessError> {
    serde_json::to_vec(body).map_err(|error| ProcessError::Item(format!("the item has no JSON: {error}")))
}

fn fault(error: PostError) -> ProcessError {
    let why = error.to_string();
    let (retry_after, by_item) = match error {
        PostError::Refused(_) => return ProcessError::Item(why),
        PostError::Unreachable(_) => (None, false),
        PostError::Unanswered(_) => (None, true),
        PostError::Busy { all, retry_after, .. } => (retry_after, !all),
    };
    ProcessError::Unavailable(Unavailable { why, retry_after, by_item })
}
