//! What a person reads at the end of a run.

use std::fmt::Write;

use flyball_model::{ActionRecord, Outcome};

use crate::exit::Failure;
use crate::narrator::tame;
use crate::tally_text;
use flyball_host::Figures;
use flyball_host::{RecordingsReport, Report, SessionReport};

/// A screen at most.
pub(crate) fn of_run(report: &Report) -> String {
    const ACTIONS_SHOWN: usize = 12;
    let mut text = String::new();
    for session in &report.sessions {
        // Writing to a string does not fail.
        let _ = writeln!(text, "\n{}: {}", session.name, account_line(session));
        let _ = writeln!(text, "  ticks: {}", endings_line(session));
        let left_out = session.actions.len().saturating_sub(ACTIONS_SHOWN);
        if left_out > 0 {
            let _ = writeln!(text, "  {left_out} earlier actions are in `flyball journal`");
        }
        for action in session.actions.iter().skip(left_out) {
            let _ = writeln!(text, "  action {}", action_line(action));
        }
    }
    text.push_str(&models_text(&report.figures));
    let taken = report.reloads.iter().filter(|reload| reload.generation.is_some()).count();
    let refused = report.reloads.iter().filter(|reload| !reload.errors.is_empty()).count();
    if taken + refused > 0 {
        let _ = writeln!(text, "reloads: {taken} taken, {refused} refused");
    }
    if let Some(recordings) = &report.recordings {
        let _ = writeln!(text, "recordings: {}", recordings_line(recordings));
    }
    if let Some(end) = &report.journal {
        let _ = writeln!(text, "journal: {} entries, head {}", end.entries, end.head);
    }
    text.trim_end().to_owned()
}

/// Where there were several deciders, or a model was asked: by decider and by incident. Else the actions say it all.
pub(crate) fn models_text(figures: &Figures) -> String {
    const INCIDENTS_SHOWN: usize = 12;
    let Figures { deciders, incidents, incidents_left_out, llm_elsewhere } = figures;
    let models = deciders.iter().any(|decider| !decider.llm.is_none())
        || incidents.iter().any(|incident| !incident.llm.is_none())
        || !llm_elsewhere.is_none();
    let mut lines = Vec::new();
    if models || deciders.len() > 1 {
        lines.push(tally_text::table(deciders));
    }
    if models {
        let shown = incidents.len().saturating_sub(INCIDENTS_SHOWN);
        lines.extend(incidents.iter().skip(shown).map(tally_text::incident));
        let left_out = *incidents_left_out + u64::try_from(shown).unwrap_or_default();
        if left_out > 0 {
            lines.push(format!("{left_out} earlier incidents are in `flyball deciders`"));
        }
        if !llm_elsewhere.is_none() {
            lines.push(format!("outside of incidents: {}", tally_text::llm(llm_elsewhere)));
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// `120 calls`, and what was lost and why.
pub(crate) fn recordings_line(recordings: &RecordingsReport) -> String {
    let RecordingsReport { written, dropped, trouble } = recordings;
    let mut line = format!("{written} calls");
    if *dropped > 0 {
        line.push_str(&format!(", {dropped} dropped"));
    }
    if let Some(trouble) = trouble {
        line.push_str(&format!(" ({})", tame(trouble)));
    }
    line
}

/// `412 accepted = 400 delivered + 12 filtered + 0 dead-lettered + 0 in flight`
pub(crate) fn account_line(session: &SessionReport) -> String {
    let Some(account) = &session.account else {
        return "its data plane keeps no account of items".to_owned();
    };
    format!(
        "{} accepted {} {} delivered + {} filtered + {} dead-lettered + {} in flight",
        account.accepted,
        if session.balanced { "=" } else { "≠" },
        account.delivered,
        account.filtered,
        account.dead_lettered,
        account.in_flight
    )
}

fn endings_line(session: &SessionReport) -> String {
    let mut endings: Vec<_> =
        session.endings.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
    if endings.is_empty() {
        endings.push("none".to_owned());
    }
    endings.join(", ")
}

fn action_line(action: &ActionRecord) -> String {
    format!(
        "{}: {} — {}{}",
        action.id,
        tame(&action.proposal.action.to_string()),
        action.outcome.name(),
        match (&action.note, action.outcome) {
            (Some(note), Outcome::Failed | Outcome::RollbackFailed | Outcome::Ineffective) => {
                format!(" ({})", tame(note))
            }
            _ => String::new(),
        }
    )
}

/// A run in which an item disappeared has failed, whatever else it did.
pub(crate) fn balanced(report: &Report) -> Result<(), Failure> {
    match report.sessions.iter().find(|session| !session.balanced) {
        None => Ok(()),
        Some(session) => Err(Failure::Unbalanced(format!(
            "{}'s item account does not balance: {}; please report this as a bug, with the report and the journal",
            session.name,
            account_line(session)
        ))),
    }
}
