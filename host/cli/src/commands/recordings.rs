use std::time::Duration;

use clap::Args;
use flyball_host::{ControlRequest, RecordingsReport, RequestResult, ask};
use flyball_model::{Reversal, UnixMillis, Verdict};
use flyball_ports::{Clock, Decided, Said, SystemClock};
use flyball_store::{CallFilter, Listed, RecordingsReader};

use crate::args::{Places, duration};
use crate::exit::Failure;
use crate::narrator::{clock, tame};
use crate::output::{json, outln};
use crate::summary::recordings_line;

#[derive(Debug, Args)]
pub(crate) struct RecordingsOptions {
    #[command(flatten)]
    pub(crate) of: RecordedSelection,

    /// At most this many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,

    /// Print JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which recorded calls.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecordedSelection {
    /// Only this session's
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Only this plugin's
    #[arg(long, value_name = "NAME")]
    pub(crate) plugin: Option<String>,

    /// Only what was recorded in this last time: 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) since: Option<Duration>,
}

pub(crate) fn run(places: &Places, options: &RecordingsOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let reader = RecordingsReader::open(state.path()).map_err(anyhow::Error::from)?;
    let filter = CallFilter { limit: Some(options.limit), ..filter(&options.of) };
    let calls = reader.list(&filter).map_err(anyhow::Error::from)?;
    for call in calls.iter().rev() {
        if options.json {
            json(call)?;
        } else {
            outln!("{}", line(call));
        }
    }
    if options.json {
        return Ok(());
    }
    if calls.is_empty() {
        outln!("nothing of that is recorded");
    }
    // A host that does not answer has nothing to add.
    if let Ok(RequestResult::Answer(answer)) = ask(&state, &ControlRequest::Recordings) {
        match serde_json::from_value::<Option<RecordingsReport>>(answer) {
            Ok(Some(report)) => outln!("recorded by the host that runs: {}", recordings_line(&report)),
            Ok(None) => outln!("the host that runs records nothing (`--record off`)"),
            Err(_) => {}
        }
    }
    Ok(())
}

/// The time that was so long ago.
pub(crate) fn ago(time: Duration) -> UnixMillis {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    SystemClock.now().saturating_sub(millis)
}

/// What the arguments pick.
pub(crate) fn filter(of: &RecordedSelection) -> CallFilter {
    CallFilter {
        session: of.session.clone(),
        plugin: of.plugin.clone(),
        since: of.since.map(ago),
        limit: None,
    }
}

fn line(call: &Listed) -> String {
    let place = if call.tick == 0 {
        "no tick".to_owned()
    } else {
        format!("{} tick {}", tame(&call.session), call.tick)
    };
    let said = call.said.as_ref().map_or_else(|| "cannot be read".to_owned(), summary);
    let masked = if call.masked > 0 { format!("  {} masked", call.masked) } else { String::new() };
    format!(
        "{:>7}  {}  {place}  {} {}  {}  {} fuel{masked}",
        call.id,
        clock(call.written),
        tame(&call.by.name),
        call.by.digest.get(..12).unwrap_or(&call.by.digest),
        tame(&said),
        call.fuel
    )
}

/// An answer in a few words.
pub(crate) fn summary(said: &Result<Said, String>) -> String {
    match said {
        Err(why) => format!("failed: {why}"),
        Ok(Said::Assessed(said)) if said.findings.is_empty() => "all is well".to_owned(),
        Ok(Said::Assessed(said)) => {
            let codes: Vec<_> = said.findings.iter().map(|finding| finding.code.as_str()).collect();
            codes.join(", ")
        }
        Ok(Said::NodeTypes(types)) => format!("{} node types", types.len()),
        Ok(Said::Decided(Decided::For(decision))) => decision.proposal.action.to_string(),
        Ok(Said::Decided(Decided::Abstains(why))) => format!("abstains: {why}"),
        Ok(Said::Verdict(Verdict::Allow)) => "allows".to_owned(),
        Ok(Said::Verdict(Verdict::Deny(reason))) => format!("denies: {}", reason.code),
        Ok(Said::Verdict(Verdict::Amend(amended))) => format!("amends: {}", amended.action),
        Ok(Said::Verdict(Verdict::Ask(reason))) => format!("asks: {}", reason.code),
        Ok(Said::Reversal(Reversal::Reversible { actions })) => {
            let actions: Vec<_> = actions.iter().map(ToString::to_string).collect();
            format!("undo: {}", actions.join(", "))
        }
        Ok(Said::Reversal(Reversal::Irreversible { why })) => format!("irreversible: {why}"),
        Ok(Said::Processed(items)) => format!("{} items", items.len()),
        Ok(Said::Other(answer)) => answer.to_string(),
    }
}
