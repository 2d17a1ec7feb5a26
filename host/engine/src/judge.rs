//! A plugin as one policy uses it: with these settings, within these limits.
//!
//! It must uphold that each call gets a fresh instance and is on the bill of its plugin, that what a call keeps is taken over only
//! once it has answered (and what a validator keeps once the action is done), and that each call of a judge is recorded with
//! everything that its answer is a function of. It knows no kind: what is peculiar to one is in `worlds/`. The loop asks judges
//! through the ports, the library makes them, and replay asks one again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use flyball_model::{
    Action, Assessment, Cost, Exchange, Graph, HttpAnswer, HttpExchange, LlmAnswer, LlmExchange, NodeType,
    OnFailure, PluginId, PluginUse, Proposal, Reversal, Verdict,
};
use flyball_ports::{
    CallInput, CallRecord, Catalog, Changes, Decided, Decider, Heuristic, ItemBytes, Judge as Port,
    JudgeError, Judged, Kept, ProcessedBytes, Reverser, Said, Sight, Situation, Validator,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::Plugin;
use crate::call::{Ended, Given, Ready};
use crate::capabilities::Others;
use crate::capabilities::http::Web;
use crate::capabilities::llm::{LanguageModel, Waiting};
use crate::capabilities::metrics::MetricSink;
use crate::capabilities::pipeline::Pulled;
use crate::capabilities::settings::Settings;
use crate::capabilities::state::Keeping;
use crate::error::{CallError, LoadError};
use crate::health::{Health, LimitUsage};

/// A decider that may take longer than this thinks on a thread where it holds nobody up.
const INLINE_DECIDER_MAX_MS: u64 = 50;

/// Any other judge that may take longer than this.
const INLINE_JUDGE_MAX_MS: u64 = 1_000;

/// One use of a plugin. It answers for every kind, and fails for those that its plugin is not of: the library asks each
/// only as what it is.
#[derive(Clone)]
pub struct PluginJudge {
    plugin: Arc<Plugin>,
    /// What its policy calls it, where that is not the plugin's name, and under which what it keeps is then its own.
    name: Option<(Arc<str>, Arc<str>)>,
    ready: Ready,
    used: Arc<PluginUse>,
    settings: Arc<Settings>,
    generation: u64,
    /// Else it is only tried, and its calls are on nobody's bill.
    in_use: bool,
    web: Option<Web>,
    model: Option<LanguageModel>,
    others: Option<Others>,
    health: Arc<Health>,
    /// Where a node's own numbers go.
    metrics: Option<MetricSink>,
    /// What a validator set while it let an action pass, by session: it is kept once the action is done.
    held: Arc<Mutex<HashMap<Arc<str>, Changes>>>,
}

impl std::fmt::Debug for PluginJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge")
            .field("plugin", &self.plugin)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// What a judge answers, and what came with it.
pub(crate) struct Answer {
    pub(crate) said: Result<Said, CallError>,
    pub(crate) cost: Cost,
    pub(crate) http: Vec<HttpExchange>,
    pub(crate) llm: Vec<LlmExchange>,
    pub(crate) others: Vec<Exchange>,
}

impl Answer {
    fn unasked(error: CallError) -> Self {
        Self {
            said: Err(error),
            cost: Cost::default(),
            http: Vec::new(),
            llm: Vec::new(),
            others: Vec::new(),
        }
    }
}

/// What the host gave a call when it was recorded, beside its question.
#[derive(Debug, Clone, Default)]
pub struct Recorded<'a> {
    /// What the plugin had kept before; none: it had no such grant.
    pub kept: Option<Kept>,
    /// What HTTP servers answered, in order.
    pub http: &'a [HttpExchange],
    /// What language models answered, in order.
    pub llm: &'a [LlmExchange],
    /// What other capabilities answered, in order.
    pub others: &'a [Exchange],
}

impl PluginJudge {
    /// Of this plugin, as a policy uses it, in the generation that brought the two together. Whether the settings are
    /// good is not asked here.
    ///
    /// # Errors
    ///
    /// The plugin imports something that is not granted, or a grant is not sound.
    pub fn new(plugin: Arc<Plugin>, used: &PluginUse, generation: u64) -> Result<Self, LoadError> {
        let web = Web::granted(plugin.engine(), &used.grants)?;
        let model = LanguageModel::granted(plugin.engine(), &used.grants)?;
        let judge = Self::offline(plugin, used, generation)?;
        let others = Some(Others::Live(Arc::clone(&judge.used)));
        Ok(Self { web, model, others, ..judge })
    }

    /// The same, where nothing but a recording answers what it asks of servers and models: no secret is read.
    ///
    /// # Errors
    ///
    /// The plugin imports something that is not granted.
    pub fn offline(plugin: Arc<Plugin>, used: &PluginUse, generation: u64) -> Result<Self, LoadError> {
        Ok(Self {
            ready: plugin.granted(&used.grants)?,
            name: None,
            settings: Arc::new(Settings::from(&used.settings)),
            used: Arc::new(used.clone()),
            web: None,
            model: None,
            others: None,
            metrics: None,
            plugin,
            in_use: true,
            generation,
            health: Arc::default(),
            held: Arc::default(),
        })
    }

    /// Of a plugin before any policy uses it, with every import; nothing but a recording answers those that need a
    /// grant.
    pub(crate) fn unbound(plugin: Arc<Plugin>, used: PluginUse) -> Self {
        Self {
            name: None,
            ready: plugin.unbound.clone(),
            settings: Arc::new(Settings::from(&used.settings)),
            used: Arc::new(used),
            web: None,
            model: None,
            others: None,
            metrics: None,
            plugin,
            in_use: false,
            generation: 0,
            health: Arc::default(),
            held: Arc::default(),
        }
    }

    /// The same, by the name that a policy gives it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        let plugin = &self.plugin.id().name;
        // No plugin's name has a `#`.
        self.name = (name != &**plugin).then(|| (name.into(), format!("{plugin}#{name}").into()));
        self
    }

    /// The same, its calls on the bill of all that share this one.
    pub(crate) fn sharing(self, health: Arc<Health>) -> Self {
        Self { health, ..self }
    }

    /// Whose it is what it keeps between calls.
    fn keeps_as(&self) -> &Arc<str> {
        self.name.as_ref().map_or(&self.plugin.id().name, |(_, owner)| owner)
    }

    /// The plugin.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Its settings here.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// How the policy uses it.
    pub fn used(&self) -> &PluginUse {
        &self.used
    }

    /// In which sessions it is not asked at present, after it failed too often there, and why.
    pub fn quarantine(&self) -> Vec<(Arc<str>, String)> {
        self.health.quarantine(Instant::now())
    }

    /// What its calls used at most, beside each limit.
    pub fn bills(&self) -> Vec<LimitUsage> {
        self.health.bills(self.used.limits)
    }

    /// Processes a batch in one fresh instance, as a node does: one answer for each item, in their order.
    ///
    /// # Errors
    ///
    /// The call failed as a whole.
    pub fn process(&self, items: &[ItemBytes]) -> Result<Vec<ProcessedBytes>, CallError> {
        let answer = self.processed(items.into());
        self.record(&answer);
        answer.said.and_then(each_item)
    }

    /// The same for a session's node, unless it failed too often there of late.
    pub(crate) fn process_for(
        &self,
        session: &Arc<str>,
        items: &Arc<[ItemBytes]>,
    ) -> Result<Vec<ProcessedBytes>, CallError> {
        self.health.admit(session, Instant::now())?;
        let answer = self.processed(Arc::clone(items));
        self.record(&answer);
        let name = &self.plugin.id().name;
        self.health.called((name, session), &answer.cost, self.used.limits, answer.said.as_ref().err());
        answer.said.and_then(each_item)
    }

    fn processed(&self, items: Arc<[ItemBytes]>) -> Answer {
        let given = Given { metrics: self.metrics.clone(), ..self.given() };
        self.answer(&CallInput::Process(items), given).0
    }

    /// Where the numbers go that it reports of itself, as a node; else it is told that nobody takes them.
    pub fn report_to(&mut self, sink: MetricSink) {
        self.metrics = Some(sink);
    }

    fn record(&self, answer: &Answer) {
        if self.in_use {
            self.plugin.stats().record(answer.cost.wall_ns, answer.said.is_err());
        }
    }

    /// Asks it again what it was asked once, with the answers that the host gave then. Nothing is kept of it.
    pub fn again(&self, asked: &CallInput, recorded: Recorded<'_>) -> (Result<Said, String>, Cost) {
        let answer = self.tried(asked, recorded);
        (answer.said.map_err(|error| error.to_string()), answer.cost)
    }

    /// The same, with what it asked of others.
    pub(crate) fn tried(&self, asked: &CallInput, recorded: Recorded<'_>) -> Answer {
        let Recorded { kept, http, llm, others } = recorded;
        let given = Given {
            kept: kept.map(|kept| self.keeping(kept)),
            web: Some(Web::Recorded(http.iter().cloned().collect())),
            model: Some(LanguageModel::Recorded(llm.iter().cloned().collect())),
            others: Some(Others::Recorded(others.iter().cloned().collect())),
            ..self.given()
        };
        self.answer(asked, given).0
    }

    /// Asks it what its kind is asked, on a thread where it holds nobody up where it may take long. For kinds that the loop does
    /// not ask itself.
    ///
    /// # Errors
    ///
    /// It did not answer.
    pub async fn asked(&self, asked: CallInput) -> Result<Judged<Said>, JudgeError> {
        self.where_it_fits(INLINE_JUDGE_MAX_MS, asked, Some).await
    }

    /// Asks it, unless it failed too often of late.
    fn ask(&self, asked: CallInput, waiting: Option<Waiting>) -> Answer {
        let failed = |error| Answer::unasked(error);
        let engine = self.plugin.engine();
        let id = self.plugin.id();
        let session = asked.sight().map(|sight| Arc::clone(&sight.now.session)).unwrap_or_default();
        if let Err(error) = self.health.admit(&session, Instant::now()) {
            return failed(error);
        }
        // What was let pass before and not done is forgotten with this question.
        self.held.lock().remove(&session);
        let kept = match self.used.grants.state {
            None => None,
            Some(_) => match engine.states().of(self.keeps_as(), &session) {
                Ok(kept) => Some(kept),
                Err(why) => return failed(CallError::Forgotten { why }),
            },
        };
        let given = Given {
            kept: kept.clone().map(|kept| self.keeping(kept)),
            web: self.web.clone(),
            model: self.model.clone(),
            others: self.others.clone(),
            waiting,
            ..self.given()
        };
        let (answer, keeping) = self.answer(&asked, given);
        self.record(&answer);
        let failed = answer.said.as_ref().err();
        self.health.called((&id.name, &session), &answer.cost, self.used.limits, failed);
        if let Some(keeping) = keeping
            && failed.is_none_or(CallError::is_answer)
            && !keeping.changes.is_empty()
        {
            if answer.said.as_ref().is_ok_and(waits_for_the_action) {
                self.held.lock().insert(Arc::clone(&session), keeping.changes);
            } else {
                engine.states().change(self.keeps_as(), &session, keeping.changes);
            }
        }
        if let Some(recorder) = engine.recorder() {
            recorder.record(CallRecord {
                by: id.clone(),
                kind: self.plugin.kind(),
                contract: crate::CONTRACT_VERSION.into(),
                generation: self.generation,
                session,
                tick: asked.sight().map_or(0, |sight| sight.now.tick),
                at: asked.sight().map_or(0, |sight| sight.now.taken_at),
                used: Arc::clone(&self.used),
                asked,
                kept,
                http: answer.http.clone(),
                llm: answer.llm.clone(),
                others: answer.others.clone(),
                said: answer.said.clone().map_err(|error| error.to_string()),
                cost: answer.cost,
            });
        }
        answer
    }

    /// One call. What a question shows and lets pull is the same in every kind.
    fn answer(&self, asked: &CallInput, given: Given) -> (Answer, Option<Keeping>) {
        let given = Given { sight: asked.sight().cloned(), pulled: asked.situation().map(pulled), ..given };
        let world = self.plugin.world();
        let Some(ended) = (world.call)(&self.ready, &self.plugin.judge, asked, given) else {
            let why = format!("it is a {}, and this is no question for one", world.kind);
            return (Answer::unasked(CallError::Failed { why }), None);
        };
        let Ended { said, cost, kept, http, llm, others } = ended;
        (Answer { said, cost, http, llm, others }, kept)
    }

    fn given(&self) -> Given {
        Given {
            settings: Arc::clone(&self.settings),
            limits: self.used.limits,
            may_log: self.used.grants.log,
            ..Given::default()
        }
    }

    fn keeping(&self, kept: Kept) -> Keeping {
        Keeping::new(kept, self.used.grants.state.unwrap_or_default().max_kb)
    }

    /// Runs a call here, or on a thread where it holds nobody up if it may take long by its policy, or did once.
    async fn where_it_fits<T: Send + 'static>(
        &self,
        here_up_to: u64,
        asked: CallInput,
        heard: fn(Said) -> Option<T>,
    ) -> Result<Judged<T>, JudgeError> {
        let asks_others = self.web.is_some() || self.model.is_some() || !self.used.grants.others.is_empty();
        let here = self.used.limits.time_ms <= here_up_to && !asks_others && self.health.is_quick();
        let Answer { said, cost, http, llm, others: _ } = if here {
            self.ask(asked, None)
        } else {
            let judge = self.clone();
            // Dropped with this future: a model is asked no more when nobody waits.
            let (_waits, waiting) = watch::channel(());
            tokio::task::spawn_blocking(move || judge.ask(asked, Some(waiting)))
                .await
                .map_err(|error| format!("the call broke off: {error}"))?
        };
        let refused: Vec<String> =
            http.iter().filter_map(refusal).chain(llm.iter().filter_map(unanswered)).collect();
        match said.map(heard) {
            Ok(Some(said)) => Ok(Judged { said, cost, refused }),
            Ok(None) => Err(JudgeError { why: "it answered another question".to_owned(), cost }),
            Err(error) if refused.is_empty() => Err(JudgeError { why: error.to_string(), cost }),
            Err(error) => {
                Err(JudgeError { why: format!("{error}; before that: {}", refused.join("; ")), cost })
            }
        }
    }
}

/// A validator that lets an action pass is asked of the same action again: with a person's yes, after an amendment, when a guard
/// behind it said no and the decider proposes it anew. What it counts must be what was done, so it keeps nothing before that.
/// Its own no is final, and so is what it set with it.
fn waits_for_the_action(said: &Said) -> bool {
    matches!(said, Said::Verdict(Verdict::Allow | Verdict::Amend(_) | Verdict::Ask(_)))
}

fn refusal(exchange: &HttpExchange) -> Option<String> {
    match &exchange.answer {
        HttpAnswer::Refused(why) => Some(format!("{} was refused: {why}", exchange.method)),
        HttpAnswer::Answered { .. } | HttpAnswer::Failed(_) => None,
    }
}

/// What came of a question to a model, where it is not an answer: whoever decided without it is to be understood.
fn unanswered(exchange: &LlmExchange) -> Option<String> {
    match &exchange.answer {
        LlmAnswer::Answered(_) => None,
        LlmAnswer::Refused(why) => Some(format!("a question was not sent: {why}")),
        LlmAnswer::Failed(why) => Some(format!("a question was not answered: {why}")),
        LlmAnswer::Unfit(why) => Some(format!("an answer is not usable: {why}")),
    }
}

fn pulled(situation: &Situation) -> Pulled {
    Pulled { graph: Arc::clone(&situation.graph), node_types: Arc::clone(&situation.node_types) }
}

fn each_item(said: Said) -> Result<Vec<ProcessedBytes>, CallError> {
    match said {
        Said::Processed(items) => Ok(items),
        _ => Err(CallError::Failed { why: "it answered another question".to_owned() }),
    }
}

impl Port for PluginJudge {
    fn id(&self) -> &PluginId {
        self.plugin.id()
    }

    fn name(&self) -> &str {
        self.name.as_ref().map_or(&*self.plugin.id().name, |(name, _)| name)
    }

    fn on_failure(&self) -> OnFailure {
        self.used.on_failure
    }
}

#[async_trait]
impl Heuristic for PluginJudge {
    async fn assess(&self, sight: &Sight) -> Result<Judged<Assessment>, JudgeError> {
        self.where_it_fits(INLINE_JUDGE_MAX_MS, CallInput::Assess(sight.clone()), |said| match said {
            Said::Assessed(assessment) => Some(assessment),
            _ => None,
        })
        .await
    }
}

#[async_trait]
impl Catalog for PluginJudge {
    async fn list(&self) -> Result<Judged<Vec<NodeType>>, JudgeError> {
        self.where_it_fits(INLINE_JUDGE_MAX_MS, CallInput::List, |said| match said {
            Said::NodeTypes(types) => Some(types),
            _ => None,
        })
        .await
    }
}

#[async_trait]
impl Decider for PluginJudge {
    async fn decide(&self, sight: &Sight, situation: &Situation) -> Result<Judged<Decided>, JudgeError> {
        let asked = CallInput::Decide(sight.clone(), situation.clone());
        self.where_it_fits(INLINE_DECIDER_MAX_MS, asked, |said| match said {
            Said::Decided(decided) => Some(decided),
            _ => None,
        })
        .await
    }
}

#[async_trait]
impl Validator for PluginJudge {
    async fn review(
        &self,
        sight: &Sight,
        proposal: &Proposal,
        decided_by: &str,
        situation: &Situation,
    ) -> Result<Judged<Verdict>, JudgeError> {
        let asked = CallInput::Review {
            sight: sight.clone(),
            proposal: proposal.clone(),
            decided_by: decided_by.to_owned(),
            situation: situation.clone(),
        };
        self.where_it_fits(INLINE_JUDGE_MAX_MS, asked, |said| match said {
            Said::Verdict(verdict) => Some(verdict),
            _ => None,
        })
        .await
    }

    fn acted(&self, session: &str) {
        let Some((session, changes)) = self.held.lock().remove_entry(session) else { return };
        self.plugin.engine().states().change(self.keeps_as(), &session, changes);
    }
}

#[async_trait]
impl Reverser for PluginJudge {
    async fn reverse(
        &self,
        action: &Action,
        before: &Arc<Graph>,
        after: &Arc<Graph>,
    ) -> Result<Judged<Reversal>, JudgeError> {
        let asked =
            CallInput::Reverse { action: action.clone(), before: before.clone(), after: after.clone() };
        self.where_it_fits(INLINE_JUDGE_MAX_MS, asked, |said| match said {
            Said::Reversal(reversal) => Some(reversal),
            _ => None,
        })
        .await
    }
}
