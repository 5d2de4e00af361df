//! Which token types are bearer tokens.

use serde_json::Value;

use crate::problem::Problems;

/// The words of `token_type` that mean a bearer token: `bearer`, and those that were named.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenTypes(Vec<String>);

impl TokenTypes {
    pub(crate) fn accept(&mut self, word: String) {
        self.0.push(word);
    }

    pub(crate) fn check_words(&self, problems: &mut Problems) {
        for word in &self.0 {
            if word.is_empty() {
                problems.push("accept_token_type", "found an empty word; expected one such as `BearerToken`");
            } else if NOT_BEARER.iter().any(|(other, _)| other.eq_ignore_ascii_case(word)) {
                let message = format!("found `{word}`; a token of that type cannot be used as a bearer token");
                problems.push("accept_token_type", message);
            }
        }
    }

    /// Judges the `token_type` of an answer, or tells what is wrong with it.
    ///
    /// RFC 6749 section 5.1 requires the member, and section 7.1 forbids the use of types that are not understood.
    /// Several servers leave it out and mean bearer; every other type needs a proof or a key from the client, which
    /// was not sent, so a missing type can mean nothing else.
    pub(crate) fn check(&self, value: Option<&Value>) -> Result<(), String> {
        let word = match value {
            None => return Ok(()),
            Some(Value::String(word)) if word.is_empty() => return Ok(()),
            Some(Value::String(word)) => word,
            Some(_) => return Err("a `token_type` that is not text; expected `Bearer` (RFC 6749 section 5.1)".into()),
        };
        if word.eq_ignore_ascii_case("bearer") || self.0.iter().any(|accepted| accepted.eq_ignore_ascii_case(word)) {
            return Ok(());
        }
        let expected = "expected `Bearer` (RFC 6749 section 7.1)";
        let known = |list: &[(&'static str, &'static str)]| {
            list.iter().find(|(other, _)| other.eq_ignore_ascii_case(word)).copied()
        };
        if let Some((word, why)) = known(NOT_BEARER) {
            return Err(format!("a token of type `{word}`; {expected}: {why}"));
        }
        // Only words of our own are repeated: the text of an answer may be anything.
        let found =
            known(LOOSE).map_or_else(|| format!("a word of {} bytes", word.len()), |(word, _)| format!("`{word}`"));
        Err(format!(
            "a token of type {found}; {expected}: if the server means bearer by it, name the word with \
             `.accept_token_type(..)`"
        ))
    }
}

/// Types that are no bearer tokens, and why.
const NOT_BEARER: &[(&str, &str)] = &[
    ("N_A", "the token is not meant for an API (RFC 8693 section 2.2.1), ask for an access token"),
    ("DPoP", "such tokens need a proof with each request (RFC 9449), allow bearer tokens for this client"),
    ("mac", "such tokens need a signature with each request, allow bearer tokens for this client"),
    ("PoP", "such tokens need a proof with each request, allow bearer tokens for this client"),
];

/// Words that some servers send and mean bearer.
const LOOSE: &[(&str, &str)] = &[
    ("AccessToken", ""),
    ("access_token", ""),
    ("BearerToken", ""),
    ("bearer_token", ""),
    ("JWT", ""),
    ("OAuth", ""),
    ("OAuth2", ""),
    ("Token", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l16_the_type_is_matched_without_case_and_other_types_are_refused() {
        let strict = TokenTypes::default();
        let mut lenient = TokenTypes::default();
        lenient.accept("BearerToken".into());
        for (json, strictly, leniently) in [
            ("\"bearer\"", true, true),
            ("\"Bearer\"", true, true),
            ("\"bEARER\"", true, true),
            ("\"\"", true, true),
            ("\"BearerToken\"", false, true),
            ("\"bearertoken\"", false, true),
            ("\" bearer\"", false, false),
            ("\"N_A\"", false, false),
            ("\"DPoP\"", false, false),
            ("\"dpop\"", false, false),
            ("\"mac\"", false, false),
            ("\"marker\"", false, false),
            ("7", false, false),
            ("[\"bearer\"]", false, false),
        ] {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(strict.check(Some(&value)).is_ok(), strictly, "{json}");
            assert_eq!(lenient.check(Some(&value)).is_ok(), leniently, "{json}");
        }
        assert_eq!(strict.check(None), Ok(()));
        assert!(strict.check(Some(&"marker".into())).is_err_and(|text| text.contains("6 bytes")));
        assert!(strict.check(Some(&"jwt".into())).is_err_and(|text| text.contains("`JWT`")));
    }

    #[test]
    fn a_type_that_is_no_bearer_cannot_be_accepted() {
        for word in ["", "dpop", "N_A", "MAC"] {
            let mut types = TokenTypes::default();
            types.accept(word.into());
            let mut problems = Problems::default();
            types.check_words(&mut problems);
            assert!(!problems.is_empty(), "{word}");
        }
    }
}
