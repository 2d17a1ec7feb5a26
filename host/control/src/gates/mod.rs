//! Phase two: whether anything may be decided and done on this tick. Each gate is open, or closed with a reason and with what opens it.
//!
//! | module | holds |
//! |---|---|
//! | `pace` | settling, cooldown, breaker: how often the loop may act; and the gates that depend on the policy alone |
//! | `fleet` | what sessions of a host share: halts, the host's budget, faults of many sessions, what was learned |
//! | `approvals` | the question to a person that stands |
//! | `closing` | which of them holds the deciders on this tick |
//! | `giving_up` | what becomes of trying in vain: the freeze, its pauses, and what ends it |
//! | `systemic` | which sessions show the same fault at about the same time |
//! | `single_tries` | who of the sessions that show the same fault may try alone |
//! | `standing` | how every gate stands, for the record |
//!
//! Called by `controller`, once a tick; halts and answers come from people at any time.

pub(crate) mod approvals;
pub(crate) mod closing;
pub(crate) mod fleet;
pub(crate) mod giving_up;
pub(crate) mod pace;
pub(crate) mod single_tries;
pub(crate) mod standing;
pub(crate) mod systemic;
