//! Tells a person what happens, where something happens: it reads the host's event log, and writes to standard output.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use flyball_events::EventReader;
use flyball_model::{
    ActionRecord, Attributed, Caller, DeciderSaid, Ending, Event, EventRecord, Finding, Happened, LogEntry,
    Outcome, ReloadRecord, Severity, TickRecord, UnixMillis, Verdict, VerdictRecord, printable,
    printable_lines,
};
use indicatif::MultiProgress;
use parking_lot::Mutex;

use crate::output;
use crate::printer::Printer;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// A notice is made of sentences that are bounded each, and is not cut.
const LONGEST_NOTICE: usize = 4_000;

/// In which form it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Sentences.
    People,
    /// The entries of the event log, a line of JSON each: `{"number": "3.1", "tick": …}`; instead of `tick` it may be `concluded`,
    /// `event`, `reload` or `warning`.
    Json,
    /// Nothing.
    Silent,
}

/// How long the last lines may take to be read.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Writes to standard output, above the progress line when there is one.
pub(crate) struct Narrator {
    form: Form,
    printer: Printer,
    /// The newest tick of each session and how it stood, so that a state that lasts is told once.
    told: Mutex<HashMap<String, (u64, String)>>,
}

impl Narrator {
    pub(crate) fn new(form: Form, progress: MultiProgress) -> Self {
        Self { form, printer: Printer::start(progress), told: Mutex::default() }
    }

    /// A sentence of the program's own.
    pub(crate) fn say(&self, text: &str) {
        if self.form == Form::People {
            self.print(text);
        }
    }

    /// Tells all that happens, to the end of the log.
    pub(crate) async fn follow(&self, mut reader: EventReader) {
        loop {
            match reader.next().await {
                Ok(Some(entry)) => self.tell(&entry),
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "nothing more is told");
                    return;
                }
            }
        }
    }

    fn tell(&self, entry: &LogEntry) {
        match self.form {
            Form::Silent => {}
            Form::Json => match serde_json::to_value(entry) {
                Ok(entry) => self.printer.print(output::json_text(&entry)),
                Err(error) => tracing::error!(%error, number = %entry.number, "an entry has no JSON"),
            },
            Form::People => self.tell_people(&entry.happened),
        }
    }

    fn tell_people(&self, happened: &Happened) {
        match happened {
            Happened::Tick(record) if !self.is_news(record) => {}
            told => self.print(&happened_text(told)),
        }
    }

    /// Nobody to tell it to is no reason to stop a pipeline.
    fn print(&self, text: &str) {
        self.printer.print(output::shown(text).into_owned());
    }

    /// Until all that was told is printed; a reader that is stuck is not waited for.
    pub(crate) fn settle(&self) {
        self.printer.settle(LAST_LINES);
    }

    /// Whether a lasting state is new.
    fn is_news(&self, record: &TickRecord) -> bool {
        let state = match record.ending {
            Ending::Acted | Ending::Failed => String::new(),
            Ending::Quiet if record.findings.is_empty() && record.failures.is_empty() => "quiet".to_owned(),
            ending => format!(
                "{ending:?} {:?} {:?} {:?} {:?}",
                record.gate.as_ref().map(|gate| &gate.gate),
                record
                    .findings
                    .iter()
                    .map(|found| (&found.said.code, &found.said.target))
                    .collect::<Vec<_>>(),
                record.failures.iter().map(|failed| &failed.by.name).collect::<Vec<_>>(),
                record.decision.as_ref().map(|decision| decision.said.proposal.action.to_string()),
            ),
        };
        let mut told = self.told.lock();
        let before = told.remove(record.session.as_ref());
        // Ticks that are not told of were quiet.
        let same = before.is_some_and(|(tick, before)| tick + 1 == record.tick && before == state);
        let worth_telling = state != "quiet" && !waits_as_expected(record);
        let news = worth_telling && (state.is_empty() || !same);
        told.insert(record.session.to_string(), (record.tick, state));
        news
    }
}

/// What an entry of the event log tells, for people.
pub(crate) fn happened_text(happened: &Happened) -> String {
    match happened {
        Happened::Tick(record) => tick_text(record),
        Happened::Concluded(action) => conclusion_text(action),
        Happened::Event(event) => event_text(event),
        Happened::Reload(reload) => reload_text(reload),
        Happened::Warning(warning) => {
            format!("{WARN}warning:{WARN:#} {}", tame_to(2_000, &warning.message))
        }
    }
}

/// What happened to the loop itself, in a line.
pub(crate) fn event_text(record: &EventRecord) -> String {
    let (style, text) = match &record.event {
        Event::Halted { why, by } => (WARN, format!("halted{}: {why}", by_whom(by.as_ref()))),
        Event::Resumed { why, by } if why.is_empty() => (GOOD, format!("resumed{}", by_whom(by.as_ref()))),
        Event::Resumed { why, by } => (GOOD, format!("resumed{}: {why}", by_whom(by.as_ref()))),
        Event::Frozen { why } => (BAD, format!("frozen: {why}")),
        Event::ApprovalAsked(question) => {
            (WARN, format!("a person is asked {}: may \"{}\" happen?", question.id, question.action))
        }
        Event::ApprovalGiven { id, by } => (GOOD, format!("{} says yes to {id}", whoever(by.as_ref()))),
        Event::ApprovalDenied { id, why, by } => {
            (WARN, format!("{} says no to {id}: {why}", whoever(by.as_ref())))
        }
        Event::ApprovalExpired { id, why } => (WARN, format!("the question {id} stands no more: {why}")),
        Event::Reconciled { action, outcome, note } => {
            (WARN, format!("action {action} was left open and is {}: {note}", outcome.name()))
        }
        Event::Escalated { fault, step, why } => (WARN, format!("{fault} is at step {step}: {why}")),
        Event::Forgotten { learned, by } => {
            (WARN, format!("what was learnt of {learned} is forgotten{}", by_whom(by.as_ref())))
        }
        Event::Notified(notice) => (WARN, format!("! {} ({})", notice.message, notice.code)),
    };
    format!(
        "{} {style}{}{style:#}",
        head(record.at, record.session.as_deref().unwrap_or("host")),
        // A notice ends with the command that answers it.
        tame_to(LONGEST_NOTICE, &text)
    )
}

/// A person, where the kernel told who asked; an earlier version did not look.
fn by_whom(by: Option<&Caller>) -> String {
    by.map(|by| format!(" by a person ({by})")).unwrap_or_default()
}

fn whoever(by: Option<&Caller>) -> String {
    by.map_or_else(|| "somebody".to_owned(), |by| format!("a person ({by})"))
}

/// After each decision the loop waits for a while; that it does so is no news.
fn waits_as_expected(record: &TickRecord) -> bool {
    record.ending == Ending::Held
        && record.gate.as_ref().is_some_and(|gate| {
            matches!(gate.gate.as_str(), "applying" | "cooldown" | "settling" | "approval")
        })
}

/// The time of day, UTC.
pub(crate) fn clock(at: UnixMillis) -> String {
    let of_day = at % 86_400_000;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        of_day / 3_600_000,
        of_day / 60_000 % 60,
        of_day / 1_000 % 60,
        of_day % 1_000
    )
}

/// Text from outside, fit for a line on a terminal: escaped, and not too long.
pub(crate) fn tame(text: &str) -> String {
    tame_to(240, text)
}

/// The same, with at most so many characters of it. Commands that a person is told to type are never cut, wherever
/// in the text they stand.
pub(crate) fn tame_to(longest: usize, text: &str) -> String {
    printable(&shortened(longest, text)).into_owned()
}

/// What begins a command in a message; a backtick ends it.
const COMMAND: &str = "`flyball ";

/// A command that is longer than this was not written by us.
const LONGEST_COMMAND: usize = 600;

fn shortened(longest: usize, text: &str) -> Cow<'_, str> {
    let Some((cut, _)) = text.char_indices().nth(longest) else { return Cow::Borrowed(text) };
    let mut short = text.get(..cut).unwrap_or_default().to_owned();
    let mut behind = 0;
    for (begin, _) in text.match_indices(COMMAND) {
        let Some(length) = text.get(begin + 1..).and_then(|rest| rest.find('`')) else { break };
        let end = begin + length + 2;
        if begin < behind || end <= cut || length > LONGEST_COMMAND {
            continue;
        }
        match text.get(cut..begin) {
            Some(_) => short.push_str("… "),
            // The cut goes through it.
            None => short.truncate(begin),
        }
        short.push_str(text.get(begin..end).unwrap_or_default());
        behind = end;
    }
    short.push('…');
    Cow::Owned(short)
}

fn head(at: UnixMillis, session: &str) -> String {
    format!("{DIM}{}{DIM:#} {STRONG}{}{STRONG:#}", clock(at), printable(session))
}

fn tick_text(record: &TickRecord) -> String {
    let mut lines = vec![format!(
        "{} tick {}, generation {}",
        head(record.at, &record.session),
        record.tick,
        record.generation
    )];
    lines.extend(record.findings.iter().map(finding_text));
    lines.extend(record.failures.iter().map(|failed| {
        format!("  {BAD}✗{BAD:#} {} {} failed: {}", failed.kind, failed.by.name, tame(&failed.error))
    }));
    if let Some(gate) = &record.gate {
        lines.push(format!("  {DIM}held by {}: {}{DIM:#}", gate.gate, tame(&gate.message)));
    }
    if let Some(decision) = &record.decision {
        let proposal = &decision.said.proposal;
        lines.push(format!(
            "  {STRONG}→ {}{STRONG:#} {DIM}{}:{DIM:#} {}",
            tame(&proposal.action.to_string()),
            decision.by.name,
            tame(&proposal.reason)
        ));
    }
    lines.extend(verdict_lines(&record.verdicts));
    if let Some(action) = record.action.as_ref().filter(|_| record.ending == Ending::Applying) {
        lines.push(format!("  {GOOD}={GOOD:#} action {} {DIM}under way{DIM:#}", action.id));
    } else if let Some(action) = &record.action {
        lines.push(format!(
            "  {GOOD}={GOOD:#} action {} {}{}",
            action.id,
            outcome_text(action.outcome),
            note_text(action)
        ));
    }
    if record.ending == Ending::Proposed {
        lines.push(format!("  {WARN}proposed only: nothing was done{WARN:#}"));
    }
    if record.ending == Ending::Undecided {
        lines.push(format!("  {WARN}no decider had an answer{WARN:#}"));
        let abstained = record.answers.iter().filter(|answer| answer.said == DeciderSaid::Abstains);
        lines.extend(
            abstained.map(|one| format!("  {DIM}{} abstains: {}{DIM:#}", one.decider(), tame(&one.why))),
        );
    }
    if let Some(error) = &record.error {
        lines.push(format!("  {BAD}{}{BAD:#}", tame(error)));
    }
    lines.join("\n")
}

fn finding_text(found: &Attributed<Finding>) -> String {
    let style = match found.said.severity {
        Severity::Info => DIM,
        Severity::Warning => WARN,
        Severity::Critical => BAD,
    };
    format!(
        "  {style}●{style:#} {} {DIM}{}, {}{DIM:#}",
        tame(&found.said.message),
        tame(&found.said.code),
        found.by.name
    )
}

/// Those that agree, in a line; those that do not, each with its reason.
fn verdict_lines(verdicts: &[VerdictRecord]) -> Vec<String> {
    let mut allowing = Vec::new();
    let mut lines = Vec::new();
    for record in verdicts {
        let who = match &record.within {
            Some(group) => format!("{} in {}", record.by.name, tame(group)),
            None => record.by.name.to_string(),
        };
        let (mark, reason) = match &record.verdict {
            Verdict::Allow => {
                if !allowing.contains(&who) {
                    allowing.push(who);
                }
                continue;
            }
            Verdict::Deny(reason) => ("denies", reason),
            Verdict::Ask(reason) => ("wants a person to say", reason),
            Verdict::Amend(amendment) => ("amends", &amendment.reason),
        };
        lines.push(format!(
            "  {WARN}✗ {} {mark}:{WARN:#} {} {DIM}{}{DIM:#}",
            who,
            tame(&reason.message),
            tame(&reason.code)
        ));
    }
    if !allowing.is_empty() {
        lines.insert(0, format!("  {GOOD}✓{GOOD:#} {DIM}allowed by {}{DIM:#}", allowing.join(", ")));
    }
    lines
}

fn conclusion_text(action: &ActionRecord) -> String {
    format!(
        "{} action {} ({}) {}{}",
        head(action.settled_at.unwrap_or(action.at), &action.session),
        action.id,
        tame(&action.proposal.action.to_string()),
        outcome_text(action.outcome),
        note_text(action)
    )
}

fn note_text(action: &ActionRecord) -> String {
    action.note.as_ref().map(|note| format!(": {}", tame(note))).unwrap_or_default()
}

fn outcome_text(outcome: Outcome) -> String {
    let style = match outcome {
        Outcome::Verified | Outcome::RolledBack => GOOD,
        Outcome::Accepted | Outcome::Effective => Style::new(),
        Outcome::Unknown | Outcome::Ineffective | Outcome::Rejected => WARN,
        Outcome::Worse | Outcome::RollbackFailed | Outcome::Failed => BAD,
    };
    format!("{style}{}{style:#}", outcome.name())
}

fn reload_text(reload: &ReloadRecord) -> String {
    let what = tame(&reload.what.join(", "));
    let mut lines = vec![match reload.generation {
        Some(_) if reload.sessions.is_empty() => format!(
            "{} {what}; every session is judged as before {DIM}({:.1} ms){DIM:#}",
            head(reload.at, "reload"),
            reload.took_ms
        ),
        Some(generation) => format!(
            "{} {GOOD}generation {generation}{GOOD:#} judges {}: {what} {DIM}({:.1} ms){DIM:#}",
            head(reload.at, "reload"),
            reload.sessions.join(", "),
            reload.took_ms
        ),
        None => {
            format!("{} {WARN}{what} changed; the last good one goes on{WARN:#}", head(reload.at, "reload"))
        }
    }];
    let errors = reload.errors.iter().map(|error| printable_lines(error).replace('\n', "\n      "));
    lines.extend(errors.map(|error| format!("  {BAD}✗{BAD:#} {error}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use flyball_model::is_hidden;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A tick on which something was found and an action had come to this.
    fn tick(tick: u64, ending: &str, outcome: &str) -> TickRecord {
        let by = json!({ "name": "rules", "version": "1", "digest": "d" });
        let action = json!({
            "id": 7, "session": "shop", "tick": 1, "generation": 1, "at": 1,
            "proposal": { "action": { "kind": "restart-process", "node": "map" }, "reason": "it failed" },
            "decided_by": by, "judged_by": [], "findings": [], "before": { "nodes": [], "edges": [] },
            "outcome": outcome,
        });
        let found = json!({
            "by": by, "code": "node-failed", "severity": "critical", "target": "map", "message": "it failed",
        });
        let tick = json!({
            "session": "shop", "tick": tick, "at": tick, "generation": 1, "ending": ending, "took_ns": 1,
            "findings": [found], "checks": [], "gates": [], "failures": [], "answers": [], "verdicts": [],
            "costs": [], "action": action,
        });
        serde_json::from_value(tick).unwrap()
    }

    fn plain(record: &TickRecord) -> String {
        anstream::adapter::strip_str(&tick_text(record)).to_string()
    }

    #[test]
    fn an_action_that_the_data_plane_takes_its_time_for_is_told_as_under_way() {
        let under_way = plain(&tick(1, "applying", "unknown"));
        assert!(under_way.ends_with("= action 7 under way"), "{under_way}");
        let done = plain(&tick(2, "acted", "effective"));
        assert!(done.ends_with("= action 7 effective"), "{done}");
    }

    #[test]
    fn what_lasts_is_told_once_and_again_after_a_quiet_tick() {
        let narrator = Narrator::new(Form::Silent, MultiProgress::new());
        let mut held = tick(1, "undecided", "unknown");
        held.action = None;
        let mut is_told = |tick: u64| {
            held.tick = tick;
            narrator.is_news(&held)
        };
        assert!(is_told(1));
        assert!(!is_told(2), "it lasts");
        assert!(is_told(4), "the third tick is no entry of the log, so it was quiet");
        assert!(!is_told(5));
    }

    #[test]
    fn a_command_in_a_message_is_never_cut() {
        let why = "the reason of a plugin that talks a lot ".repeat(20);
        let command = "`flyball approve 0123456789abcdef`";
        let told = tame(&format!("{why}; {command}; expires in 5 minutes"));
        assert!(told.contains(command) && told.len() < 400, "{told}");
        let told = tame(&format!("{}{command} or {command}", "x".repeat(230)));
        assert_eq!(told.matches(command).count(), 2, "the cut went through it: {told}");
        assert_eq!(tame(command), command);
        let flood = format!("{}`flyball {}`", "x".repeat(300), "y".repeat(5_000));
        assert!(tame(&flood).len() < 400, "what is no command of ours is cut");
    }

    proptest! {
        #[test]
        fn whatever_is_tamed_stands_on_one_line_and_is_not_long(text in "(?s).{0,600}", longest in 1..300_usize) {
            let told = tame_to(longest, &text);
            prop_assert!(!told.chars().any(is_hidden), "{told:?}");
            let shown = text.chars().take(longest).map(|letter| printable(&letter.to_string()).len()).sum::<usize>();
            prop_assert!(text.contains(COMMAND) || told.len() <= shown + '…'.len_utf8(), "{told:?}");
        }
    }
}
