//! The graph as an immutable whole: what observations are made of, replaced at every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use flyball_measure::sorted;
use flyball_model::{Graph, GraphSpec, NodeSpec};

use crate::node::Node;

pub(crate) struct Topology {
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) ids: Arc<[Arc<str>]>,
    pub(crate) types: Arc<[Arc<str>]>,
    pub(crate) edges: Arc<[(u32, u32)]>,
    /// Every node behind all that feed it.
    pub(crate) order: Vec<usize>,
    /// As the nodes were configured when this was made.
    pub(crate) graph: Arc<Graph>,
}

impl Topology {
    pub(crate) fn new(nodes: Vec<Arc<Node>>) -> Self {
        let number_of: BTreeMap<u64, u32> =
            (0..).zip(&nodes).map(|(index, node)| (node.number, index)).collect();
        let mut edges = Vec::new();
        for (from, node) in (0..).zip(&nodes) {
            edges.extend(
                node.behind().iter().filter_map(|to| number_of.get(&to.number)).map(|to| (from, *to)),
            );
        }
        let specs: Vec<NodeSpec> = nodes.iter().map(|node| node.spec.lock().clone()).collect();
        let (ids, types) = specs
            .iter()
            .map(|spec| (Arc::<str>::from(spec.id.as_str()), Arc::<str>::from(spec.node_type.as_str())))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let id = |index: u32| specs.get(index as usize).map(|spec| spec.id.clone()).unwrap_or_default();
        let named = edges.iter().map(|(from, to)| (id(*from), id(*to))).collect();
        let order = sorted(nodes.len(), &edges);
        let graph = GraphSpec { edges: named, nodes: specs }.into();
        Self { nodes, ids: ids.into(), types: types.into(), edges: edges.into(), order, graph }
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Node>> {
        self.ids.iter().position(|have| have.as_ref() == id).and_then(|index| self.nodes.get(index))
    }

    /// The nodes that lead to this one.
    pub(crate) fn before(&self, node: &Node) -> Vec<Arc<Node>> {
        let leads = |from: &&Arc<Node>| from.behind().iter().any(|to| to.number == node.number);
        self.nodes.iter().filter(leads).cloned().collect()
    }
}
