//! Phase four: the one way of an action, whoever wants it, from the proposal to what the data plane made of it.
//!
//! | module | does |
//! |---|---|
//! | `origin` | who may want an action; the guards in their order, and which of them holds whom |
//! | `propose` | the way itself |
//! | `checks`, `reach` | the host's own checks, whatever the plugins say; where an action may reach |
//! | `review`, `rules` | asks the validators, again after each amendment; how their verdicts make one |
//! | `tries` | the budgets |
//! | `door` | the guards after the review; then intent, the halt once more, act, read back |
//! | `applying` | what the data plane takes its time for |
//! | `acting` | whether a graph shows an action |
//! | `landing` | how a decision takes this way, and how its tick ends; asks people |
//!
//! Called by `controller`, when a decision has come or a person approved one, and by `verify`, which undoes.

pub(crate) mod acting;
pub(crate) mod applying;
pub(crate) mod checks;
pub(crate) mod door;
pub(crate) mod landing;
pub(crate) mod origin;
pub(crate) mod propose;
pub(crate) mod reach;
pub(crate) mod review;
pub(crate) mod rules;
pub(crate) mod tries;
