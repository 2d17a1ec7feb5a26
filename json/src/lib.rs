//! What an item carries: a JSON value that keeps each number as the text it was written as, and its fields in their
//! order.
//!
//! `serde_json::Value` reads `10000000000000000000000000` and `1.10` as floating-point numbers and writes other digits
//! than it read. Its `arbitrary_precision` keeps them, but for every user of the crate in one build: numbers in tagged
//! and flattened types, in recordings and in guests would change with it. So items have a type of their own, read by the
//! lexer of `hifijson`, and everything else stays with `serde_json`.
//!
//! What this crate upholds:
//!
//! - What was read is written again with the same digits ([`Number`]); numbers are compared exactly.
//! - No field is lost: an object that names a field twice is refused.
//! - Reading is bounded while it reads ([`ItemLimits`]): by depth, by encoded bytes, and by what the value takes in
//!   memory, which can be a multiple of its text.
//!
//! The data plane's nodes (`flyball-nodes`), its queues (`flyball-pipeline`) and the plugin SDK use it, so that a native
//! node, a child process and a component see the same value.

#![no_std]

extern crate alloc;

mod limits;
mod number;
mod object;
mod read;
mod serde_impls;
mod value;
mod write;

pub use limits::{ItemLimits, OverLimit, Size};
pub use number::Number;
pub use object::Object;
pub use read::{JsonError, Values};
pub use smol_str::SmolStr;
pub use value::Json;
