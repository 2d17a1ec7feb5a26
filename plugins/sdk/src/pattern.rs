//! Names by pattern, as policies write them: whoever guards a node by its name guards the nodes that fit a pattern too.

/// Whether a name fits a pattern, in which `*` stands for any text, also none.
///
/// ```
/// assert!(flyball_plugin::matches("slow*", "slow-db"));
/// assert!(!flyball_plugin::matches("slow*", "a-slow-db"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    true
}
