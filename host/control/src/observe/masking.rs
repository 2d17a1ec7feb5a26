//! The data plane as everybody else in the house sees it: without the secrets of its nodes' configurations.
//!
//! The loop knows no other view of a data plane than this one, so what goes from here to judges, models, journal,
//! recordings, reports and terminals is masked once and at one place. What is said to it (an action of a decider, of a
//! validator that amends, of a reverser) is masked on its way in by [`MaskedPlane::masked`] and travels as it will be
//! recorded; [`MaskedPlane::apply`] alone puts the values back in the place of the masks. A mask stands for what stood at
//! exactly that place (the node's name, its type, the path in its configuration), so a mask that is written anywhere else
//! stands for nothing and is refused: a secret cannot be moved to where it would be seen.
//!
//! Values at one place are numbered in their order, the manifest's first, so that masked graphs differ where the real ones
//! do, and their digests with them. Only what this run of the host has seen can be put back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::{
    Action, Carried, Creatable, Graph, GraphSpec, NodeId, NodeSpec, NodeType, Observation, Reach,
    SecretNames, Verdict, mask_config, mask_in, mask_number, mask_plainly, mask_url,
};
use parking_lot::Mutex;
use serde_json::Value;

use flyball_ports::{ApplyError, DataPlane, PlaneError, Support};

/// Values that are kept of one place. What comes after them is masked, and cannot be put back.
const MOST_VALUES: usize = 64;
/// A shorter secret is not looked for in errors: it would be found in words.
const LEAST_TEXT: usize = 8;
/// Places at which values are kept, and nodes whose configurations are.
const MOST_PLACES: usize = 4_096;

/// A data plane whose configurations are masked.
pub(crate) struct MaskedPlane {
    plane: Arc<dyn DataPlane>,
    names: SecretNames,
    /// What the data plane itself says of its types; asked anew with each question, and when one is missing.
    types: Mutex<Arc<[NodeType]>>,
    memory: Mutex<Memory>,
    seen: Mutex<Option<Seen>>,
}

/// The newest graph, and what everybody else sees of it. As long as the data plane shows the same, it is not masked anew.
#[derive(Clone)]
struct Seen {
    real: Arc<Graph>,
    types: Arc<[NodeType]>,
    masked: Arc<Graph>,
}

impl Seen {
    /// The configuration of the node at this place as everybody else sees it, where it was there and has not changed.
    fn masked_config(&self, at: usize, node: &NodeSpec) -> Option<&Value> {
        let (real, masked) = (self.real.nodes.get(at)?, self.masked.nodes.get(at)?);
        let same = real.id == node.id && real.node_type == node.node_type && real.config == node.config;
        same.then_some(&masked.config)
    }
}

/// What stood where.
#[derive(Default)]
struct Memory {
    values: BTreeMap<Place, Vec<Value>>,
    /// Texts of secrets that stood in the graph, each with its mask. Errors may hold them.
    texts: BTreeMap<String, String>,
    /// Of each node what it was at some time of this run: its type and its configuration, masked.
    nodes: BTreeMap<NodeId, Vec<(String, Value)>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    node: NodeId,
    node_type: String,
    pointer: String,
}

impl MaskedPlane {
    pub fn new(plane: Arc<dyn DataPlane>) -> Self {
        Self {
            plane,
            names: SecretNames::default(),
            types: Mutex::new(Arc::new([])),
            memory: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// What the data plane says of one of its types; none: it has no such type.
    pub fn own_type(&self, name: &str) -> Option<NodeType> {
        self.types_with(&[name]).iter().find(|of| of.name == name).cloned()
    }

    /// Whether it says of one of its types that its nodes reach nothing outside.
    pub fn is_pure(&self, name: &str) -> bool {
        self.types_with(&[name]).iter().any(|of| of.name == name && of.reach == Reach::Pure)
    }

    /// Names of fields that hold secrets.
    pub const fn names(&self) -> &SecretNames {
        &self.names
    }

    /// An action as it may be seen. An entry of the policy may be named by its masked form.
    pub fn masked(&self, mut action: Action, may_create: &[Creatable]) -> Action {
        match action.carried() {
            Carried::Config { node, node_type, config } => {
                let types = self.types_with(&[node_type]);
                let of = types.iter().find(|of| of.name == node_type);
                if let Some(listed) = listed(node_type, config, of, may_create, &self.names) {
                    *config = listed;
                }
                self.mask(node, node_type, config, &types);
            }
            Carried::Patch { node, patch } => {
                let seen = self.seen.lock().clone();
                let spec = seen.as_ref().and_then(|seen| seen.real.node(node));
                let node_type = spec.map_or("", |spec| &spec.node_type);
                self.mask(node, node_type, patch, &self.types_with(&[node_type]));
            }
            Carried::Nothing => {}
        }
        action
    }

    /// A verdict as it may be seen.
    pub fn masked_verdict(&self, verdict: Verdict, may_create: &[Creatable]) -> Verdict {
        match verdict {
            Verdict::Amend(mut amendment) => {
                amendment.action = self.masked(amendment.action, may_create);
                Verdict::Amend(amendment)
            }
            other => other,
        }
    }

    /// The action with the values that its masks stand for.
    ///
    /// # Errors
    /// Where a mask stands for nothing that this host knows.
    pub fn unmasked(&self, action: &Action) -> Result<Action, String> {
        let mut action = action.clone();
        match action.carried() {
            Carried::Config { node, node_type, config } => {
                *config = self.unmasked_config(node, node_type, config)?;
            }
            // No patch touches what is masked.
            Carried::Patch { node, patch } => {
                if let Some(pointer) = mask_in(patch) {
                    return Err(format!("{node}{pointer}"));
                }
            }
            Carried::Nothing => {}
        }
        Ok(action)
    }

    /// A node's configuration with the values that its masks stand for.
    ///
    /// # Errors
    /// Where a mask stands for nothing that this host knows.
    pub fn unmasked_config(&self, node: &str, node_type: &str, masked: &Value) -> Result<Value, String> {
        let mut config = masked.clone();
        if mask_in(&config).is_none() {
            return Ok(config);
        }
        let memory = self.memory.lock();
        let own =
            memory.values.iter().filter(|(place, _)| place.node == node && place.node_type == node_type);
        for (place, values) in own {
            let Some(there) = config.pointer_mut(&place.pointer) else { continue };
            let Some(text) = there.as_str() else { continue };
            let stood = (1..).zip(values).find(|(number, value)| self.is_mask_of(text, *number, value));
            if let Some((_, value)) = stood {
                *there = value.clone();
            }
        }
        drop(memory);
        match mask_in(&config) {
            Some(pointer) => Err(format!("{node}{pointer}")),
            None => Ok(config),
        }
    }

    fn is_mask_of(&self, text: &str, number: usize, value: &Value) -> bool {
        let mask = mask_number(number);
        let url = || value.as_str().and_then(|url| mask_url(url, &self.names, &mask));
        text == mask || url().is_some_and(|masked| masked == text)
    }

    /// A text from outside, such as an error, without the secrets of the graph.
    fn scrubbed(&self, text: &str) -> Option<String> {
        let memory = self.memory.lock();
        let mut scrubbed = None;
        for (secret, mask) in &memory.texts {
            let text = scrubbed.as_deref().unwrap_or(text);
            if text.contains(secret.as_str()) {
                scrubbed = Some(text.replace(secret.as_str(), mask));
            }
        }
        scrubbed
    }

    fn scrubbed_error(&self, PlaneError(error): PlaneError) -> PlaneError {
        PlaneError(self.scrubbed(&error).unwrap_or(error))
    }

    fn scrub_errors(&self, seen: &mut Observation) {
        let last = seen.nodes.last_errors.iter_mut().flatten();
        for message in last.chain(seen.errors.iter_mut().map(|error| &mut error.message)) {
            if let Some(scrubbed) = self.scrubbed(message) {
                *message = scrubbed.into();
            }
        }
    }

    /// Whether the node was so at some time of this run: of this type, configured like this.
    pub fn has_been(&self, node: &str, node_type: &str, config: &Value) -> bool {
        let memory = self.memory.lock();
        let was = memory.nodes.get(node).into_iter().flatten();
        was.into_iter().any(|(of, was)| of == node_type && was == config)
    }

    /// The data plane's types; asked anew where one of these is not among those that are known.
    fn types_with(&self, names: &[&str]) -> Arc<[NodeType]> {
        let known = Arc::clone(&self.types.lock());
        if names.iter().all(|name| known.iter().any(|of| of.name == *name)) {
            return known;
        }
        self.node_types()
    }

    fn mask(&self, node: &str, node_type: &str, config: &mut Value, types: &[NodeType]) {
        let unknown;
        let of = match types.iter().find(|of| of.name == node_type) {
            Some(of) => of,
            None => {
                unknown = NodeType::unknown(node_type);
                &unknown
            }
        };
        let mut memory = self.memory.lock();
        mask_config(config, Some(of), &self.names, &mut |pointer, value| {
            let (node, node_type, pointer) = (node.to_owned(), node_type.to_owned(), pointer.to_owned());
            memory.number(Place { node, node_type, pointer }, value)
        });
    }
}

impl Memory {
    /// Which of the values at a place it is, from 1; 0: it is not kept.
    fn number(&mut self, place: Place, value: &Value) -> usize {
        if !self.values.contains_key(&place) && self.values.len() >= MOST_PLACES {
            return 0;
        }
        let values = self.values.entry(place).or_default();
        if let Some(at) = values.iter().position(|known| known == value) {
            return at + 1;
        }
        if values.len() >= MOST_VALUES {
            return 0;
        }
        values.push(value.clone());
        values.len()
    }

    /// Takes in the texts that are masked in the one and not in the other.
    fn look_for(&mut self, real: &Value, masked: &Value) {
        match (real, masked) {
            (Value::Object(real), Value::Object(masked)) => {
                for (key, real) in real {
                    masked.get(key).into_iter().for_each(|masked| self.look_for(real, masked));
                }
            }
            (Value::Array(real), Value::Array(masked)) => {
                real.iter().zip(masked).for_each(|(real, masked)| self.look_for(real, masked));
            }
            (Value::String(real), Value::String(masked)) if real != masked => {
                // Of a URL only the part that is masked.
                let start = real
                    .chars()
                    .zip(masked.chars())
                    .take_while(|(one, other)| one == other)
                    .map(|(char, _)| char.len_utf8())
                    .sum();
                let (_, rest) = real.split_at(start);
                let behind = masked.rsplit(')').next().unwrap_or_default();
                let secret = rest.strip_suffix(behind).unwrap_or(rest);
                // Of an option what it is set to.
                let secret = match secret.split_once('=') {
                    Some((option, value)) if option.starts_with('-') => value,
                    _ => secret,
                };
                if secret.len() >= LEAST_TEXT && !secret.starts_with('-') && self.texts.len() < MOST_PLACES {
                    self.texts.insert(secret.to_owned(), flyball_model::MASKED.to_owned());
                }
            }
            _ => {}
        }
    }

    fn see(&mut self, node: &NodeSpec) {
        if !self.nodes.contains_key(&node.id) && self.nodes.len() >= MOST_PLACES {
            return;
        }
        let was = self.nodes.entry(node.id.clone()).or_default();
        if was.iter().any(|(of, config)| *of == node.node_type && *config == node.config) {
            return;
        }
        // The first is the manifest's, and stays.
        if was.len() >= MOST_VALUES {
            was.remove(1);
        }
        was.push((node.node_type.clone(), node.config.clone()));
    }
}

/// The configuration of an entry of the policy whose masked form this is.
fn listed(
    node_type: &str,
    said: &Value,
    of: Option<&NodeType>,
    may_create: &[Creatable],
    names: &SecretNames,
) -> Option<Value> {
    mask_in(said)?;
    let entries = may_create.iter().filter(|entry| entry.node_type == node_type);
    entries.filter_map(|entry| entry.config.clone()).map(Value::Object).find(|config| {
        let mut masked = config.clone();
        mask_plainly(&mut masked, of, names);
        masked == *said
    })
}

#[async_trait]
impl DataPlane for MaskedPlane {
    fn session(&self) -> &str {
        self.plane.session()
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        if self.memory.lock().nodes.is_empty() {
            self.graph().await?;
        }
        let mut seen = self.plane.observe().await.map_err(|error| self.scrubbed_error(error))?;
        self.scrub_errors(&mut seen);
        Ok(seen)
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        let real = self.plane.graph().await.map_err(|error| self.scrubbed_error(error))?;
        let names: Vec<&str> = real.nodes.iter().map(|node| node.node_type.as_str()).collect();
        let types = self.types_with(&names);
        if let Some(seen) = &*self.seen.lock()
            && Arc::ptr_eq(&seen.real, &real)
            && Arc::ptr_eq(&seen.types, &types)
        {
            return Ok(Arc::clone(&seen.masked));
        }
        let before = self.seen.lock().clone().filter(|seen| Arc::ptr_eq(&seen.types, &types));
        let mut graph = GraphSpec::clone(&real);
        for (at, node) in graph.nodes.iter_mut().enumerate() {
            if let Some(masked) = before.as_ref().and_then(|seen| seen.masked_config(at, node)) {
                node.config.clone_from(masked);
                continue;
            }
            let real = node.config.clone();
            self.mask(&node.id, &node.node_type, &mut node.config, &types);
            let mut memory = self.memory.lock();
            memory.look_for(&real, &node.config);
            memory.see(node);
        }
        let masked: Arc<Graph> = graph.into();
        *self.seen.lock() = Some(Seen { real, types, masked: Arc::clone(&masked) });
        Ok(masked)
    }

    fn support(&self) -> Vec<Support> {
        self.plane.support()
    }

    fn reading_window(&self) -> Duration {
        self.plane.reading_window()
    }

    /// As long as they are the same, so is their `Arc`.
    fn node_types(&self) -> Arc<[NodeType]> {
        let types = self.plane.node_types();
        let mut known = self.types.lock();
        if !Arc::ptr_eq(&known, &types) && **known != *types {
            *known = types;
        }
        Arc::clone(&known)
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        let action = self.unmasked(action).map_err(|place| {
            ApplyError::Refused(format!("what is masked at {place} is not known to this host"))
        })?;
        let scrub = |error: String| self.scrubbed(&error).unwrap_or(error);
        self.plane.apply(&action).await.map_err(|error| match error {
            ApplyError::Refused(error) => ApplyError::Refused(scrub(error)),
            ApplyError::Failed(error) => ApplyError::Failed(scrub(error)),
        })
    }
}
