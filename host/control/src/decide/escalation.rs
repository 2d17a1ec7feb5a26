//! From the mildest to the strongest: which kinds of action a fault may be answered by, by how often it was answered in vain.

use std::collections::BTreeSet;

use flyball_model::{ActionKind, ActionRecord, Finding, Reason, Safety, Severity, Step};

use crate::act::checks::reason;
use crate::act::tries::{Tries, fault};

/// How far a fault's escalation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// At this step, counted from 0.
    At(usize),
    /// Past the last one: people must.
    Exhausted,
}

/// None: the policy has no steps.
pub(crate) fn stage(finding: &Finding, safety: &Safety, tries: &Tries) -> Option<Stage> {
    if safety.escalation.is_empty() {
        return None;
    }
    let used = tries.in_vain(&fault(finding)) / safety.attempts.max(1);
    let mut step = usize::try_from(used).unwrap_or(usize::MAX);
    if finding.severity == Severity::Critical
        && let Some(critical) = safety.escalation.iter().position(|step| step.critical)
    {
        step = step.saturating_add(critical);
    }
    Some(if step < safety.escalation.len() { Stage::At(step) } else { Stage::Exhausted })
}

/// The steps that a stage has taken.
pub(crate) fn taken(stage: Stage, safety: &Safety) -> &[Step] {
    match stage {
        Stage::At(step) => safety.escalation.get(..=step).unwrap_or_default(),
        Stage::Exhausted => &[],
    }
}

/// The kinds that may be tried; none: all.
pub(crate) fn kinds(stage: Option<Stage>, safety: &Safety) -> Option<BTreeSet<ActionKind>> {
    stage.map(|stage| taken(stage, safety).iter().flat_map(|step| step.kinds.iter().copied()).collect())
}

/// The host's no to an action whose kind is a later step's.
pub(crate) fn refusal(action: &ActionRecord, safety: &Safety, tries: &Tries) -> Option<Reason> {
    let worst = action.findings.iter().max_by_key(|finding| finding.severity)?;
    let stage = stage(worst, safety, tries)?;
    let kind = action.proposal.action.kind();
    let allowed = kinds(Some(stage), safety)?;
    (!allowed.contains(&kind)).then(|| {
        let message = match stage {
            Stage::At(step) => {
                format!("{kind} is not of step {} of the policy's escalation for {}", step + 1, fault(worst))
            }
            Stage::Exhausted => {
                format!("every step of the policy's escalation was taken for {}", fault(worst))
            }
        };
        reason("escalation", message)
    })
}
