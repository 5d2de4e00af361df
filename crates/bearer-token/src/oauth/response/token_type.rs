//! The token types that mean a bearer token.
//!
//! A token of a type that the client does not understand must not be used (RFC 6749 section 7.1). The strict reading
//! would refuse many servers that mean bearer and say something else, so words are accepted one by one, by name.

use crate::{
    oauth::request::wire,
    problem::{Problem, Problems},
    token::fields::Field,
};

/// The words of `token_type` that mean a bearer token: `bearer`, and those that the user added.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenTypes(Vec<String>);

impl TokenTypes {
    pub(crate) fn accept(&mut self, word: String) {
        self.0.push(word);
    }

    /// Checks the words that the user wants to accept.
    pub(crate) fn check_words(&self, problems: &mut Problems) {
        for word in &self.0 {
            if word.trim().is_empty() {
                let problem = Problem::new("accept_token_type", "found an empty word");
                problems.add(problem.expecting("a token type such as `BearerToken`"));
            } else if wire::check("accept_token_type", word, problems)
                && let Some((known, _)) = NOT_BEARER.iter().find(|(other, _)| other.eq_ignore_ascii_case(word.trim()))
            {
                let found = format!("found `{known}`, but a token of that type cannot be used as a bearer token");
                problems.push("accept_token_type", found);
            }
        }
    }

    /// Judges the `token_type` of a response, or says what is wrong with it. Spaces around the word do not matter.
    ///
    /// RFC 6749 section 5.1 requires the field, and section 7.1 forbids types that the client does not understand.
    /// Several servers leave it out and mean bearer. Every other type needs a proof or a key from the client, and none
    /// was sent. So a missing type can only mean bearer.
    pub(crate) fn check(&self, field: Option<&Field>) -> Result<(), String> {
        let word = match field {
            None => return Ok(()),
            Some(Field::Text(word)) => word.trim(),
            Some(_) => {
                return Err("a `token_type` that is not a string; expected `Bearer` (RFC 6749 section 5.1)".into());
            }
        };
        let is_accepted = |accepted: &String| accepted.trim().eq_ignore_ascii_case(word);
        if word.is_empty() || word.eq_ignore_ascii_case("bearer") || self.0.iter().any(is_accepted) {
            return Ok(());
        }
        let expected = "expected `Bearer` (RFC 6749 section 7.1)";
        if let Some((word, why)) = NOT_BEARER.iter().find(|(other, _)| other.eq_ignore_ascii_case(word)) {
            return Err(format!("a token of type `{word}`; {expected}: {why}"));
        }
        // Only words from the list are repeated, because a response may contain anything.
        let loose = LOOSE.iter().find(|loose| loose.eq_ignore_ascii_case(word));
        let found = loose.map_or_else(|| format!("a word of {} bytes", word.len()), |word| format!("`{word}`"));
        Err(format!(
            "a token of type {found}; {expected}: if the server means bearer by it, name the word with \
             `.accept_token_type(..)`"
        ))
    }
}

/// Types that are not bearer tokens, and why.
///
/// They name the reason, because the remedy is at the server: it has to issue bearer tokens to this client.
const NOT_BEARER: &[(&str, &str)] = &[
    ("N_A", "the token is not meant for an API (RFC 8693 section 2.2.1), so ask for an access token"),
    ("DPoP", "such tokens need a proof with each request (RFC 9449), so allow bearer tokens for this client"),
    ("mac", "such tokens need a signature with each request, so allow bearer tokens for this client"),
    ("PoP", "such tokens need a proof with each request, so allow bearer tokens for this client"),
];

/// Words that some servers send and mean bearer.
///
/// They are not accepted by default. The list only allows an error to repeat the word, so the user can copy it.
const LOOSE: &[&str] =
    &["AccessToken", "access_token", "BearerToken", "bearer_token", "JWT", "OAuth", "OAuth2", "Token"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        oauth::response::ResponseFormat,
        token::fields::{Place, ResponseFields},
    };

    fn check(types: &TokenTypes, json: &str) -> Result<(), String> {
        let body = format!("{{\"token_type\":{json}}}");
        let fields = ResponseFields::read(body.as_bytes(), ResponseFormat::oauth().wanted()).unwrap();
        types.check(fields.get(Place::TokenType))
    }

    // shows: 6749/5.1b 6750/4
    #[test]
    fn l16_the_type_is_matched_without_regard_to_case() {
        let strict = TokenTypes::default();
        let mut lenient = TokenTypes::default();
        lenient.accept("BearerToken".into());
        for (json, strictly, leniently) in [
            ("\"bearer\"", true, true),
            ("\"Bearer\"", true, true),
            ("\"bEARER\"", true, true),
            ("\"\"", true, true),
            ("null", true, true),
            ("\"BearerToken\"", false, true),
            ("\"bearertoken \"", false, true),
            ("\"N_A\"", false, false),
            ("\"DPoP\"", false, false),
            ("\"dpop\"", false, false),
            ("\" mac\"", false, false),
            ("\"marker\"", false, false),
            ("\"Bearer x\"", false, false),
            ("\"bea\tr\"", false, false),
            ("7", false, false),
            ("{}", false, false),
            ("[\"bearer\"]", false, false),
        ] {
            assert_eq!(check(&strict, json).is_ok(), strictly, "{json}");
            assert_eq!(check(&lenient, json).is_ok(), leniently, "{json}");
        }
        assert!(check(&strict, "\"marker\"").is_err_and(|text| text.contains("6 bytes") && !text.contains("marker")));
        assert!(check(&strict, "\"jwt\"").is_err_and(|text| text.contains("`JWT`")));
    }

    #[test]
    fn l50_spaces_around_the_type_do_not_matter() {
        for json in ["\" bearer\"", "\"Bearer \"", "\"Bearer\\n\"", "\"\\tBEARER\\r\\n\"", "\" \""] {
            assert_eq!(check(&TokenTypes::default(), json), Ok(()), "{json}");
        }
    }

    #[test]
    fn a_type_that_is_not_bearer_cannot_be_accepted() {
        for word in ["", " ", "dpop", "N_A", "MAC", "Bearer\n"] {
            let mut types = TokenTypes::default();
            types.accept(word.into());
            let mut problems = Problems::default();
            types.check_words(&mut problems);
            assert!(!problems.is_empty(), "{word}");
        }
    }
}
