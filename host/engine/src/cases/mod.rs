//! A plugin's golden cases: what it is told, and what it must say. They travel in the component, in custom sections, so
//! that they are part of its digest and signature; a version that fails one of its own does not serve. Their format is the
//! model's (`flyball_model::Case`); the loader and `flyball check` come here.
//!
//! A component is hostile: its cases are bounded in number and bytes, and what is quoted of them is made fit for a terminal.

mod read;
mod run;
mod seen;

pub(crate) use read::{Placed, found_in};
pub(crate) use run::{failing, first_failing};
pub use seen::{sight, situation};
