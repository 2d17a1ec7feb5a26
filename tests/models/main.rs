//! A language model among the deciders, against servers of this machine that speak as providers do: what it may bring
//! about, what it may not, and that the loop goes on meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]
#![allow(dead_code, reason = "more of the shared parts is used elsewhere")]

#[path = "../../host/engine/tests/engine/guests.rs"]
mod guests;
#[path = "../../host/llm/tests/asking/server.rs"]
mod server;
#[path = "../../host/llm/tests/asking/speaking.rs"]
mod speaking;
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod hour;
mod house;
mod injection;
mod keys;
mod pipeline;
