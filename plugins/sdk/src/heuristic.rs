//! Does this session need attention, and why?

use alloc::vec::Vec;

use bindings::exports::flyball::plugin::assessing::Guest;

use crate::{About, Finding, Observation, Settings, Window};

crate::world::world!(
    "package flyball:sdk; world sdk-heuristic { export flyball:plugin/assessing@0.1.0; }",
    "sdk-heuristic",
    "__export_heuristic",
    [
    "flyball:plugin/observed@0.1.0" => observed,
    "flyball:plugin/judgement@0.1.0" => judgement
]);

/// Says what needs attention.
pub trait Heuristic: Settings {
    /// An empty list: all is well.
    fn assess(&self, now: &Observation, past: &Window) -> Vec<Finding>;
}

impl<P: Heuristic + About + 'static> Guest for Exported<P> {
    fn assess(
        now: &crate::bindings::observed::Observation,
        past: &crate::bindings::observed::Window,
    ) -> Vec<Finding> {
        crate::begin();
        P::load().assess(&Observation::lent(now), &Window::lent(past))
    }
}
