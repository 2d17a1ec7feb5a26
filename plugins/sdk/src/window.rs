//! The observations before this one.

use alloc::vec::Vec;

use crate::bindings::observed::{self, Status, Trend};
use crate::source::Source;
use crate::{Metric, Observation};

/// The observations before this one, as many as the policy keeps.
pub struct Window<'host>(Past<'host>);

enum Past<'host> {
    Lent(&'host observed::Window),
    #[cfg(not(target_family = "wasm"))]
    Test(Vec<crate::testing::Seen>),
}

impl<'host> Window<'host> {
    pub(crate) fn lent(handle: &'host observed::Window) -> Self {
        Self(Past::Lent(handle))
    }

    /// Of a test; oldest first.
    #[cfg(not(target_family = "wasm"))]
    pub fn for_test(seen: impl IntoIterator<Item = crate::testing::Seen>) -> Window<'static> {
        Window(Past::Test(seen.into_iter().collect()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Past::Lent(handle) => handle.len() as usize,
            #[cfg(not(target_family = "wasm"))]
            Past::Test(seen) => seen.len(),
        }
    }

    /// None yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One metric of one node over the last `count` ticks, oldest first, NaN where the node or the number is missing.
    pub fn series(&self, node: &str, metric: Metric, count: u32) -> Vec<f64> {
        self.own_series(node, metric.name(), count)
    }

    /// As [`series`](Self::series), of a metric by its name: of the pipeline's own, too.
    pub fn own_series(&self, node: &str, metric: &str, count: u32) -> Vec<f64> {
        match &self.0 {
            Past::Lent(handle) => handle.series(node, metric, count),
            #[cfg(not(target_family = "wasm"))]
            Past::Test(seen) => newest(seen, count).map(|seen| seen.number_of(node, metric)).collect(),
        }
    }

    /// One node's status over the last `count` ticks, oldest first, unknown where it was missing.
    pub fn status_series(&self, node: &str, count: u32) -> Vec<Status> {
        match &self.0 {
            Past::Lent(handle) => handle.status_series(node, count),
            #[cfg(not(target_family = "wasm"))]
            Past::Test(seen) => newest(seen, count).map(|seen| seen.status_of(node)).collect(),
        }
    }

    /// One node's latency trend over the last `count` ticks, oldest first, stable where it was missing.
    pub fn trend_series(&self, node: &str, count: u32) -> Vec<Trend> {
        match &self.0 {
            Past::Lent(handle) => handle.trend_series(node, count),
            #[cfg(not(target_family = "wasm"))]
            Past::Test(seen) => newest(seen, count).map(|seen| seen.trend_of(node)).collect(),
        }
    }

    /// The observation that many ticks before this one; 1 is the one just before.
    pub fn at(&self, ticks_ago: u32) -> Option<Observation<'static>> {
        match &self.0 {
            Past::Lent(handle) => {
                handle.at(ticks_ago).map(|seen| Observation::from_source(Source::Owned(seen)))
            }
            #[cfg(not(target_family = "wasm"))]
            Past::Test(seen) => seen
                .len()
                .checked_sub(ticks_ago as usize)
                .and_then(|index| seen.get(index))
                .map(|seen| Observation::for_test(seen.clone())),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn newest(seen: &[crate::testing::Seen], count: u32) -> impl Iterator<Item = &crate::testing::Seen> {
    seen.iter().skip(seen.len().saturating_sub(count as usize))
}
