//! `flyball status`: how each session of the running host is, who judges what, policies beside plugins, and what is missing between them.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use flyball_host::{ControlRequest, JudgingStatus, PolicyReport, SessionStatus, UsedPlugin};
use flyball_model::{NodeNow, NodeStatus, SessionNow, Severity, printable};

use crate::args::Places;
use crate::asking::ask_host;
use crate::exit::Failure;
use crate::narrator::{tame, tame_to};
use crate::output::{clear_screen, json_pretty, outln};

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// Only this session, with each of its nodes
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Show it anew each second, until this is interrupted
    #[arg(long, conflicts_with = "json")]
    pub(crate) watch: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Between two looks.
const AGAIN: Duration = Duration::from_secs(1);

/// A warning holds a sentence with names and patterns, and is not cut.
const LONGEST: usize = 2_000;

pub(crate) fn run(places: &Places, options: &StatusOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    loop {
        let answer = ask_host(&state, &ControlRequest::Status)?;
        if options.json && options.session.is_none() {
            return json_pretty(&answer);
        }
        let status: JudgingStatus =
            serde_json::from_value(answer).context("the host's answer is no status")?;
        let wanted = options.session.as_ref().map(|name| named(&status, name)).transpose()?;
        if let (true, Some(one)) = (options.json, wanted) {
            return json_pretty(one);
        }
        // The screen is begun anew.
        if options.watch && std::io::stdout().is_terminal() {
            clear_screen();
        }
        match wanted {
            Some(one) => outln!("{}", whole_session(one).join("\n")),
            None => outln!("{}", text(&status)),
        }
        if !options.watch {
            return Ok(());
        }
        std::thread::sleep(AGAIN);
    }
}

fn named<'a>(status: &'a JudgingStatus, name: &str) -> Result<&'a SessionStatus, Failure> {
    let found = status.sessions.iter().find(|one| one.session == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = status.sessions.iter().map(|one| one.session.as_str()).collect();
        anyhow!("no session is called {name:?}; there are: {}", known.join(", ")).into()
    })
}

/// With each of its nodes.
fn whole_session(one: &SessionStatus) -> Vec<String> {
    let mut lines = vec![session_head()];
    lines.extend(session(one));
    let Some(now) = &one.now else { return lines };
    lines.push(String::new());
    lines.push(format!(
        "{:<22} {:<10} {:>10} {:>10} {:>14} {:>10}",
        "NODE", "STATUS", "DONE/S", "FAILED/S", "WAITING", "P99 MS"
    ));
    lines.extend(now.nodes.iter().map(node));
    lines
}

fn node(one: &NodeNow) -> String {
    let status = match one.status {
        NodeStatus::Unknown => "unknown",
        NodeStatus::Healthy => "healthy",
        NodeStatus::Degraded => "degraded",
        NodeStatus::Failed => "failed",
    };
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    let waiting = match (one.waiting, one.capacity) {
        (Some(waiting), Some(capacity)) => format!("{waiting:.0} of {capacity:.0}"),
        (Some(waiting), None) => format!("{waiting:.0}"),
        (None, _) => "-".to_owned(),
    };
    format!(
        "{:<22} {status:<10} {:>10} {:>10} {waiting:>14} {:>10}",
        printable(&one.node),
        number(one.items_per_second),
        number(one.errors_per_second),
        number(one.latency_p99_ms)
    )
}

fn session_head() -> String {
    format!("{:<22} {:<22} {:<11} {}", "SESSION", "POLICY", "GENERATION", "STATE")
}

/// Three tables and the warnings.
fn text(status: &JudgingStatus) -> String {
    let mut lines = vec![format!("generation {}", status.generation), String::new()];
    lines.push(session_head());
    lines.extend(status.sessions.iter().flat_map(session));
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

/// Its line, and how it is.
fn session(one: &SessionStatus) -> Vec<String> {
    let mut lines = vec![session_line(one)];
    if let Some(now) = &one.now {
        lines.extend(at_a_glance(now).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn at_a_glance(now: &SessionNow) -> Vec<String> {
    let measured = [
        now.delivered_per_second.map(|rate| format!("{rate:.1} delivered a second")),
        now.waiting.map(|waiting| format!("{waiting:.0} wait")),
        now.end_to_end_latency_ms.map(|latency| format!("{latency:.0} ms from end to end (p99)")),
    ];
    let measured: Vec<String> = measured.into_iter().flatten().collect();
    let mut lines =
        vec![if measured.is_empty() { "nothing is measured".to_owned() } else { measured.join(", ") }];
    lines.extend(now.findings.iter().map(|found| {
        let severity = match found.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        format!("{severity} {}: {}", tame(&found.code), tame(&found.message))
    }));
    lines.extend(now.held_by.iter().map(|gate| format!("held by {}", tame(gate))));
    lines.extend(now.under_way.iter().map(|what| tame(what)));
    if now.changes > 0 {
        lines.push(format!(
            "changes of the loop that still stand: {}; `flyball changes` lists them",
            now.changes
        ));
    }
    lines
}

fn session_line(one: &SessionStatus) -> String {
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
