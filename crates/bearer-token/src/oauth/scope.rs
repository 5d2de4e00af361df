//! Scopes as lists of words (RFC 6749 section 3.3).
//!
//! A scope from the user is sent as it is. A scope from an API is untrusted and ends up in a token request, so it is
//! checked and bounded here before it is stored.

/// The most words, and the most bytes, of a scope that a server or an API names.
///
/// APIs ask for far less at a time.
const WORDS: usize = 64;
const BYTES: usize = 2048;

/// The words of a scope that a response names. `None` if one of them is not a scope token, or if there are too many.
///
/// The scope is untrusted input, and ends up in token requests.
pub(crate) fn words(text: &str) -> Option<Vec<&str>> {
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let are_tokens = words.iter().all(|word| word.bytes().all(is_scope_byte));
    (are_tokens && words.len() <= WORDS && text.len() <= BYTES).then_some(words)
}

/// `NQCHAR` of RFC 6749 appendix A.
fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
}

/// Adds the words that the list lacks.
///
/// Keeps the order, because a server may echo the scope and a person may read it.
pub(crate) fn add<'w>(list: &mut Vec<String>, words: impl IntoIterator<Item = &'w str>) {
    for word in words {
        if !list.iter().any(|known| known == word) {
            list.push(word.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows: 6749/3.3a
    #[test]
    fn a_foreign_scope_is_words_or_nothing() {
        let many = "x ".repeat(WORDS + 1);
        let long = "x".repeat(BYTES + 1);
        for (text, expected) in [
            ("", Some(&[][..])),
            ("read", Some(&["read"])),
            (" read  files:write ", Some(&["read", "files:write"])),
            ("https://api.example.com/.default", Some(&["https://api.example.com/.default"])),
            ("read\twrite", None),
            ("read\nwrite", None),
            ("re\"ad", None),
            ("re\\ad", None),
            ("r\u{e9}ad", None),
            (&many, None),
            (&long, None),
        ] {
            assert_eq!(words(text).as_deref(), expected, "{text:?}");
        }
    }
}
