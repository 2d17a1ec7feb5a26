//! How a data plane takes actions. Real ones answer before anything has happened, do half of it, or something else.

use flyball_ports::{Loss, PlaneChange, UndoKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a data plane takes one kind of action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActionBehaviour {
    /// Whether it can be done at all; what cannot is never offered.
    pub supported: bool,
    /// How long until its effect can be measured, as the plane declares it, in milliseconds; none: the reading window
    /// and whatever passes until it takes effect and everything runs again.
    pub settle_ms: Option<u64>,
    /// What goes on meanwhile, as the plane declares it. With `restart` the node stops for `stops_ms`, with `redeploy`
    /// all of them.
    pub change: PlaneChange,
    /// Whether it can be undone, as the plane declares it.
    pub undo: UndoKind,
    /// What work may be lost by it, as the plane declares it.
    pub loss: Loss,
    /// What work is lost by it; none: what is declared.
    pub loses: Option<Loss>,
    /// What becomes of it.
    pub answer: ActionReply,
    /// What a refusal or a failure says.
    pub why: String,
    /// How long until `apply` returns, in milliseconds.
    pub answers_after_ms: u64,
    /// How long until what was accepted takes effect, in milliseconds. The graph shows it at once.
    pub effective_after_ms: u64,
    /// How long whatever stops meanwhile stands still, in milliseconds.
    pub stops_ms: u64,
    /// How long the topology looks empty, in milliseconds.
    pub topology_empty_ms: u64,
    /// The node is so many times slower afterwards, until it is given new workers.
    pub slower_after: f64,
}

impl Default for ActionBehaviour {
    fn default() -> Self {
        Self {
            supported: true,
            settle_ms: None,
            change: PlaneChange::Live,
            undo: UndoKind::Reversible,
            loss: Loss::None,
            loses: None,
            answer: ActionReply::Does,
            why: "the plane does not take it".to_owned(),
            answers_after_ms: 0,
            effective_after_ms: 0,
            stops_ms: 0,
            topology_empty_ms: 0,
            slower_after: 1.0,
        }
    }
}

/// What becomes of an action that is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionReply {
    /// It is accepted and done.
    #[default]
    Does,
    /// It is accepted, and nothing happens.
    DoesNothing,
    /// It is accepted, the graph shows it, and everything goes on as before.
    OnlyShows,
    /// It is accepted and done, and the graph never shows it.
    OnlyBehaves,
    /// It is accepted and done twice: a scaling or a buffering goes as far again.
    Twice,
    /// It is refused.
    Refuses,
    /// It breaks off half-way: what it stops stood still, and the graph is as it was.
    Fails,
}

impl ActionBehaviour {
    pub(crate) fn really_loses(&self) -> Loss {
        self.loses.unwrap_or(self.loss)
    }

    pub(crate) fn settle_ms(&self, window_ms: u64) -> u64 {
        let until_it_runs = self.effective_after_ms.max(self.answers_after_ms).saturating_add(self.stops_ms);
        self.settle_ms.unwrap_or_else(|| window_ms.saturating_add(until_it_runs))
    }
}
