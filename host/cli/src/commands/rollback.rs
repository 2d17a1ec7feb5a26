use clap::Args;
use flyball_host::ControlRequest;
use serde_json::Value;

use crate::args::Places;
use crate::asking::ask_host;
use crate::exit::Failure;
use crate::narrator::tame;
use crate::output::{json_value, outln};

#[derive(Debug, Args)]
pub(crate) struct RollbackOptions {
    /// How many actions to undo, newest first
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) count: u32,

    /// Of which session; may be left out when only one runs
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(places: &Places, options: &RollbackOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let request = ControlRequest::Rollback { session: options.session.clone(), count: options.count };
    let answer = ask_host(&state, &request)?;
    if options.json {
        json_value(&answer);
    }
    let undone = answer.as_array().cloned().unwrap_or_default();
    if !options.json {
        for one in &undone {
            let text = |key: &str| one.get(key).and_then(Value::as_str).map(tame).unwrap_or_default();
            outln!(
                "action {} ({}): {}",
                one.get("action").cloned().unwrap_or_default(),
                text("what"),
                text("result")
            );
        }
        if undone.is_empty() {
            outln!("nothing to undo");
        }
    }
    let failed = undone.iter().any(|one| one.get("undone").and_then(Value::as_bool) != Some(true));
    if failed { Err(Failure::Said) } else { Ok(()) }
}
