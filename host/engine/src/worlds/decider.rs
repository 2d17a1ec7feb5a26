//! The world `decider`: it is given what was found and what may be done, and picks one action or leaves it to the next.
//!
//! The table (`mod.rs`) calls this. Whether the action may happen is for others to say.

use flyball_model::{ActionKind, Case, CaseAnswer, Decision, PluginKind};
use flyball_ports::{CallInput, Decided, Said, Situation};
use wasmtime::component::Resource;

use super::lower::{constraints, each, finding, learned, past_action};
use super::{Past, Seen, World, lift, looking, of_another_kind};
use crate::bindings::deciding;
use crate::cases;
use crate::error::CallError;
use crate::quoted::{LONGEST_REASON, plain};

pub(super) struct Decider;

impl World for Decider {
    const KIND: PluginKind = PluginKind::Decider;
    const INTERFACE: &'static str = "flyball:plugin/deciding@0.1.0";
    const FUNCTION: &'static str = "decide";
    const TYPES: &'static [&'static str] = &[
        "flyball:plugin/judgement@0.1.0",
        "flyball:plugin/actions@0.1.0",
        "flyball:plugin/offers@0.1.0",
        "flyball:plugin/deciding@0.1.0",
    ];
    type Params = (Resource<Seen>, Resource<Past>, deciding::Situation);
    type Results = (Result<deciding::Decision, deciding::Failure>,);

    fn lower(asked: &CallInput) -> Option<Self::Params> {
        let CallInput::Decide(_, situation) = asked else { return None };
        let (now, past) = looking();
        Some((now, past, lowered(situation)))
    }

    fn lift(_: &CallInput, (said,): Self::Results) -> Result<Said, CallError> {
        Ok(Said::Decided(match said {
            Ok(decision) => Decided::For(Decision {
                analysis: decision.analysis,
                issues: decision.issues,
                proposal: lift::proposal(decision.proposal)?,
            }),
            Err(deciding::Failure::Abstain(why)) => Decided::Abstains(why),
            Err(deciding::Failure::Failed(why)) => {
                return Err(CallError::Declined { message: plain(&why, LONGEST_REASON) });
            }
        }))
    }

    fn of_case(case: &Case) -> Result<CallInput, &'static str> {
        Ok(CallInput::Decide(cases::sight(case), cases::situation(case)))
    }

    fn in_case(said: Said, _: &Case) -> CaseAnswer {
        match said {
            Said::Decided(Decided::For(decision)) => {
                CaseAnswer { action: Some(decision.proposal.action), ..CaseAnswer::default() }
            }
            Said::Decided(Decided::Abstains(_)) => CaseAnswer { abstains: true, ..CaseAnswer::default() },
            _ => of_another_kind(),
        }
    }
}

fn lowered(situation: &Situation) -> deciding::Situation {
    deciding::Situation {
        findings: each(&situation.findings, finding),
        allowed: situation.allowed.iter().map(|kind| allowance(*kind)).collect(),
        past: each(&situation.past, past_action),
        learned: each(&situation.learned, learned),
        constraints: constraints(situation),
    }
}

fn allowance(kind: ActionKind) -> deciding::Allowance {
    deciding::Allowance { kind: kind.name().to_owned(), summary: kind.summary().to_owned(), limits: None }
}
