use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::Problem;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;

use super::SinkConfig;
use crate::http::JsonEndpoint;
use crate::processor::Unavailable;
use crate::{Item, ProcessError, Sink};

/// POSTs each item as JSON. Only a success (2xx) delivers it. While the other side is down or busy (it cannot be reached or
/// does not answer, 408, 425, 429, 5xx) items wait; any other answer is a failed item.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpOut {
    /// Where: `https://host:8080/path`.
    #[schemars(extend("x-decides-reach" = true))]
    url: String,
    /// Origins that a redirect may lead to, like `https://host:8080`. By default a redirect is a failed item.
    #[serde(default)]
    #[schemars(extend("x-decides-reach" = true))]
    redirects_to: Vec<String>,
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
    fn endpoint(&self) -> Result<JsonEndpoint, Problem> {
        JsonEndpoint::new(&self.url, Duration::from_millis(self.timeout_ms), &self.redirects_to)
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
    endpoint: JsonEndpoint,
    concurrent: usize,
}

impl Poster {
    /// Once the other side cannot take an item, those behind it are not sent: they would be in vain, and overtake it.
    async fn post(&self, item: &Item, down: &OnceLock<Unavailable>) -> Result<(), ProcessError> {
        if let Some(down) = down.get() {
            return Err(ProcessError::Unavailable(Unavailable { by_item: false, ..down.clone() }));
        }
        let posted = self.endpoint.deliver(&item.body).await;
        if let Err(ProcessError::Unavailable(unavailable)) = &posted {
            // Whichever of those under way together was first.
            let _ = down.set(unavailable.clone());
        }
        posted
    }
}

#[async_trait]
impl Sink for Poster {
    async fn deliver(&mut self, items: &[Item]) -> Vec<Result<(), ProcessError>> {
        let (this, down) = (&*self, OnceLock::new());
        let posted: Vec<BoxFuture<'_, Result<(), ProcessError>>> =
            items.iter().map(|item| this.post(item, &down).boxed()).collect();
        stream::iter(posted).buffered(this.concurrent).collect().await
    }
}
