//! Posts what people should know to a URL. It never holds up the loop: what cannot be sent is tried again for a while, told in
//! the log, and is in the journal anyway.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use flyball_model::{ActionRecord, Event, EventRecord, Outcome, TickRecord};
use flyball_ports::Listener;
use flyball_store::{ChainEnd, Store};
use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::mpsc;

use crate::args::Notify;

/// Notices that may wait to be sent.
const QUEUE: usize = 256;
/// From one try to the next.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
];
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever is to be told lives at a URL.
#[derive(Debug)]
pub(crate) struct Webhook {
    queue: mpsc::Sender<EventRecord>,
}

struct Sender {
    client: reqwest::Client,
    url: reqwest::Url,
    secret: Option<String>,
    journal: Arc<Store>,
}

/// A notice, and how far the journal's chain goes: whoever keeps that where the host's user cannot write can tell later
/// whether the chain was written anew (`flyball journal verify --head`).
#[derive(Serialize)]
struct Notice<'a> {
    #[serde(flatten)]
    event: &'a EventRecord,
    /// None: the journal does not answer.
    journal: Option<ChainEnd>,
}

impl Webhook {
    /// None: nobody is to be told.
    pub(crate) fn open(notify: &Notify, journal: Arc<Store>) -> Result<Option<Self>> {
        let Some(url) = &notify.url else { return Ok(None) };
        let url: reqwest::Url = url.parse().with_context(|| format!("--notify: {url:?} is not a URL"))?;
        let secret = notify
            .secret_env
            .as_ref()
            .map(|name| {
                std::env::var(name).map_err(|_| {
                    anyhow!("--notify-secret-env: the environment has no variable {name}; set it")
                })
            })
            .transpose()?;
        // Whoever installed one before installed the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot make an HTTP client")?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(Sender { client, url, secret, journal }.send_all(waiting));
        Ok(Some(Self { queue }))
    }
}

impl Listener for Webhook {
    fn tick(&self, _: &TickRecord) {}

    fn concluded(&self, _: &ActionRecord, _: Outcome) {}

    fn event(&self, event: &EventRecord) {
        if matches!(event.event, Event::Notified(_)) && self.queue.try_send(event.clone()).is_err() {
            tracing::error!("a notice is not sent, as too many wait; the journal has it");
        }
    }
}

impl Sender {
    async fn send_all(self, mut waiting: mpsc::Receiver<EventRecord>) {
        while let Some(notice) = waiting.recv().await {
            // A journal whose disk hangs keeps no notice from leaving.
            let asked = tokio::time::timeout(PATIENCE, self.journal.chain_end()).await;
            let journal = asked.ok().and_then(Result::ok);
            match serde_json::to_vec(&Notice { event: &notice, journal }) {
                Ok(body) => self.send(body).await,
                Err(error) => tracing::error!(%error, "a notice cannot be written"),
            }
        }
    }

    async fn send(&self, body: Vec<u8>) {
        for pause in PAUSES.into_iter().map(Some).chain([None]) {
            let why = match self.post(body.clone()).await {
                Ok(status) if status.is_success() => return,
                // What the server does not want, it will not want later.
                Ok(status)
                    if status.is_client_error() && status != reqwest::StatusCode::TOO_MANY_REQUESTS =>
                {
                    tracing::error!(%status, "a notice was refused; the journal has it");
                    return;
                }
                Ok(status) => format!("it answered {status}"),
                Err(error) => error.without_url().to_string(),
            };
            match pause {
                Some(pause) => {
                    tracing::warn!(%why, again_in = ?pause, "a notice could not be sent");
                    tokio::time::sleep(pause).await;
                }
                None => tracing::error!(%why, "a notice could not be sent; the journal has it"),
            }
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<reqwest::StatusCode, reqwest::Error> {
        let mut request = self.client.post(self.url.clone()).header("content-type", "application/json");
        if let Some(signature) = self.secret.as_ref().and_then(|secret| signature(secret, &body)) {
            request = request.header("flyball-signature", signature);
        }
        Ok(request.body(body).send().await?.status())
    }
}

/// `sha256=` and the HMAC-SHA-256 (RFC 2104) of the body in hexadecimal, as GitHub's webhooks have it.
fn signature(secret: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    Some(format!("sha256={}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_githubs_documentation() {
        let signature = signature("It's a Secret to Everybody", b"Hello, World!");
        let documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signature.as_deref(), Some(documented));
    }
}
