use std::time::Duration;

use async_trait::async_trait;
use flyball_model::Problem;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;

use super::SinkConfig;
use crate::http::Endpoint;
use crate::{Item, ProcessError, Sink};

/// POSTs each item as JSON. An answer that is not a success (2xx) is a failed item.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpOut {
    /// Where: `http://host:8080/path`.
    url: String,
    /// How long one answer may take, in milliseconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: u64,
    /// Requests under way at once. With more than 1 the other side may see items in another order.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 256))]
    concurrent: usize,
}

fn default_timeout() -> u64 {
    5_000
}

fn one() -> usize {
    1
}

impl HttpOut {
    fn endpoint(&self) -> Result<Endpoint, Problem> {
        Endpoint::new(&self.url, Duration::from_millis(self.timeout_ms))
    }
}

impl SinkConfig for HttpOut {
    fn check(&self) -> Result<(), Problem> {
        self.endpoint().map(drop)
    }

    fn open(self) -> Result<Box<dyn Sink>, Problem> {
        Ok(Box::new(Poster { endpoint: self.endpoint()?, concurrent: self.concurrent.max(1) }))
    }
}

struct Poster {
    endpoint: Endpoint,
    concurrent: usize,
}

#[async_trait]
impl Sink for Poster {
    async fn deliver(&mut self, items: &[Item]) -> Vec<Result<(), ProcessError>> {
        let endpoint = &self.endpoint;
        let posted: Vec<BoxFuture<'_, Result<(), ProcessError>>> =
            items.iter().map(|item| async { endpoint.post(&item.body).await.map(drop) }.boxed()).collect();
        stream::iter(posted).buffered(self.concurrent).collect().await
    }
}
