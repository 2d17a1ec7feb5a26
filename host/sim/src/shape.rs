use std::sync::Arc;

/// The running graph by number, as observations see it.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Which node of the network each is.
    pub(crate) at: Vec<usize>,
    pub(crate) ids: Arc<[Arc<str>]>,
    pub(crate) types: Arc<[Arc<str>]>,
    pub(crate) edges: Arc<[(u32, u32)]>,
    /// Every node behind all that feed it.
    pub(crate) order: Vec<usize>,
}
