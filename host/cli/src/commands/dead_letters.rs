//! `flyball dead-letters`: the items that failed for good, with where, when and why. It reads the file that a run writes, a line at a time,
//! also while it is written.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use flyball_model::{UnixMillis, printable_path};
use flyball_nodes::Json;
use serde::{Deserialize, Serialize};

use crate::args::{Places, duration};
use crate::commands::recordings::ago;
use crate::exit::Failure;
use crate::narrator::{clock, tame, tame_to};
use crate::output::{errln, json, outln};

/// A line is an item and what is said of it; no item is nearly so long.
const LONGEST_LINE: u64 = 64 << 20;
/// What a list shows of an item.
const SHOWN_OF_ITEM: usize = 80;

#[derive(Debug, Args)]
pub(crate) struct DeadLettersOptions {
    #[command(subcommand)]
    command: DeadLettersCommand,

    /// The file [default: dead-letters.jsonl in the state directory]
    #[arg(long, value_name = "FILE", global = true)]
    file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// List them, the newest last, and how many failed at each node
    List {
        /// Only those of this node
        #[arg(long, value_name = "NODE")]
        node: Option<String>,

        /// Only those of this last time: 10m, 1h
        #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
        since: Option<Duration>,

        /// At most this many, the newest
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        limit: usize,

        /// Print JSON lines, whole
        #[arg(long)]
        json: bool,
    },
    /// Show one, whole
    Show {
        /// Its number in the list
        #[arg(value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
        number: u64,

        /// Print the item alone, as JSON
        #[arg(long)]
        item: bool,
    },
}

/// One line of the file.
#[derive(Deserialize, Serialize)]
struct Letter {
    /// Its line, from 1.
    #[serde(default)]
    number: u64,
    item: Json,
    node: String,
    error: String,
    at: UnixMillis,
}

pub(crate) fn run(places: &Places, options: &DeadLettersOptions) -> Result<(), Failure> {
    let file = match &options.file {
        Some(file) => file.clone(),
        None => places.state_dir()?.dead_letters(),
    };
    match &options.command {
        DeadLettersCommand::List { node, since, limit, json } => {
            let since = since.map(ago);
            let wanted = |letter: &Letter| {
                node.as_ref().is_none_or(|node| *node == letter.node)
                    && since.is_none_or(|since| letter.at >= since)
            };
            list(&file, wanted, *limit, *json)
        }
        DeadLettersCommand::Show { number, item } => show(&file, *number, *item),
    }
}

fn list(file: &Path, wanted: impl Fn(&Letter) -> bool, limit: usize, as_json: bool) -> Result<(), Failure> {
    let mut newest = VecDeque::new();
    let mut at_nodes: BTreeMap<String, u64> = BTreeMap::new();
    let no_letters = each(file, |letter| {
        if wanted(&letter) {
            *at_nodes.entry(letter.node.clone()).or_default() += 1;
            newest.push_back(letter);
        }
        if newest.len() > limit {
            newest.pop_front();
        }
        true
    })?;
    for letter in &newest {
        if as_json {
            json(letter)?;
        } else {
            let item = String::from_utf8_lossy(&letter.item.to_bytes()).into_owned();
            let (node, error) = (tame(&letter.node), tame(&letter.error));
            outln!(
                "{:>6}  {}  {node}: {error}\n        {}",
                letter.number,
                clock(letter.at),
                tame_to(SHOWN_OF_ITEM, &item)
            );
        }
    }
    if !as_json {
        let nodes: Vec<String> =
            at_nodes.iter().map(|(node, count)| format!("{count} at {}", tame(node))).collect();
        outln!("{}", if nodes.is_empty() { "no dead letters".to_owned() } else { nodes.join(", ") });
    }
    if no_letters > 0 {
        errln!("lines of {} that are no dead letters: {no_letters}", printable_path(file));
    }
    Ok(())
}

fn show(file: &Path, number: u64, item_alone: bool) -> Result<(), Failure> {
    let mut found = None;
    each(file, |letter| {
        if letter.number == number {
            found = Some(letter);
        }
        found.is_none()
    })?;
    let path = printable_path(file);
    let Some(letter) = found else {
        let why = format!(
            "{path} has no dead letter {number}; `flyball dead-letters list` shows those that there are"
        );
        return Err(anyhow!(why).into());
    };
    if item_alone {
        return json(&letter.item);
    }
    outln!("at {}, in {}", clock(letter.at), tame(&letter.node));
    outln!("{}", tame_to(usize::MAX, &letter.error));
    json(&letter.item)
}

/// Every letter, oldest first, until `next` wants no more. How many lines are none.
fn each(file: &Path, mut next: impl FnMut(Letter) -> bool) -> Result<u64, Failure> {
    let cannot = || format!("cannot read the dead letters {}", printable_path(file));
    let mut reader = match File::open(file) {
        Ok(file) => BufReader::new(file),
        // A run makes it when the first item fails.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(anyhow::Error::from(error).context(cannot()).into()),
    };
    let (mut line, mut no_letters) = (Vec::new(), 0);
    for number in 1.. {
        line.clear();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).with_context(cannot)?;
        if u64::try_from(line.len()).is_ok_and(|length| length >= LONGEST_LINE) {
            let why = format!(
                "its line {number} is longer than {} MiB, which no dead letter is",
                LONGEST_LINE >> 20
            );
            return Err(anyhow!(why).context(cannot()).into());
        }
        // The last one may be half written.
        if line.last() != Some(&b'\n') {
            break;
        }
        let Ok(letter) = serde_json::from_slice::<Letter>(&line) else {
            no_letters += 1;
            continue;
        };
        if !next(Letter { number, ..letter }) {
            break;
        }
    }
    Ok(no_letters)
}
