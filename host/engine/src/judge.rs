//! A plugin as one policy uses it: with these settings, within these limits.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_control::ports::{
    Catalog, Decided, Decider, Heuristic, Judge as Port, JudgeError, Judged, Reverser, Sight, Situation,
    Validator,
};
use flyball_model::{
    Action, Cost, Finding, GraphSpec, Limits, NodeType, OnFailure, PluginId, PluginKind, PluginUse,
    Proposal, Reversal, Verdict,
};
use wasmtime::component::{ComponentNamedList, Lift, Lower, Resource};

use crate::bindings::{actions, deciding, judgement, listing, offers, processing, reversing, reviewing};
use crate::call::Given;
use crate::error::{CallError, LoadError};
use crate::pulled::Pulled;
use crate::settings::Settings;
use crate::sight::{Past, Seen};
use crate::{Engine, Plugin, heard, told};

/// A decider that may take longer than this thinks on a thread where it holds nobody up.
const SHORT: u64 = 50;

/// Any other judge that may take longer than this.
const LONG: u64 = 1_000;

/// What a node makes of one item: the bodies that go on (none: it was filtered), or why it failed.
pub type Processed = Result<Vec<Vec<u8>>, String>;

type Looking = (Resource<Seen>, Resource<Past>);
type Assess = (Looking, (Vec<judgement::Finding>,));
type Decide =
    ((Resource<Seen>, Resource<Past>, deciding::Situation), (Result<deciding::Decision, deciding::Failure>,));
type Review = ((Resource<Seen>, Resource<Past>, reviewing::Proposed), (reviewing::Verdict,));
type Reverse = ((reversing::Applied,), (Result<Vec<actions::Action>, String>,));
type List = ((), (Result<Vec<offers::NodeType>, listing::Failure>,));
type Process = ((Vec<processing::Item>,), (Vec<Processed>,));

/// One use of a plugin. It answers for every kind, and fails for those that its plugin is not of: the library asks each
/// only as what it is.
#[derive(Debug, Clone)]
pub struct Judge {
    plugin: Arc<Plugin>,
    settings: Arc<Settings>,
    limits: Limits,
    on_failure: OnFailure,
    may_log: bool,
}

impl Judge {
    /// Of this plugin, as a policy uses it. Whether the settings are good was checked before.
    pub fn new(plugin: Arc<Plugin>, used: &PluginUse) -> Self {
        Self {
            plugin,
            settings: Arc::new(Settings::from(&used.settings)),
            limits: used.limits,
            on_failure: used.on_failure,
            may_log: used.grants.log,
        }
    }

    /// The plugin.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Its settings here.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Processes a batch in one fresh instance, as a node does: one answer for each item, in their order.
    ///
    /// # Errors
    ///
    /// The call failed as a whole.
    pub fn process(&self, items: &[(u64, Vec<u8>)]) -> Result<Vec<Processed>, CallError> {
        let given = items.iter().map(|(id, body)| processing::Item { id: *id, body: body.clone() }).collect();
        let (said, _) = self.ask::<Process, _>(PluginKind::Node, None, None, (given,), |(said,)| {
            if said.len() == items.len() {
                return Ok(said);
            }
            Err(CallError::InvalidAnswer {
                field: "list",
                why: format!("{} answers for {} items", said.len(), items.len()),
            })
        });
        said
    }

    fn ask<F, T>(
        &self,
        kind: PluginKind,
        sight: Option<&Sight>,
        pulled: Option<Pulled>,
        params: F::Params,
        heard: impl FnOnce(F::Said) -> Result<T, CallError>,
    ) -> (Result<T, CallError>, Cost)
    where
        F: Function,
    {
        let Plugin { ready, judge, .. } = &*self.plugin;
        if self.plugin.kind() != kind {
            let why = format!("it is a {}, not a {kind}", self.plugin.kind());
            return (Err(CallError::Failed { why }), Cost::default());
        }
        let given = Given {
            sight: sight.cloned(),
            pulled,
            settings: Arc::clone(&self.settings),
            limits: self.limits,
            may_log: self.may_log,
        };
        let (said, cost) = ready.call::<F::Params, F::Said>(judge, params, &given);
        let said = said.and_then(heard);
        self.plugin.stats().record(cost.wall_ns, said.is_err());
        (said, cost)
    }

    /// Runs a call here, or on a thread of its own if it may take long.
    async fn where_it_fits<T: Send + 'static>(
        &self,
        here_up_to: u64,
        ask: impl FnOnce(&Self) -> (Result<T, CallError>, Cost) + Send + 'static,
    ) -> Result<Judged<T>, JudgeError> {
        let (said, cost) = if self.limits.time_ms <= here_up_to {
            ask(self)
        } else {
            let judge = self.clone();
            tokio::task::spawn_blocking(move || ask(&judge))
                .await
                .map_err(|error| JudgeError(format!("the call broke off: {error}")))?
        };
        said.map(|said| Judged { said, cost }).map_err(|error| JudgeError(error.to_string()))
    }
}

/// A function of the contract: what it is given and what it says.
trait Function {
    type Params: ComponentNamedList + Lower + Send + Sync;
    type Said: ComponentNamedList + Lift + Send + Sync + 'static;
}

impl<P, R> Function for (P, R)
where
    P: ComponentNamedList + Lower + Send + Sync,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    type Params = P;
    type Said = R;
}

fn pulled(situation: &Situation) -> Pulled {
    Pulled { graph: Arc::clone(&situation.graph), node_types: Arc::clone(&situation.node_types) }
}

fn looking() -> Looking {
    (Resource::new_borrow(0), Resource::new_borrow(0))
}

/// Compares the shape of the function that makes the plugin one of its kind with the contract's, without calling it.
pub(crate) fn check_types(plugin: &Plugin, engine: &Engine) -> Result<(), LoadError> {
    let given = Given {
        sight: None,
        pulled: None,
        settings: Arc::new(Settings::default()),
        limits: engine.load_limits(),
        may_log: false,
    };
    let Plugin { ready, judge, .. } = plugin;
    match plugin.kind() {
        PluginKind::Heuristic => {
            ready.check::<<Assess as Function>::Params, <Assess as Function>::Said>(judge, &given)
        }
        PluginKind::Decider => {
            ready.check::<<Decide as Function>::Params, <Decide as Function>::Said>(judge, &given)
        }
        PluginKind::Validator => {
            ready.check::<<Review as Function>::Params, <Review as Function>::Said>(judge, &given)
        }
        PluginKind::Reverser => {
            ready.check::<<Reverse as Function>::Params, <Reverse as Function>::Said>(judge, &given)
        }
        PluginKind::Catalog => {
            ready.check::<<List as Function>::Params, <List as Function>::Said>(judge, &given)
        }
        PluginKind::Node => {
            ready.check::<<Process as Function>::Params, <Process as Function>::Said>(judge, &given)
        }
    }
    .map_err(|error| match error {
        CallError::Failed { why } => {
            LoadError::WrongShape { interface: crate::interface_of(plugin.kind()).to_owned(), why }
        }
        other => LoadError::Describing(other),
    })
}

impl Port for Judge {
    fn id(&self) -> &PluginId {
        self.plugin.id()
    }

    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }
}

#[async_trait]
impl Heuristic for Judge {
    async fn assess(&self, sight: &Sight) -> Result<Judged<Vec<Finding>>, JudgeError> {
        let sight = sight.clone();
        self.where_it_fits(LONG, move |judge| {
            judge.ask::<Assess, _>(PluginKind::Heuristic, Some(&sight), None, looking(), |(said,)| {
                Ok(heard::findings(said))
            })
        })
        .await
    }
}

#[async_trait]
impl Catalog for Judge {
    async fn list(&self) -> Result<Judged<Vec<NodeType>>, JudgeError> {
        self.where_it_fits(LONG, |judge| {
            judge.ask::<List, _>(PluginKind::Catalog, None, None, (), |(said,)| match said {
                Ok(types) => heard::node_types(types),
                Err(failure) => Err(CallError::Declined { message: failure.message }),
            })
        })
        .await
    }
}

#[async_trait]
impl Decider for Judge {
    async fn decide(&self, sight: &Sight, situation: &Situation) -> Result<Judged<Decided>, JudgeError> {
        let (sight, pulled, situation) = (sight.clone(), pulled(situation), told::situation(situation));
        self.where_it_fits(SHORT, move |judge| {
            let (now, past) = looking();
            judge.ask::<Decide, _>(
                PluginKind::Decider,
                Some(&sight),
                Some(pulled),
                (now, past, situation),
                |(said,)| heard::decided(said),
            )
        })
        .await
    }
}

#[async_trait]
impl Validator for Judge {
    async fn review(
        &self,
        sight: &Sight,
        proposal: &Proposal,
        decided_by: &str,
        situation: &Situation,
    ) -> Result<Judged<Verdict>, JudgeError> {
        let (sight, pulled) = (sight.clone(), pulled(situation));
        let proposed = told::proposed(proposal, decided_by, situation);
        self.where_it_fits(LONG, move |judge| {
            let (now, past) = looking();
            judge.ask::<Review, _>(
                PluginKind::Validator,
                Some(&sight),
                Some(pulled),
                (now, past, proposed),
                |(said,)| heard::verdict(said),
            )
        })
        .await
    }
}

#[async_trait]
impl Reverser for Judge {
    async fn reverse(
        &self,
        action: &Action,
        before: &GraphSpec,
        after: &GraphSpec,
    ) -> Result<Judged<Reversal>, JudgeError> {
        let applied = told::applied(action, before, after);
        self.where_it_fits(LONG, move |judge| {
            judge.ask::<Reverse, _>(PluginKind::Reverser, None, None, (applied,), |(said,)| {
                heard::reversal(said)
            })
        })
        .await
    }
}
