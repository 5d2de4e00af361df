//! Near words: what a word that is not known was probably meant to be.

/// The known word that this one was probably meant to be. It differs by case or by a few letters, or begins with this
/// one.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let length = word.chars().count();
    let limit = if length < 3 { 0 } else { (length / 3).min(3) };
    let distance = |known: &str| strsim::damerau_levenshtein(&word, &plain(known));
    let known: Vec<&str> = known.into_iter().collect();
    let (distance, nearest) = known.iter().map(|known| (distance(known), *known)).min_by_key(|(least, _)| *least)?;
    if distance <= limit {
        return Some(nearest);
    }
    // `expiry` is `expiry_seconds`, and `Basic Auth` is `basic`.
    let continues = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with(['_', ' ']));
    let begins = known.iter().find(|known| continues(&plain(known), &word));
    begins.or_else(|| known.iter().find(|known| known.len() > 2 && continues(&word, &plain(known)))).copied()
}

/// The word without differences that do not matter: case, and `-` in place of `_`.
pub(crate) fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        for (word, expected) in [
            ("rs256", Some("RS256")),
            ("RS-256", Some("RS256")),
            ("isuer", Some("issuer")),
            ("issure", Some("issuer")),
            ("Issuer", Some("issuer")),
            ("surprise", None),
            ("issuer of it", Some("issuer")),
            ("sub", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, ["issuer", "RS256", "subject"]), expected, "{word}");
        }
    }
}
