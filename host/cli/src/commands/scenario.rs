use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::Args;
use flyball_engine::Engine;
use flyball_host::{StateDir, open_engine};
use flyball_model::printable_path;

use crate::args::{Judging, Places};
use crate::exit::Failure;
use crate::output::{json_value, out, outln};
use crate::scenario::{Folder, Played, differences, folders, play};

#[derive(Debug, Args)]
pub(crate) struct ScenarioOptions {
    /// Folders of scenarios, or folders of such folders
    #[arg(required = true, value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) judging: Judging,

    /// Print what happened, tick by tick
    #[arg(long)]
    pub(crate) story: bool,

    /// Keep each scenario's journal in a folder of its name here, for `flyball explain --state DIR/SCENARIO`
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,

    /// Print JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(places: &Places, options: &ScenarioOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    // Each scenario loads the plugins anew: they are compiled once, also where nobody keeps anything.
    let scratch = tempfile::tempdir().context("cannot make a directory for compiled plugins")?;
    let compiled = if state.path().is_dir() { state } else { StateDir::at(scratch.path().to_owned()) };
    let engine = open_engine(&compiled)?;
    let mut failed = 0_usize;
    let mut all = 0_usize;
    let mut gaps = 0_usize;
    for root in &options.dirs {
        for folder in folders(root)? {
            all += 1;
            match one(&folder, &engine, options)? {
                Came::AsExpected => {}
                Came::Otherwise => failed += 1,
                Came::AsKnown => gaps += 1,
            }
        }
    }
    if !options.json {
        let told = if gaps > 0 { format!(", {gaps} known gaps") } else { String::new() };
        outln!("{} of {all} scenarios as expected{told}", all - failed - gaps);
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Said) }
}

/// How a scenario came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    AsExpected,
    Otherwise,
    /// Not as expected, as its folder says.
    AsKnown,
}

fn one(path: &Path, engine: &Engine, options: &ScenarioOptions) -> Result<Came, Failure> {
    let begun = Instant::now();
    let folder = Folder::read(path, &options.judging)?;
    let scratch = tempfile::tempdir().context("cannot make a directory for the journal")?;
    let journal = options.keep.as_ref().map(|kept| kept.join(&folder.name));
    if let Some(kept) = journal.as_ref().filter(|kept| kept.exists()) {
        let message =
            format!("{} is there already; take it away, or name another --keep DIR", printable_path(kept));
        return Err(anyhow!(message).into());
    }
    let played = play(&folder, engine, journal.as_deref().unwrap_or(scratch.path()))?;
    let mut differences = differences(&played, &folder.scenario.expect);
    let came = match (&folder.scenario.known_gap, differences.is_empty()) {
        (None, true) => Came::AsExpected,
        (None, false) => Came::Otherwise,
        (Some(_), false) => Came::AsKnown,
        (Some(gap), true) => {
            differences.push(format!("it comes as expected now; take out its known_gap: {gap}"));
            Came::Otherwise
        }
    };
    if options.json {
        json_value(&as_json(&folder, &played, &differences));
    } else {
        let mark = match came {
            Came::AsExpected => "✓",
            Came::Otherwise => "✗",
            Came::AsKnown => "◌",
        };
        outln!(
            "{mark} {:<40} {} ticks, {} actions, {:.1} s",
            folder.name,
            played.ticks,
            played.actions.len(),
            begun.elapsed().as_secs_f64()
        );
        match &folder.scenario.known_gap {
            Some(gap) if came == Came::AsKnown => outln!("    known gap: {gap}"),
            _ => differences.iter().for_each(|difference| outln!("    {difference}")),
        }
    }
    if options.story {
        out!("{}", played.story);
    }
    Ok(came)
}

fn as_json(folder: &Folder, played: &Played, differences: &[String]) -> serde_json::Value {
    serde_json::json!({
        "scenario": folder.name,
        "about": folder.scenario.about,
        "as_expected": differences.is_empty(),
        "differences": differences,
        "ticks": played.ticks,
        "actions": played.actions,
        "notices": played.notices,
    })
}
