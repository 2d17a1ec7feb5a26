//! Questions to real servers on this machine that speak each provider's format.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod answers;
mod any_answer;
mod bounds;
mod errors;
mod grants;
mod keys;
mod records;
mod requests;
mod retries;
mod server;
mod speaking;
