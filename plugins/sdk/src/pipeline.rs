//! The pipeline as it is configured, and what it could be made of: for deciders and validators. Each call asks the host,
//! so a plugin pays only for what it reads.

use alloc::vec::Vec;

#[cfg(target_family = "wasm")]
use crate::bindings::pipeline as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::configured as host;
use crate::{GraphSpec, NodeSpec, NodeType};

/// The node of that name.
pub fn node(id: &str) -> Option<NodeSpec> {
    host::node(id)
}

/// All of it. An observation's edges tell who follows whom for less.
pub fn graph() -> GraphSpec {
    host::graph()
}

/// The node type of that name.
pub fn node_type(name: &str) -> Option<NodeType> {
    host::offered(name)
}

/// All node types, with their configuration schemas: much to copy.
pub fn node_types() -> Vec<NodeType> {
    host::all_offered()
}
