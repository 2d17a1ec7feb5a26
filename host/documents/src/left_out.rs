//! What a policy leaves out so that it watches less, does nothing or cannot undo: no faults, but whoever wrote it believes
//! that it does. Called by `flyball check`, beside [`never_fires`](crate::never_fires).

use flyball_model::{MutationPolicy, Policy, Problem};

use crate::never_fires::never_fires;

/// Everything that is probably not meant in a policy that is good.
pub fn policy_warnings(policy: &Policy) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        never_fires(policy).into_iter().map(|problem| problem.code("never-fires")).collect();
    no_heuristics(policy, &mut problems);
    no_deciders(policy, &mut problems);
    no_reversers(policy, &mut problems);
    problems
}

fn no_heuristics(policy: &Policy, problems: &mut Vec<Problem>) {
    if !policy.judges.heuristics.is_empty() {
        return;
    }
    let constraints = policy.constraints;
    let message = if constraints.max_latency_ms.is_some() || constraints.min_throughput.is_some() {
        "no heuristic is named, so that only a breach of `constraints` is found"
    } else {
        "no heuristic is named, so that nothing is found and no decider is asked"
    };
    let help = "name one in `judges.heuristics`, for example threshold-heuristic";
    problems.push(Problem::new("/judges", message).help(help).code("no-heuristics").of_key());
}

/// Nothing that a policy allows is done: there is nobody to decide it.
fn no_deciders(policy: &Policy, problems: &mut Vec<Problem>) {
    let judges = &policy.judges;
    if acts(policy) && judges.deciders.is_empty() && judges.shadows.is_empty() {
        let message = "no decider is named, so that nothing is ever done";
        let help =
            "name one in `judges.deciders`, for example rule-decider, or let `mutation_policy` be read-only";
        problems.push(Problem::new("/judges", message).help(help).code("no-deciders").of_key());
    }
}

/// What made things worse stays done.
fn no_reversers(policy: &Policy, problems: &mut Vec<Problem>) {
    let judges = &policy.judges;
    if acts(policy) && policy.safety.undo_worse && judges.reversers.is_empty() && !judges.deciders.is_empty()
    {
        let message =
            "`safety.undo_worse` is on and no reverser is named, so that what makes things worse stays done";
        let help =
            "name one in `judges.reversers`, for example standard-reverser, or write `undo_worse: false`";
        problems.push(Problem::new("/judges", message).help(help).code("no-reversers").of_key());
    }
}

fn acts(policy: &Policy) -> bool {
    policy.mutation_policy != MutationPolicy::ReadOnly && !policy.safety.propose_only
}
