//! Findings, reasons, evidence and proposals, put together.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Action, Evidence, Finding, Metric, Proposal, Reason, Severity};

impl Evidence {
    /// A number of a node, as it was read.
    pub fn of_node(node: impl Into<String>, metric: Metric, value: f64) -> Self {
        Self { metric: Some(metric.name().into()), value: Some(value), ..Self::about(node) }
    }

    /// A number of the whole graph, as it was read.
    pub fn of_total(metric: &str, value: f64) -> Self {
        Self { node: None, metric: Some(metric.into()), value: Some(value), limit: None, note: String::new() }
    }

    /// A node, without a number.
    pub fn about(node: impl Into<String>) -> Self {
        Self { node: Some(node.into()), metric: None, value: None, limit: None, note: String::new() }
    }

    /// What it was held against.
    #[must_use]
    pub fn against(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// In words.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Finding {
    /// About the whole pipeline, until it is told of a node.
    pub fn new(severity: Severity, code: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), severity, target: None, message: message.into(), rests_on: Vec::new() }
    }

    /// About this node.
    #[must_use]
    pub fn at(mut self, node: impl Into<String>) -> Self {
        self.target = Some(node.into());
        self
    }

    /// Rests on this, too.
    #[must_use]
    pub fn because(mut self, evidence: Evidence) -> Self {
        self.rests_on.push(evidence);
        self
    }
}

impl Reason {
    /// A stable code for machines, a sentence for people.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint: None, rests_on: Vec::new() }
    }

    /// What would change the answer.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Rests on this, too.
    #[must_use]
    pub fn because(mut self, evidence: Evidence) -> Self {
        self.rests_on.push(evidence);
        self
    }
}

impl Proposal {
    /// This action, for this reason.
    pub fn new(action: Action, reason: impl Into<String>) -> Self {
        Self { action, reason: reason.into(), confidence: None, rests_on: Vec::new() }
    }
}

impl Action {
    /// The kind's name in policies: `scale-node`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoOp => "no-op",
            Self::ReplaceNode(_) => "replace-node",
            Self::InsertNode(_) => "insert-node",
            Self::RemoveNode(_) => "remove-node",
            Self::UpdateNodeConfig(_) => "update-node-config",
            Self::BypassNode(_) => "bypass-node",
            Self::SwitchExecutor(_) => "switch-executor",
            Self::RestartProcess(_) => "restart-process",
            Self::ScaleNode(_) => "scale-node",
            Self::AdjustBuffering(_) => "adjust-buffering",
        }
    }

    /// The node it is done to; the new node of an insertion; none for a no-op.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::NoOp => None,
            Self::ReplaceNode(it) => Some(&it.node),
            Self::InsertNode(it) => Some(&it.id),
            Self::RemoveNode(node) | Self::RestartProcess(node) => Some(node),
            Self::UpdateNodeConfig(it) => Some(&it.node),
            Self::BypassNode(it) => Some(&it.node),
            Self::SwitchExecutor(it) => Some(&it.node),
            Self::ScaleNode(it) => Some(&it.node),
            Self::AdjustBuffering(it) => Some(&it.node),
        }
    }
}
