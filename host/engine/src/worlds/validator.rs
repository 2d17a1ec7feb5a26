//! The world `validator`: it is given a proposal, and says whether the action may happen.
//!
//! The table (`mod.rs`) calls this. That a validator which fails means no is upheld by whoever asks.

use flyball_model::{Amendment, Case, CaseAnswer, PluginKind, Reason, Verdict};
use flyball_ports::{CallInput, Said, Situation};
use wasmtime::component::Resource;

use super::lower::{constraints, each, finding, past_action};
use super::{Past, Seen, World, lift, looking, lower, of_another_kind};
use crate::bindings::reviewing;
use crate::cases;
use crate::error::CallError;

pub(super) struct Validator;

impl World for Validator {
    const KIND: PluginKind = PluginKind::Validator;
    const INTERFACE: &'static str = "flyball:plugin/reviewing@0.1.0";
    const FUNCTION: &'static str = "review";
    const TYPES: &'static [&'static str] = &[
        "flyball:plugin/judgement@0.1.0",
        "flyball:plugin/actions@0.1.0",
        "flyball:plugin/offers@0.1.0",
        "flyball:plugin/reviewing@0.1.0",
    ];
    type Params = (Resource<Seen>, Resource<Past>, reviewing::Proposed);
    type Results = (reviewing::Verdict,);

    fn lower(asked: &CallInput) -> Option<Self::Params> {
        let CallInput::Review { proposal, decided_by, situation, .. } = asked else { return None };
        let (now, past) = looking();
        Some((now, past, proposed(lower::proposal(proposal), decided_by, situation)))
    }

    fn lift(_: &CallInput, (said,): Self::Results) -> Result<Said, CallError> {
        Ok(Said::Verdict(match said {
            reviewing::Verdict::Allow => Verdict::Allow,
            reviewing::Verdict::Deny(why) => Verdict::Deny(lift::reason(why)),
            reviewing::Verdict::Ask(why) => Verdict::Ask(lift::reason(why)),
            reviewing::Verdict::Amend(amendment) => Verdict::Amend(Amendment {
                action: lift::action(amendment.action)?,
                reason: lift::reason(amendment.reason),
            }),
        }))
    }

    fn of_case(case: &Case) -> Result<CallInput, &'static str> {
        Ok(CallInput::Review {
            sight: cases::sight(case),
            proposal: case.proposed.clone().ok_or("`proposed`")?,
            decided_by: case.decided_by.clone(),
            situation: cases::situation(case),
        })
    }

    fn in_case(said: Said, _: &Case) -> CaseAnswer {
        let Said::Verdict(verdict) = said else { return of_another_kind() };
        let (said, code) = match verdict {
            Verdict::Allow => ("allow", None),
            Verdict::Deny(Reason { code, .. }) => ("deny", Some(code)),
            Verdict::Amend(amendment) => ("amend", Some(amendment.reason.code)),
            Verdict::Ask(Reason { code, .. }) => ("ask", Some(code)),
        };
        CaseAnswer { verdict: Some(said.to_owned()), code, ..CaseAnswer::default() }
    }
}

fn proposed(
    proposal: crate::bindings::actions::Proposal,
    decided_by: &str,
    situation: &Situation,
) -> reviewing::Proposed {
    reviewing::Proposed {
        proposal,
        decided_by: decided_by.to_owned(),
        findings: each(&situation.findings, finding),
        past: each(&situation.past, past_action),
        constraints: constraints(situation),
    }
}
