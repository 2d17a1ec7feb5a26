/// Longer words are not typing errors of ours.
const LONGEST: usize = 64;

/// The one of `known` that was probably meant.
pub(crate) fn meant<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > LONGEST {
        return None;
    }
    let given = folded(given);
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(&given, &folded(word)), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `CooldownMs`, `cooldown-ms` and `cooldown_ms` are near each other.
fn folded(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

/// The next step for a word that is not known.
pub(crate) fn help<'a>(given: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match meant(given, known.clone()) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => allowed(known),
    }
}

/// All that may be given.
pub(crate) fn allowed<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    format!("allowed: {}", known.into_iter().collect::<Vec<_>>().join(", "))
}
