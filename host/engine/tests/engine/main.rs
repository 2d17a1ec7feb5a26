//! The engine against plugins that mean well and plugins that do not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod cases;
mod files;
mod first_party;
mod fuel;
mod grants;
mod guests;
mod hostile;
mod language_model;
mod loading;
mod metrics;
mod nodes;
mod quota;
mod reloading;
#[path = "../../../llm/tests/asking/server.rs"]
#[allow(dead_code, reason = "more of it is used elsewhere")]
mod server;
mod shapes;
mod sights;
mod signing;
mod wasi;
mod web;
