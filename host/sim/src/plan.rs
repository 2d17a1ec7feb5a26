//! What a simulation is made of, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use flyball_model::{GraphSpec, Manifest, NodeId, Problem, UnixMillis};

use crate::fault::FaultPlan;
use crate::world::SimulatedWorld;

/// What a simulation is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The session's name.
    pub session: String,
    /// The graph as it is configured when it begins.
    pub graph: GraphSpec,
    /// How often an item that fails is tried again, by node; once where nothing is said.
    pub retries: BTreeMap<NodeId, u32>,
    /// How everything behaves when nothing is wrong.
    pub world: SimulatedWorld,
    /// What goes wrong, and when.
    pub faults: FaultPlan,
    /// From which all chance comes.
    pub seed: u64,
    /// What the clock shows when it begins.
    pub start: UnixMillis,
}

impl Plan {
    /// Of the pipeline that a manifest declares, in this world, with nothing wrong. It begins at the Unix epoch.
    pub fn of(manifest: &Manifest, world: SimulatedWorld, seed: u64) -> Self {
        Self {
            session: manifest.name.clone(),
            graph: manifest.graph(),
            retries: manifest.nodes.iter().map(|node| (node.id.clone(), node.retries)).collect(),
            world,
            faults: FaultPlan::default(),
            seed,
            start: 0,
        }
    }

    /// With these faults.
    #[must_use]
    pub fn with(self, faults: FaultPlan) -> Self {
        Self { faults, ..self }
    }
}

/// What is wrong with a plan, by the document in which it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
pub struct Unsound {
    /// Places are those of the manifest: `/nodes/2/replicas`.
    pub graph: Vec<Problem>,
    /// In the world.
    pub world: Vec<Problem>,
    /// In the faults.
    pub faults: Vec<Problem>,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents = [("graph", &self.graph), ("world", &self.world), ("faults", &self.faults)];
        let lines =
            documents.iter().flat_map(|(name, problems)| problems.iter().map(move |told| (name, told)));
        for (index, (name, problem)) in lines.enumerate() {
            let gap = if index > 0 { "\n" } else { "" };
            write!(f, "{gap}{name} {problem}")?;
        }
        Ok(())
    }
}

impl Unsound {
    pub(crate) fn is_sound(&self) -> bool {
        self.graph.is_empty() && self.world.is_empty() && self.faults.is_empty()
    }
}
