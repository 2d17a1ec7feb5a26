//! What the host offers a plugin: one file for each capability, and the table of those that an engine has.
//!
//! A [`Capability`] says which imports it answers, what a policy must grant for it, and how it is linked. Loading, linking and
//! the refusal of what is not granted go by the table alone, so a new one is one file here (or in a crate that hands it to
//! [`Capabilities::with`]) and its WIT.
//!
//! It must uphold that a plugin imports nothing that its policy does not grant, and that a call is a function of its question,
//! its settings and what the host answered: whatever a capability answers that the question does not determine is recorded, and
//! comes from the recording when the call is made again. [`Call::exchange`] does that for capabilities beside the contract's
//! own; `http` and `llm` record in forms of their own, and what `state` kept is recorded whole. The engine (`engine.rs`), the
//! loader (`contract.rs`) and guests during a call come here.

pub(crate) mod http;
pub(crate) mod llm;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod observed;
pub(crate) mod pipeline;
pub(crate) mod settings;
mod standard;
pub(crate) mod state;
pub(crate) mod wasi;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use flyball_model::{Exchange, Grants, PluginUse};
use serde_json::Value;
use wasmtime::component::{HasData, Linker};

pub use crate::call::Call;

/// One thing that the host offers.
pub trait Capability: 'static {
    /// By which policies grant it, refusals name it and recordings keep it.
    const NAME: &'static str;
    /// The interfaces that it answers, whole: `flyball:plugin/http@0.1.0`. One that ends in `/` stands for all of its package.
    const IMPORTS: &'static [&'static str];
    /// Whether its functions are asynchronous. A component that imports it is called on a stack of its own; it is linked for no
    /// other.
    const ASYNC: bool = false;

    /// Whether these grants let a plugin import it.
    fn granted(grants: &Grants) -> bool {
        grants.others.contains_key(Self::NAME)
    }

    /// Defines its functions.
    ///
    /// # Errors
    ///
    /// The linker has one of them already.
    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()>;
}

/// The capabilities that an engine has. The contract's and WASI are there from the start.
#[derive(Debug, Clone)]
pub struct Capabilities(Vec<Offered>);

impl Default for Capabilities {
    fn default() -> Self {
        Self(Vec::new())
            .with::<settings::SettingsImport>()
            .with::<log::LogImport>()
            .with::<metrics::MetricsImport>()
            .with::<observed::ObservedImport>()
            .with::<pipeline::PipelineImport>()
            .with::<state::StateImport>()
            .with::<http::HttpImport>()
            .with::<llm::LlmImport>()
            .with::<wasi::WasiImport>()
    }
}

impl Capabilities {
    /// These and one more. One of the same name takes the place of the earlier.
    #[must_use]
    pub fn with<C: Capability>(mut self) -> Self {
        self.0.retain(|one| one.name != C::NAME);
        self.0.push(Offered {
            name: C::NAME,
            imports: C::IMPORTS,
            asynchronous: C::ASYNC,
            granted: C::granted,
            add_to_linker: C::add_to_linker,
        });
        self
    }

    /// The one that answers an import.
    pub(crate) fn answering(&self, import: &str) -> Option<&Offered> {
        self.0.iter().find(|one| one.answers(import))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Offered> {
        self.0.iter().find(|one| one.name == name)
    }

    /// What is linked for a component under these grants. None: before any policy speaks, when everything is linked and nothing
    /// of it answers.
    pub(crate) fn linked(&self, grants: Option<&Grants>, asynchronous: bool) -> Linked {
        let fits = |one: &&Offered| {
            (asynchronous || !one.asynchronous) && grants.is_none_or(|grants| (one.granted)(grants))
        };
        self.0.iter().filter(fits).map(|one| one.name).collect()
    }
}

/// The names of what a linker defines.
pub(crate) type Linked = BTreeSet<&'static str>;

/// A capability in the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offered {
    pub(crate) name: &'static str,
    imports: &'static [&'static str],
    pub(crate) asynchronous: bool,
    pub(crate) granted: fn(&Grants) -> bool,
    pub(crate) add_to_linker: fn(&mut Linker<Call>) -> wasmtime::Result<()>,
}

impl Offered {
    fn answers(&self, import: &str) -> bool {
        self.imports.iter().any(|name| *name == import || (name.ends_with('/') && import.starts_with(name)))
    }
}

/// Hands a call's whole state to each interface that the host offers.
struct Whole;

impl HasData for Whole {
    type Data<'a> = &'a mut Call;
}

/// Who answers what a plugin asks of capabilities beside the contract's own.
#[derive(Debug, Clone)]
pub(crate) enum Others {
    /// The capabilities, as this use of the plugin grants them.
    Live(Arc<PluginUse>),
    /// A recording.
    Recorded(VecDeque<Exchange>),
}

impl Call {
    /// One question of a plugin to a capability, for capabilities that are not among the contract's own: it is counted and
    /// weighed as every call of the host is, and recorded with its answer. `answer` is given what the policy grants of the
    /// capability, and is not asked where a recorded call is made again.
    ///
    /// # Errors
    ///
    /// The call is over one of its limits, no policy uses the plugin yet, or a call that is made again asks something else than
    /// it did.
    pub fn exchange(
        &mut self,
        capability: &'static str,
        question: Value,
        answer: impl FnOnce(&Value, &Value) -> Value,
    ) -> wasmtime::Result<Value> {
        self.enter()?;
        let question = self.gave(question)?;
        let answer = match &mut self.others {
            None => return Err(wasmtime::Error::msg("nothing is asked before a policy uses the plugin")),
            Some(Others::Live(used)) => {
                let grant = used.grants.others.get(capability).unwrap_or(&Value::Null);
                answer(grant, &question)
            }
            Some(Others::Recorded(answers)) => match answers.pop_front() {
                Some(next) if next.capability == capability && next.question == question => next.answer,
                _ => {
                    let why = format!("this question to {capability} is not in the recording");
                    return Err(wasmtime::Error::msg(why));
                }
            },
        };
        self.exchanges.push(Exchange { capability: capability.to_owned(), question, answer: answer.clone() });
        self.gave(answer)
    }
}
