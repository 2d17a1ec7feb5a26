//! The journal as the loop, an operator and a second process meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod durability;
mod events;
mod migrating;
mod opening;
mod reading;
mod records;
mod undoing;
