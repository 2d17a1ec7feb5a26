//! The built-in sources: one file each, with its configuration.

mod csv_records;
mod csv_replay;
mod generate;
mod http_in;
mod input;
mod lines;
mod timestamp;

use flyball_json::ItemLimits;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub(crate) use csv_replay::CsvReplay;
pub(crate) use generate::Generate;
pub(crate) use http_in::HttpIn;
pub use http_in::http_in_over;
pub(crate) use lines::Lines;

use crate::Source;

/// A source gives no more than about this at once, however many items it is asked for.
const BATCH_BYTES: usize = 1 << 20;

/// The configuration of a built-in source.
pub(crate) trait SourceConfig: DeserializeOwned + JsonSchema {
    /// Without touching anything outside.
    fn check(&self) -> Result<(), Problem>;

    /// Makes sure that it can be read, and reads nothing: a later node may keep the pipeline from starting. What is outside is
    /// read, and answered, from the first [`Source::next`] on.
    fn open(self, limits: &ItemLimits) -> Result<Box<dyn Source>, Problem>;
}
