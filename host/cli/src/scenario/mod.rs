//! Scenarios: what goes wrong with a pipeline, simulated or embedded, and what the controller is expected to make of it.

mod compare;
mod document;
mod embedded;
mod play;

pub(crate) use compare::differences;
pub(crate) use document::{Folder, Scenario, folders};
pub(crate) use play::{Played, play};
