//! What nodes can be made of: the types of the graph and of the world.

use std::collections::{BTreeMap, BTreeSet};

use flyball_model::{Executor, GraphSpec, NodeId, NodeOffer, NodeSpec, NodeType};

use crate::world::{ExecutorSpeed, SimNodeRole, SimulatedWorld, Work};

/// Items that may wait, and workers that a node may have, at most: as in the embedded pipeline.
pub(crate) const MOST_WAITING: u32 = 1_000_000;
pub(crate) const MOST_REPLICAS: u32 = 256;

#[derive(Debug)]
pub(crate) struct NodeTypes {
    pub(crate) world: SimulatedWorld,
    /// The type that each node began with.
    first_types: BTreeMap<NodeId, String>,
    roles: BTreeMap<NodeId, SimNodeRole>,
    types: BTreeMap<String, SimNodeRole>,
    retries: BTreeMap<NodeId, u32>,
}

impl NodeTypes {
    pub(crate) fn new(world: SimulatedWorld, graph: &GraphSpec, retries: BTreeMap<NodeId, u32>) -> Self {
        let fed: BTreeSet<&str> = graph.edges.iter().map(|(_, to)| to.as_str()).collect();
        let feeding: BTreeSet<&str> = graph.edges.iter().map(|(from, _)| from.as_str()).collect();
        let place =
            |node: &NodeSpec| match (fed.contains(node.id.as_str()), feeding.contains(node.id.as_str())) {
                (false, _) => SimNodeRole::Source,
                (true, true) => SimNodeRole::Processor,
                (true, false) => SimNodeRole::Sink,
            };
        let roles: BTreeMap<NodeId, SimNodeRole> =
            graph.nodes.iter().map(|node| (node.id.clone(), place(node))).collect();
        let mut types = BTreeMap::new();
        for node in &graph.nodes {
            types.entry(node.node_type.clone()).or_insert_with(|| place(node));
        }
        for (name, work) in &world.types {
            let role = types.entry(name.clone()).or_insert(SimNodeRole::Processor);
            *role = work.role.unwrap_or(*role);
        }
        let first_types = graph.nodes.iter().map(|node| (node.id.clone(), node.node_type.clone())).collect();
        Self { world, first_types, roles, types, retries }
    }

    /// Whatever was inserted is a processor.
    pub(crate) fn role(&self, id: &str) -> SimNodeRole {
        self.roles.get(id).copied().unwrap_or(SimNodeRole::Processor)
    }

    pub(crate) fn role_of_type(&self, node_type: &str) -> Result<SimNodeRole, String> {
        self.types.get(node_type).copied().ok_or_else(|| {
            let near = nearest(node_type, self.types.keys().map(String::as_str))
                .map(|near| format!("; did you mean \"{near}\"?"))
                .unwrap_or_default();
            format!("unknown node type \"{node_type}\"{near}")
        })
    }

    pub(crate) fn work(&self, spec: &NodeSpec) -> &Work {
        let own = self.world.nodes.get(&spec.id);
        own.filter(|_| self.first_types.get(&spec.id) == Some(&spec.node_type))
            .or_else(|| self.world.types.get(&spec.node_type))
            .unwrap_or(&self.world.otherwise)
    }

    pub(crate) fn retries(&self, spec: &NodeSpec) -> u32 {
        self.work(spec).retries.or_else(|| self.retries.get(&spec.id).copied()).unwrap_or(1)
    }

    fn of_type(&self, node_type: &str) -> &Work {
        self.world.types.get(node_type).unwrap_or(&self.world.otherwise)
    }

    /// Where a type can work; one of which nothing is said can do so everywhere.
    pub(crate) fn places(&self, node_type: &str) -> BTreeMap<Executor, ExecutorSpeed> {
        let listed = &self.of_type(node_type).executors;
        if listed.is_empty() {
            let everywhere = [Executor::Native, Executor::Multiprocess, Executor::Wasm];
            return everywhere.map(|executor| (executor, ExecutorSpeed::default())).into();
        }
        listed.clone()
    }

    pub(crate) fn speed(&self, spec: &NodeSpec) -> f64 {
        let own = self.work(spec).executors.get(&spec.executor).copied();
        own.or_else(|| self.places(&spec.node_type).get(&spec.executor).copied()).unwrap_or_default().speed
    }

    pub(crate) fn node_types(&self) -> Vec<NodeType> {
        self.types
            .keys()
            .map(|name| {
                let work = self.of_type(name);
                let places = self.places(name);
                let least = |value: fn(&ExecutorSpeed) -> f64| {
                    places
                        .values()
                        .map(value)
                        .min_by(f64::total_cmp)
                        .filter(|least| *least > 0.0)
                        .unwrap_or(1.0)
                };
                let (slowest, cheapest) = (least(|place| place.speed), least(|place| place.cost));
                NodeType {
                    name: name.clone(),
                    summary: work.summary.clone(),
                    provides: work.provides.clone(),
                    offers: places
                        .iter()
                        .map(|(executor, place)| NodeOffer {
                            executor: *executor,
                            relative_speed: Some(place.speed / slowest),
                            relative_cost: Some(place.cost / cheapest),
                        })
                        .collect(),
                    config_schema: work.config_schema.clone(),
                    reach: work.reach,
                }
            })
            .collect()
    }
}

/// Of more names than this nobody searches the nearest one: it would take a large document's square.
const MOST_COMPARED: usize = 256;

/// The name that was probably meant.
pub(crate) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near =
        names.into_iter().take(MOST_COMPARED).map(|name| (strsim::damerau_levenshtein(written, name), name));
    near.filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
