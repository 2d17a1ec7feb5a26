//! The loop: observe, judge, guard, act, follow up. It knows nothing of WebAssembly, of a database or of processes: what
//! it needs of them are the ports (`flyball-ports`).
//!
//! One [`Controller`] is the loop of one session; [`Sessions`] runs many. A tick goes through five phases, in this order; each is a folder
//! whose page says what is in it:
//!
//! | phase | does |
//! |---|---|
//! | `observe` | sees the session, without secrets, and has the heuristics and constraints judge what is seen |
//! | `gates` | whether anything may be decided and done now, and why not |
//! | `decide` | asks deciders, in a task of their own |
//! | `act` | the one way of an action, whoever wants it: checks, validators, budgets, halt, dry run, approval, freeze, intent, data plane |
//! | `verify` | whether an action helped, the undo of what made things worse, and what is taken back once its reason is gone |
//!
//! Around them: `controller` is the tick itself, `state` what a session remembers from tick to tick, `restoring` what it takes in from the
//! journal once, before it may act, `telling` what it journals and tells of itself, `looking` what people see of it at a glance, `sessions` the loops of a host.
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

mod act;
mod controller;
mod decide;
mod gates;
mod looking;
mod observe;
mod restoring;
mod sessions;
mod state;
mod telling;
mod verify;

pub use act::tries::fault;
pub use controller::{Controller, LoopOptions};
pub use gates::approvals::ApprovalError;
pub use gates::fleet::Fleet;
pub use sessions::{AlreadyRuns, Sessions};
pub use verify::rollback::{Undo, UndoError};
