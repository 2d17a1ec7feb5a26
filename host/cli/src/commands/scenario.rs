use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use flyball_engine::Engine;
use serde_json::json;

use crate::args::{Places, ScenarioOptions};
use crate::assembly::open_engine;
use crate::exit::Failure;
use crate::scenario::{Folder, Played, differences, folders, play};
use crate::state_dir::StateDir;

pub(crate) fn run(places: &Places, options: &ScenarioOptions) -> Result<(), Failure> {
    let state = StateDir::of(places)?;
    state.make()?;
    let engine = open_engine(&state)?;
    let mut failed = 0_usize;
    let mut all = 0_usize;
    for root in &options.dirs {
        for folder in folders(root)? {
            all += 1;
            failed += usize::from(!one(&folder, &engine, options)?);
        }
    }
    if !options.json {
        println!("{} of {all} scenarios as expected", all - failed);
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Said) }
}

/// Whether it came as expected.
fn one(path: &Path, engine: &Engine, options: &ScenarioOptions) -> Result<bool, Failure> {
    let begun = Instant::now();
    let folder = Folder::read(path)?;
    let scratch = tempfile::tempdir().context("cannot make a directory for the journal")?;
    let played = play(&folder, engine, scratch.path())?;
    let differences = differences(&played, &folder.scenario.expect);
    if options.json {
        println!("{}", as_json(&folder, &played, &differences));
    } else {
        let mark = if differences.is_empty() { "✓" } else { "✗" };
        println!(
            "{mark} {:<40} {} ticks, {} actions, {:.1} s",
            folder.name,
            played.ticks,
            played.actions.len(),
            begun.elapsed().as_secs_f64()
        );
        for difference in &differences {
            println!("    {difference}");
        }
    }
    if options.story {
        print!("{}", played.story);
    }
    Ok(differences.is_empty())
}

fn as_json(folder: &Folder, played: &Played, differences: &[String]) -> serde_json::Value {
    json!({
        "scenario": folder.name,
        "about": folder.scenario.about,
        "as_expected": differences.is_empty(),
        "differences": differences,
        "ticks": played.ticks,
        "actions": played.actions,
        "notices": played.notices,
    })
}
