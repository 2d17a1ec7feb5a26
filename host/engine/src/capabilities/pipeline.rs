//! The capability `pipeline`: the pipeline as it is configured, answered node by node: most judges read one of hundreds.

use flyball_model::{Grants, Graph, NodeType};
use wasmtime::component::Linker;

use super::{Capability, Whole};
use crate::bindings::{actions, offers, pipeline};
use crate::call::Call;
use crate::worlds::lower;

/// See the module's page.
pub(super) struct PipelineImport;

impl Capability for PipelineImport {
    const NAME: &'static str = "pipeline";
    const IMPORTS: &'static [&'static str] = &["flyball:plugin/pipeline@0.1.0"];

    fn granted(_: &Grants) -> bool {
        true
    }

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        pipeline::add_to_linker::<Call, Whole>(linker, |call| call)
    }
}

/// What a call may pull of the pipeline's configuration.
#[derive(Debug, Clone)]
pub(crate) struct Pulled {
    pub(crate) graph: std::sync::Arc<Graph>,
    pub(crate) node_types: std::sync::Arc<[NodeType]>,
}

impl Call {
    /// A plugin that judges no pipeline does not see the import, so the error means that the host forgot.
    fn pulled(&mut self) -> wasmtime::Result<&Pulled> {
        self.enter()?;
        self.pulled
            .as_ref()
            .ok_or_else(|| wasmtime::Error::msg("there is no pipeline to look at in this call"))
    }
}

impl pipeline::Host for Call {
    fn node(&mut self, id: String) -> wasmtime::Result<Option<actions::NodeSpec>> {
        let node = self.pulled()?.graph.node(&id).map(lower::node);
        self.gave(node)
    }

    fn graph(&mut self) -> wasmtime::Result<actions::GraphSpec> {
        let graph = lower::graph(&self.pulled()?.graph);
        self.gave(graph)
    }

    fn offered(&mut self, name: String) -> wasmtime::Result<Option<offers::NodeType>> {
        let types = &self.pulled()?.node_types;
        let found = types.iter().find(|offered| offered.name == name).map(lower::node_type);
        self.gave(found)
    }

    fn all_offered(&mut self) -> wasmtime::Result<Vec<offers::NodeType>> {
        let all = lower::each(&self.pulled()?.node_types, lower::node_type);
        self.gave(all)
    }
}
