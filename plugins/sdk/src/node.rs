//! A pipeline's node.

use alloc::string::String;
use alloc::vec::Vec;

use flyball_json::{ItemLimits, Json};

use bindings::exports::flyball::plugin::processing::{Guest, Item};

use crate::{About, Settings};

crate::world::world!(
    "package flyball:sdk; world sdk-node { export flyball:plugin/processing@0.1.0; }",
    "sdk-node",
    "__export_node",
    []
);

/// Makes the crate a plugin of world `node`: `node!(Type)`, where the type is a [`Node`](crate::Node).
#[macro_export]
macro_rules! node {
    ($plugin:ty $(, wants: { $($grant:literal: $why:literal),* $(,)? })?) => {
        $crate::__plugin!($plugin, Node, node, __export_node, [$($($grant: $why),*)?]);
    };
}

/// What becomes of one item: these bodies go on (none: it was filtered), or it failed for this reason.
pub type Processed = Result<Vec<Json>, String>;

/// Is a pipeline's node. Its settings are the node's configuration.
pub trait Node: Settings {
    /// Of one item. Its numbers are as they were written, and what is passed on of it keeps their digits.
    fn process(&self, body: Json) -> Processed;
}

/// Sets a number that the node reports of itself, beside what the host measures; it is in every observation by this name. The
/// newest number of each worker counts, and a node's number is the sum over its workers. The error says why it was not taken:
/// the name is none or the host's own, there are too many, or the number is not finite.
pub fn report(name: &str, value: f64) -> Result<(), String> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::metrics::set(name, value);
    #[cfg(not(target_family = "wasm"))]
    {
        std::eprintln!("{name} = {value}");
        Ok(())
    }
}

impl<P: Node + About + 'static> Guest for Exported<P> {
    fn process(items: Vec<Item>) -> Vec<Result<Vec<Vec<u8>>, String>> {
        crate::begin();
        let node = P::load();
        items.into_iter().map(|item| one(&node, &item.body)).collect()
    }
}

fn one<P: Node>(node: &P, body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    // The host has held it against the limits of its pipeline, which are within these.
    let body = Json::read(body, &ItemLimits::LARGEST);
    let body = body.map_err(|error| alloc::format!("the item cannot be read: {error}"))?;
    Ok(node.process(body)?.iter().map(Json::to_bytes).collect())
}
