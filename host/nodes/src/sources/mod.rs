//! The built-in sources: one file each, with its configuration.

mod csv_replay;
mod generate;
mod http_in;
mod lines;
mod timestamp;

use flyball_model::Problem;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub(crate) use csv_replay::CsvReplay;
pub(crate) use generate::Generate;
pub(crate) use http_in::HttpIn;
pub(crate) use lines::Lines;

use crate::Source;

/// The configuration of a built-in source.
pub(crate) trait SourceConfig: DeserializeOwned + JsonSchema {
    /// Without touching anything outside.
    fn check(&self) -> Result<(), Problem>;

    /// Opens it.
    fn open(self) -> Result<Box<dyn Source>, Problem>;
}
