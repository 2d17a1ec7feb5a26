//! `flyball status`: who judges what on the running host, policies beside plugins, and what is missing between them.

use anyhow::Context;
use clap::Args;
use flyball_host::{ControlRequest, JudgingStatus, PolicyReport, SessionStatus, UsedPlugin};
use flyball_model::printable;

use crate::args::Places;
use crate::asking::ask_host;
use crate::exit::Failure;
use crate::narrator::{tame, tame_to};
use crate::output::{json_pretty, outln};

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A warning holds a sentence with names and patterns, and is not cut.
const LONGEST: usize = 2_000;

pub(crate) fn run(places: &Places, options: &StatusOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let answer = ask_host(&state, &ControlRequest::Status)?;
    if options.json {
        return json_pretty(&answer);
    }
    let status: JudgingStatus = serde_json::from_value(answer).context("the host's answer is no status")?;
    outln!("{}", text(&status));
    Ok(())
}

/// Three tables and the warnings.
fn text(status: &JudgingStatus) -> String {
    let mut lines = vec![format!("generation {}", status.generation), String::new()];
    lines.push(format!("{:<22} {:<22} {:<11} {}", "SESSION", "POLICY", "GENERATION", "STATE"));
    lines.extend(status.sessions.iter().map(session));
    lines.push(String::new());
    lines.push(format!(
        "{:<22} {:<22} {:<10} {:<14} {:<22} {}",
        "POLICY", "FILE", "STATE", "DIGEST", "JUDGES", "BY PLUGINS"
    ));
    for one in &status.policies {
        lines.push(policy(one));
        if let Some(error) = &one.error {
            lines.push(format!("  {}", tame_to(LONGEST, error)));
        }
    }
    lines.push(String::new());
    lines.push(format!(
        "{:<22} {:<10} {:<8} {:<14} {:<10} {}",
        "PLUGIN", "KIND", "VERSION", "DIGEST", "STATE", "USED BY"
    ));
    for one in &status.plugins {
        lines.push(plugin(one));
        if let Some(error) = &one.plugin.error {
            lines.push(format!("  {}", tame_to(LONGEST, error)));
        }
    }
    if !status.warnings.is_empty() {
        lines.push(String::new());
    }
    lines.extend(status.warnings.iter().map(|one| format!("warning: {}", tame_to(LONGEST, &one.message))));
    lines.join("\n")
}

fn session(one: &SessionStatus) -> String {
    let policy = one.policy.as_deref().unwrap_or("none");
    let state = match (&one.stopped, &one.policy) {
        (Some(stopped), _) => tame(stopped),
        (None, Some(_)) => "judged".to_owned(),
        (None, None) => "observed only".to_owned(),
    };
    let generation = one.generation.map_or_else(|| "-".to_owned(), |generation| generation.to_string());
    format!("{:<22} {:<22} {generation:<11} {state}", printable(&one.session), printable(policy))
}

fn policy(one: &PolicyReport) -> String {
    let judges = if one.judges.is_empty() { "no session".to_owned() } else { one.judges.join(", ") };
    format!(
        "{:<22} {:<22} {:<10} {:<14} {:<22} {}",
        printable(one.name.as_deref().unwrap_or("-")),
        printable(&one.file),
        one.state,
        short(one.running.as_deref()),
        printable(&judges),
        printable(&one.plugins.join(", "))
    )
}

fn plugin(UsedPlugin { plugin, used_by }: &UsedPlugin) -> String {
    let users = if used_by.is_empty() { "nobody".to_owned() } else { used_by.join(", ") };
    format!(
        "{:<22} {:<10} {:<8} {:<14} {:<10} {}",
        printable(&plugin.name),
        plugin.kind.as_ref().map_or("-", |kind| kind.name()),
        printable(plugin.version.as_deref().unwrap_or("-")),
        short(plugin.running.as_deref().or(plugin.desired.as_deref())),
        plugin.state,
        printable(&users)
    )
}

fn short(digest: Option<&str>) -> &str {
    digest.and_then(|digest| digest.get(..12)).unwrap_or("-")
}
