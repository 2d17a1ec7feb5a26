//! May this action happen?
//!
//! # A quota
//!
//! A validator is asked of one action several times: before and after a person's approval, after an amendment, and when the
//! decider proposes it anew. So a quota counts what was *done*, by [`Proposed::done_within`], and not questions:
//!
//! ```
//! use flyball_plugin::prelude::*;
//!
//! const DAY: u64 = 86_400_000;
//!
//! fn at_most(most: usize, now: &Observation, proposed: &Proposed) -> Verdict {
//!     match proposed.done_within(now, DAY).count() {
//!         done if done < most => Verdict::Allow,
//!         done => Verdict::Deny(Reason::new("over-quota", format!("{done} actions in a day, at most {most}"))),
//!     }
//! }
//! ```
//!
//! It is told of the newest 256 actions of its session, those of earlier runs too. What it keeps by the grant `state` while it
//! allows, amends or asks is kept only when the action is done, so a count of one's own comes to the same; what it keeps while
//! it denies is kept at once. Quotas of kinds, nodes, sessions and the host need no plugin: a policy's `safety` has `kinds`,
//! `target`, `session` and `host`.

use bindings::exports::flyball::plugin::reviewing::Guest;
pub use bindings::exports::flyball::plugin::reviewing::{Amendment, Proposed, Verdict};

use crate::{About, Observation, Outcome, PastAction, Settings, Window};

crate::world::world!(
    "package flyball:sdk; world sdk-validator { export flyball:plugin/reviewing@0.1.0; }",
    "sdk-validator",
    "__export_validator",
    [
        "flyball:plugin/observed@0.1.0" => observed,
        "flyball:plugin/judgement@0.1.0" => judgement,
        "flyball:plugin/actions@0.1.0" => actions
]);

/// Makes the crate a plugin of world `validator`: `validator!(Type)`, where the type is a [`Validator`](crate::Validator).
#[macro_export]
macro_rules! validator {
    ($plugin:ty $(, wants: { $($grant:literal: $why:literal),* $(,)? })?) => {
        $crate::__plugin!($plugin, Validator, validator, __export_validator, [$($($grant: $why),*)?]);
    };
}

/// Says whether an action may happen.
pub trait Validator: Settings {
    /// Of what was proposed, by whom, in which situation.
    fn review(&self, now: &Observation, past: &Window, proposed: &Proposed) -> Verdict;
}

impl Proposed {
    /// The actions that were done in this session in the last so many milliseconds, newest first, whatever became of them and
    /// whoever decided them: undos and what a person asked for are among them. What was only proposed, or refused, is not.
    pub fn done_within<'a>(
        &'a self,
        now: &Observation,
        milliseconds: u64,
    ) -> impl Iterator<Item = &'a PastAction> + use<'a> {
        let since = now.taken_at().saturating_sub(milliseconds);
        let done = |past: &&PastAction| past.outcome != Outcome::Rejected;
        self.past.iter().filter(move |past| past.at >= since).filter(done)
    }
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
