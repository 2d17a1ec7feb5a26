//! The journal as the loop, an operator and a second process meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod chain;
mod damage;
mod durability;
mod events;
mod learning;
mod migrating;
mod opening;
mod reading;
mod records;
mod tampering;
mod undoing;
