//! One request to `http-in`: what it must be to be accepted, and the answer that says why it was not.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flyball_json::{ItemLimits, JsonError, OverLimit, Values};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::{Accepted, Door, kib};

/// Why a request was not accepted: nothing of it was.
struct Refusal {
    status: StatusCode,
    why: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), header: None }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    fn later() -> Self {
        let why = "the pipeline does not keep up; nothing was accepted, try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why).with(header::RETRY_AFTER, "1")
    }

    fn ending() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the pipeline is ending; nothing was accepted")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = (self.status, Json(json!({"error": self.why}))).into_response();
        if let Some((name, value)) = self.header {
            answer.headers_mut().insert(name, value);
        }
        answer
    }
}

pub(super) async fn accept(State(door): State<Arc<Door>>, request: Request<Body>) -> Response {
    match take(&door, request).await {
        Ok(count) => (StatusCode::ACCEPTED, Json(json!({"accepted": count}))).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn take(door: &Door, request: Request<Body>) -> Result<usize, Refusal> {
    let (head, body) = request.into_parts();
    from_here(&head.headers, &head.uri, &door.allowed_hosts)?;
    is_json(&head.headers)?;
    let body = read(door, body).await?;
    // Before it is read: while it is, it may take this much.
    let most = kib((body.len() * ItemLimits::GROWTH).min(2 * door.limits.decoded));
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let memory = timeout(door.wait, Arc::clone(&door.memory).acquire_many_owned(most)).await;
    let memory = memory.map_err(|_| Refusal::later())?.map_err(|_| Refusal::ending())?;
    let accepted = items(&body, door, memory)?;
    drop(body);
    let count = accepted.len();
    match timeout(door.wait, door.items.reserve_many(count)).await {
        Ok(Ok(room)) => {
            // From here on nothing is awaited: a client that goes away cannot leave half of its items behind.
            room.zip(accepted).for_each(|(place, item)| place.send(item));
            Ok(count)
        }
        Ok(Err(_)) => Err(Refusal::ending()),
        Err(_) => Err(Refusal::later()),
    }
}

/// A page from elsewhere can make a browser send requests here, by an address or by a name of its own that leads here. It
/// cannot make it send another host's name than it used, nor leave out where the page is from.
fn from_here(headers: &HeaderMap, uri: &Uri, allowed: &[String]) -> Result<(), Refusal> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let host = text(header::HOST).or_else(|| uri.authority().map(Authority::as_str)).unwrap_or_default();
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request names several hosts"));
    }
    if !is_allowed(host, allowed) {
        let why = "the request is for a host that is not allowed here; name it in allowed_hosts of http-in";
        return Err(Refusal::new(StatusCode::FORBIDDEN, why));
    }
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let page = origin.split_once("://").map_or("", |(_, page)| page);
    let any = allowed.iter().any(|have| have == "*");
    if any || page == host || allowed.iter().any(|have| have.eq_ignore_ascii_case(name_of(page))) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "a page from another origin may not send items here"))
}

/// Without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let name = name_of(host);
    let address = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(name);
    // Nobody can make an address lead elsewhere.
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed
            .iter()
            .any(|have| have == "*" || have.eq_ignore_ascii_case(name) || have.eq_ignore_ascii_case(host))
}

fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported = |why: String| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if let Some(encoding) = headers.get_all(header::CONTENT_ENCODING).iter().find(|value| !plain(value)) {
        let name: String = encoding.to_str().unwrap_or("unknown").chars().take(40).collect();
        let why = format!("the body is compressed ({name}), which is not taken; send it as it is");
        return Err(unsupported(why).with(header::ACCEPT_ENCODING, "identity"));
    }
    let written = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unknown"));
    let essence =
        written.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = ["application/json", "application/x-ndjson", "application/ndjson", "application/jsonl"];
    if known.contains(&essence.as_str())
        || (essence.starts_with("application/") && essence.ends_with("+json"))
    {
        return match charset(written.unwrap_or_default()) {
            Some(other) => Err(unsupported(format!("the content type's charset is {other}; send UTF-8"))),
            None => Ok(()),
        };
    }
    let found = match written {
        None => "the request has no content type".to_owned(),
        Some(_) => format!("the content type is {}", essence.chars().take(80).collect::<String>()),
    };
    Err(unsupported(format!("{found}; send application/json, or application/x-ndjson for a line each")))
}

/// The charset that a content type names, if it is another one than UTF-8, of which ASCII is a part.
fn charset(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let plain = ["utf-8", "utf8", "us-ascii"];
    let mut charsets = parameters
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches('"'));
    let other = charsets.find(|value| !plain.iter().any(|plain| value.eq_ignore_ascii_case(plain)))?;
    Some(other.chars().take(40).collect())
}

async fn read(door: &Door, body: Body) -> Result<Bytes, Refusal> {
    match timeout(door.body_time, to_bytes(body, door.max_body)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_too_long(&error) => {
            let why = format!("the body has more than {} bytes; nothing was accepted", door.max_body);
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why))
        }
        Ok(Err(error)) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the body broke off: {error}; nothing was accepted"),
        )),
        Err(_) => {
            let why =
                format!("the body took more than {} ms; nothing was accepted", door.body_time.as_millis());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, why).with(header::CONNECTION, "close"))
        }
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn items(body: &[u8], door: &Door, mut memory: OwnedSemaphorePermit) -> Result<Vec<Accepted>, Refusal> {
    let most = door.items.max_capacity();
    let mut read = Vec::new();
    // A mark of the byte order, with which some programs begin a text, is no part of it.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    for value in Values::new(body, &door.limits) {
        let value = value.map_err(refused)?;
        if read.len() >= most {
            let why = format!("the body holds more than {most} items; at most so many are taken at once");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let size = door.limits.check(&value).map_err(|limit| refused(limit.into()))?;
        read.push((value, size));
    }
    if read.is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body holds no JSON value"));
    }
    let taken = kib(read.iter().map(|(_, size)| size.decoded).sum());
    // What it did not take is there for others.
    drop(memory.split(memory.num_permits().saturating_sub(taken)));
    let memory = Arc::new(memory);
    let accepted = |(item, size)| Accepted { item, size, _memory: Arc::clone(&memory) };
    Ok(read.into_iter().map(accepted).collect())
}

fn refused(error: JsonError) -> Refusal {
    let (status, what) = match &error {
        JsonError::Syntax { .. } => (StatusCode::BAD_REQUEST, "the body is not JSON"),
        JsonError::Twice { .. } | JsonError::Limit(OverLimit::Depth { .. }) => {
            (StatusCode::BAD_REQUEST, "the body holds what is no item")
        }
        JsonError::Limit(_) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the body holds what is too large for an item")
        }
    };
    Refusal::new(status, format!("{what}: {error}; nothing was accepted"))
}
