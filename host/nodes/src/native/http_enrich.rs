use std::time::Duration;

use async_trait::async_trait;
use flyball_json::{ItemLimits, Json};
use flyball_model::Problem;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{NodeConfig, failed, field};
use crate::http::JsonEndpoint;
use crate::path::{FieldPath, kind};
use crate::{Item, Processed, Processor};

/// POSTs each item as JSON and keeps the JSON answer in it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpEnrich {
    /// Where: `https://host:8080/path`.
    #[schemars(extend("x-decides-reach" = true))]
    url: String,
    /// Origins that a redirect may lead to, like `https://host:8080`. By default a redirect is a failed item.
    #[serde(default)]
    #[schemars(extend("x-decides-reach" = true))]
    redirects_to: Vec<String>,
    /// What of the item is sent. By default all of it.
    field: Option<String>,
    /// Where the answer is put.
    #[serde(default = "enriched")]
    into: String,
    /// How long one answer may take, in milliseconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: u64,
    /// What one answer may hold, in KiB.
    #[serde(default = "default_answer")]
    #[schemars(range(min = 1, max = 65_536))]
    max_answer_kb: usize,
    /// Requests under way at once, of one worker.
    #[serde(default = "default_concurrent")]
    #[schemars(range(min = 1, max = 256))]
    concurrent: usize,
}

fn enriched() -> String {
    "enriched".to_owned()
}

fn default_timeout() -> u64 {
    2_000
}

fn default_answer() -> usize {
    256
}

fn default_concurrent() -> usize {
    8
}

impl NodeConfig for HttpEnrich {
    fn build(self, limits: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        Ok(Box::new(Enricher {
            endpoint: JsonEndpoint::new(
                &self.url,
                Duration::from_millis(self.timeout_ms),
                &self.redirects_to,
            )?,
            sent: self.field.map_or_else(|| Ok(FieldPath::whole()), |path| field("field", &path))?,
            into: field("into", &self.into)?,
            limit: self.max_answer_kb.saturating_mul(1024),
            limits: *limits,
            concurrent: self.concurrent.max(1),
        }))
    }
}

struct Enricher {
    endpoint: JsonEndpoint,
    sent: FieldPath,
    into: FieldPath,
    limit: usize,
    limits: ItemLimits,
    concurrent: usize,
}

impl Enricher {
    async fn enrich(&self, body: &Json) -> Processed {
        let sent = self
            .sent
            .get(body)
            .ok_or_else(|| failed(format!("the item ({}) has no \"{}\"", kind(body), self.sent)))?;
        let answer = self.endpoint.ask(sent, self.limit, &self.limits).await?;
        let mut body = body.clone();
        self.into.set(&mut body, answer).map_err(failed)?;
        Ok(vec![body])
    }
}

#[async_trait]
impl Processor for Enricher {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let this = &*self;
        // In their order, whichever is answered first.
        let asked: Vec<BoxFuture<'_, Processed>> =
            items.iter().map(|item| this.enrich(&item.body).boxed()).collect();
        stream::iter(asked).buffered(this.concurrent).collect().await
    }
}
