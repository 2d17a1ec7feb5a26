//! The capability `http`: requests that the host sends for a plugin.
//!
//! It must uphold that nothing is sent which the policy's grant does not permit (`flyball-outbound` decides), and that each request
//! is recorded with what the plugin was told, which is what it is told when the call is made again. Guests call this.

use std::collections::VecDeque;
use std::time::Instant;

use flyball_model::{Grants, HttpAnswer, HttpExchange, Problem};
use flyball_outbound::{Failure, HttpRequest, Permit, Response};
use wasmtime::component::Linker;

use super::{Capability, Whole};
use crate::bindings::http;
use crate::call::Call;
use crate::{Engine, LoadError};

/// See the module's page.
pub(super) struct HttpImport;

impl Capability for HttpImport {
    const NAME: &'static str = "http";
    const IMPORTS: &'static [&'static str] = &["flyball:plugin/http@0.1.0"];

    fn granted(grants: &Grants) -> bool {
        grants.http.is_some()
    }

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        http::add_to_linker::<Call, Whole>(linker, |call| call)
    }
}

/// Whoever answers requests.
#[derive(Debug, Clone)]
pub(crate) enum Web {
    /// The network, as far as a policy permits it.
    Live(Permit),
    /// A recording.
    Recorded(VecDeque<HttpExchange>),
}

impl Web {
    /// What a policy grants of it.
    pub(crate) fn granted(engine: &Engine, grants: &Grants) -> Result<Option<Self>, LoadError> {
        let Some(grant) = &grants.http else { return Ok(None) };
        let unsound = |problems| LoadError::Grant { grant: "http", problems };
        let outbound =
            engine.outbound().map_err(|error| unsound(vec![Problem::new("", error.to_string())]))?;
        let permit = outbound.permit(grant).map_err(unsound)?;
        Ok(Some(Self::Live(permit)))
    }

    fn answer(&mut self, request: &http::Request, deadline: Instant) -> HttpAnswer {
        match self {
            Self::Live(permit) => {
                let http::Request { method, url, headers, body } = request.clone();
                let left = deadline.saturating_duration_since(Instant::now());
                match permit.send(HttpRequest { method, url, headers, body }, left) {
                    Ok(Response { status, headers, body }) => HttpAnswer::Answered { status, headers, body },
                    Err(Failure::Refused(why)) => HttpAnswer::Refused(why),
                    Err(Failure::Failed(why)) => HttpAnswer::Failed(why),
                }
            }
            Self::Recorded(answers) => match answers.pop_front() {
                Some(next) if next.url == request.url && next.method == request.method => next.answer,
                _ => HttpAnswer::Failed("this request is not in the recording".to_owned()),
            },
        }
    }
}

impl http::Host for Call {
    fn send(&mut self, request: http::Request) -> wasmtime::Result<Result<http::Response, http::Failure>> {
        self.enter()?;
        let request = self.gave(request)?;
        let deadline = self.deadline;
        let Some(web) = &mut self.web else {
            return Err(wasmtime::Error::msg("nothing is sent before a policy uses the plugin"));
        };
        let answer = web.answer(&request, deadline);
        let http::Request { method, url, headers, body } = request;
        self.http.push(HttpExchange { method, url, headers, body, answer: answer.clone() });
        Ok(match answer {
            HttpAnswer::Answered { status, headers, body } => {
                Ok(self.gave(http::Response { status, headers, body })?)
            }
            HttpAnswer::Refused(why) => Err(http::Failure::Refused(self.gave(why)?)),
            HttpAnswer::Failed(why) => Err(http::Failure::Failed(self.gave(why)?)),
        })
    }
}
