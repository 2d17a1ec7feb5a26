//! `flyball learned`: what came of actions so far, which orders what deciders try, and forgetting it. Listed from the journal, from which a
//! host that runs has it, too; forgotten by the host that runs, or in the journal that the next one reads.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use clap::{Args, Subcommand};
use flyball_host::{ControlRequest, ForgottenCount, RequestResult, ask};
use flyball_model::{ActionKind, Event, Learned, LearnedFilter, UnixMillis, printable};
use flyball_ports::{Clock, SystemClock};
use flyball_store::Reader;
use serde::Serialize;

use crate::args::Places;
use crate::commands::halt::{journal, me};
use crate::exit::Failure;
use crate::output::{json_pretty, outln};

#[derive(Debug, Args)]
pub(crate) struct LearnedOptions {
    #[command(subcommand)]
    command: LearnedCommand,
}

#[derive(Debug, Subcommand)]
enum LearnedCommand {
    /// List what came of each kind of action against each finding on each program, and what that weighs now
    ///
    /// The weight orders what deciders try: above nothing it is tried earlier than others, below nothing later. It halves each hour.
    List {
        #[command(flatten)]
        which: Which,

        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget some of it, or all; a running host forgets it at once
    Forget {
        #[command(flatten)]
        which: Which,

        /// Forget all of it
        #[arg(long, conflicts_with_all = ["kind", "finding", "node_type", "program"])]
        all: bool,
    },
}

/// Which of it is meant.
#[derive(Debug, Args)]
struct Which {
    /// Only of this kind of action, as restart-process
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<ActionKind>,

    /// Only against findings of this code
    #[arg(long, value_name = "CODE")]
    finding: Option<String>,

    /// Only on nodes of this type
    #[arg(long, value_name = "TYPE")]
    node_type: Option<String>,

    /// Only on this program, as it is listed
    #[arg(long, value_name = "PROGRAM")]
    program: Option<String>,
}

impl Which {
    fn filter(&self) -> LearnedFilter {
        LearnedFilter {
            finding: self.finding.clone(),
            kind: self.kind,
            node_type: self.node_type.clone(),
            program: self.program.clone(),
        }
    }
}

fn kind(word: &str) -> Result<ActionKind, String> {
    let known = || ActionKind::ALL.map(ActionKind::name).join(", ");
    ActionKind::ALL
        .into_iter()
        .find(|kind| kind.name() == word)
        .ok_or_else(|| format!("there is no such kind of action; there are: {}", known()))
}

/// A line of the list.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    learned: Learned,
    /// What it weighs now.
    weight: f64,
}

pub(crate) fn run(places: &Places, options: &LearnedOptions) -> Result<(), Failure> {
    match &options.command {
        LearnedCommand::List { which, json } => list(places, &which.filter(), *json),
        LearnedCommand::Forget { which, all } => forget(places, which.filter(), *all),
    }
}

/// What the journal has of it.
fn read(places: &Places, filter: &LearnedFilter) -> Result<Vec<Learned>, Failure> {
    let state = places.state_dir()?;
    let reader = Reader::open(state.path()).map_err(anyhow::Error::from)?;
    let mut learned = reader.learned().map_err(anyhow::Error::from)?;
    learned.retain(|one| filter.matches(one));
    Ok(learned)
}

fn list(places: &Places, filter: &LearnedFilter, json: bool) -> Result<(), Failure> {
    let now = SystemClock.now();
    let listed = |learned: Learned| Listed { weight: learned.weight(now), learned };
    let all: Vec<Listed> = read(places, filter)?.into_iter().map(listed).collect();
    if json {
        return json_pretty(&all);
    }
    if all.is_empty() {
        outln!("nothing of that was learnt");
        return Ok(());
    }
    outln!(
        "{:<20} {:<20} {:<16} {:<32} {:>6} {:>7} {:<20} {:>6}",
        "KIND",
        "FINDING",
        "NODE TYPE",
        "PROGRAM",
        "HELPED",
        "IN VAIN",
        "LAST",
        "WEIGHT"
    );
    all.iter().for_each(|one| outln!("{}", line(one)));
    Ok(())
}

fn line(Listed { learned, weight }: &Listed) -> String {
    let of = |text: &Option<String>| printable(text.as_deref().unwrap_or("-")).into_owned();
    format!(
        "{:<20} {:<20} {:<16} {:<32} {:>6} {:>7} {:<20} {weight:>+6.2}",
        learned.kind,
        printable(&learned.finding),
        of(&learned.node_type),
        of(&learned.program),
        learned.verified,
        learned.in_vain(),
        date(learned.newest),
    )
}

fn date(at: UnixMillis) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(at)).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}

fn forget(places: &Places, filter: LearnedFilter, all: bool) -> Result<(), Failure> {
    if !all && filter == LearnedFilter::default() {
        let none = "say what to forget, by --kind, --finding, --node-type or --program, or --all";
        return Err(anyhow::anyhow!(none).into());
    }
    let state = places.state_dir()?;
    let request = ControlRequest::Forget { learned: filter.clone() };
    let answer = match ask(&state, &request)? {
        RequestResult::NoHost => {
            let forgotten = read(places, &filter)?.len();
            journal(&state, None, Event::Forgotten { learned: filter, by: Some(me()) })?;
            // One that began meanwhile may have read the journal before this was in it.
            if let RequestResult::Unreachable(why) = ask(&state, &request)? {
                return Err(Failure::NoHost(why));
            }
            return say_forgotten(forgotten);
        }
        RequestResult::Unreachable(why) => {
            return Err(Failure::NoHost(format!("{why}. Nothing is forgotten")));
        }
        RequestResult::Answer(answer) => answer,
    };
    let ForgottenCount { forgotten } =
        serde_json::from_value(answer).context("the host's answer is no count")?;
    say_forgotten(forgotten)
}

fn say_forgotten(entries: usize) -> Result<(), Failure> {
    match entries {
        0 => outln!("nothing of that was learnt, so nothing is forgotten"),
        1 => outln!("1 entry is forgotten"),
        more => outln!("{more} entries are forgotten"),
    }
    Ok(())
}
