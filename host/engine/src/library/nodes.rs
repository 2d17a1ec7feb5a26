//! Plugins of kind `node`: pipeline nodes that a library makes workers for.

use std::sync::Arc;

use flyball_model::{Executor, NodeOffer, NodeType, PluginKind, PluginUse, Problem};
use serde_json::Value;

use super::Library;
use super::generation::Serving;
use crate::{CallError, Judge, LoadError, Plugin, Processed};

/// A node worker that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No node plugin has that name.
    #[error("no plugin of kind node is called {name:?}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Its configuration is no object.
    #[error("the configuration of {name:?} is not an object")]
    NotAnObject {
        /// The plugin's name.
        name: String,
    },
    /// Its configuration is wrong.
    #[error(
        "the configuration of {name:?} is wrong: {}",
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Configuration {
        /// The plugin's name.
        name: String,
        /// What is wrong; pointers lead into the configuration.
        problems: Vec<Problem>,
    },
    /// It wants more than a node is given.
    #[error("{name:?} cannot be a node: {error}")]
    NotGranted {
        /// The plugin's name.
        name: String,
        /// What it wants.
        error: Box<LoadError>,
    },
    /// It failed at looking at its configuration.
    #[error("{name:?} failed at checking its configuration: {error}")]
    Failed {
        /// The plugin's name.
        name: String,
        /// How.
        error: CallError,
    },
}

/// A worker of a node. It takes over a new version of its plugin between two batches.
#[derive(Debug)]
pub struct NodeWorker {
    library: Arc<Library>,
    name: String,
    used: PluginUse,
    judge: Judge,
    /// A newer version that does not take this configuration; it is not tried again.
    refused: Option<Arc<str>>,
}

impl Library {
    /// The node types that plugins bring.
    pub fn node_types(&self) -> Vec<NodeType> {
        let generation = self.serving();
        let nodes = generation.plugins.values().filter(|one| one.plugin.kind() == PluginKind::Node);
        nodes.map(|serving| node_type(&serving.plugin)).collect()
    }

    /// A worker of this type, configured like this.
    ///
    /// # Errors
    ///
    /// There is no such type, or the configuration does not suit it.
    pub fn node_worker(self: &Arc<Self>, node_type: &str, config: &Value) -> Result<NodeWorker, WorkerError> {
        let name = node_type.to_owned();
        let plugin = self.node_plugin(&name).ok_or_else(|| WorkerError::Unknown { name: name.clone() })?;
        let Value::Object(settings) = config else { return Err(WorkerError::NotAnObject { name }) };
        let used = PluginUse {
            plugin: name.clone(),
            settings: settings.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            limits: flyball_model::Limits { time_ms: 1_000, output_kb: 4_096, ..Default::default() },
            grants: Default::default(),
            on_failure: Default::default(),
        };
        let judge = configured(&name, plugin, &used)?;
        Ok(NodeWorker { library: Arc::clone(self), name, used, judge, refused: None })
    }

    /// Of which kind the plugin of that name is.
    pub fn plugin_kind(&self, name: &str) -> Option<PluginKind> {
        self.serving().plugins.get(name).map(|serving| serving.plugin.kind())
    }

    fn node_plugin(&self, name: &str) -> Option<Arc<Plugin>> {
        let generation = self.serving();
        let Serving { plugin, .. } = generation.plugins.get(name)?;
        (plugin.kind() == PluginKind::Node).then(|| Arc::clone(plugin))
    }
}

impl NodeWorker {
    /// Processes a batch in one fresh instance: one answer for each item, in their order.
    ///
    /// # Errors
    ///
    /// The call failed as a whole; no item was answered.
    pub fn process(&mut self, items: &[(u64, Vec<u8>)]) -> Result<Vec<Processed>, CallError> {
        self.take_newest();
        self.judge.process(items)
    }

    fn take_newest(&mut self) {
        let Some(newest) = self.library.node_plugin(&self.name) else { return };
        let digest = Arc::clone(&newest.id().digest);
        if digest == self.judge.plugin().id().digest || self.refused.as_ref() == Some(&digest) {
            return;
        }
        match configured(&self.name, newest, &self.used) {
            Ok(judge) => self.judge = judge,
            Err(error) => {
                tracing::warn!(%error, "the node goes on with the version that it has");
                self.refused = Some(digest);
            }
        }
    }
}

fn configured(name: &str, plugin: Arc<Plugin>, used: &PluginUse) -> Result<Judge, WorkerError> {
    let judge = Judge::new(plugin, used, 0)
        .map_err(|error| WorkerError::NotGranted { name: name.to_owned(), error: Box::new(error) })?;
    let problems = judge
        .plugin()
        .check_settings(judge.settings(), used.limits)
        .map_err(|error| WorkerError::Failed { name: name.to_owned(), error })?;
    if problems.is_empty() {
        return Ok(judge);
    }
    Err(WorkerError::Configuration { name: name.to_owned(), problems })
}

fn node_type(plugin: &Plugin) -> NodeType {
    let description = plugin.description();
    NodeType {
        name: description.name.clone(),
        summary: description.summary.clone(),
        provides: vec![description.name.clone()],
        offers: vec![NodeOffer { executor: Executor::Wasm, relative_speed: None, relative_cost: None }],
        config_schema: Some(description.settings_schema.clone()),
    }
}
