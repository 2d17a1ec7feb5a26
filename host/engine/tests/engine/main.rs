//! The engine against plugins that mean well and plugins that do not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod first_party;
mod fuel;
mod grants;
mod guests;
mod hostile;
mod loading;
mod reloading;
mod shapes;
mod sights;
mod signing;
mod wasi;
mod web;
