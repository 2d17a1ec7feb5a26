use flyball_model::{
    DeciderBranch, DeciderForm, DeciderGroup, DeciderRule, DeciderUse, FindingKind, Policy, Problem, matches,
};

/// So many codes of ways are compared with each other in one policy; what a route of thousands hides is not looked for.
const MOST_COMPARED: usize = 100_000;

/// Every kind of finding.
const KINDS: [FindingKind; 3] = [FindingKind::Failure, FindingKind::Performance, FindingKind::General];

/// Deciders that can never be asked, and deadlines that can never pass. Whether one that may answer always does is not
/// known, so that none behind it is told.
pub(crate) fn never_asked(policy: &Policy, problems: &mut Vec<Problem>) {
    let mut left = MOST_COMPARED;
    rules("/judges/deciders", &policy.judges.deciders, &mut left, problems);
    for (index, shadow) in policy.judges.shadows.iter().enumerate() {
        deadline(&format!("/judges/shadows/{index}"), shadow, problems);
    }
    if policy.judges.deciders.is_empty() && !policy.judges.shadows.is_empty() {
        let message = "shadows are asked beside the deciders, and there is none that may be followed";
        problems.push(Problem::new("/judges/shadows", message).help(
            "they are asked all the same; name a decider in `judges.deciders` for something to be done",
        ));
    }
}

fn rules(at: &str, rules: &[DeciderRule], left: &mut usize, problems: &mut Vec<Problem>) {
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("{at}/{index}");
        match rule {
            DeciderRule::One(used) => deadline(&at, used, problems),
            DeciderRule::Group(group) => within(&at, group, left, problems),
        }
    }
}

fn within(at: &str, group: &DeciderGroup, left: &mut usize, problems: &mut Vec<Problem>) {
    match group.form() {
        Ok(DeciderForm::Quorum(_, of)) => rules(&format!("{at}/of"), of, left, problems),
        Ok(DeciderForm::Route(ways)) => {
            for (index, way) in ways.iter().enumerate() {
                let at = format!("{at}/route/{index}");
                let before = ways.iter().take(index).position(|before| {
                    let codes = (1 + before.codes.len()).saturating_mul(1 + way.codes.len());
                    *left = left.saturating_sub(codes);
                    *left > 0 && takes_all(before, way)
                });
                if let Some(before) = before {
                    let message = format!(
                        "this way is never taken: way {} of the route takes all that it is for",
                        before + 1
                    );
                    problems.push(
                        Problem::new(at.clone(), message).help("put it before that one, or leave it out"),
                    );
                }
                rules(&format!("{at}/ask"), &way.ask, left, problems);
            }
        }
        Err(_) => {}
    }
}

/// Whether nothing of what a way is for gets past one that stands before it.
fn takes_all(before: &DeciderBranch, way: &DeciderBranch) -> bool {
    let kinds = if way.kinds.is_empty() { &KINDS[..] } else { &way.kinds };
    // A pattern that takes another one as a text takes whatever that other one takes.
    let takes = |code: &str| before.codes.iter().any(|pattern| matches(pattern, code));
    (before.kinds.is_empty() || kinds.iter().all(|kind| before.kinds.contains(kind)))
        && (before.codes.is_empty()
            || takes("*")
            || (!way.codes.is_empty() && way.codes.iter().all(|code| takes(code))))
}

/// A call ends with its own limit.
fn deadline(at: &str, used: &DeciderUse, problems: &mut Vec<Problem>) {
    let limit = used.used.limits.time_ms;
    if used.role.answer_within_ms.is_some_and(|within| within >= limit) {
        let message =
            format!("this can never pass: the call itself is ended after {limit} ms, by `limits.time_ms`");
        problems.push(
            Problem::new(format!("{at}/answer_within_ms"), message)
                .help("make it shorter, or raise the limit"),
        );
    }
}
