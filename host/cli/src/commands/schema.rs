use anyhow::Context;

use crate::args::{Document, SchemaOptions};
use crate::exit::Failure;
use crate::report;

pub(crate) fn run(options: &SchemaOptions) -> Result<(), Failure> {
    let schema = match options.of {
        Document::Policy => flyball_documents::policy_schema(),
        Document::Manifest => flyball_documents::manifest_schema(),
        Document::Report => report::schema(),
    };
    println!("{}", serde_json::to_string_pretty(&schema).context("cannot write the schema")?);
    Ok(())
}
