//! The work that pipelines do: built-in node types, sources and sinks, and the JSON-lines protocol by which any command
//! can be a node.

mod processor;

pub use processor::{Gathering, Item, ProcessError, Processor, WasmNodes};
