//! Phase five: whether an action helped, and the undo of what made things worse.
//!
//! | module | does |
//! |---|---|
//! | `follow_up` | says of an earlier action whether it helped |
//! | `measure`, `band`, `signals` | compares the numbers of before and after by the band that was to be expected |
//! | `aftermath` | what is done when that is known |
//! | `rollback`, `inverse` | an undo, at a person's word or the host's own; what a reverser's answer can be |
//!
//! Called by `controller`, once a tick, and by people through `rollback`.

pub(crate) mod aftermath;
pub(crate) mod band;
pub(crate) mod follow_up;
pub(crate) mod inverse;
pub(crate) mod measure;
pub(crate) mod rollback;
pub(crate) mod signals;
