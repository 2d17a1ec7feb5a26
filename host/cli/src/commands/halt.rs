use anyhow::Context;
use flyball_control::ports::{Clock, Journal, SystemClock};
use flyball_model::{Event, EventRecord};
use flyball_store::Store;

use crate::args::{HaltOptions, Places, ResumeOptions};
use crate::control_socket::{Request, ask};
use crate::exit::Failure;
use crate::output::outln;
use crate::state_dir::StateDir;

pub(crate) fn halt(places: &Places, options: &HaltOptions) -> Result<(), Failure> {
    let state = StateDir::of(places)?;
    let request = Request::Halt { session: options.session.clone(), why: options.why.clone() };
    let event = Event::Halted { why: options.why.clone() };
    say(&state, &request, options.session.as_deref(), event)?;
    let whose = options.session.as_deref().unwrap_or("the host");
    let resume = options.session.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    outln!("{whose} acts no more; observing goes on. `flyball resume{resume}` ends it.");
    Ok(())
}

pub(crate) fn resume(places: &Places, options: &ResumeOptions) -> Result<(), Failure> {
    let state = StateDir::of(places)?;
    let request = Request::Resume { session: options.session.clone(), why: options.why.clone() };
    let event = Event::Resumed { why: options.why.clone() };
    say(&state, &request, options.session.as_deref(), event)?;
    outln!("{} may act again.", options.session.as_deref().unwrap_or("the host"));
    Ok(())
}

/// To the host that runs; where none does, into the journal that the next one reads.
fn say(state: &StateDir, request: &Request, session: Option<&str>, event: Event) -> Result<(), Failure> {
    if ask(&state.socket(), request)?.is_some() {
        return Ok(());
    }
    state.make()?;
    let store = Store::open(state.path()).context("cannot open the journal")?;
    let record = EventRecord { at: SystemClock.now(), session: session.map(Into::into), tick: 0, event };
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("cannot start")?;
    runtime
        .block_on(async {
            if matches!(record.event, Event::Resumed { .. }) {
                let halts = store.halts().await?;
                if !halts.iter().any(|halt| halt.session == record.session) {
                    return Ok(false);
                }
            }
            store.record(&record).await.map(|()| true)
        })
        .context("cannot write to the journal")?
        .then_some(())
        .ok_or_else(|| {
            anyhow::anyhow!("no host runs, and nothing of that name is halted, so there is nothing to resume")
                .into()
        })
}
