//! `flyball schema`: the JSON Schema of each document that people write or programs read.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::json_pretty;
use crate::scenario::Scenario;

#[derive(Debug, Args)]
pub(crate) struct SchemaOptions {
    /// Of what
    pub(crate) of: Document,
}

/// Documents that have a schema.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Document {
    /// A policy (policies/*.yaml)
    Policy,
    /// A pipeline (pipeline.yaml)
    Manifest,
    /// What `run --report` writes
    Report,
    /// What goes wrong and what is expected (scenario.yaml)
    Scenario,
    /// How a simulated pipeline behaves (world.yaml)
    World,
    /// A plugin's golden case (cases/*.json)
    Case,
}

pub(crate) fn run(options: &SchemaOptions) -> Result<(), Failure> {
    let schema = match options.of {
        Document::Policy => flyball_documents::policy_schema(),
        Document::Manifest => with_node_types(flyball_documents::manifest_schema()),
        Document::Report => flyball_host::schema(),
        Document::Scenario => schemars::schema_for!(Scenario).to_value(),
        Document::World => schemars::schema_for!(flyball_sim::SimulatedWorld).to_value(),
        Document::Case => schemars::schema_for!(flyball_model::Case).to_value(),
    };
    json_pretty(&schema)
}

/// Adds the built-in node types, each with what its `params` may hold: an editor can offer them, and whoever looks for a type
/// finds it. Any other name may be a plugin's, so the list does not close.
fn with_node_types(mut schema: Value) -> Value {
    let types = flyball_nodes::catalog();
    let known = types.iter().map(|one| json!({ "const": one.name, "description": one.summary }));
    let other = json!({ "type": "string", "description": "A plugin of world node, by its name." });
    let named: Vec<Value> = known.chain([other]).collect();
    let params = types.iter().filter_map(|one| {
        let mut params = one.config_schema.clone()?;
        // References in it are to its own definitions.
        params.as_object_mut()?.insert("$id".to_owned(), json!(format!("flyball:node-type:{}", one.name)));
        Some(json!({
            "if": { "properties": { "type": { "const": one.name } } },
            "then": { "properties": { "params": params } },
        }))
    });
    let params: Vec<Value> = params.collect();
    if let Some(node) = schema.pointer_mut("/$defs/NodeDeclaration").and_then(Value::as_object_mut) {
        if let Some(name) =
            node.get_mut("properties").and_then(|all| all.get_mut("type")).and_then(Value::as_object_mut)
        {
            name.insert("anyOf".to_owned(), named.into());
        }
        node.insert("allOf".to_owned(), params.into());
    }
    schema
}
