//! The world `reverser`: it is given an action that was done, with the graph before and after it, and says what undoes it.
//!
//! The table (`mod.rs`) calls this. That an inverse is no more than an inverse is upheld by the loop.

use flyball_model::{Case, CaseAnswer, PluginKind, Reversal};
use flyball_ports::{CallInput, Said};

use super::{World, lift, lower, of_another_kind, part_of};
use crate::bindings::{actions, reversing};
use crate::error::CallError;

pub(super) struct Reverser;

impl World for Reverser {
    const KIND: PluginKind = PluginKind::Reverser;
    const INTERFACE: &'static str = "flyball:plugin/reversing@0.1.0";
    const FUNCTION: &'static str = "reverse";
    const TYPES: &'static [&'static str] =
        &["flyball:plugin/actions@0.1.0", "flyball:plugin/reversing@0.1.0"];
    type Params = (reversing::Applied,);
    type Results = (Result<Vec<actions::Action>, String>,);

    fn lower(asked: &CallInput) -> Option<Self::Params> {
        let CallInput::Reverse { action, before, after } = asked else { return None };
        Some((reversing::Applied {
            action: lower::action(action),
            before: lower::graph(before),
            after: lower::graph(after),
        },))
    }

    fn lift(_: &CallInput, (said,): Self::Results) -> Result<Said, CallError> {
        Ok(Said::Reversal(match said {
            Ok(actions) => Reversal::Reversible {
                actions: actions.into_iter().map(lift::action).collect::<Result<_, _>>()?,
            },
            Err(why) => Reversal::Irreversible { why },
        }))
    }

    fn of_case(case: &Case) -> Result<CallInput, &'static str> {
        let applied = case.applied.clone().ok_or("`applied`")?;
        Ok(CallInput::Reverse {
            action: applied.action,
            before: applied.before.spec().into(),
            after: applied.after.spec().into(),
        })
    }

    fn in_case(said: Said, case: &Case) -> CaseAnswer {
        match said {
            Said::Reversal(Reversal::Reversible { actions }) => {
                CaseAnswer { actions: Some(actions), ..CaseAnswer::default() }
            }
            Said::Reversal(Reversal::Irreversible { why }) => CaseAnswer {
                irreversible: Some(part_of(why, case.expect.irreversible.as_ref())),
                ..CaseAnswer::default()
            },
            _ => of_another_kind(),
        }
    }
}
