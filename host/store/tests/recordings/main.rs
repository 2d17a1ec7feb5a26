//! Recordings as a replay meets them: exact, bounded, masked, and no burden to the loop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod any_call;
mod before;
mod bounds;
mod calls;
mod changed;
mod failing;
mod masking;
mod picking;
mod states;
