//! Speaking HTTP to others: what `http-enrich` and `http-out` share.

use std::time::Duration;

use flyball_json::{ItemLimits, Json, JsonError};
use flyball_model::Problem;
use reqwest::{Client, Response, Url};

use crate::ProcessError;

/// Where JSON is POSTed.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
}

impl Endpoint {
    /// Touches nothing outside.
    pub(crate) fn new(url: &str, timeout: Duration) -> Result<Self, Problem> {
        let parsed = Url::parse(url).map_err(|error| {
            Problem::new("/url", format!("\"{url}\" is no URL: {error}"))
                .help("write it like http://host:8080/path")
        })?;
        if parsed.scheme() != "http" {
            return Err(Problem::new(
                "/url",
                format!("\"{url}\" is not plain http, the only scheme spoken so far"),
            )
            .help("put a proxy that speaks TLS before it"));
        }
        // Every client wants to know by what it would speak TLS. Whoever said so before is right, too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .build()
            .map_err(|error| Problem::new("", format!("no HTTP client can be made: {}", reason(&error))))?;
        Ok(Self { client, url: parsed })
    }

    /// The answer, if it says success.
    pub(crate) async fn post(&self, body: &Json) -> Result<Response, ProcessError> {
        let answer = self.client.post(self.url.clone()).json(body).send().await.map_err(|error| {
            ProcessError::Item(format!("{} did not answer: {}", self.url, reason(&error)))
        })?;
        let status = answer.status();
        if status.is_success() {
            Ok(answer)
        } else {
            Err(ProcessError::Item(format!("{} answered {status}", self.url)))
        }
    }

    /// The answer's body as JSON, if it is no longer than this.
    pub(crate) async fn ask(
        &self,
        body: &Json,
        limit: usize,
        limits: &ItemLimits,
    ) -> Result<Json, ProcessError> {
        let mut answer = self.post(body).await?;
        let status = answer.status();
        let mut read = Vec::new();
        loop {
            let chunk = answer.chunk().await.map_err(|error| {
                ProcessError::Item(format!("{} broke off its answer: {}", self.url, reason(&error)))
            })?;
            let Some(chunk) = chunk else { break };
            if read.len() + chunk.len() > limit {
                return Err(ProcessError::Item(format!("{} answered more than {limit} bytes", self.url)));
            }
            read.extend_from_slice(&chunk);
        }
        Json::read(&read, limits).map_err(|error| {
            let what = if matches!(error, JsonError::Syntax { .. }) {
                "what is not JSON"
            } else {
                "what is no item"
            };
            ProcessError::Item(format!("{} answered {status} with {what}: {error}", self.url))
        })
    }
}

/// The cause, not only "error sending request".
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
