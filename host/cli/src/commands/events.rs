//! `flyball events`: the numbered log of everything that happens, from any number on, also while a host writes it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use flyball_model::{EntryNumber, LogEntry, printable_path};
use flyball_ports::EventStore as _;
use flyball_store::EventEntries;

use crate::args::Places;
use crate::exit::Failure;
use crate::narrator::happened_text;
use crate::output::{json, outln};

#[derive(Debug, Args)]
pub(crate) struct EventsOptions {
    /// Begin after this entry; 0.0 is the beginning [default: before the newest]
    #[arg(long, value_name = "RUN.PLACE")]
    pub(crate) after: Option<EntryNumber>,

    /// Only this session's
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Only these kinds: tick, concluded, event, reload, warning
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) what: Vec<EventKind>,

    /// At most this many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, conflicts_with = "follow")]
    pub(crate) limit: usize,

    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Print JSON lines, whole
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which entries of the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventKind {
    /// Ticks on which something was found, decided, done or failed
    Tick,
    /// What came of actions
    Concluded,
    /// What people and guards did to the loop itself
    Event,
    /// Changes of policies and plugins
    Reload,
    /// What is missing between sessions, policies and plugins
    Warning,
}

/// Entries that are read at once.
const PAGE: usize = 256;
/// How often it is looked whether there are more.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) fn run(places: &Places, options: &EventsOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let entries = EventEntries::look_at(state.path()).map_err(anyhow::Error::from)?.ok_or_else(|| {
        anyhow!(
            "no host has kept events in {}; start one with `flyball run`, or name its directory with --state DIR",
            printable_path(state.path())
        )
    })?;
    let mut at = match (options.after, options.follow) {
        (Some(after), _) => after,
        (None, true) => newest(&entries)?,
        (None, false) => return show(&last(&entries, options)?, options),
    };
    let mut left = if options.follow { usize::MAX } else { options.limit };
    loop {
        let page = entries.read(at, PAGE).map_err(anyhow::Error::from)?;
        let Some(last) = page.last().map(|entry| entry.number) else {
            if !options.follow {
                return Ok(());
            }
            thread::sleep(LOOK);
            continue;
        };
        at = last;
        let wanted: Vec<_> = page.into_iter().filter(|entry| is_wanted(entry, options)).take(left).collect();
        left -= wanted.len();
        show(&wanted, options)?;
        if left == 0 {
            return Ok(());
        }
    }
}

fn newest(entries: &EventEntries) -> Result<EntryNumber, Failure> {
    Ok(entries.newest().map_err(anyhow::Error::from)?.unwrap_or_default())
}

/// The newest that are wanted.
fn last(entries: &EventEntries, options: &EventsOptions) -> Result<VecDeque<Arc<LogEntry>>, Failure> {
    let mut at = EntryNumber::default();
    let mut kept = VecDeque::new();
    loop {
        let page = entries.read(at, PAGE).map_err(anyhow::Error::from)?;
        let Some(last) = page.last() else { return Ok(kept) };
        at = last.number;
        kept.extend(page.into_iter().filter(|entry| is_wanted(entry, options)));
        kept.drain(..kept.len().saturating_sub(options.limit));
    }
}

fn is_wanted(entry: &LogEntry, options: &EventsOptions) -> bool {
    let kind = |kind: &EventKind| {
        kind.to_possible_value().is_some_and(|kind| kind.get_name() == entry.happened.name())
    };
    (options.what.is_empty() || options.what.iter().any(kind))
        && options.session.as_deref().is_none_or(|session| entry.happened.session() == Some(session))
}

fn show<'a>(
    entries: impl IntoIterator<Item = &'a Arc<LogEntry>>,
    options: &EventsOptions,
) -> Result<(), Failure> {
    for entry in entries {
        if options.json {
            json(entry.as_ref())?;
        } else {
            outln!("{} {}", entry.number, happened_text(&entry.happened));
        }
    }
    Ok(())
}
