//! The capability `llm`: questions that the host asks language models for a plugin.
//!
//! It must uphold that nothing is asked which the policy's grant and budgets do not permit (`flyball-llm` decides), that a question
//! nobody waits for is given up, and that each is recorded with what the plugin was told. Guests call this.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_llm::{Content, Exchanges, Kind, Llm, LlmError, ModelAnswer, ModelExchange, Question};
use flyball_model::{Grants, LlmAnswer, LlmExchange, LlmUse, Problem};
use flyball_outbound::Outbound;
use parking_lot::Mutex;
use tokio::sync::watch;
use wasmtime::component::Linker;

use super::{Capability, Whole};
use crate::bindings::llm;
use crate::call::Call;
use crate::{Engine, LoadError, schema};

/// See the module's page.
pub(super) struct LlmImport;

impl Capability for LlmImport {
    const NAME: &'static str = "llm";
    const IMPORTS: &'static [&'static str] = &["flyball:plugin/llm@0.1.0"];

    fn granted(grants: &Grants) -> bool {
        grants.llm.is_some()
    }

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        llm::add_to_linker::<Call, Whole>(linker, |call| call)
    }
}

/// Whoever answers questions.
#[derive(Debug, Clone)]
pub(crate) enum LanguageModel {
    /// A model, as far as a policy permits it.
    Live(Llm, Outbound),
    /// A recording.
    Recorded(VecDeque<LlmExchange>),
}

/// As long as its other end is there, somebody waits for the call.
pub(crate) type Waiting = watch::Receiver<()>;

impl LanguageModel {
    /// What a policy grants of it.
    pub(crate) fn granted(engine: &Engine, grants: &Grants) -> Result<Option<Self>, LoadError> {
        let Some(grant) = &grants.llm else { return Ok(None) };
        let unsound = |problems| LoadError::Grant { grant: "llm", problems };
        let outbound =
            engine.outbound().map_err(|error| unsound(vec![Problem::new("", error.to_string())]))?;
        let llm = engine.llms().permit(grant).map_err(unsound)?;
        Ok(Some(Self::Live(llm, outbound)))
    }

    fn answer(
        &mut self,
        session: &str,
        question: &llm::Question,
        deadline: Instant,
        waiting: Option<Waiting>,
    ) -> LlmExchange {
        let exchange = |answer, used, wire| LlmExchange {
            system: question.system.clone(),
            user: question.user.clone(),
            schema: question.schema.clone(),
            max_tokens: question.max_tokens,
            answer,
            used,
            wire,
        };
        match self {
            Self::Live(llm, outbound) => {
                let (answer, heard) = match understood(question) {
                    Ok(asked) => ask(llm, outbound, session.to_owned(), asked, deadline, waiting),
                    Err(why) => (LlmAnswer::Refused(why), None),
                };
                let used = heard.as_ref().map(used).unwrap_or_default();
                exchange(answer, used, heard.and_then(|heard| serde_json::to_string(&heard).ok()))
            }
            Self::Recorded(answers) => match answers.pop_front() {
                Some(next)
                    if next.user == question.user
                        && next.system == question.system
                        && next.schema == question.schema
                        && next.max_tokens == question.max_tokens =>
                {
                    next
                }
                _ => {
                    let why = "this question is not in the recording".to_owned();
                    exchange(LlmAnswer::Failed(why), LlmUse::default(), None)
                }
            },
        }
    }
}

/// A question as the host asks it. The form is the plugin's, so it is weighed before it is compiled.
fn understood(question: &llm::Question) -> Result<Question, String> {
    let llm::Question { system, user, schema, max_tokens } = question.clone();
    let form = |why: String| format!("the form of the answer {why}");
    let schema: Option<serde_json::Value> = schema
        .map(|text| serde_json::from_str(&text).map_err(|error| form(format!("is no JSON: {error}"))))
        .transpose()?;
    let validator = schema.as_ref().map(schema::compiled).transpose().map_err(form)?.map(Arc::new);
    Ok(Question { system, user, schema, validator, max_tokens })
}

fn ask(
    llm: &Llm,
    outbound: &Outbound,
    session: String,
    question: Question,
    deadline: Instant,
    waiting: Option<Waiting>,
) -> (LlmAnswer, Option<ModelExchange>) {
    let heard = Arc::new(Heard::default());
    let llm = llm.clone().kept_by(heard.clone());
    let asked = outbound.wait(async move {
        tokio::select! {
            answer = llm.ask(&session, &question, deadline.into()) => Some(answer),
            () = left(waiting) => None,
        }
    });
    let answer = match asked {
        Some(Some(Ok(ModelAnswer { content, .. }))) => LlmAnswer::Answered(match content {
            Content::Json(value) => value.to_string(),
            Content::Text(text) => text,
        }),
        Some(Some(Err(error))) => unanswered(&error),
        Some(None) => LlmAnswer::Failed("nobody waits for the answer any more".to_owned()),
        None => LlmAnswer::Failed("the host is stopping".to_owned()),
    };
    (answer, heard.0.lock().take())
}

/// A little before a call's end, so that the plugin can still say that no answer came, and keep that it asked.
fn early(deadline: Instant) -> Instant {
    const MOST: Duration = Duration::from_millis(500);
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub((left / 20).min(MOST)).unwrap_or(deadline)
}

/// When nobody waits for the call any more. Never, where that cannot be known.
async fn left(waiting: Option<Waiting>) {
    match waiting {
        Some(mut waiting) => while waiting.changed().await.is_ok() {},
        None => std::future::pending().await,
    }
}

fn unanswered(error: &LlmError) -> LlmAnswer {
    let why = error.to_string();
    match error.kind {
        Kind::Question | Kind::Budget | Kind::Open | Kind::Busy => LlmAnswer::Refused(why),
        Kind::Refused | Kind::Truncated | Kind::Malformed => LlmAnswer::Unfit(why),
        _ => LlmAnswer::Failed(why),
    }
}

/// Whatever became of it, and whether the provider tells what it took or not.
fn used(exchange: &ModelExchange) -> LlmUse {
    let tokens = exchange.tokens.unwrap_or_default();
    LlmUse {
        questions: u32::try_from(exchange.tries.len()).unwrap_or(u32::MAX),
        input_tokens: tokens.input,
        output_tokens: tokens.output,
        cost_millionths: exchange.cost.unwrap_or_default().as_millionths(),
    }
}

/// Keeps the one exchange of a question.
#[derive(Default)]
struct Heard(Mutex<Option<ModelExchange>>);

impl Exchanges for Heard {
    fn keep(&self, exchange: ModelExchange) {
        *self.0.lock() = Some(exchange);
    }
}

impl llm::Host for Call {
    fn ask(&mut self, question: llm::Question) -> wasmtime::Result<Result<String, llm::Failure>> {
        self.enter()?;
        let question = self.gave(question)?;
        let (deadline, waiting) = (early(self.deadline), self.waiting.clone());
        let session = self.sight.as_ref().map(|sight| Arc::clone(&sight.now.session)).unwrap_or_default();
        let Some(model) = &mut self.model else {
            return Err(wasmtime::Error::msg("nothing is asked before a policy uses the plugin"));
        };
        let exchange = model.answer(&session, &question, deadline, waiting);
        let answer = exchange.answer.clone();
        self.llm.push(exchange);
        Ok(match answer {
            LlmAnswer::Answered(text) => Ok(self.gave(text)?),
            LlmAnswer::Refused(why) => Err(llm::Failure::Refused(self.gave(why)?)),
            LlmAnswer::Failed(why) => Err(llm::Failure::Failed(self.gave(why)?)),
            LlmAnswer::Unfit(why) => Err(llm::Failure::Unfit(self.gave(why)?)),
        })
    }
}
