//! Phase five: whether an action helped, the undo of what made things worse, and the end of what is no longer needed.
//!
//! | module | does |
//! |---|---|
//! | `follow_up` | says of an earlier action whether it helped |
//! | `measure`, `band`, `signals` | compares the numbers of before and after by the band that was to be expected |
//! | `aftermath` | what is done when that is known |
//! | `standing_changes`, `give_back` | what was done for a fault and still stands, and taking it back once its reason is gone |
//! | `rollback`, `inverse` | an undo, at a person's word or the host's own; what a reverser's answer can be |
//!
//! Called by `controller`, once a tick, and by people through `rollback`.

pub(crate) mod aftermath;
pub(crate) mod band;
pub(crate) mod follow_up;
mod give_back;
pub(crate) mod inverse;
pub(crate) mod measure;
pub(crate) mod rollback;
pub(crate) mod signals;
pub(crate) mod standing_changes;
