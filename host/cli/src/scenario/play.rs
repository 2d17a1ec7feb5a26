//! Plays a scenario: the real loop, the real plugins and the real journal, on a simulated pipeline in its own time or on the
//! embedded one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use flyball_engine::Engine;
use flyball_host::Threads;
use flyball_model::{ActionRecord, Ending, Event, EventRecord, Graph, Notice, Outcome, TickRecord};
use flyball_ports::{Journal as _, Listener};
use flyball_sim::{Sim, SimulatedWorld};
use parking_lot::Mutex;

use super::document::Folder;
use super::embedded;
use crate::commands::explain::{action_text, tick_text};
use crate::exit::Failure;
use crate::narrator::event_text;

/// What came of a scenario.
#[derive(Debug)]
pub(crate) struct Played {
    /// Oldest first, undos among them.
    pub(crate) actions: Vec<ActionRecord>,
    pub(crate) notices: Vec<Notice>,
    /// Every tick on which something was found, every event and every outcome, in their order.
    pub(crate) story: String,
    pub(crate) ticks: u64,
    /// Faults that could not be made.
    pub(crate) not_done: Vec<String>,
    pub(crate) balances: bool,
    pub(crate) began_with: Arc<Graph>,
    pub(crate) ends_with: Arc<Graph>,
}

/// Writes down what happens.
#[derive(Default)]
pub(crate) struct Chronicle(Mutex<Told>);

#[derive(Default)]
pub(crate) struct Told {
    pub(crate) story: String,
    pub(crate) notices: Vec<Notice>,
    pub(crate) ticks: u64,
    /// What the story said of the last tick, so that what lasts is told once.
    last: String,
}

impl Chronicle {
    /// What it heard.
    pub(crate) fn told(&self) -> Told {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Listener for Chronicle {
    fn tick(&self, record: &Arc<TickRecord>) {
        let mut told = self.0.lock();
        told.ticks = record.tick;
        if record.ending == Ending::Quiet && record.findings.is_empty() && record.error.is_none() {
            told.last.clear();
            return;
        }
        let text = tick_text(record);
        let gist = format!(
            "{:?} {:?} {:?}",
            record.ending,
            record.gate.as_ref().map(|gate| &gate.gate),
            record.findings.iter().map(|found| (&found.said.code, &found.said.target)).collect::<Vec<_>>()
        );
        if gist != told.last {
            told.story += &text;
            told.last = gist;
        }
    }

    fn concluded(&self, action: &ActionRecord, _: Outcome) {
        self.0.lock().story += &action_text(action);
    }

    fn event(&self, event: &EventRecord) {
        let mut told = self.0.lock();
        told.story += &anstream::adapter::strip_str(&event_text(event)).to_string();
        told.story += "\n";
        if let Event::Notified(notice) = &event.event {
            told.notices.push(notice.clone());
        }
    }
}

/// On the pipeline that the folder says.
pub(crate) fn play(folder: &Folder, engine: &Engine, state: &Path) -> Result<Played, Failure> {
    match (&folder.scenario.embedded, &folder.world) {
        (None, Some(world)) => simulated(folder, world, engine, state),
        (Some(terms), _) => embedded::play(folder, terms, engine, state),
        (None, None) => Err(anyhow!("{}: there is no world", folder.name).into()),
    }
}

/// In a time of its own, that passes as fast as everything can be judged.
fn simulated(
    folder: &Folder,
    world: &SimulatedWorld,
    engine: &Engine,
    state: &Path,
) -> Result<Played, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("cannot start")?;
    runtime.block_on(run(folder, world, engine, state))
}

async fn run(
    folder: &Folder,
    world: &SimulatedWorld,
    engine: &Engine,
    state: &Path,
) -> Result<Played, Failure> {
    let sim = Sim::new(folder.plan(world.clone())).map_err(|unsound| folder.located(unsound))?;
    let chronicle = Arc::new(Chronicle::default());
    let settings = folder.manifest.controller.clone();
    let interval = Duration::from_millis(settings.observation_interval_ms);
    let host = folder
        .host(engine, state)
        .plane(sim.clone(), settings)
        .clock(sim.clone())
        .listener(chronicle.clone())
        // A decider thinks in real time, which does not pass here.
        .answer_within(Duration::from_secs(3_600))
        .ticks_by_hand(true)
        .start(&Threads::here()?)
        .await?;
    let session = host.session(&folder.manifest.name).context("the scenario has no session")?;
    let began_with = sim.truth().running.into();
    let ticks = (folder.scenario.duration_s / interval.as_secs_f64()).ceil() as u64;
    for _ in 0..ticks {
        session.controller().tick().await;
        tokio::time::advance(interval).await;
    }
    let recent = host.journal().recent(session.name(), usize::MAX).await;
    let mut actions = recent.map_err(|error| anyhow!(error))?;
    actions.reverse();
    let told = chronicle.told();
    Ok(Played {
        actions,
        notices: told.notices,
        story: told.story,
        ticks: told.ticks,
        not_done: Vec::new(),
        balances: sim.account().balances() && sim.is_whole(),
        began_with,
        ends_with: sim.truth().running.into(),
    })
}
