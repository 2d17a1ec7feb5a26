//! What guards said no to, for plain `flyball journal`: an action that never happened is no action, and a journal that shows only
//! actions looks as if nobody had wanted anything. The same no again and again is one line.

use flyball_model::{Ending, TickRecord, UnixMillis, Verdict, shell_word};
use flyball_ports::{StoredHistory, TickFilter};

use crate::exit::Failure;
use crate::narrator::{clock, tame};

/// Ticks that are looked through for them, the newest.
const LOOKED_THROUGH: usize = 1_000;

/// One no, and how often it was said in a row.
struct Denial {
    at: UnixMillis,
    session: String,
    tick: u64,
    what: String,
    by: String,
    again: u64,
}

/// A line for each, with when it was first said; oldest first, at most so many, the newest.
pub(crate) fn lines(
    history: &dyn StoredHistory,
    filter: TickFilter,
    limit: usize,
) -> Result<Vec<(UnixMillis, String)>, Failure> {
    let filter = TickFilter { ending: Some(Ending::Rejected), limit: LOOKED_THROUGH, ..filter };
    let ticks = history.ticks(&filter).map_err(anyhow::Error::from)?;
    let denials = collapsed(ticks.iter().rev().filter_map(denial));
    let newest = denials.len().saturating_sub(limit);
    Ok(denials.iter().skip(newest).map(|denial| (denial.at, denial.line())).collect())
}

fn denial(tick: &TickRecord) -> Option<Denial> {
    let (by, reason) = tick.verdicts.iter().find_map(|record| match &record.verdict {
        Verdict::Deny(reason) if record.within.is_none() => Some((&record.by.name, reason)),
        _ => None,
    })?;
    let what = match &tick.decision {
        Some(decision) => format!("{}, decided by {}", decision.said.proposal.action, decision.by.name),
        None => "a proposal".to_owned(),
    };
    Some(Denial {
        at: tick.at,
        session: tick.session.to_string(),
        tick: tick.tick,
        what,
        by: format!("{by} denies it ({}): {}", reason.code, reason.message),
        again: 0,
    })
}

fn collapsed(denials: impl Iterator<Item = Denial>) -> Vec<Denial> {
    let mut collapsed: Vec<Denial> = Vec::new();
    for denial in denials {
        let same = |last: &&mut Denial| {
            (&last.session, &last.what, &last.by) == (&denial.session, &denial.what, &denial.by)
        };
        match collapsed.last_mut().filter(same) {
            Some(last) => last.again += 1,
            None => collapsed.push(denial),
        }
    }
    collapsed
}

impl Denial {
    fn line(&self) -> String {
        let Self { at, session, tick, what, by, again } = self;
        let again = match again {
            0 => String::new(),
            again => format!(", and {again} times more after it"),
        };
        format!(
            "    -  {}  {}  {}  denied{again}\n       {}; `flyball explain {tick} --session {}` has the rest",
            clock(*at),
            tame(session),
            tame(what),
            tame(by),
            tame(&shell_word(session))
        )
    }
}
