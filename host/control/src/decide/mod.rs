//! Phase three: what is to be done about what was found. Nobody is waited for longer than a moment: deciders think in a task of their own.
//!
//! | module | does |
//! |---|---|
//! | `questioning` | what deciders are asked |
//! | `escalation` | which kinds of action are open to them by now |
//! | `deciding` | asks catalogs and deciders, in a task of their own |
//! | `asking` | the tree of deciders that a policy makes: chain, route, quorum |
//! | `shadows` | deciders that are asked beside the others, and never followed |
//!
//! Called by `controller`, where a finding wakes the deciders and no gate holds.

pub(crate) mod asking;
pub(crate) mod deciding;
pub(crate) mod escalation;
pub(crate) mod questioning;
pub(crate) mod shadows;
