//! A question to the deciders, in a task of its own: what it is asked in, who thinks about it since when, and what came of it. A decision keeps
//! the panel that it began with. Dropped, the question is asked no more.
//!
//! Called by `controller`; the answer goes to `landing`.

use std::sync::Arc;

use flyball_model::{
    Attributed, Cost, DeciderAnswer, Decision, FailedJudge, Finding, GateRefusal, NodeOffer, NodeType,
    PluginId, PluginKind, Reach,
};
use flyball_ports::{Judged, Panel, Sight, Situation, Support};
use tokio::sync::watch::{self, Sender};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::act::checks::Ground;
use crate::act::reach::creatable;
use crate::decide::asking::{Asking, Heard};
use crate::decide::shadows::Shown;
use crate::gates::pace::deciding;
use crate::observe::assess::{ask, failed, refused_to};
use crate::observe::masking::MaskedPlane;
use crate::state::State;

/// What deciders are asked.
pub(crate) struct Question {
    pub panel: Arc<Panel>,
    pub plane: Arc<MaskedPlane>,
    pub sight: Sight,
    /// Its node types are the data plane's own; the catalogs' are added before a decider is asked.
    pub situation: Situation,
    pub findings: Vec<Attributed<Finding>>,
    /// What the data plane can do.
    pub support: Vec<Support>,
    /// The decider that is asked before the others, by the policy's escalation.
    pub first: Option<String>,
}

/// What came of it.
pub(crate) struct Answer {
    /// The panel that it was asked of.
    pub panel: Arc<Panel>,
    /// What it was asked in.
    pub situation: Situation,
    /// Every type that there is; the situation's are those of which nodes may be made.
    pub types: Arc<[NodeType]>,
    /// What woke the deciders.
    pub findings: Vec<Attributed<Finding>>,
    /// None: no decider had an answer.
    pub decision: Option<Attributed<Decision>>,
    /// What each decider said.
    pub answers: Vec<DeciderAnswer>,
    pub failures: Vec<FailedJudge>,
    pub costs: Vec<(PluginId, Cost)>,
}

/// A question that is being thought about. Dropped, it is asked no more.
pub(crate) struct Pending {
    /// On this tick.
    pub tick: u64,
    /// At this time.
    pub asked: Instant,
    pub task: JoinHandle<Answer>,
    /// Whether an action was under way when the answer had come.
    pub found_one_under_way: bool,
}

impl Pending {
    /// The question, and what its deciders are shown, once it is known.
    pub fn ask(question: Question, tick: u64) -> (Self, Shown) {
        let (shows, shown) = watch::channel(None);
        let task = tokio::spawn(decide(question, shows));
        (Self { tick, asked: Instant::now(), task, found_one_under_way: false }, shown)
    }

    /// What the decision waits for: the decider itself; and, where an action was under way when it came, that action and what it starts
    /// (settling, cooldown, breaker), as a person's yes does. It would be refused otherwise, and count as fruitless, for no fault of its own.
    pub fn waits(&mut self, state: &State, panel: Option<&Panel>, now: Instant) -> Option<GateRefusal> {
        if !self.task.is_finished() {
            return Some(deciding(self.tick, self.asked, now));
        }
        if let Some(applying) = &state.applying {
            self.found_one_under_way = true;
            return Some(applying.gate(now));
        }
        // Without a policy it has nothing to wait for.
        panel.filter(|_| self.found_one_under_way).and_then(|panel| state.pace.closed(&panel.rules, now))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Asks the catalogs, then the deciders. Their shadows are shown the same, as soon as it is known.
async fn decide(question: Question, shown: Sender<Option<Arc<Situation>>>) -> Answer {
    let Question { panel, plane, sight, mut situation, findings, support, first } = question;
    let mut failures = Vec::new();
    let mut costs = Vec::new();
    let types = offered(&panel, &situation.node_types, &mut failures, &mut costs).await;
    situation.node_types = creatable(&types, &panel.rules.safety.may_create, &plane);
    if shown.receiver_count() > 0 {
        shown.send_replace(Some(Arc::new(situation.clone())));
    }
    let ground = Ground {
        graph: &situation.graph,
        rules: &panel.rules,
        support: &support,
        node_types: &types,
        plane: &plane,
        restoring: None,
    };
    let heard = Asking::all(&panel.deciders, first.as_deref(), (&sight, &situation), ground).await;
    failures.extend(heard.failures);
    costs.extend(heard.costs);
    let Heard { decision, answers, .. } = heard;
    Answer { panel, situation, types, findings, decision, answers, failures, costs }
}

/// What the data plane offers, and what the catalogs add to it.
pub(crate) async fn offered(
    panel: &Panel,
    own: &Arc<[NodeType]>,
    failures: &mut Vec<FailedJudge>,
    costs: &mut Vec<(PluginId, Cost)>,
) -> Arc<[NodeType]> {
    let mut listed = Vec::new();
    for catalog in &panel.catalogs {
        match ask(catalog.list()).await {
            Ok(Judged { said, cost, refused }) => {
                failures.extend(refused_to(catalog.id(), PluginKind::Catalog, refused));
                costs.push((catalog.id().clone(), cost));
                listed.extend(said);
            }
            Err(error) => failures.push(failed(catalog.id(), PluginKind::Catalog, error)),
        }
    }
    if listed.is_empty() {
        return Arc::clone(own);
    }
    let mut types = own.to_vec();
    listed.into_iter().for_each(|of| add(&mut types, of));
    types.into()
}

fn add(types: &mut Vec<NodeType>, listed: NodeType) {
    let Some(known) = types.iter_mut().find(|known| known.name == listed.name) else {
        // Nobody but the data plane knows of its types that they reach nothing outside.
        types.push(NodeType { reach: Reach::Outside, ..listed });
        return;
    };
    for capability in listed.provides {
        if !known.provides.contains(&capability) {
            known.provides.push(capability);
        }
    }
    for offer in listed.offers {
        add_offer(&mut known.offers, offer);
    }
    if known.config_schema.is_none() {
        known.config_schema = listed.config_schema;
    }
}

/// What a catalog says of an executor's speed and cost goes before what was known: somebody wrote it for this host.
fn add_offer(offers: &mut Vec<NodeOffer>, listed: NodeOffer) {
    match offers.iter_mut().find(|known| known.executor == listed.executor) {
        Some(known) => {
            known.relative_speed = listed.relative_speed.or(known.relative_speed);
            known.relative_cost = listed.relative_cost.or(known.relative_cost);
        }
        None => offers.push(listed),
    }
}
