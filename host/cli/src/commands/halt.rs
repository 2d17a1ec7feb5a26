//! `flyball halt` and `flyball resume`: to the host that runs; where none can be asked, into the journal that the next one reads,
//! and then it is said that nobody was reached. Never is a host said to have stopped that did not say so itself.

use anyhow::Context;
use clap::Args;
use flyball_host::{ControlRequest, RequestResult, StateDir, ask, no_host};
use flyball_model::{Caller, Event, EventRecord, shell_word};
use flyball_ports::{Clock, Journal, SystemClock};
use flyball_store::Store;
use nix::unistd::geteuid;
use serde_json::Value;

use crate::args::Places;
use crate::exit::Failure;
use crate::narrator::tame;
use crate::output::outln;

#[derive(Debug, Args)]
pub(crate) struct HaltOptions {
    /// Only this session [default: all of the host]
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<String>,

    /// Why; it is told wherever the halt shows
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeOptions {
    /// This session, halted or frozen [default: the host]
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<String>,

    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
}

pub(crate) fn halt(places: &Places, options: &HaltOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let request = ControlRequest::Halt { session: options.session.clone(), why: options.why.clone() };
    let session = options.session.as_deref();
    if let RequestResult::Answer(answer) = ask(&state, &request)? {
        say_halted(session, &answer);
        return Ok(());
    }
    let journaled = journal(&state, session, Event::Halted { why: options.why.clone(), by: Some(me()) });
    // One that began meanwhile may have read the journal before this was in it.
    let asked = ask(&state, &request)?;
    let whose = session.map(|session| format!(" of {session}")).unwrap_or_default();
    match (asked, journaled) {
        (RequestResult::Answer(answer), _) => {
            say_halted(session, &answer);
            Ok(())
        }
        (RequestResult::NoHost, journaled) => {
            journaled?;
            Err(Failure::NoHost(format!(
                "{}, so none was stopped; the halt{whose} is in its journal and holds for the next host there",
                no_host(&state)
            )))
        }
        (RequestResult::Unreachable(why), Ok(())) => Err(Failure::NoHost(format!(
            "{why}. The halt{whose} is in its journal and holds for the next host there"
        ))),
        (RequestResult::Unreachable(why), Err(_)) => Err(Failure::NoHost(why)),
    }
}

/// What the host says that it did.
fn say_halted(session: Option<&str>, answer: &Value) {
    let whose = session.unwrap_or("the host");
    let resume = session.map(|name| format!(" {}", shell_word(name))).unwrap_or_default();
    let whose = tame(whose);
    outln!("{whose} acts no more; observing goes on. `flyball resume{resume}` ends it.");
    for under_way in answer.get("under_way").and_then(Value::as_array).into_iter().flatten() {
        let what = under_way.as_str().unwrap_or_default();
        outln!("under way already, and not called back: {}", tame(what));
    }
    if let Some(why) = answer.get("why_not").and_then(Value::as_str) {
        outln!("it holds, and is not in the journal yet: {}", tame(why));
    }
}

pub(crate) fn resume(places: &Places, options: &ResumeOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let request = ControlRequest::Resume { session: options.session.clone(), why: options.why.clone() };
    let session = options.session.as_deref();
    match ask(&state, &request)? {
        RequestResult::Answer(_) => {
            outln!("{} may act again.", tame(session.unwrap_or("the host")));
            Ok(())
        }
        RequestResult::Unreachable(why) => Err(Failure::NoHost(format!("{why}. Nothing was resumed"))),
        RequestResult::NoHost => {
            if !is_halted(&state, session)? {
                let none = "no host runs, and nothing of that name is halted, so there is nothing to resume";
                return Err(anyhow::anyhow!(none).into());
            }
            journal(&state, session, Event::Resumed { why: options.why.clone(), by: Some(me()) })?;
            Err(Failure::NoHost(format!(
                "{}; the halt ends in its journal, so the next host there may act",
                no_host(&state)
            )))
        }
    }
}

fn is_halted(state: &StateDir, session: Option<&str>) -> Result<bool, Failure> {
    state.make()?;
    let store = Store::open(state.path()).context("cannot open the journal")?;
    let halts = in_a_runtime(store.halts())?.context("cannot read the journal")?;
    Ok(halts.iter().any(|halt| halt.session.as_deref() == session))
}

/// Into the journal, which the next host reads.
pub(crate) fn journal(state: &StateDir, session: Option<&str>, event: Event) -> Result<(), Failure> {
    state.make()?;
    let store = Store::open(state.path()).context("cannot open the journal")?;
    let record = EventRecord { at: SystemClock.now(), session: session.map(Into::into), tick: 0, event };
    Ok(in_a_runtime(store.record(&record))?
        .context("cannot write to the journal, so the word does not count")?)
}

fn in_a_runtime<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("cannot start")?;
    Ok(runtime.block_on(work))
}

/// Whoever types this, without a host to look at them.
pub(crate) fn me() -> Caller {
    let program = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    Caller { uid: geteuid().as_raw(), pid: std::process::id(), program: program.trim_end().to_owned() }
}
