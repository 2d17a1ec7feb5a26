//! A pipeline's node.

use alloc::string::String;
use alloc::vec::Vec;

use bindings::exports::flyball::plugin::processing::{Guest, Item};

use crate::{About, Settings};

crate::world::world!(
    "package flyball:sdk; world sdk-node { export flyball:plugin/processing@0.1.0; }",
    "sdk-node",
    "__export_node",
    []
);

/// What becomes of one item: these bodies go on (none: it was filtered), or it failed for this reason.
pub type Processed = Result<Vec<serde_json::Value>, String>;

/// Is a pipeline's node. Its settings are the node's configuration.
pub trait Node: Settings {
    /// Of one item, whose body is JSON.
    fn process(&self, body: serde_json::Value) -> Processed;
}

impl<P: Node + About + 'static> Guest for Exported<P> {
    fn process(items: Vec<Item>) -> Vec<Result<Vec<Vec<u8>>, String>> {
        crate::begin();
        let node = P::load();
        items.into_iter().map(|item| one(&node, &item.body)).collect()
    }
}

fn one<P: Node>(node: &P, body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let body =
        serde_json::from_slice(body).map_err(|error| alloc::format!("the item is not JSON: {error}"))?;
    node.process(body)?
        .iter()
        .map(|body| {
            serde_json::to_vec(body).map_err(|error| alloc::format!("the answer is not JSON: {error}"))
        })
        .collect()
}
