//! What nodes can be made of: the built-in types and the wasm ones, under one name each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use flyball_model::{Executor, NodeSpec, NodeType, Problem, Reach};
pub(crate) use flyball_nodes::Role;
use flyball_nodes::{
    ChildCommand, ChildOptions, ChildProcessor, Item, ItemLimits, Processed, Processor, Source, Supervisor,
    WasmNodes,
};
use parking_lot::Mutex;
use serde_json::Value;

use crate::tool::Tool;

/// The program that runs a built-in type as a child process: `program args… TYPE --config JSON`. It also supervises children
/// of any kind: `program args… --supervise PROGRAM ARGS…` calls [`flyball_nodes::supervise`].
#[derive(Debug, Clone)]
pub struct BuiltinChild {
    /// The program.
    pub program: PathBuf,
    /// What it is given before the type.
    pub args: Vec<String>,
}

pub(crate) struct Stock {
    wasm: Arc<dyn WasmNodes>,
    /// Those that were there when they were asked for last.
    types: Mutex<Arc<[NodeType]>>,
    child: Option<BuiltinChild>,
    limits: ItemLimits,
}

/// Every type once; a wasm type of a built-in processor's name is one more offer of it.
pub(crate) fn types(wasm: &dyn WasmNodes) -> Vec<NodeType> {
    let mut types = flyball_nodes::catalog();
    for more in wasm.types() {
        match types.iter_mut().find(|have| have.name == more.name) {
            None => types.push(more),
            // What reaches outside is only what the host itself does: a component of its name is not given what it holds.
            Some(have)
                if flyball_nodes::kind_of(&have.name) == Some(Role::Processor)
                    && have.reach == Reach::Pure =>
            {
                for offer in more.offers {
                    if have.offers.iter().all(|own| own.executor != offer.executor) {
                        have.offers.push(offer);
                    }
                }
                for provided in more.provides {
                    if !have.provides.contains(&provided) {
                        have.provides.push(provided);
                    }
                }
            }
            Some(_) => {}
        }
    }
    types
}

pub(crate) fn role(node_type: &str) -> Role {
    // A plugin can only be a processor.
    flyball_nodes::kind_of(node_type).unwrap_or(Role::Processor)
}

pub(crate) fn offers(node_type: &NodeType, executor: Executor) -> bool {
    node_type.offers.iter().any(|offer| offer.executor == executor)
}

/// `a, b and c`, for sentences.
pub(crate) fn listed(names: impl IntoIterator<Item = impl ToString>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        let joint = match index {
            0 => "",
            _ if index + 1 == names.len() => " and ",
            _ => ", ",
        };
        let _ = write!(text, "{joint}{name}");
    }
    text
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.into_iter().map(|name| (strsim::damerau_levenshtein(written, name), name));
    near.filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What is wrong with a configuration, where that can be said without starting anything; for a component it is made.
pub(crate) fn check_config(
    wasm: &dyn WasmNodes,
    node_type: &str,
    executor: Executor,
    config: &Value,
) -> Vec<Problem> {
    match executor {
        Executor::Wasm => wasm.check(node_type, config),
        Executor::Native | Executor::Multiprocess => flyball_nodes::check_config(node_type, config),
    }
}

impl Stock {
    pub(crate) fn new(wasm: Arc<dyn WasmNodes>, child: Option<BuiltinChild>, limits: ItemLimits) -> Self {
        Self { wasm, types: Mutex::new(Arc::from([])), child, limits }
    }

    /// The same ones as before where nothing has changed: components come and go.
    pub(crate) fn types(&self) -> Arc<[NodeType]> {
        let now = types(self.wasm.as_ref());
        let mut known = self.types.lock();
        if **known != *now {
            *known = now.into();
        }
        Arc::clone(&known)
    }

    pub(crate) fn find(&self, node_type: &str) -> Result<NodeType, String> {
        let types = self.types();
        let near = nearest(node_type, types.iter().map(|have| have.name.as_str()))
            .map(|near| format!("; did you mean \"{near}\"?"))
            .unwrap_or_default();
        let unknown = format!("unknown node type \"{node_type}\"{near}");
        types.iter().find(|have| have.name == node_type).cloned().ok_or(unknown)
    }

    /// As many as the node has workers; one that passes everything, when it is bypassed.
    pub(crate) fn tools(&self, spec: &NodeSpec) -> Result<Vec<Tool>, String> {
        if spec.bypassed {
            self.tool(spec)?;
            return Ok(vec![Tool::Processor(Box::new(Pass))]);
        }
        let mut tools = Vec::new();
        for _ in 0..spec.replicas.max(1) {
            tools.push(self.tool(spec)?);
        }
        Ok(tools)
    }

    /// One worker's.
    pub(crate) fn tool(&self, spec: &NodeSpec) -> Result<Tool, String> {
        let NodeSpec { node_type, executor, config, .. } = spec;
        let found = self.find(node_type)?;
        if !offers(&found, *executor) {
            let has = listed(found.offers.iter().map(|offer| offer.executor));
            return Err(format!("\"{node_type}\" has no {executor} executor; it has {has}"));
        }
        let problems = check_config(self.wasm.as_ref(), node_type, *executor, config);
        if let Some(problem) = problems.first() {
            return Err(format!("the configuration of {node_type}: {problem}"));
        }
        if role(node_type) == Role::Sink {
            return flyball_nodes::sink(node_type, config).map(Tool::Sink).map_err(|error| error.to_string());
        }
        match executor {
            Executor::Native => {
                flyball_nodes::native(node_type, config, &self.limits).map_err(|error| error.to_string())
            }
            Executor::Wasm => self.wasm.worker(node_type, config),
            Executor::Multiprocess => return self.child(node_type, config),
        }
        .map(Tool::Processor)
    }

    fn child(&self, node_type: &str, config: &Value) -> Result<Tool, String> {
        let program = self.child.as_ref().ok_or_else(|| {
            format!(
                "{node_type} wants a process of its own, and this host was given no program that runs nodes; name one, or give \
                 the node another executor"
            )
        })?;
        let (command, options) = self.child_command(program, node_type, config)?;
        let child = ChildProcessor::spawn(&supervisor(program), &command, options)
            .map_err(|error| error.to_string())?;
        Ok(Tool::Child(Box::new(child)))
    }

    fn child_command(
        &self,
        program: &BuiltinChild,
        node_type: &str,
        config: &Value,
    ) -> Result<(ChildCommand, ChildOptions), String> {
        let named = flyball_nodes::child_command(node_type, config, Path::new(&program.program))
            .map_err(|error| error.to_string())?;
        let options = ChildOptions { limits: self.limits, ..named.1 };
        if node_type == "command" {
            return Ok((named.0, options));
        }
        let own = [node_type.to_owned(), "--config".to_owned(), config.to_string()];
        let args = program.args.iter().cloned().chain(own);
        Ok((ChildCommand::new(&program.program, args), options))
    }

    pub(crate) fn source(&self, spec: &NodeSpec) -> Result<Box<dyn Source>, String> {
        flyball_nodes::source(&spec.node_type, &spec.config, &self.limits).map_err(|error| error.to_string())
    }
}

fn supervisor(program: &BuiltinChild) -> Supervisor {
    let own = std::iter::once("--supervise".to_owned());
    Supervisor { program: program.program.clone(), args: program.args.iter().cloned().chain(own).collect() }
}

/// Passes items as they are: what a bypassed node does.
pub(crate) struct Pass;

#[async_trait]
impl Processor for Pass {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        items.iter().map(|item| Ok(vec![item.body.clone()])).collect()
    }
}
