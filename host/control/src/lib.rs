//! The loop: observe, judge, guard, act, follow up. It knows nothing of WebAssembly, of a database or of processes: what
//! it needs of them are the ports (`flyball-ports`).
//!
//! One [`Controller`] is the loop of one session; [`Sessions`] runs many. A tick goes through these rooms, in this order:
//!
//! | module | does |
//! |---|---|
//! | `restoring` | once: what the journal knows of the session, and what was left open when a host was killed |
//! | `assess` | asks the heuristics, holds the graph against the policy's constraints |
//! | `follow_up` | says of earlier actions whether they helped: `measure` compares `signals` by the `band` that was to be expected |
//! | `aftermath` | undoes what made things worse, freezes what is futile |
//! | `approvals` | the question to a person that stands |
//! | `pace`, `fleet` | the gates: settling, cooldown, breaker; halts and faults of many sessions |
//! | `gates` | how each of them stands, for the record |
//! | `questioning`, `escalation` | what deciders are asked, and which kinds of action are open to them by now |
//! | `deciding` | asks catalogs and deciders, in a task of their own |
//! | `landing` | takes a decision to its end, and asks people |
//! | `propose` | the one way of every action, whoever wants it, from the first guard to the data plane |
//! | `origin` | who may want an action; the guards in their order, and which of them holds whom |
//! | `checks`, `reach` | the host's own checks, whatever the plugins say; where an action may reach |
//! | `masking` | the data plane without the secrets of its nodes' configurations; no other view of it is known here |
//! | `review` | asks the validators, again after each amendment |
//! | `tries` | the budgets |
//! | `door` | the guards after the review; then intent, the halt once more, act, read back |
//! | `acting` | whether a graph shows an action |
//! | `applying` | what the data plane takes its time for |
//! | `rollback`, `inverse` | an undo, at an operator's word or the host's own; what a reverser's answer can be |
//! | `telling` | journals and tells what happened to the loop itself |
//!
//! # Generations
//!
//! [`Judges::panel`](flyball_ports::Judges::panel) is read once, at the start of a tick, and whoever is on that panel judges the
//! whole tick. A decider may think for longer than that, and policies may change meanwhile. Its decision keeps the panel
//! that it began with: the same generation's validators review it, and the action's record names that generation. What
//! the session must keep to can only get narrower on the way: the host checks hold the action against the rules of *both*
//! panels at once (the lower mutation level, the protected nodes of both, switched off if either is), and gates that
//! have closed meanwhile, or a policy that is gone, reject it. So a policy that is tightened while a decider thinks is
//! in force for that decision, and one that is loosened is not.
//!
//! # What starts a cooldown
//!
//! The end of every tick but the quiet, the held and those on which a decider is still thinking; so a no-op, a rejection,
//! an error, a tick that could not be observed and an action start one alike. It doubles while the same faults are decided
//! about without an action. It is never over before the settle time of
//! an action that was taken.

mod acting;
mod aftermath;
mod applying;
mod approvals;
mod asking;
mod assess;
mod band;
mod checks;
mod controller;
mod deciding;
mod door;
mod escalation;
mod fleet;
mod follow_up;
mod gates;
mod inverse;
mod landing;
mod masking;
mod measure;
mod origin;
mod pace;
mod propose;
mod questioning;
mod reach;
mod restoring;
mod review;
mod rollback;
mod rules;
mod sessions;
mod shadows;
mod signals;
mod state;
mod telling;
mod tries;

pub use approvals::ApprovalError;
pub use controller::{Controller, Options};
pub use fleet::Fleet;
pub use rollback::{Undo, UndoError};
pub use sessions::{AlreadyRuns, Sessions};
pub use tries::fault;
