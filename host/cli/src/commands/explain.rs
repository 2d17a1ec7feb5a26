use anyhow::{Context, anyhow};
use clap::Args;
use flyball_host::open_history;
use flyball_model::{ActionRecord, Ending, Evidence, Finding, Reason, TickRecord, Verdict, VerdictRecord};
use flyball_ports::{ActionFilter, StoredHistory, TickFilter};

use crate::args::Places;
use crate::exit::Failure;
use crate::looked_at::{checks_text, gates_text};
use crate::narrator::{clock, tame, tame_to};
use crate::output::out;
use crate::tally_text;

#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    /// A tick of a session, by its number, acted or quiet [default: the newest on which something was found]
    #[arg(value_name = "TICK", conflicts_with = "action")]
    pub(crate) tick: Option<u64>,

    /// An action, by its number in `flyball journal`
    #[arg(long, value_name = "ID")]
    pub(crate) action: Option<u64>,

    /// Of which session; may be left out when there is only one
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,
}

/// All numbers of an action's outcome.
const LONGEST_NOTE: usize = 2_000;

pub(crate) fn run(places: &Places, options: &ExplainOptions) -> Result<(), Failure> {
    let history = open_history(&places.state_dir()?).map_err(anyhow::Error::from)?;
    if let Some(id) = options.action {
        let filter =
            ActionFilter { session: options.session.clone(), limit: usize::MAX, ..ActionFilter::default() };
        let actions = history.actions(&filter).map_err(anyhow::Error::from)?;
        let action = actions
            .iter()
            .find(|action| action.id == id)
            .with_context(|| format!("the journal has no action {id}; `flyball journal` lists them"))?;
        // Of a session that ran several times the last tick before it.
        let of_action = TickFilter {
            session: Some(action.session.to_string()),
            tick: Some(action.tick),
            until: Some(action.at),
            limit: 1,
            ..TickFilter::default()
        };
        for tick in history.ticks(&of_action).map_err(anyhow::Error::from)? {
            out!("{}", explained(&tick));
        }
        out!("{}", action_text(action));
        return Ok(());
    }
    let session = session_of(&*history, options.session.as_deref())?;
    let tick = tick_of(&*history, &session, options.tick)?;
    out!("{}", explained(&tick));
    let of_tick = ActionFilter { session: Some(session), ..ActionFilter::default() };
    let actions = history.actions(&of_tick).map_err(anyhow::Error::from)?;
    for action in actions
        .iter()
        .rev()
        .filter(|action| action.tick == tick.tick && action.at >= tick.at && action.undoes.is_none())
    {
        out!("{}", action_text(action));
    }
    Ok(())
}

/// The one that is named, or the only one.
fn session_of(history: &dyn StoredHistory, named: Option<&str>) -> Result<String, Failure> {
    let sessions = history.sessions().map_err(anyhow::Error::from)?;
    let names: Vec<String> = sessions.iter().map(|session| tame(session)).collect();
    let names = names.join(", ");
    match (named, sessions.as_slice()) {
        (_, []) => Err(anyhow!("no tick is kept: no session has run with this state directory yet").into()),
        (Some(named), known) if !known.iter().any(|known| known == named) => {
            Err(anyhow!("no tick of {} is kept; there are those of {names}", tame(named)).into())
        }
        (Some(named), _) => Ok(named.to_owned()),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(anyhow!("there are ticks of {names}; name one with --session").into()),
    }
}

fn tick_of(history: &dyn StoredHistory, session: &str, number: Option<u64>) -> Result<TickRecord, Failure> {
    match (history.tick(session, number).map_err(anyhow::Error::from)?, number) {
        (Some(tick), _) => Ok(tick),
        (None, Some(number)) => Err(missing(history, session, number)?.into()),
        (None, None) => Err(anyhow!("no tick of {} is kept", tame(session)).into()),
    }
}

/// That there is no such tick, and which there are.
fn missing(history: &dyn StoredHistory, session: &str, number: u64) -> Result<anyhow::Error, Failure> {
    let runs = history.runs(1).map_err(anyhow::Error::from)?;
    let newest = runs.first().map_or(0, |run| run.started);
    let mut range = history.tick_numbers(session, newest).map_err(anyhow::Error::from)?;
    let of_what = if range.is_some() { "the newest run" } else { "all runs" };
    if range.is_none() {
        range = history.tick_numbers(session, 0).map_err(anyhow::Error::from)?;
    }
    let session = tame(session);
    Ok(match range {
        Some((lowest, highest)) if (lowest..=highest).contains(&number) => anyhow!(
            "tick {number} of {session} is not kept, although some from {lowest} to {highest} are: the disk could not keep up"
        ),
        Some((lowest, highest)) => anyhow!(
            "there is no tick {number} of {session}; those of {of_what} that are kept are from {lowest} to {highest}"
        ),
        None => anyhow!("no tick of {session} is kept"),
    })
}

/// Everything that is known of a tick.
fn explained(tick: &TickRecord) -> String {
    tick_text(tick) + &checks_text(tick) + &gates_text(tick)
}

pub(crate) fn tick_text(tick: &TickRecord) -> String {
    let mut text = format!(
        "tick {} of {} at {}, generation {}: {}\n",
        tick.tick,
        tame(&tick.session),
        clock(tick.at),
        tick.generation,
        ending(tick.ending)
    );
    for found in &tick.findings {
        text += &format!("  found by {}: {}", found.by.name, finding(&found.said));
    }
    for failed in &tick.failures {
        text += &format!("  {} {} did not answer: {}\n", failed.kind, failed.by.name, tame(&failed.error));
    }
    if let Some(gate) = &tick.gate {
        text += &format!("  held by the gate {}: {}\n", gate.gate, tame(&gate.message));
    }
    if let Some(decision) = &tick.decision {
        let proposal = &decision.said.proposal;
        text += &format!(
            "  decided by {}: {}, because {}\n",
            decision.by.name,
            tame(&proposal.action.to_string()),
            tame(&proposal.reason)
        );
        for evidence in &proposal.rests_on {
            text += &format!("    rests on {}\n", evidence_text(evidence));
        }
    }
    text += &tally_text::answers(&tick.answers);
    for verdict in &tick.verdicts {
        text += &verdict_text(verdict);
    }
    if let Some(error) = &tick.error {
        text += &format!("  error: {}\n", tame(error));
    }
    text
}

fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Quiet => "nothing that would wake a decider was found",
        Ending::Held => "something was found, and a gate held",
        Ending::Applying => "the data plane was still doing an action",
        Ending::Deciding => "a decider was still thinking",
        Ending::Undecided => "no decider had an answer",
        Ending::NoOp => "a decider chose to do nothing",
        Ending::Rejected => "a guard said no",
        Ending::Proposed => "all allowed it, and it was proposed only",
        Ending::AwaitingApproval => "all allowed it, and a person was asked",
        Ending::Acted => "an action was taken",
        Ending::Failed => "an action was tried and failed",
        Ending::Unobserved => "the session could not be observed",
    }
}

fn finding(finding: &Finding) -> String {
    let mut text = format!("{} ({})\n", tame(&finding.message), tame(&finding.code));
    for evidence in &finding.rests_on {
        text += &format!("    rests on {}\n", evidence_text(evidence));
    }
    text
}

fn evidence_text(evidence: &Evidence) -> String {
    let metric = evidence.metric.as_deref().map(tame);
    let node = evidence.node.as_deref().map(tame);
    let mut text = match (metric, node) {
        (Some(metric), Some(node)) => format!("{metric} of {node}"),
        (Some(metric), None) => metric,
        (None, Some(node)) => node,
        (None, None) => "the whole pipeline".to_owned(),
    };
    if let Some(value) = evidence.value {
        text += &format!(": {value}");
    }
    if let Some(limit) = evidence.limit {
        text += &format!(", held against {limit}");
    }
    if !evidence.note.is_empty() {
        text += &format!(" ({})", tame(&evidence.note));
    }
    text
}

fn verdict_text(record: &VerdictRecord) -> String {
    let who = match &record.within {
        Some(group) => format!("{} in {}", record.by.name, tame(group)),
        None => record.by.name.to_string(),
    };
    match &record.verdict {
        Verdict::Allow => format!("  {who} allows it\n"),
        Verdict::Deny(reason) => format!("  {who} denies it: {}", reason_text(reason)),
        Verdict::Ask(reason) => format!("  {who} wants a person to say: {}", reason_text(reason)),
        Verdict::Amend(amendment) => {
            format!(
                "  {who} makes it \"{}\": {}",
                tame(&amendment.action.to_string()),
                reason_text(&amendment.reason)
            )
        }
    }
}

fn reason_text(reason: &Reason) -> String {
    let mut text = format!("{} ({})\n", tame(&reason.message), tame(&reason.code));
    if let Some(hint) = &reason.hint {
        text += &format!("    it would differ: {}\n", tame(hint));
    }
    for evidence in &reason.rests_on {
        text += &format!("    rests on {}\n", evidence_text(evidence));
    }
    text
}

pub(crate) fn action_text(action: &ActionRecord) -> String {
    let undoes = action.undoes.map(|undone| format!(", undoes {undone}")).unwrap_or_default();
    let outcome = if action.settled_at.is_none() { "open" } else { action.outcome.name() };
    let mut text = format!(
        "action {}: {}{undoes}, decided by {}\n  outcome: {outcome}",
        action.id,
        tame(&action.proposal.action.to_string()),
        action.decided_by.name
    );
    if let Some(note) = &action.note {
        text += &format!(": {}", tame_to(LONGEST_NOTE, note));
    }
    text += "\n";
    let judged: Vec<String> =
        action.judged_by.iter().map(|judge| format!("{} {}", judge.name, judge.version)).collect();
    if !judged.is_empty() {
        text += &format!("  judged by {}, generation {}\n", judged.join(", "), action.generation);
    }
    text
}
