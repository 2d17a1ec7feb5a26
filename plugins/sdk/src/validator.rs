//! May this action happen?

use bindings::exports::flyball::plugin::reviewing::Guest;
pub use bindings::exports::flyball::plugin::reviewing::{Amendment, Proposed, Verdict};

use crate::{About, Observation, Settings, Window};

crate::world::world!(
    "package flyball:sdk; world sdk-validator { export flyball:plugin/reviewing@0.1.0; }",
    "sdk-validator",
    "__export_validator",
    [
    "flyball:plugin/observed@0.1.0" => observed,
    "flyball:plugin/judgement@0.1.0" => judgement,
    "flyball:plugin/actions@0.1.0" => actions
]);

/// Says whether an action may happen.
pub trait Validator: Settings {
    /// Of what was proposed, by whom, in which situation.
    fn review(&self, now: &Observation, past: &Window, proposed: &Proposed) -> Verdict;
}

impl<P: Validator + About + 'static> Guest for Exported<P> {
    fn review(
        now: &crate::bindings::observed::Observation,
        past: &crate::bindings::observed::Window,
        proposed: Proposed,
    ) -> Verdict {
        crate::begin();
        P::load().review(&Observation::lent(now), &Window::lent(past), &proposed)
    }
}
