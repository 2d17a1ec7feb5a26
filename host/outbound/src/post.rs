//! JSON that the nodes of a pipeline POST to the one address that their manifest names.
//!
//! It upholds the rules of plugins' requests where they fit: no redirect is followed and no proxy or referer used unless
//! the manifest says so, whatever the environment holds; answers are bounded; and what is told of an address is its origin
//! alone, as its path, its query and its user part may hold secrets. Which addresses may be reached is the manifest's to
//! say, so private ones may. The node types `http-out` and `http-enrich` call it.

use std::time::Duration;

use bytes::Bytes;
use flyball_model::Problem;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use crate::pauses::retry_after;
use crate::permit::{origin, origin_of};

const MOST_REDIRECTS: usize = 5;
/// Where `delivered` is all there is to know, the rest of an answer is read so that the connection can be used again.
const MOST_UNREAD: usize = 64 << 10;

/// Where JSON is POSTed.
#[derive(Debug)]
pub struct Endpoint {
    client: Client,
    url: Url,
    redirects_to: Vec<String>,
}

/// Why something was not POSTed, or not answered as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The other side cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// It was reached, and no whole answer came.
    #[error("{0}")]
    Unanswered(String),
    /// It is busy or broken: 408, 425, 429, 5xx.
    #[error("{why}")]
    Busy {
        /// What it answered.
        why: String,
        /// It asks to be left alone, whatever it is sent: 429, 503.
        all: bool,
        /// When to come back, where it said so.
        retry_after: Option<Duration>,
    },
    /// It does not take this: any other answer, a redirect that the manifest does not name included.
    #[error("{0}")]
    Refused(String),
}

impl Endpoint {
    /// Touches nothing outside.
    ///
    /// # Errors
    ///
    /// What is wrong with the address, or with an origin that redirects may lead to.
    pub fn new(url: &str, timeout: Duration, redirects_to: &[String]) -> Result<Self, Problem> {
        let no_url = |why: String| {
            Problem::new("/url", format!("this is no URL that can be POSTed to: {why}"))
                .help("write it like https://host:8080/path")
        };
        let url = Url::parse(url).map_err(|error| no_url(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(no_url(format!("its scheme is {}, neither http nor https", url.scheme())));
        }
        let mut allowed = Vec::new();
        for (index, text) in redirects_to.iter().enumerate() {
            let at = |problem: Problem| Problem { pointer: format!("/redirects_to/{index}"), ..problem };
            allowed.push(origin_of(text).map_err(at)?);
        }
        // Every client wants to know by what it would speak TLS. Whoever said so before is right, too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .build()
            .map_err(|error| Problem::new("", format!("no HTTP client can be made: {error}")))?;
        Ok(Self { client, url, redirects_to: allowed })
    }

    /// Where it is, without what may be secret.
    pub fn origin(&self) -> String {
        origin(&self.url)
    }

    /// POSTs this and wants nothing but success (2xx).
    ///
    /// # Errors
    ///
    /// It was not taken.
    pub async fn deliver(&self, json: Vec<u8>) -> Result<(), PostError> {
        let mut answer = self.post(json).await?;
        let mut read = 0;
        while read < MOST_UNREAD {
            // It was taken, whatever becomes of the rest of the answer.
            let Ok(Some(chunk)) = answer.chunk().await else { break };
            read += chunk.len();
        }
        Ok(())
    }

    /// POSTs this and gives the body of a success (2xx), if it is no longer than `most` bytes.
    ///
    /// # Errors
    ///
    /// It was not taken, or not answered as it must be.
    pub async fn ask(&self, json: Vec<u8>, most: usize) -> Result<Vec<u8>, PostError> {
        let mut answer = self.post(json).await?;
        let from = self.origin();
        let mut read = Vec::new();
        loop {
            let chunk = answer.chunk().await.map_err(|error| {
                PostError::Unanswered(format!("{from} broke off its answer: {}", reason(error)))
            })?;
            let Some(chunk) = chunk else { return Ok(read) };
            if read.len().saturating_add(chunk.len()) > most {
                return Err(PostError::Refused(format!("{from} answered more than {most} bytes")));
            }
            read.extend_from_slice(&chunk);
        }
    }

    async fn post(&self, json: Vec<u8>) -> Result<Response, PostError> {
        let body = Bytes::from(json);
        let mut url = self.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/json");
            let answer = request.body(body.clone()).send().await.map_err(|error| unsent(&url, error))?;
            if !answer.status().is_redirection() {
                return judged(&url, answer);
            }
            url = self.redirected(&url, &answer)?;
        }
        Err(PostError::Refused(format!("{} redirects more than {MOST_REDIRECTS} times", self.origin())))
    }

    /// Where an answer may send this to. Only 307 and 308 mean the same request elsewhere: by the others the other side
    /// would be asked something without a body, and have taken nothing.
    fn redirected(&self, from: &Url, answer: &Response) -> Result<Url, PostError> {
        let (status, here) = (answer.status(), origin(from));
        let refused = |why: String| Err(PostError::Refused(format!("{here} answered {status}, {why}")));
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let Some(mut to) = location.and_then(|location| from.join(location).ok()) else {
            return refused("which takes nothing".to_owned());
        };
        let there = origin(&to);
        if !self.redirects_to.contains(&there) {
            return refused(format!(
                "a redirect to {there}, which is not followed; name that origin in `redirects_to` if it is meant"
            ));
        }
        if !matches!(status.as_u16(), 307 | 308) {
            return refused("a redirect that drops the item; only 307 and 308 are followed".to_owned());
        }
        // What is meant for one server is not for another, and what a server writes there is not the manifest's.
        let same = there == self.origin();
        let (user, password) = if same { (self.url.username(), self.url.password()) } else { ("", None) };
        if to.set_username(user).is_err() || to.set_password(password).is_err() {
            return refused("a redirect to what cannot be POSTed to".to_owned());
        }
        Ok(to)
    }
}

fn judged(url: &Url, answer: Response) -> Result<Response, PostError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let why = format!("{} answered {status}", origin(url));
    let busy = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    if !busy {
        return Err(PostError::Refused(why));
    }
    let all = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    Err(PostError::Busy { why, all, retry_after: retry_after(answer.headers()) })
}

fn unsent(url: &Url, error: reqwest::Error) -> PostError {
    let unreachable = error.is_connect();
    let why = format!("{} did not answer: {}", origin(url), reason(error));
    if unreachable { PostError::Unreachable(why) } else { PostError::Unanswered(why) }
}

/// The cause, not only "error sending request", and never the URL.
fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
