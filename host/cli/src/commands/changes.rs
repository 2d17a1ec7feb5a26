//! `flyball changes`: what the loop has changed and what still stands, why, since when, and what would end it.

use anyhow::Context;
use clap::Args;
use flyball_host::ControlRequest;
use flyball_model::StandingChange;

use crate::args::Places;
use crate::asking::ask_host;
use crate::exit::Failure;
use crate::narrator::{clock, tame};
use crate::output::{json_pretty, outln};

#[derive(Debug, Args)]
pub(crate) struct ChangesOptions {
    /// Only of this session
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(places: &Places, options: &ChangesOptions) -> Result<(), Failure> {
    let request = ControlRequest::Changes { session: options.session.clone() };
    let answer = ask_host(&places.state_dir()?, &request)?;
    if options.json {
        return json_pretty(&answer);
    }
    let standing: Vec<StandingChange> =
        serde_json::from_value(answer).context("the host's answer is no list of changes")?;
    for change in &standing {
        outln!(
            "{}  action {}  {}\n  since {}, for {}, decided by {}; {}\n  ends: {}",
            tame(&change.session),
            change.action,
            tame(&change.change.to_string()),
            clock(change.at),
            tame(&change.reasons.join(", ")),
            tame(&change.decided_by),
            change.outcome.name(),
            tame(&change.ends)
        );
    }
    if standing.is_empty() {
        outln!("nothing that was done still stands");
    }
    Ok(())
}
