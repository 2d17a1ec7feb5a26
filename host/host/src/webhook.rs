//! Posts what people should know to a URL. It reads the event log, so it holds nobody up; how far it has come is kept, so that a
//! notice that could not be sent before a host ended is sent by the next one. What a server does not take in some minutes is
//! told in the log of the program, and is in the journal anyway. A notice that was sent just as a host was killed may be sent
//! again: it has its time and its text by which to tell.
//!
//! Started by `host`.

use std::sync::Arc;
use std::time::Duration;

use flyball_events::{EventLog, EventReader};
use flyball_model::{EntryNumber, Event, EventRecord, Happened};
use flyball_ports::EventStore;
use flyball_store::{ChainEnd, EventEntries, Store};
use hmac::{Hmac, Mac};
use reqwest::Url;
use serde::Serialize;
use sha2::Sha256;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::{Doing, HostError};

/// The name by which it is known how far it has come.
const READER: &str = "webhook";
/// From one try to the next.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
];
const PATIENCE: Duration = Duration::from_secs(10);

/// Where notices are posted.
#[derive(Clone)]
pub struct Webhook {
    url: Url,
    /// What the body is signed with.
    secret: Option<String>,
}

impl Webhook {
    /// At this URL, signed if there is a secret.
    pub fn new(url: Url, secret: Option<String>) -> Self {
        Self { url, secret }
    }
}

/// Without the secret.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

struct Sender {
    client: reqwest::Client,
    webhook: Webhook,
    journal: Arc<Store>,
    entries: Arc<EventEntries>,
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

/// Begins to post, after what was posted before; the first time, from now on. It ends with the log.
pub(crate) fn start(
    webhook: Webhook,
    log: &EventLog,
    entries: Arc<EventEntries>,
    journal: Arc<Store>,
    on: &Handle,
) -> Result<JoinHandle<()>, HostError> {
    // Whoever installed one before installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .doing("cannot make an HTTP client")?;
    let beginning = EntryNumber { place: 0, ..log.newest() };
    let cannot = "cannot tell how far notices were sent";
    let from = match entries.position(READER).doing(cannot)? {
        Some(from) => from,
        None => {
            entries.keep_position(READER, beginning).doing(cannot)?;
            beginning
        }
    };
    // A state directory that was put together from several may know of runs that are yet to come.
    let reader = log.reader(from).or_else(|_| log.reader(beginning)).doing("cannot send notices")?;
    Ok(on.spawn(Sender { client, webhook, journal, entries }.send_all(reader)))
}

/// Nobody is to be told in this run, so nothing of it is told later.
pub(crate) fn is_off(entries: &EventEntries) -> Result<(), HostError> {
    entries.forget_position(READER).doing("cannot forget how far notices were sent")
}

impl Sender {
    async fn send_all(self, mut reader: EventReader) {
        loop {
            match reader.next().await {
                Ok(Some(entry)) => {
                    if let Happened::Event(event) = &entry.happened
                        && matches!(event.event, Event::Notified(_))
                    {
                        self.notice(event).await;
                        self.sent(entry.number).await;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "notices wait, as the event log cannot be read");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }

    async fn notice(&self, event: &EventRecord) {
        // A journal whose disk hangs keeps no notice from leaving.
        let asked = tokio::time::timeout(PATIENCE, self.journal.chain_end()).await;
        let journal = asked.ok().and_then(Result::ok);
        match serde_json::to_vec(&Notice { event, journal }) {
            Ok(body) => self.send(body).await,
            Err(error) => tracing::error!(%error, "a notice cannot be written"),
        }
    }

    async fn sent(&self, number: EntryNumber) {
        let entries = Arc::clone(&self.entries);
        let kept = tokio::task::spawn_blocking(move || entries.keep_position(READER, number)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "a notice was sent, and may be sent again by the next host");
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
        let mut request =
            self.client.post(self.webhook.url.clone()).header("content-type", "application/json");
        if let Some(signature) = self.webhook.secret.as_ref().and_then(|secret| signature(secret, &body)) {
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
