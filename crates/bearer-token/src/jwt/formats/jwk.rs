//! JSON Web Keys (RFC 7517) as text: one, or the right one of a set.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::jwt::key::key_problem;
use crate::problem::{Advice, Problem};

/// More key ids than this are not listed in an error.
const LISTED: usize = 20;

/// What a JSON text holds.
pub(crate) enum JwkText {
    One(Jwk),
    Set(Vec<Jwk>),
}

/// The members of one key. Their texts are wiped when dropped.
pub(crate) struct Jwk(BTreeMap<String, Member>);

/// The value of a member, as far as it can matter here.
enum Member {
    Text(Zeroizing<String>),
    Texts(Vec<String>),
    Other,
}

/// Whether the text is a JWK or a set of them, so neither a PEM nor a secret.
pub(crate) fn looks_like_jwk(text: &[u8]) -> bool {
    object(text).is_some() && read(text).is_ok()
}

/// The text from its first brace on.
pub(crate) fn object(text: &[u8]) -> Option<&[u8]> {
    Some(text.strip_prefix(BOM).unwrap_or(text).trim_ascii_start()).filter(|text| text.starts_with(b"{"))
}

/// Reads one key or a set.
pub(crate) fn read(text: &[u8]) -> Result<JwkText, Error> {
    if object(text).is_none() {
        let found = if super::pem::looks_like_pem(text) {
            "found a PEM"
        } else if text.trim_ascii().is_empty() {
            "found nothing"
        } else {
            "found text that is not JSON"
        };
        let problem = Problem::new("key", found).expecting(r#"a JWK, {"kty": ...}, or a JWK set, {"keys": [...]}"#);
        let is_pem = super::pem::looks_like_pem(text);
        return Err(key_problem(if is_pem { problem.advise(Advice::set("SigningKey::from_pem")) } else { problem }));
    }
    let text = text.strip_prefix(BOM).unwrap_or(text);
    // Its own words are left out: they may quote the text.
    let document: Document = serde_json::from_slice(text).map_err(|error| unreadable(text, &error))?;
    match (document.keys, document.members.contains_key("kty")) {
        (Some(keys), _) => Ok(JwkText::Set(keys)),
        (None, true) => Ok(JwkText::One(Jwk(document.members))),
        (None, false) => Err(config(
            "found JSON with neither `kty` nor `keys`; expected a JWK (RFC 7517 section 4) or a JWK set (section 5): if \
             there is a PEM in it, take that out"
                .to_owned(),
        )),
    }
}

/// What is wrong with the JSON. The parser's own words may quote it.
fn unreadable(text: &[u8], error: &serde_json::Error) -> Error {
    let place = format!("line {}, column {}", error.line(), error.column());
    let what = match (has(text, "\"keys\""), has_word(text)) {
        (true, _) => "a JWK set",
        (false, true) => "a JWK",
        (false, false) => "JSON",
    };
    let expected = "expected a JWK, {\"kty\": ...}, or a JWK set, {\"keys\": [...]}";
    config(match error.classify() {
        Category::Eof => format!("found {what} that breaks off at {place}; {expected}, whole: is it half written?"),
        Category::Data if error.to_string().starts_with(TWICE) => {
            format!("found {what} with a member that comes twice, at {place}; expected each once (RFC 7517 section 4)")
        }
        Category::Data => format!("found {what} whose `keys` is no list of JSON objects, at {place}; {expected}"),
        Category::Syntax | Category::Io => format!("found {what} that is no sound JSON from {place} on; {expected}"),
    })
}

/// Whether there is a word that JWKs have, also if the rest is missing.
pub(crate) fn has_word(text: &[u8]) -> bool {
    ["\"keys\"", "\"kty\"", "\"kid\"", "\"crv\"", "\"alg\""].iter().any(|word| has(text, word))
}

fn has(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|window| window == word.as_bytes())
}

const TWICE: &str = "a member comes twice";

impl JwkText {
    /// The key with this id; without one, the only key that there is.
    pub(crate) fn choose(self, key_id: Option<&str>) -> Result<Jwk, Error> {
        let (mut keys, key_id) = match (self, key_id) {
            (JwkText::One(key), None) => return Ok(key),
            (JwkText::One(key), Some(wanted)) => match key.text("kid") {
                Some(own) if own != wanted => {
                    return Err(config(format!("found a JWK with `kid` {}; expected {}", shown(own), shown(wanted))));
                }
                _ => return Ok(key),
            },
            (JwkText::Set(keys), key_id) => (keys, key_id),
        };
        let ids = listed(&keys);
        let Some(wanted) = key_id else {
            return match (keys.pop(), keys.len()) {
                (Some(key), 0) => Ok(key),
                (None, _) => Err(config("found an empty JWK set; expected a private key in it".to_owned())),
                (Some(_), more) => Err(key_problem(
                    Problem::new("key", format!("found a JWK set of {} keys, {ids}", more + 1))
                        .expecting("to be told the `kid` of the one to sign with")
                        .advise(Advice::set("KeyReader::key_id")),
                )),
            };
        };
        keys.retain(|key| key.text("kid") == Some(wanted));
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => Ok(key),
            (None, _) => {
                Err(config(format!("found a JWK set with {ids}; expected a key with `kid` {}", shown(wanted))))
            }
            (Some(_), more) => Err(config(format!(
                "found {} keys with `kid` {} in the JWK set; expected one: take the others out",
                more + 1,
                shown(wanted)
            ))),
        }
    }
}

impl Jwk {
    /// A member that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Member::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A member that is a list of texts.
    pub(crate) fn texts(&self, name: &str) -> Option<&[String]> {
        match self.0.get(name) {
            Some(Member::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// A name as it is, but nothing longer: in a damaged JWK it could be the key.
pub(crate) fn shown(name: &str) -> String {
    if name.len() <= 80 { format!("{name:?}") } else { format!("a text of {} bytes", name.len()) }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

fn listed(keys: &[Jwk]) -> String {
    let mut ids: Vec<_> = keys.iter().filter_map(|key| key.text("kid")).map(shown).collect();
    let more = ids.len().saturating_sub(LISTED);
    ids.truncate(LISTED);
    match (ids.is_empty(), more) {
        (true, _) => "no `kid` among them".to_owned(),
        (false, 0) => format!("`kid` {}", ids.join(", ")),
        (false, more) => format!("`kid` {} and {more} more", ids.join(", ")),
    }
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// A JSON object, with the list under `keys` read as keys.
struct Document {
    members: BTreeMap<String, Member>,
    keys: Option<Vec<Jwk>>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document { members: BTreeMap::new(), keys: None };
                while let Some(name) = map.next_key::<String>()? {
                    // RFC 7517 section 4 has names be unique; which of two would count is anybody's guess.
                    let twice = if name == "keys" {
                        document.keys.replace(map.next_value()?).is_some()
                    } else {
                        document.members.insert(name, map.next_value()?).is_some()
                    };
                    if twice {
                        return Err(A::Error::custom(TWICE));
                    }
                }
                Ok(document)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Document::deserialize(deserializer).map(|document| Jwk(document.members))
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Member, E> {
                Ok(Member::Text(Zeroizing::new(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Member, A::Error> {
                let mut texts = Vec::new();
                let mut other = false;
                while let Some(member) = list.next_element::<Member>()? {
                    match member {
                        Member::Text(text) => texts.push(text.to_string()),
                        _ => other = true,
                    }
                }
                Ok(if other { Member::Other } else { Member::Texts(texts) })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Member::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
                Ok(Member::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
                Ok(Member::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Member, E> {
                Ok(Member::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
                Ok(Member::Other)
            }

            fn visit_unit<E>(self) -> Result<Member, E> {
                Ok(Member::Other)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jwt::test_support::{jwk_set, jwk_text};

    fn named(name: &str) -> String {
        jwk_text("ed25519", json!({ "kid": name }))
    }

    fn choose(text: &str, key_id: Option<&str>) -> Result<Option<String>, String> {
        let jwk = read(text.as_bytes()).and_then(|text| text.choose(key_id)).map_err(|error| error.to_string())?;
        Ok(jwk.text("kid").map(str::to_owned))
    }

    #[test]
    fn the_key_with_the_id_is_chosen_or_the_only_one() {
        let two = jwk_set(&[named("a"), named("b")]);
        assert_eq!(choose(&two, Some("b")), Ok(Some("b".into())));
        assert_eq!(choose(&jwk_set(&[named("a")]), None), Ok(Some("a".into())));
        assert_eq!(choose(&named("a"), None), Ok(Some("a".into())));
        assert_eq!(choose(&named("a"), Some("a")), Ok(Some("a".into())));
        assert_eq!(choose(&jwk_text("ed25519", json!({})), Some("a")), Ok(None));
        // Keys of kinds that are not known here are nobody's business (RFC 7517 section 5).
        let strange = r#"{"kty": "future", "kid": 7, "nested": {"a": [1, {}]}, "list": ["a", null, 1.5, -1]}"#;
        let set = jwk_set(&[strange.to_owned(), named("b")]);
        assert_eq!(choose(&format!("\u{feff} \n{set}"), Some("b")), Ok(Some("b".into())));
    }

    #[test]
    fn l23_a_key_that_is_not_in_the_set_is_an_error_that_lists_those_that_are() {
        let two = jwk_set(&[named("a"), named("b")]);
        let many = jwk_set(&(0..25).map(|number| named(&format!("k{number}"))).collect::<Vec<_>>());
        let unnamed = jwk_set(&[jwk_text("ed25519", json!({}))]);
        let long = named(&"x".repeat(81));
        for (text, key_id, expected) in [
            (&two, Some("c"), r#"found a JWK set with `kid` "a", "b"; expected a key with `kid` "c""#),
            (&two, None, r#"found a JWK set of 2 keys, `kid` "a", "b"; expected to be told the `kid`"#),
            (&many, Some("c"), r#""k19" and 5 more; expected"#),
            (&unnamed, Some("c"), "found a JWK set with no `kid` among them; expected"),
            (&jwk_set(&[]), None, "found an empty JWK set"),
            (&jwk_set(&[]), Some("c"), "found a JWK set with no `kid` among them; expected"),
            (&jwk_set(&[named("a"), named("a")]), Some("a"), r#"found 2 keys with `kid` "a" in the JWK set"#),
            (&named("a"), Some("b"), r#"found a JWK with `kid` "a"; expected "b""#),
            (&long, Some("b"), "found a JWK with `kid` a text of 81 bytes"),
        ] {
            let error = choose(text, key_id).unwrap_err();
            assert!(error.contains(expected), "expected {expected:?} in: {error}");
        }
    }

    #[test]
    fn l23_what_is_no_jwk_is_named() {
        let cut = &named("a")[..60];
        for (text, expected) in [
            ("", "found nothing; expected a JWK"),
            ("a secret", "found text that is not JSON; expected a JWK"),
            ("[{}]", "found text that is not JSON"),
            ("-----BEGIN PRIVATE KEY-----", "found a PEM"),
            ("{}", "found JSON with neither `kty` nor `keys`"),
            (r#"{"private_key": "x"}"#, "found JSON with neither `kty` nor `keys`"),
            (r#"{"keys": "MARKER"}"#, "found a JWK set whose `keys` is no list of JSON objects, at line 1, column"),
            (r#"{"keys": 5}"#, "found a JWK set whose `keys` is no list of JSON objects"),
            (r#"{"keys": [5]}"#, "found a JWK set whose `keys` is no list of JSON objects"),
            (
                r#"{"kty": "oct", "k": "MARKER", "k": "MARKER"}"#,
                "found a JWK with a member that comes twice, at line 1",
            ),
            (r#"{"keys": [], "keys": []}"#, "found a JWK set with a member that comes twice"),
            (r#"{"keys": [{"kty": "oct", "k": "MARKER", "k": "MARKER"}]}"#, "found a JWK set with a member that comes"),
            (r#"{"kty": "oct"} {"#, "found a JWK that is no sound JSON from line 1, column 16 on"),
            (cut, "found a JWK that breaks off at line 1, column 60; expected"),
            ("{\"", "found JSON that breaks off"),
        ] {
            let error = choose(text, None).unwrap_err();
            assert!(error.contains(expected), "expected {expected:?} in: {error}");
            assert!(!error.contains("MARKER"), "{error}");
            assert!(!looks_like_jwk(text.as_bytes()));
        }
        let deep = "{\"kty\":".repeat(10_000);
        assert!(choose(&deep, None).is_err(), "no stack overflow");
    }
}
