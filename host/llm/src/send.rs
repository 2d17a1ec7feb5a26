//! One try.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Response};
use serde_json::Value;

use crate::error::{Fault, Kind};
use crate::key::Key;
use crate::pauses::retry_after;
use crate::text::told;
use crate::wire::Wire;

/// How long a server may take to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Where providers put their name for a request.
const REQUEST_IDS: [&str; 2] = ["request-id", "x-request-id"];

/// What came of one try; the key stands nowhere in it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) status: Option<u16>,
    pub(crate) request_id: Option<String>,
    pub(crate) after: Option<Duration>,
    pub(crate) location: Option<String>,
}

/// A body that came whole.
#[derive(Debug)]
pub(crate) enum Body {
    Json(Value),
    /// It is no JSON, for this reason.
    Text(String, String),
}

impl Body {
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Json(value) => value.to_string(),
            Self::Text(text, _) => text.clone(),
        }
    }
}

/// A client that goes nowhere but where it is told to.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    // Whoever else installed one before has what is needed here too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT)
        .build()
}

/// Sends it and reads the whole answer. What is known of one that does not come whole is noted on the way.
pub(crate) async fn send(
    client: &Client,
    wire: &Wire,
    key: &Key,
    body: String,
    most_kb: u64,
    sent: &mut Sent,
) -> Result<Body, Fault> {
    let request = client
        .post(wire.url.clone())
        // A key that a server echoes could not be found in what is compressed.
        .header(ACCEPT_ENCODING, "identity")
        .header(CONTENT_TYPE, "application/json")
        .headers(wire.headers(key).into_iter().collect::<HeaderMap>())
        .body(body);
    let answer = request.send().await.map_err(|error| broken(key, error))?;
    let text = |name: &str| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(|value| told(&key.mask(value.to_owned()))).filter(|value| !value.is_empty())
    };
    sent.status = Some(answer.status().as_u16());
    sent.request_id = REQUEST_IDS.iter().find_map(|name| text(name));
    sent.location = text(LOCATION.as_str());
    sent.after = retry_after(answer.headers());
    if answer.headers().get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(Fault::new(Kind::Malformed, "it answers encoded, which was not asked for"));
    }
    let bytes = read(answer, most_kb, key).await?;
    Ok(match serde_json::from_slice(&bytes) {
        Ok(value) => Body::Json(key.mask_value(value)),
        Err(error) => {
            Body::Text(key.mask(String::from_utf8_lossy(&bytes).into_owned()), key.mask(error.to_string()))
        }
    })
}

async fn read(mut answer: Response, most_kb: u64, key: &Key) -> Result<Vec<u8>, Fault> {
    let most = usize::try_from(most_kb.saturating_mul(1 << 10)).unwrap_or(usize::MAX);
    let too_large =
        || Fault::new(Kind::TooLarge, format!("it answers with more than {most_kb} KiB (`limits.max_kb`)"));
    if answer.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| broken(key, error))? {
        if bytes.len().saturating_add(chunk.len()) > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What went wrong, without reqwest's repetition of the URL.
fn broken(key: &Key, error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let (kind, what) = if error.is_connect() {
        (Kind::Unreachable, "it takes no connection")
    } else {
        (Kind::CutOff, "the connection broke off")
    };
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let why = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    Fault::new(kind, format!("{what}: {}", told(&key.mask(why))))
}
