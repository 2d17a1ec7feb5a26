//! One request, with its redirects.

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Method, StatusCode, Url};

use crate::address::NotPublic;
use crate::permit::{Rules, origin};
use crate::secret::{fill, held, is_placed, mask, mask_text};
use crate::{Failure, HttpRequest, Response};

const MOST_REDIRECTS: usize = 5;
const MOST_HEADERS: usize = 64;
const MOST_HEADER_BYTES: usize = 64 << 10;

/// Headers that say how a message travels, and where to: the host's to set. No answer is compressed, as a secret that a
/// server echoes could not be found in it.
const OURS: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Headers that tell of a body; without one they go.
const OF_BODIES: [&str; 4] = ["content-encoding", "content-language", "content-location", "content-type"];

pub(crate) async fn send(rules: &Rules, request: HttpRequest) -> Result<Response, Failure> {
    let HttpRequest { method, url, mut headers, body } = request;
    let mut method = Method::from_bytes(method.as_bytes())
        .map_err(|_| Failure::Refused(format!("{:?} is no method", short(&method))))?;
    let mut url = Url::parse(&url).map_err(|error| Failure::Refused(format!("the URL is none: {error}")))?;
    let mut body = Bytes::from(body);
    for redirects in 0..=MOST_REDIRECTS {
        allowed(rules, &method, &url)?;
        let filled = filled(rules, &headers, &url)?;
        let mut request = rules.client.request(method.clone(), url.clone()).headers(filled);
        if !body.is_empty() {
            request = request.body(body.clone());
        }
        let answer = request.send().await.map_err(|error| explain(rules, &url, error))?;
        let Some(next) = redirected(&answer, &url) else { return read(rules, answer, &url).await };
        if redirects == MOST_REDIRECTS {
            break;
        }
        if becomes_get(answer.status(), &method) {
            method = Method::GET;
            body = Bytes::new();
            headers.retain(|(name, _)| !is_any(name, &OF_BODIES));
        }
        let (from, next) = (origin(&url), next?);
        if from != origin(&next) {
            // What is meant for one server is not for another; a secret says itself where it may go.
            headers.retain(|(name, value)| !is_any(name, &["authorization"]) || is_placed(value));
        }
        url = next;
        if let Err(Failure::Refused(why)) = allowed(rules, &method, &url).and_then(|()| clean(rules, &url)) {
            return Err(Failure::Refused(format!("{from} redirects: {why}")));
        }
    }
    Err(Failure::Failed(format!("{} redirects more than {MOST_REDIRECTS} times", origin(&url))))
}

fn allowed(rules: &Rules, method: &Method, url: &Url) -> Result<(), Failure> {
    let refused = |why: String| Err(Failure::Refused(why));
    let to = origin(url);
    // A `blob:` has the origin of what it holds.
    if !matches!(url.scheme(), "http" | "https") || !rules.origins.contains(&to) {
        return refused(format!("{} is not among `grants.http.origins`", short(&to)));
    }
    if !rules.methods.contains(method) {
        return refused(format!("{} is not among `grants.http.methods`", short(method.as_str())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("the URL holds a user or a password; use a header and a secret".to_owned());
    }
    // A name is checked when it is resolved.
    let address = url
        .host_str()
        .and_then(|host| host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().ok());
    match address.map(|address| rules.reach.check(&address.to_string(), address)) {
        Some(Err(not_public)) => refused(not_public.to_string()),
        Some(Ok(())) | None => Ok(()),
    }
}

/// A server that knows a secret may not pass it on to one that must not.
fn clean(rules: &Rules, url: &Url) -> Result<(), Failure> {
    let to = origin(url);
    match held(&rules.secrets, url.as_str()).find(|secret| !secret.may_go_to(&to)) {
        Some(secret) => {
            Err(Failure::Refused(format!("the secret \"{}\" may not be sent to {to}", secret.name())))
        }
        None => Ok(()),
    }
}

fn filled(rules: &Rules, headers: &[(String, String)], url: &Url) -> Result<HeaderMap, Failure> {
    let refused = |why: String| Failure::Refused(why);
    if headers.len() > MOST_HEADERS {
        return Err(refused(format!("it has more than {MOST_HEADERS} headers")));
    }
    let placed = headers.iter().any(|(_, value)| is_placed(value));
    let mut filled = HeaderMap::new();
    filled.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if OURS.contains(&lower.as_str()) {
            return Err(refused(format!("the header {lower} is the host's to set")));
        }
        if placed && lower == "range" {
            return Err(refused("the header range does not go with a secret".to_owned()));
        }
        let header = HeaderName::from_bytes(lower.as_bytes())
            .map_err(|_| refused(format!("{:?} is no header's name", short(name))))?;
        let text = fill(&rules.secrets, value, &origin(url)).map_err(refused)?;
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| refused(format!("the header {lower} has a value that no header can carry")))?;
        value.set_sensitive(true);
        filled.append(header, value);
    }
    Ok(filled)
}

/// Where an answer sends to; none: it is the answer.
fn redirected(answer: &reqwest::Response, from: &Url) -> Option<Result<Url, Failure>> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get(LOCATION)?;
    let next = location.to_str().ok().and_then(|location| from.join(location).ok());
    Some(next.ok_or_else(|| Failure::Failed(format!("{} redirects to what is no URL", origin(from)))))
}

/// As browsers do it (Fetch standard, HTTP-redirect fetch).
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        303 => *method != Method::GET && *method != Method::HEAD,
        301 | 302 => *method == Method::POST,
        _ => false,
    }
}

fn is_any(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

async fn read(rules: &Rules, mut answer: reqwest::Response, url: &Url) -> Result<Response, Failure> {
    let too_large = || {
        let limit = rules.most_bytes >> 10;
        Failure::Failed(format!("{} answers with more than {limit} KiB (`grants.http.max_kb`)", origin(url)))
    };
    if answer.content_length().is_some_and(|length| length > rules.most_bytes as u64) {
        return Err(too_large());
    }
    if answer.headers().get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(Failure::Failed(format!("{} answers encoded, which was not asked for", origin(url))));
    }
    let status = answer.status().as_u16();
    let headers = answer_headers(rules, answer.headers(), url)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| explain(rules, url, error))? {
        if body.len().saturating_add(chunk.len()) > rules.most_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body: mask(&rules.secrets, body) })
}

fn answer_headers(rules: &Rules, headers: &HeaderMap, url: &Url) -> Result<Vec<(String, String)>, Failure> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > MOST_HEADER_BYTES {
        let limit = MOST_HEADER_BYTES >> 10;
        return Err(Failure::Failed(format!(
            "{} answers with more than {limit} KiB of headers",
            origin(url)
        )));
    }
    // What sets cookies is for browsers; what was cut in pieces is so no more.
    let kept = headers.iter().filter(|(name, _)| {
        **name == CONTENT_LENGTH || !OURS.contains(&name.as_str()) && *name != "set-cookie"
    });
    Ok(kept
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .map(|(name, value)| (mask_text(&rules.secrets, name), mask_text(&rules.secrets, value)))
        .collect())
}

/// What went wrong, without the URL's query, which may be private, and without reqwest's repetition of the URL.
fn explain(rules: &Rules, url: &Url, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let mut last = None;
    for cause in causes {
        if let Some(not_public) = cause.downcast_ref::<NotPublic>() {
            return Failure::Refused(not_public.to_string());
        }
        last = Some(cause.to_string());
    }
    let why = last.unwrap_or_else(|| error.to_string());
    Failure::Failed(mask_text(&rules.secrets, format!("{} does not answer: {why}", origin(url))))
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}
