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

/// Makes the crate a plugin of world `decider`: `decider!(Type)`, where the type is a [`Decider`](crate::Decider).
#[macro_export]
macro_rules! decider {
    ($plugin:ty $(, wants: { $($grant:literal: $why:literal),* $(,)? })?) => {
        $crate::__plugin!($plugin, Decider, decider, __export_decider, [$($($grant: $why),*)?]);
    };
}

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
