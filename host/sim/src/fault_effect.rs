use flyball_model::NodeSpec;

use crate::event_queue::Nanos;
use crate::fault::Fault;

/// A fault, and how far it is.
#[derive(Debug)]
pub(crate) struct FaultEffect {
    pub(crate) fault: Fault,
    pub(crate) stage: FaultStage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FaultStage {
    Coming,
    /// Since then, and the type that its node had.
    On {
        since: Nanos,
        node_type: Option<String>,
    },
    Over,
}

impl FaultEffect {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, stage: FaultStage::Coming }
    }

    pub(crate) fn is_on(&self) -> bool {
        matches!(self.stage, FaultStage::On { .. })
    }

    /// Since when it befalls the node.
    pub(crate) fn affects_since(&self, spec: &NodeSpec) -> Option<Nanos> {
        let FaultStage::On { since, node_type } = &self.stage else { return None };
        let same_type = node_type.as_ref().is_none_or(|began| *began == spec.node_type);
        let free = self.fault.what.of_work() && !self.fault.any_type && !same_type;
        (self.fault.what.node() == Some(&spec.id) && !spec.bypassed && !free).then_some(*since)
    }

    /// What people call it.
    pub(crate) fn name(&self) -> String {
        if !self.fault.name.is_empty() {
            return self.fault.name.clone();
        }
        let what = serde_json::to_value(&self.fault.what).unwrap_or_default();
        let kind = what.as_object().and_then(|what| what.keys().next().cloned()).unwrap_or_default();
        match self.fault.what.node() {
            Some(node) => format!("{kind} {node}"),
            None => kind,
        }
    }
}
