use std::net::IpAddr;
use std::sync::Arc;

use flyball_model::Problem;
use reqwest::{Client, Url};

use crate::cache::Cache;
use crate::key::Key;
use crate::provider::State;
use crate::send::client;
use crate::wire::Wire;
use crate::{Exchanges, Hits, LlmGrant, Llms};

/// What one grant permits.
#[derive(Clone)]
pub struct Llm {
    pub(crate) shared: Llms,
    pub(crate) terms: Arc<Terms>,
    pub(crate) records: Option<Arc<dyn Exchanges>>,
}

impl std::fmt::Debug for Llm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Llm").field("terms", &self.terms).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) grant: LlmGrant,
    pub(crate) wire: Wire,
    pub(crate) key: Key,
    pub(crate) client: Client,
    pub(crate) state: Arc<State>,
    pub(crate) cache: Cache,
    /// Who is asked, as errors tell it.
    pub(crate) place: String,
}

impl Llm {
    pub(crate) fn new(shared: Llms, grant: &LlmGrant) -> Result<Self, Vec<Problem>> {
        let mut problems = numbers(grant);
        if grant.model.trim().is_empty() || grant.model.chars().any(char::is_control) {
            problems
                .push(Problem::new("/model", "the model has no name").help("write it as the provider does"));
        }
        let key = match grant.key.as_ref().map(Key::read) {
            Some(Ok(key)) => Some(key),
            None => Some(Key::default()),
            Some(Err(problem)) => {
                problems.push(Problem { pointer: format!("/key{}", problem.pointer), ..problem });
                None
            }
        };
        if grant.key.is_none() && grant.base_url.is_none() {
            let message = format!("{} asks for a key", grant.provider.name());
            problems.push(
                Problem::new("/key", message).help("name an environment variable or a file that holds it"),
            );
        }
        let base = base(grant).map_err(|problem| problems.push(problem)).ok();
        let client = client().map_err(|error| {
            problems.push(Problem::new("", format!("no HTTP client can be made: {error}")));
        });
        let (Some(key), Some(base), Ok(client), true) = (key, base, client, problems.is_empty()) else {
            return Err(problems);
        };
        let origin = base.origin().ascii_serialization();
        let terms = Terms {
            wire: Wire::new(grant, &base),
            place: key.mask(format!("{} {} at {origin}", grant.provider.name(), grant.model)),
            state: shared.providers.at(&origin),
            cache: Cache::new(grant.cache),
            grant: grant.clone(),
            key,
            client,
        };
        Ok(Self { shared, terms: Arc::new(terms), records: None })
    }

    /// Tells each question and its answer to whoever keeps them.
    #[must_use]
    pub fn kept_by(mut self, records: Arc<dyn Exchanges>) -> Self {
        self.records = Some(records);
        self
    }

    /// How often an answer was known.
    pub fn hits(&self) -> Hits {
        self.terms.cache.hits()
    }

    /// Whether the provider failed too often and is left alone.
    pub fn is_open(&self) -> bool {
        self.terms.state.breaker.shut_for().is_some()
    }
}

/// Where it is asked.
fn base(grant: &LlmGrant) -> Result<Url, Problem> {
    let text = grant.base_url.as_deref().unwrap_or(grant.provider.base_url());
    let wrong = |why: &str, help: &str| Problem::new("/base_url", format!("the address {why}")).help(help);
    let like = format!("write it like {}", grant.provider.base_url());
    let url = Url::parse(text).map_err(|error| wrong(&format!("is no URL: {error}"), &like))?;
    // What stands there is not said again: it may be a secret.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user or a password", "use `key`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or a fragment", &like));
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" if !host.is_empty() => Ok(url),
        "http"
            if is_this_machine(host)
                || grant.plain_http.iter().any(|named| named.eq_ignore_ascii_case(host)) =>
        {
            Ok(url)
        }
        "http" => {
            let help = "use https, or name the host under `plain_http` if it is meant";
            Err(wrong(&format!("is plain http to {host}, which is another machine"), help))
        }
        _ => Err(wrong("is neither http nor https", &like)),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Numbers out of range, as the schema says it: not every grant comes through a document.
fn numbers(grant: &LlmGrant) -> Vec<Problem> {
    let LlmGrant { limits, breaker, budgets, cache, .. } = grant;
    let ranges = [
        ("/limits/time_ms", limits.time_ms, 1, 600_000),
        ("/limits/question_kb", limits.question_kb, 1, 16_384),
        ("/limits/max_kb", limits.max_kb, 1, 65_536),
        ("/limits/output_tokens", limits.output_tokens.into(), 1, 1_000_000),
        ("/limits/tries", limits.tries.into(), 1, 10),
        ("/limits/pause_ms", limits.pause_ms, 1, 60_000),
        ("/limits/at_once", limits.at_once.into(), 1, 1_000),
        ("/limits/per_minute", limits.per_minute.into(), 1, 100_000),
        ("/breaker/failures", breaker.failures.into(), 1, u64::MAX),
        ("/breaker/pause_ms", breaker.pause_ms, 1, u64::MAX),
        ("/cache/answers", cache.answers.into(), 0, 100_000),
        ("/cache/max_kb", cache.max_kb, 0, 1_048_576),
    ];
    let beyond = ranges.into_iter().filter(|(_, value, least, most)| value < least || value > most);
    let mut problems: Vec<_> = beyond
        .map(|(at, value, least, most)| Problem::new(at, format!("{value} is not from {least} to {most}")))
        .collect();
    for (at, budget) in [("/budgets/host/money", budgets.host), ("/budgets/session/money", budgets.session)] {
        if budget.money.is_some() && grant.prices.is_none() {
            let problem = Problem::new(at, "money is bounded, and nothing has a price");
            problems.push(problem.help("write what a million tokens cost under `prices`"));
        }
    }
    problems
}
