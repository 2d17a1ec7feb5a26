//! The built-in sinks.

mod discard;
mod http_out;
mod writer;

use flyball_model::Problem;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub(crate) use discard::Discard;
pub(crate) use http_out::HttpOut;
pub(crate) use writer::{ToFile, ToStdout};

use crate::Sink;

/// The configuration of a built-in sink.
pub(crate) trait SinkConfig: DeserializeOwned + JsonSchema {
    /// Without touching anything outside.
    fn check(&self) -> Result<(), Problem>;

    /// Opens it.
    fn open(self) -> Result<Box<dyn Sink>, Problem>;
}
