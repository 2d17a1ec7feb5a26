use anyhow::{Context, anyhow};
use flyball_model::{ActionRecord, Ending, Evidence, Finding, Reason, TickRecord, Verdict, VerdictRecord};
use flyball_store::{ActionFilter, Reader, TickFilter};

use crate::args::{ExplainOptions, Places};
use crate::exit::Failure;
use crate::narrator::{clock, tame, tame_to};
use crate::state_dir::StateDir;
use crate::tally_text;

/// All numbers of an action's outcome.
const LONGEST_NOTE: usize = 2_000;
/// Ticks among which the one that is named is looked for.
const LOOKED_AT: usize = 100_000;

pub(crate) fn run(places: &Places, options: &ExplainOptions) -> Result<(), Failure> {
    let reader = Reader::open(StateDir::of(places)?.path()).map_err(anyhow::Error::from)?;
    if let Some(id) = options.action {
        let filter =
            ActionFilter { session: options.session.clone(), limit: usize::MAX, ..ActionFilter::default() };
        let actions = reader.actions(&filter).map_err(anyhow::Error::from)?;
        let action = actions
            .iter()
            .find(|action| action.id == id)
            .with_context(|| format!("the journal has no action {id}; `flyball journal` lists them"))?;
        let tick = tick(&reader, Some(&action.session), Some(action.tick))?;
        if let Some(tick) = &tick {
            print!("{}", tick_text(tick));
        }
        print!("{}", action_text(action));
        return Ok(());
    }
    match (tick(&reader, options.session.as_deref(), options.tick)?, options.tick) {
        (Some(tick), _) => {
            print!("{}", tick_text(&tick));
            let of_tick = ActionFilter { session: Some(tick.session.to_string()), ..ActionFilter::default() };
            let actions = reader.actions(&of_tick).map_err(anyhow::Error::from)?;
            for action in actions.iter().rev().filter(|action| {
                action.tick == tick.tick && action.at >= tick.at && action.undoes.is_none()
            }) {
                print!("{}", action_text(action));
            }
            Ok(())
        }
        (None, Some(number)) => Err(anyhow!(
            "the journal has no tick {number}: nothing was found on it, so there was nothing to decide, or it is \
             forgotten; `flyball journal --ticks` lists those that it has"
        )
        .into()),
        (None, None) => Err(anyhow!("the journal has no tick: nothing was ever found").into()),
    }
}

fn tick(reader: &Reader, session: Option<&str>, number: Option<u64>) -> Result<Option<TickRecord>, Failure> {
    let filter =
        TickFilter { session: session.map(str::to_owned), limit: LOOKED_AT, ..TickFilter::default() };
    let ticks = reader.ticks(&filter).map_err(anyhow::Error::from)?;
    let mut found =
        ticks.into_iter().filter(|tick| number.is_none_or(|number| tick.tick == number)).peekable();
    let newest = found.next();
    if let (None, Some(first)) = (session, &newest)
        && let Some(other) = found.find(|tick| tick.session != first.session)
    {
        let message = format!(
            "the journal has ticks of {} and of {}; name one with --session",
            tame(&first.session),
            tame(&other.session)
        );
        return Err(anyhow!(message).into());
    }
    Ok(newest)
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
