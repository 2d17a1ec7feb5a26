//! Which one action, if any?

use bindings::exports::flyball::plugin::deciding::Guest;
pub use bindings::exports::flyball::plugin::deciding::{Allowance, Decision, Failure, Situation};

use crate::{About, Observation, Settings, Window};

crate::world::world!(
    "package flyball:sdk; world sdk-decider { export flyball:plugin/deciding@0.1.0; }",
    "sdk-decider",
    "__export_decider",
    [
    "flyball:plugin/observed@0.1.0" => observed,
    "flyball:plugin/judgement@0.1.0" => judgement,
    "flyball:plugin/actions@0.1.0" => actions
]);

/// Picks one action.
pub trait Decider: Settings {
    /// [`Failure::Abstain`] hands over to the next decider.
    fn decide(&self, now: &Observation, past: &Window, situation: &Situation) -> Result<Decision, Failure>;
}

impl<P: Decider + About + 'static> Guest for Exported<P> {
    fn decide(
        now: &crate::bindings::observed::Observation,
        past: &crate::bindings::observed::Window,
        situation: Situation,
    ) -> Result<Decision, Failure> {
        crate::begin();
        P::load().decide(&Observation::lent(now), &Window::lent(past), &situation)
    }
}
