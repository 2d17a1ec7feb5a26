use std::time::Duration;

use clap::Args;
use flyball_host::{Figures, Tally, open_history};
use flyball_ports::ActionFilter;

use crate::args::{Places, duration};
use crate::commands::recordings::ago;
use crate::exit::Failure;
use crate::output::{json_pretty, outln};
use crate::tally_text;

#[derive(Debug, Args)]
pub(crate) struct DecidersOptions {
    /// Only in this session
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Only what happened in this last time: 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) since: Option<Duration>,

    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(places: &Places, options: &DecidersOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let history = open_history(&state).map_err(anyhow::Error::from)?;
    let (session, since) = (options.session.clone(), options.since.map(ago));
    let mut tally = Tally::default();
    let mut last_run = None;
    let mut count = |run, tick| {
        if last_run.replace(run).is_some_and(|last| last != run) {
            tally.run_ended();
        }
        tally.tick(&tick);
    };
    history.each_tick(session.as_deref(), since, &mut count).map_err(anyhow::Error::from)?;
    let actions = ActionFilter { session, since, limit: usize::MAX, ..ActionFilter::default() };
    history.actions(&actions).map_err(anyhow::Error::from)?.iter().for_each(|action| tally.concluded(action));
    let figures = tally.figures();
    if options.json {
        json_pretty(&figures)?;
    } else {
        outln!("{}", text(&figures));
    }
    Ok(())
}

fn text(figures: &Figures) -> String {
    if figures.deciders.is_empty() && figures.incidents.is_empty() {
        return "the journal has nothing of that".to_owned();
    }
    let mut text = tally_text::table(&figures.deciders);
    for incident in &figures.incidents {
        text.push('\n');
        text.push_str(&tally_text::incident(incident));
    }
    if figures.incidents_left_out > 0 {
        text.push_str(&format!("\n{} earlier incidents are left out", figures.incidents_left_out));
    }
    if !figures.llm_elsewhere.is_none() {
        text.push_str(&format!("\noutside of incidents: {}", tally_text::llm(&figures.llm_elsewhere)));
    }
    text
}
