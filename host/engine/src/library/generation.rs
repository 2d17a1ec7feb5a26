use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flyball_documents::{DocumentText, policy_for};
use flyball_model::{PluginKind, Policy, Rule, Turn};

use crate::{LimitUsage, Plugin, PluginJudge};

/// An immutable state of everything that judges.
#[derive(Debug, Default)]
pub(super) struct Generation {
    /// From 1.
    pub(super) number: u64,
    /// By name.
    pub(super) plugins: BTreeMap<String, Serving>,
    /// By file.
    pub(super) policies: BTreeMap<String, Arc<Bound>>,
}

/// A plugin that serves.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    pub(super) plugin: Arc<Plugin>,
    /// None: it came with the host.
    pub(super) path: Option<PathBuf>,
    pub(super) bytes: Arc<[u8]>,
    pub(super) seal: Seal,
}

/// By what one knows where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seal {
    /// It came inside the host, and is trusted as the host is.
    Host,
    /// This lay beside it as its signature; it is checked by each policy that asks for a signer.
    Signature(Arc<str>),
    /// Nothing.
    None,
}

impl Serving {
    pub(super) fn digest(&self) -> &Arc<str> {
        &self.plugin.id().digest
    }

    /// A judge's is looked at when its policy is bound; a node's when a worker of it is made, so it must be the newest.
    pub(super) fn seal_of_node(&self) -> Option<Seal> {
        (self.plugin.kind() == PluginKind::Node).then(|| self.seal.clone())
    }
}

/// A policy and its judges.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) source: DocumentText,
    pub(super) digest: Arc<str>,
    pub(super) policy: Policy,
    /// The generation that brought these judges together.
    pub(super) generation: u64,
    pub(super) heuristics: Vec<Arc<PluginJudge>>,
    pub(super) catalogs: Vec<Arc<PluginJudge>>,
    pub(super) deciders: Vec<Turn<Arc<PluginJudge>>>,
    /// Each with how long it may think.
    pub(super) shadows: Vec<(Arc<PluginJudge>, Duration)>,
    pub(super) validators: Vec<Rule<Arc<PluginJudge>>>,
    pub(super) reversers: Vec<Arc<PluginJudge>>,
    /// Of kinds that the loop does not ask itself.
    pub(super) others: BTreeMap<PluginKind, Vec<Arc<PluginJudge>>>,
}

impl Bound {
    pub(super) fn judges(&self) -> impl Iterator<Item = &Arc<PluginJudge>> {
        let Self { heuristics, catalogs, deciders, shadows, validators, reversers, others, .. } = self;
        let shadows = shadows.iter().map(|(judge, _)| judge);
        let deciders = deciders.iter().flat_map(Turn::leaves).chain(shadows);
        let validators = validators.iter().flat_map(Rule::leaves);
        let others = others.values().flatten();
        heuristics.iter().chain(catalogs).chain(deciders).chain(validators).chain(reversers).chain(others)
    }

    pub(super) fn uses(&self, plugin: &str) -> bool {
        self.judges().any(|judge| &*judge.plugin().id().name == plugin)
    }
}

/// Of the bills of several uses, for each limit the one that is nearest to it.
pub(super) fn nearest(all: impl Iterator<Item = LimitUsage>) -> Vec<LimitUsage> {
    let mut bills: Vec<LimitUsage> = Vec::new();
    for bill in all {
        match bills.iter_mut().find(|known| known.name == bill.name) {
            Some(known) if known.share() < bill.share() => *known = bill,
            Some(_) => {}
            None => bills.push(bill),
        }
    }
    bills
}

impl Generation {
    /// The policy that judges a session, with its judges.
    pub(super) fn judges(&self, session: &str) -> Option<Arc<Bound>> {
        let chosen = policy_for(self.policies.values().map(|bound| &bound.policy), session)
            .inspect_err(|tie| tracing::error!(%tie, "the session is only observed"))
            .ok()??;
        self.policies.values().find(|bound| std::ptr::eq(&raw const bound.policy, chosen)).cloned()
    }

    fn uses_of(&self, plugin: &str) -> impl Iterator<Item = &Arc<PluginJudge>> {
        let judges = self.policies.values().flat_map(|bound| bound.judges());
        judges.filter(move |judge| &*judge.plugin().id().name == plugin)
    }

    /// The sessions in which the plugin is not asked at present, and why.
    pub(super) fn quarantined(&self, plugin: &str) -> Vec<(Arc<str>, String)> {
        self.uses_of(plugin).flat_map(|judge| judge.quarantine()).collect()
    }

    /// The most that its calls used of each limit, in the policy where that was nearest.
    pub(super) fn bills(&self, plugin: &str) -> Vec<LimitUsage> {
        nearest(self.uses_of(plugin).flat_map(|judge| judge.bills()))
    }

    /// Whether the same judges judge a session in both.
    pub(super) fn judges_alike(&self, other: &Self, session: &str) -> bool {
        match (self.judges(session), other.judges(session)) {
            (Some(one), Some(other)) => Arc::ptr_eq(&one, &other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// Whether it differs from another in anything but its number.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let plugins = |generation: &Self| -> Vec<(String, Arc<str>, Option<Seal>)> {
            let plugins = generation.plugins.iter();
            plugins.map(|(name, one)| (name.clone(), Arc::clone(one.digest()), one.seal_of_node())).collect()
        };
        let policies = |generation: &Self| -> Vec<(String, Arc<str>)> {
            generation.policies.iter().map(|(file, one)| (file.clone(), Arc::clone(&one.digest))).collect()
        };
        plugins(self) != plugins(other) || policies(self) != policies(other)
    }
}
