//! What undoes it?

use alloc::string::String;
use alloc::vec::Vec;

pub use bindings::exports::flyball::plugin::reversing::Applied;
use bindings::exports::flyball::plugin::reversing::Guest;

use crate::{About, Action, Settings};

crate::world::world!(
    "package flyball:sdk; world sdk-reverser { export flyball:plugin/reversing@0.1.0; }",
    "sdk-reverser",
    "__export_reverser",
    [
        "flyball:plugin/observed@0.1.0" => observed,
        "flyball:plugin/judgement@0.1.0" => judgement,
        "flyball:plugin/actions@0.1.0" => actions
]);

/// Makes the crate a plugin of world `reverser`: `reverser!(Type)`, where the type is a [`Reverser`](crate::Reverser).
#[macro_export]
macro_rules! reverser {
    ($plugin:ty $(, wants: { $($grant:literal: $why:literal),* $(,)? })?) => {
        $crate::__plugin!($plugin, Reverser, reverser, __export_reverser, [$($($grant: $why),*)?]);
    };
}

/// Says what undoes an action.
pub trait Reverser: Settings {
    /// In the order in which they are to be applied.
    ///
    /// # Errors
    /// Why it cannot be undone.
    fn reverse(&self, applied: &Applied) -> Result<Vec<Action>, String>;
}

impl<P: Reverser + About + 'static> Guest for Exported<P> {
    fn reverse(applied: Applied) -> Result<Vec<Action>, String> {
        crate::begin();
        P::load().reverse(&applied)
    }
}
