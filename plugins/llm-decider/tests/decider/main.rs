//! The decider natively, with a model that says what a test says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test"
)]

mod asking_again;
mod forms;
mod injections;
mod prompts;
mod scene;
mod settings;
mod use_cases;
mod wrong_answers;
