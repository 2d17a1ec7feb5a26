use anyhow::Context;

use crate::args::{Document, SchemaOptions};
use crate::exit::Failure;
use crate::output::outln;
use crate::report;
use crate::scenario::Scenario;

pub(crate) fn run(options: &SchemaOptions) -> Result<(), Failure> {
    let schema = match options.of {
        Document::Policy => flyball_documents::policy_schema(),
        Document::Manifest => flyball_documents::manifest_schema(),
        Document::Report => report::schema(),
        Document::Scenario => schemars::schema_for!(Scenario).to_value(),
        Document::World => schemars::schema_for!(flyball_sim::World).to_value(),
    };
    outln!("{}", serde_json::to_string_pretty(&schema).context("cannot write the schema")?);
    Ok(())
}
