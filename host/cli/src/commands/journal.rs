use anyhow::Context;
use flyball_model::{ActionRecord, TickRecord};
use flyball_store::{ActionFilter, Reader, TickFilter};

use crate::args::{JournalOptions, Places};
use crate::exit::Failure;
use crate::narrator::{clock, tame};
use crate::state_dir::StateDir;

pub(crate) fn run(places: &Places, options: &JournalOptions) -> Result<(), Failure> {
    let state = StateDir::of(places)?;
    let reader = Reader::open(state.path()).map_err(anyhow::Error::from)?;
    if options.ticks {
        let filter =
            TickFilter { session: options.session.clone(), limit: options.limit, ..TickFilter::default() };
        let ticks = reader.ticks(&filter).map_err(anyhow::Error::from)?;
        print(&ticks, options.json, tick_line)
    } else {
        let filter = ActionFilter {
            session: options.session.clone(),
            node: options.node.clone(),
            limit: options.limit,
            ..ActionFilter::default()
        };
        let actions = reader.actions(&filter).map_err(anyhow::Error::from)?;
        print(&actions, options.json, action_line)
    }
}

/// Oldest first, as one reads a log.
fn print<T: serde::Serialize>(
    newest_first: &[T],
    as_json: bool,
    line: fn(&T) -> String,
) -> Result<(), Failure> {
    for record in newest_first.iter().rev() {
        if as_json {
            println!("{}", serde_json::to_string(record).context("cannot write the record")?);
        } else {
            println!("{}", line(record));
        }
    }
    if newest_first.is_empty() && !as_json {
        println!("the journal has nothing of that");
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
