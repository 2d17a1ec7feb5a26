//! Which node types exist?

use alloc::vec::Vec;

pub use bindings::exports::flyball::plugin::listing::Failure;
use bindings::exports::flyball::plugin::listing::Guest;

pub use crate::listed;
use crate::{About, NodeType, Settings};

crate::world::world!(
    "package flyball:sdk; world sdk-catalog { export flyball:plugin/listing@0.1.0; }",
    "sdk-catalog",
    "__export_catalog",
    [
        "flyball:plugin/observed@0.1.0" => observed,
        "flyball:plugin/offers@0.1.0" => offers
]);

/// Makes the crate a plugin of world `catalog`: `catalog!(Type)`, where the type is a [`Catalog`](crate::Catalog). One that
/// wants grants says so, and why, as with every kind: `catalog!(Type, wants: { "http": "asks the registry" })`.
#[macro_export]
macro_rules! catalog {
    ($plugin:ty $(, wants: { $($grant:literal: $why:literal),* $(,)? })?) => {
        $crate::__plugin!($plugin, Catalog, catalog, __export_catalog, [$($($grant: $why),*)?]);
    };
}

/// Lists node types.
pub trait Catalog: Settings {
    /// All that it knows of.
    ///
    /// # Errors
    /// Why it cannot say, and when to ask again.
    fn list_types(&self) -> Result<Vec<NodeType>, Failure>;
}

impl<P: Catalog + About + 'static> Guest for Exported<P> {
    fn list_types() -> Result<Vec<NodeType>, Failure> {
        crate::begin();
        P::load().list_types()
    }
}
