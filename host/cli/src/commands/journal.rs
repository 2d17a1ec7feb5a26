use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use flyball_host::{StateDir, open_history};
use flyball_model::{ActionRecord, Outcome, TickRecord, UnixMillis};
use flyball_ports::{ActionFilter, EventFilter, TickFilter};
use flyball_store::{Head, Reader, TakenOver};
use serde_json::Value;

use crate::args::{Places, duration};
use crate::commands::denials;
use crate::commands::recordings::ago;
use crate::exit::Failure;
use crate::narrator::{clock, event_text, tame};
use crate::output::{json, json_value, outln};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct JournalOptions {
    #[command(subcommand)]
    pub(crate) command: Option<JournalCommand>,

    /// Only this session's
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Only actions on this node
    #[arg(long, value_name = "NODE", conflicts_with_all = ["ticks", "events"])]
    pub(crate) node: Option<String>,

    /// Only actions that came to this: verified, ineffective, worse, unknown, failed, rolled-back…
    #[arg(long, value_name = "OUTCOME", value_parser = outcome, conflicts_with_all = ["ticks", "events"])]
    pub(crate) outcome: Option<Outcome>,

    /// Only what this plugin decided or judged
    #[arg(long, value_name = "NAME", conflicts_with = "events")]
    pub(crate) plugin: Option<String>,

    /// Only what happened in this last time: 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) since: Option<Duration>,

    /// Ticks on which something was found, instead of actions
    #[arg(long)]
    pub(crate) ticks: bool,

    /// What people and guards did to the loop itself (halts, approvals, notices), instead of actions
    #[arg(long, conflicts_with = "ticks")]
    pub(crate) events: bool,

    /// At most this many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,

    /// Print JSON lines, whole
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Take a journal of version 1 over, which has no chain yet
    ///
    /// A host does not do so by itself: nothing shows whether such a file was altered since it was written. What is taken over
    /// stays as it is, and `journal verify` says ever after how many rows were. Do it only if you know where the file is from.
    Migrate,
    /// Hold everything in the journal against its hash chain, also while a host runs
    ///
    /// Each fault is a line. What the chain cannot tell by itself is that someone who may write the file wrote all of it
    /// anew: keep the head that is printed where they cannot write, and name it the next time. Heads also go out with each
    /// notice (--notify) and stand in each report.
    Verify {
        /// A head that an earlier verification printed: say whether everything up to it is still there
        #[arg(long, value_name = "HASH")]
        head: Option<Head>,

        /// Print JSON lines: each fault, and at the end what it came to
        #[arg(long)]
        json: bool,
    },
}

fn outcome(text: &str) -> Result<Outcome, serde_json::Error> {
    serde_json::from_value(Value::String(text.to_owned()))
}

pub(crate) fn run(places: &Places, options: &JournalOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    if let Some(JournalCommand::Migrate) = &options.command {
        return migrate(&state);
    }
    if let Some(JournalCommand::Verify { head, json }) = &options.command {
        return verify(&Reader::open(state.path()).map_err(anyhow::Error::from)?, *head, *json);
    }
    let history = open_history(&state).map_err(anyhow::Error::from)?;
    let JournalOptions { session, plugin, limit, .. } = options;
    let (session, plugin, limit, since) = (session.clone(), plugin.clone(), *limit, options.since.map(ago));
    if options.ticks {
        let filter = TickFilter { session, plugin, since, limit, ..TickFilter::default() };
        let ticks = history.ticks(&filter).map_err(anyhow::Error::from)?;
        print(&ticks, options.json, tick_line)
    } else if options.events {
        let filter = EventFilter { session, since, limit, ..EventFilter::default() };
        let events = history.events(&filter).map_err(anyhow::Error::from)?;
        print(&events, options.json, event_text)
    } else {
        let (node, outcome) = (options.node.clone(), options.outcome);
        let everything = !options.json && node.is_none() && outcome.is_none();
        let denied =
            TickFilter { session: session.clone(), plugin: plugin.clone(), since, ..TickFilter::default() };
        let filter = ActionFilter { session, node, outcome, plugin, since, limit, ..ActionFilter::default() };
        let actions = history.actions(&filter).map_err(anyhow::Error::from)?;
        if !everything {
            return print(&actions, options.json, action_line);
        }
        print_with_denials(&actions, denials::lines(&*history, denied, limit)?, limit);
        Ok(())
    }
}

/// Actions and what guards said no to, oldest first.
fn print_with_denials(newest_first: &[ActionRecord], denied: Vec<(UnixMillis, String)>, limit: usize) {
    let mut lines: Vec<(UnixMillis, String)> =
        newest_first.iter().rev().map(|action| (action.at, action_line(action))).chain(denied).collect();
    lines.sort_by_key(|(at, _)| *at);
    if lines.is_empty() {
        outln!("the journal has nothing of that");
    }
    let older = lines.len().saturating_sub(limit);
    lines.iter().skip(older).for_each(|(_, line)| outln!("{line}"));
}

/// The day and the time, UTC; a number where no clock shows it.
fn date(at: UnixMillis) -> String {
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(at));
    match time.filter(|_| at < YEAR_9999) {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        None => format!("{at} ms since 1970"),
    }
}

/// The last that has a date, in milliseconds.
const YEAR_9999: UnixMillis = 253_000_000_000_000;

/// A person says that the file is theirs.
fn migrate(state: &StateDir) -> Result<(), Failure> {
    let migrated = flyball_store::migrate(state.path()).map_err(anyhow::Error::from)?;
    outln!(
        "{} rows are taken over as they were; whether they were altered before nobody can tell, and \
         `flyball journal verify` says so from now on\nhead {}",
        migrated.rows,
        migrated.head
    );
    Ok(())
}

/// Each fault as it is found; at the end the head, which is worth keeping only when there was none.
fn verify(reader: &Reader, expected: Option<Head>, as_json: bool) -> Result<(), Failure> {
    let verified = reader
        .verify(expected, |fault| {
            if as_json {
                let message = fault.to_string();
                json_value(&serde_json::json!({ "fault": fault, "message": message }));
            } else {
                outln!("{}", tame(&fault.to_string()));
            }
        })
        .map_err(anyhow::Error::from)?;
    if as_json {
        json_value(&serde_json::json!({ "verified": verified }));
    }
    if verified.faults > 0 {
        let faults =
            if verified.faults == 1 { "1 fault".to_owned() } else { format!("{} faults", verified.faults) };
        return Err(
            anyhow!("the journal is not as it was written: {faults}; keep a copy of it as it is").into()
        );
    }
    if !as_json {
        let holds = expected.map_or_else(String::new, |head| format!(", and holds all up to {head}"));
        outln!(
            "the journal is as it was written, {} entries{holds}\nhead {}",
            verified.entries,
            verified.head
        );
        if let Some(TakenOver { rows, at }) = verified.taken_over {
            outln!(
                "{rows} rows were taken over from a journal without a chain on {}: of them it is known only that they are \
                 as they were then",
                date(at)
            );
        }
    }
    Ok(())
}

/// Oldest first, as one reads a log.
fn print<T: serde::Serialize>(
    newest_first: &[T],
    as_json: bool,
    line: fn(&T) -> String,
) -> Result<(), Failure> {
    for record in newest_first.iter().rev() {
        if as_json {
            json(record)?;
        } else {
            outln!("{}", line(record));
        }
    }
    if newest_first.is_empty() && !as_json {
        outln!("the journal has nothing of that");
    }
    Ok(())
}

fn action_line(action: &ActionRecord) -> String {
    let findings: Vec<_> = action.findings.iter().map(|finding| finding.code.as_str()).collect();
    let state = if action.settled_at.is_none() { "open" } else { action.outcome.name() };
    let undoes = action.undoes.map(|undone| format!(", undoes {undone}")).unwrap_or_default();
    format!(
        "{:>5}  {}  {}  {}  {state}{undoes}\n       for {}, decided by {}, generation {}{}",
        action.id,
        clock(action.at),
        tame(&action.session),
        tame(&action.proposal.action.to_string()),
        if findings.is_empty() { "no finding".to_owned() } else { tame(&findings.join(", ")) },
        action.decided_by.name,
        action.generation,
        action.note.as_ref().map(|note| format!("\n       {}", tame(note))).unwrap_or_default()
    )
}

fn tick_line(tick: &TickRecord) -> String {
    let findings: Vec<_> = tick
        .findings
        .iter()
        .map(|found| match &found.said.target {
            Some(target) => format!("{} at {target}", found.said.code),
            None => found.said.code.clone(),
        })
        .collect();
    let why =
        tick.gate.as_ref().map(|gate| format!(" by {}: {}", gate.gate, gate.message)).unwrap_or_default();
    format!(
        "{:>7}  {}  {}  {:?}{}  {}",
        tick.tick,
        clock(tick.at),
        tame(&tick.session),
        tick.ending,
        tame(&why),
        tame(&findings.join(", "))
    )
}
