use std::collections::BTreeSet;

use flyball_model::{ActionKind, Budget, GiveBack, Policy, Problem};

use crate::never_asked::never_asked;

/// Guards that a policy configures so that they can never fire, and settings that can never matter: no faults, but whoever
/// wrote them believes in them.
pub fn never_fires(policy: &Policy) -> Vec<Problem> {
    let mut problems = Vec::new();
    budgets(policy, &mut problems);
    kinds(policy, &mut problems);
    escalation(policy, &mut problems);
    never_asked(policy, &mut problems);
    let safety = &policy.safety;
    if safety.propose_only && !safety.approval.kinds.is_empty() {
        problems.push(
            Problem::new("/safety/approval/kinds", "nobody is ever asked, as everything is proposed only")
                .help("leave out one of `propose_only` and `approval`"),
        );
    }
    problems
}

/// What is counted within a window can come to no more than the cooldown lets through.
fn budgets(policy: &Policy, problems: &mut Vec<Problem>) {
    let safety = &policy.safety;
    let breaker = Budget { max: policy.breaker.max_actions, window_ms: policy.breaker.window_ms };
    let named = [
        ("/breaker/max_actions".to_owned(), breaker),
        ("/safety/target/max".to_owned(), safety.target),
        ("/safety/session/max".to_owned(), safety.session),
        ("/safety/flaps/max".to_owned(), safety.flaps),
    ];
    let of_kinds = safety.kinds.iter().map(|(kind, budget)| (format!("/safety/kinds/{kind}/max"), *budget));
    for (pointer, budget) in named.into_iter().chain(of_kinds) {
        let Some(possible) = budget.window_ms.checked_div(policy.cooldown_ms) else { continue };
        let possible = possible.saturating_add(1);
        if possible <= u64::from(budget.max) {
            let message = format!(
                "this can never be reached: with a cooldown of {} ms there are at most {possible} actions in {} ms",
                policy.cooldown_ms, budget.window_ms
            );
            problems.push(
                Problem::new(pointer, message).help("lower it, lengthen its window, or shorten the cooldown"),
            );
        }
    }
    if safety.target.max >= safety.session.max && safety.session.window_ms >= safety.target.window_ms {
        problems.push(
            Problem::new(
                "/safety/target/max",
                "this can never be reached: the session's budget is used up before",
            )
            .help("make it smaller than `session.max`"),
        );
    }
}

/// A kind that may not happen at all needs no guard.
fn kinds(policy: &Policy, problems: &mut Vec<Problem>) {
    let safety = &policy.safety;
    let lists = [
        ("/safety/approval/kinds", &safety.approval.kinds),
        ("/safety/dry_run", &safety.dry_run),
        ("/safety/irreversible", &safety.irreversible),
        ("/safety/give_back/kinds", written(&safety.give_back.kinds, &GiveBack::default().kinds)),
    ];
    let listed = lists.into_iter().flat_map(|(at, kinds)| {
        kinds.iter().enumerate().map(move |(index, kind)| (format!("{at}/{index}"), *kind))
    });
    let budgeted = safety.kinds.keys().map(|kind| (format!("/safety/kinds/{kind}"), *kind));
    let stepped = safety.escalation.iter().enumerate().flat_map(|(step, taken)| {
        let kinds = taken.kinds.iter().enumerate();
        kinds.map(move |(index, kind)| (format!("/safety/escalation/{step}/kinds/{index}"), *kind))
    });
    for (pointer, kind) in listed.chain(budgeted).chain(stepped) {
        if kind == ActionKind::NoOp || !policy.mutation_policy.allows(kind) {
            let message =
                format!("the mutation policy {} never lets {kind} happen", policy.mutation_policy.name());
            problems.push(Problem::new(pointer, message).help("leave it out, or raise `mutation_policy`"));
        }
    }
}

/// What is so by default was not written by anybody.
fn written<'a>(kinds: &'a Vec<ActionKind>, default: &Vec<ActionKind>) -> &'a Vec<ActionKind> {
    const NONE: &Vec<ActionKind> = &Vec::new();
    if kinds == default { NONE } else { kinds }
}

fn escalation(policy: &Policy, problems: &mut Vec<Problem>) {
    let deciders: BTreeSet<&str> = policy.judges.deciders().map(|used| used.name()).collect();
    for (index, step) in policy.safety.escalation.iter().enumerate() {
        let at = format!("/safety/escalation/{index}");
        if let Some(decider) = &step.decider
            && !deciders.contains(decider.as_str())
        {
            problems.push(
                Problem::new(
                    format!("{at}/decider"),
                    format!("{decider:?} is none of the policy's deciders"),
                )
                .help("name one of `judges.deciders`"),
            );
        }
        if step.kinds.is_empty() && step.decider.is_none() && !step.notify {
            problems.push(
                Problem::new(at, "this step changes nothing")
                    .help("give it `kinds`, a `decider` or `notify: true`"),
            );
        }
    }
}
