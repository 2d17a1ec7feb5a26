use flyball_model::{Policy, matches};

/// Two policies claim a session with equal right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the session {session:?} matches {first_pattern:?} of policy {first:?} and {second_pattern:?} of policy {second:?}, \
     neither of which is longer; make one of the patterns longer, or take the session out of one"
)]
pub struct Tie {
    /// The session.
    pub session: String,
    /// One policy's name.
    pub first: String,
    /// Its pattern.
    pub first_pattern: String,
    /// The other's.
    pub second: String,
    /// Its pattern.
    pub second_pattern: String,
}

/// The policy that judges a session: the one that matches with the longest pattern, `*` not counted; at equal length
/// a name without `*` comes before a pattern. None: none matches.
///
/// # Errors
///
/// Two policies match equally well.
pub fn policy_for<'a>(
    policies: impl Iterator<Item = &'a Policy>,
    session: &str,
) -> Result<Option<&'a Policy>, Tie> {
    let mut best: Vec<(Rank, &str, &Policy)> = Vec::new();
    for policy in policies {
        let fitting = policy.sessions.iter().filter(|pattern| matches(pattern, session));
        let Some(pattern) = fitting.max_by_key(|pattern| rank(pattern)) else { continue };
        let rank = rank(pattern);
        if best.first().is_none_or(|(best, ..)| rank > *best) {
            best.clear();
        }
        if best.first().is_none_or(|(best, ..)| rank == *best) {
            best.push((rank, pattern, policy));
        }
    }
    match best.as_slice() {
        [] => Ok(None),
        [(_, _, policy)] => Ok(Some(policy)),
        [(_, first_pattern, first), (_, second_pattern, second), ..] => Err(Tie {
            session: session.to_owned(),
            first: first.name.clone(),
            first_pattern: (*first_pattern).to_owned(),
            second: second.name.clone(),
            second_pattern: (*second_pattern).to_owned(),
        }),
    }
}

/// Literal characters, and whether it is a plain name.
type Rank = (usize, bool);

fn rank(pattern: &str) -> Rank {
    (pattern.chars().filter(|character| *character != '*').count(), !pattern.contains('*'))
}
