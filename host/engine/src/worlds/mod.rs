//! The worlds of the contract: one file for each kind of plugin, and the table of those that an engine serves.
//!
//! A [`World`] says everything that is peculiar to a kind: the interface and function by which a component is of it, how a
//! question crosses to the guest ([`World::lower`]), how the answer comes back ([`World::lift`]), and what a golden case of it
//! asks and expects. Loading, linking, calling, recording, replaying, golden cases and policies go by the table alone, so a new
//! kind is one file here (or in a crate that hands it to [`Worlds::with`]), its WIT and its file in the SDK.
//!
//! It must uphold that what a guest says is taken for hostile: `lift` refuses what no honest plugin says. The loader
//! (`contract.rs`, `plugin.rs`), the judge (`judge.rs`) and the golden cases (`cases/`) call this.

mod catalog;
mod decider;
mod heuristic;
mod lift;
pub(crate) mod lower;
mod node;
mod reverser;
mod validator;

use flyball_model::{Case, CaseAnswer, Limits, PluginKind};
use flyball_ports::{CallInput, Said};
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower, Resource};

use crate::call::{Ended, Given, Ready};
pub use crate::capabilities::observed::{Past, Seen};
pub use crate::cases::{sight, situation};
use crate::error::CallError;

/// One kind of plugin.
pub trait World: 'static {
    /// The kind, by the world's name.
    const KIND: PluginKind;
    /// The interface that a component of this kind exports, whole: `flyball:plugin/assessing@0.1.0`.
    const INTERFACE: &'static str;
    /// The one function of it that a plugin is asked.
    const FUNCTION: &'static str;
    /// Interfaces of which a component of this kind imports the types and nothing else.
    const TYPES: &'static [&'static str];
    /// What the function takes.
    type Params: ComponentNamedList + Lower + Send + Sync + 'static;
    /// What it gives.
    type Results: ComponentNamedList + Lift + Send + Sync + 'static;

    /// From the host's question to the guest's. None: it is no question for plugins of this kind.
    fn lower(asked: &CallInput) -> Option<Self::Params>;

    /// From what the guest said to an answer of the host's.
    ///
    /// # Errors
    ///
    /// It says that it cannot answer, or what it says is no answer.
    fn lift(asked: &CallInput, results: Self::Results) -> Result<Said, CallError>;

    /// What a golden case asks.
    ///
    /// # Errors
    ///
    /// What the case lacks.
    fn of_case(case: &Case) -> Result<CallInput, &'static str>;

    /// An answer in the words of a golden case.
    fn in_case(said: Said, case: &Case) -> CaseAnswer;
}

/// The observation and the window, as a plugin that may look at both is handed them.
pub type Looking = (Resource<Seen>, Resource<Past>);

/// The handles for a call whose question has a sight.
pub fn looking() -> Looking {
    (Resource::new_borrow(0), Resource::new_borrow(0))
}

/// The worlds that an engine serves. The six of the contract are there from the start.
#[derive(Debug, Clone)]
pub struct Worlds(Vec<Served>);

impl Default for Worlds {
    fn default() -> Self {
        Self(Vec::new())
            .with::<heuristic::Heuristic>()
            .with::<decider::Decider>()
            .with::<validator::Validator>()
            .with::<reverser::Reverser>()
            .with::<catalog::Catalog>()
            .with::<node::Node>()
    }
}

impl Worlds {
    /// These and one more. One of the same kind takes the place of the earlier.
    #[must_use]
    pub fn with<W: World>(mut self) -> Self {
        self.0.retain(|world| world.kind != W::KIND);
        self.0.push(Served::of::<W>());
        self
    }

    /// In the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Served> {
        self.0.iter()
    }
}

/// A world in the table, its types forgotten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    pub(crate) kind: PluginKind,
    pub(crate) interface: &'static str,
    pub(crate) function: &'static str,
    pub(crate) types: &'static [&'static str],
    /// Whether a component's function has the world's shape, without calling it.
    pub(crate) check: fn(&Ready, &ComponentExportIndex, Limits) -> Result<(), CallError>,
    /// One call in a fresh instance. None: the question is none for plugins of this kind.
    pub(crate) call: fn(&Ready, &ComponentExportIndex, &CallInput, Given) -> Option<Ended<Said>>,
    pub(crate) of_case: fn(&Case) -> Result<CallInput, &'static str>,
    pub(crate) in_case: fn(Said, &Case) -> CaseAnswer,
}

impl Served {
    fn of<W: World>() -> Self {
        Self {
            kind: W::KIND,
            interface: W::INTERFACE,
            function: W::FUNCTION,
            types: W::TYPES,
            check: |ready, function, limits| ready.check::<W::Params, W::Results>(function, limits),
            call: call::<W>,
            of_case: W::of_case,
            in_case: W::in_case,
        }
    }
}

fn call<W: World>(
    ready: &Ready,
    function: &ComponentExportIndex,
    asked: &CallInput,
    given: Given,
) -> Option<Ended<Said>> {
    let params = W::lower(asked)?;
    let ended = ready.call::<W::Params, W::Results>(function, params, given);
    Some(ended.and_then(|results| W::lift(asked, results)))
}

/// What a world makes of an answer that no plugin of its kind gives. The table asks each world only about its own answers.
fn of_another_kind() -> CaseAnswer {
    CaseAnswer { failure: Some("the answer is another kind's".to_owned()), ..CaseAnswer::default() }
}

/// A golden case names a part of a sentence; where that is in it, it is all that is compared.
pub(crate) fn part_of(said: String, expected: Option<&String>) -> String {
    match expected {
        Some(expected) if said.contains(expected.as_str()) => expected.clone(),
        _ => said,
    }
}
