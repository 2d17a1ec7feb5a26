use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use flyball_model::{HttpGrant, Problem};
use ipnet::IpNet;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};

use crate::address::Reach;
use crate::secret::Secret;
use crate::send::send;
use crate::{Failure, HttpRequest, Outbound, Response};

/// What one grant permits.
#[derive(Debug, Clone)]
pub struct Permit {
    outbound: Outbound,
    rules: Arc<Rules>,
    time: Duration,
}

#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) client: Client,
    pub(crate) reach: Reach,
    pub(crate) origins: Vec<String>,
    pub(crate) methods: Vec<Method>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) most_bytes: usize,
}

impl Permit {
    pub(crate) fn new(
        outbound: Outbound,
        grant: &HttpGrant,
        names: &[(String, std::net::IpAddr)],
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let origins = each(&grant.origins, "/origins", &mut problems, origin_of);
        let methods = each(&grant.methods, "/methods", &mut problems, method);
        let private = each(&grant.private, "/private", &mut problems, network);
        let mut secrets = Vec::new();
        for (index, secret) in grant.secrets.iter().enumerate() {
            let at = format!("/secrets/{index}");
            let towards = each(&secret.origins, &format!("{at}/origins"), &mut problems, |text| {
                let origin = origin_of(text)?;
                if origins.contains(&origin) {
                    return Ok(origin);
                }
                Err(Problem::new("", format!("{origin} is not among the grant's origins"))
                    .help("a secret can go only where requests can go"))
            });
            match Secret::read(secret, towards) {
                Ok(secret) if secrets.iter().any(|known: &Secret| known.name() == secret.name()) => {
                    let message = format!("the secret \"{}\" is granted twice", secret.name());
                    problems.push(Problem::new(format!("{at}/name"), message));
                }
                Ok(secret) => secrets.push(secret),
                Err(problem) => {
                    problems.push(Problem { pointer: format!("{at}{}", problem.pointer), ..problem });
                }
            }
        }
        Secret::sort(&mut secrets);
        let reach = Reach { private: private.into(), names: names.into() };
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .dns_resolver(Arc::new(reach.clone()))
            .build();
        match client {
            Ok(client) if problems.is_empty() => {
                let most_bytes = usize::try_from(grant.max_kb.saturating_mul(1 << 10)).unwrap_or(usize::MAX);
                let rules = Arc::new(Rules { client, reach, origins, methods, secrets, most_bytes });
                Ok(Self { outbound, rules, time: Duration::from_millis(grant.time_ms) })
            }
            Ok(_) => Err(problems),
            Err(error) => {
                problems.push(Problem::new("", format!("no HTTP client can be made: {error}")));
                Err(problems)
            }
        }
    }

    /// Sends a request and waits for the whole answer, no longer than the grant and `time_left` allow. It blocks, so it
    /// is not for a thread that has other work.
    ///
    /// # Errors
    ///
    /// It is not allowed, or no whole answer came in time.
    pub fn send(&self, request: HttpRequest, time_left: Duration) -> Result<Response, Failure> {
        let time = self.time.min(time_left);
        if time.is_zero() {
            return Err(Failure::Failed("no time is left for a request".to_owned()));
        }
        let rules = Arc::clone(&self.rules);
        let (tell, told) = mpsc::sync_channel(1);
        let Some(runtime) = self.outbound.runtime() else {
            return Err(Failure::Failed("the host is stopping".to_owned()));
        };
        let sending = runtime.spawn(async move {
            // Whoever asked may have stopped waiting.
            let _ = tell.send(send(&rules, request).await);
        });
        told.recv_timeout(time).unwrap_or_else(|error| {
            sending.abort();
            Err(Failure::Failed(match error {
                RecvTimeoutError::Timeout => format!("no whole answer came within {} ms", time.as_millis()),
                RecvTimeoutError::Disconnected => "the host gave the request up".to_owned(),
            }))
        })
    }
}

/// Reads each entry of a list; a problem is told at its place.
fn each<T>(
    texts: &[String],
    at: &str,
    problems: &mut Vec<Problem>,
    read: impl Fn(&str) -> Result<T, Problem>,
) -> Vec<T> {
    let mut all = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match read(text) {
            Ok(one) => all.push(one),
            Err(problem) => {
                problems.push(Problem { pointer: format!("{at}/{index}{}", problem.pointer), ..problem });
            }
        }
    }
    all
}

/// An origin in one spelling: `https://example.com:8443`, without the scheme's own port.
pub(crate) fn origin_of(text: &str) -> Result<String, Problem> {
    let wrong = |why: &str| {
        Problem::new("", format!("\"{text}\" is no origin: {why}"))
            .help("write it like https://example.com:8443")
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("its scheme is neither http nor https"));
    }
    let bare = url.path() == "/" && !text.ends_with('/') && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it is more than scheme, host and port"));
    }
    Ok(origin(&url))
}

pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Origins of a grant that are this machine's or another private address, and that its `private` does not name: each request
/// there will be refused. Names other than `localhost` are not looked up.
pub fn unreachable_origins(grant: &HttpGrant) -> Vec<Problem> {
    let private: Arc<[IpNet]> = grant.private.iter().filter_map(|text| network(text).ok()).collect();
    let reach = Reach { private, ..Reach::default() };
    let mut problems = Vec::new();
    for (index, text) in grant.origins.iter().enumerate() {
        let Some(address) = Url::parse(text).ok().as_ref().and_then(fixed_address) else { continue };
        if reach.check("", address).is_err() {
            let what = if address.is_loopback() { "this machine's own" } else { "not public" };
            let message = format!("the address of {text} is {what}, so each request there is refused");
            problems.push(
                Problem::new(format!("/origins/{index}"), message)
                    .help(format!("add `private: [\"{address}\"]` to the grant if it is meant"))
                    .code("private-origin"),
            );
        }
    }
    problems
}

/// The address that a URL leads to without asking anybody.
fn fixed_address(url: &Url) -> Option<std::net::IpAddr> {
    let host = url.host_str()?;
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(std::net::Ipv4Addr::LOCALHOST.into());
    }
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn method(text: &str) -> Result<Method, Problem> {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    known.into_iter().find(|method| method.as_str() == text).ok_or_else(|| {
        Problem::new("", format!("\"{text}\" is no method that can be granted"))
            .help("one of GET, HEAD, POST, PUT, PATCH, DELETE")
    })
}

fn network(text: &str) -> Result<IpNet, Problem> {
    let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or(address).map_err(|_| {
        Problem::new("", format!("\"{text}\" is neither an address nor a network"))
            .help("write it like 127.0.0.1 or 10.1.0.0/16")
    })
}
