//! Phase one: what is seen of a session, and what is found of it. `masking` is the only view of a data plane that the loop has; `assess`
//! asks the heuristics and holds the graph against the policy's constraints.
//!
//! Called by `controller`, once a tick.

pub(crate) mod assess;
pub(crate) mod masking;
