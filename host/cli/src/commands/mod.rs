//! One file for each command.

pub(crate) mod approvals;
pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod dead_letters;
pub(crate) mod deciders;
pub(crate) mod demo;
pub(crate) mod denials;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod halt;
pub(crate) mod inspect;
pub(crate) mod journal;
pub(crate) mod keygen;
pub(crate) mod node;
pub(crate) mod plugins;
pub(crate) mod recordings;
pub(crate) mod replay;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod scenario;
pub(crate) mod schema;
pub(crate) mod sign;
pub(crate) mod status;
pub(crate) mod verify;
