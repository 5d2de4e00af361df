//! JSON Web Keys (RFC 7517): one, or the right one of a set.
//!
//! Members are collected by name and interpreted later, in `jwk_key.rs`. Serde's derived parsers are not used: they
//! would neither wipe the strings nor notice a name that occurs twice, and their errors quote the value.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;
use zeroize::Zeroizing;

use super::encoding::without_mark;

/// The JWKs in a JSON document.
///
/// An object with `keys` is a set, even of one; everything else with `kty` is a key (RFC 7517 sections 4 and 5).
pub(crate) enum JwkDocument {
    One(Jwk),
    Set(Vec<Jwk>),
}

/// The members of one key. Their strings are wiped when dropped.
pub(crate) struct Jwk(BTreeMap<String, Member>);

/// The value of a member, as far as it can matter here.
///
/// Lists matter for `key_ops` only. Numbers and objects never matter.
enum Member {
    Text(Zeroizing<String>),
    Texts(Vec<String>),
    Other,
}

/// The reason why a document has no JWK, or not the one that was asked for.
///
/// Each variant has what its sentence needs. Positions are numbers, and ids pass through [`KeyId`], so no variant can
/// carry a part of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum JwkFault {
    /// The JSON cannot be read.
    Json {
        subject: JsonSubject,
        fault: JsonFault,
        line: usize,
        column: usize,
    },
    /// A JSON object with neither `kty` nor `keys`.
    NotAJwk,
    OtherKeyId {
        own: KeyId,
        wanted: KeyId,
    },
    /// `{"keys": []}`, as a server without keys publishes it.
    EmptySet,
    Several {
        keys: usize,
        ids: Vec<KeyId>,
    },
    NotInSet {
        ids: Vec<KeyId>,
        wanted: KeyId,
    },
    /// Several keys of a set have the id.
    SameKeyId {
        keys: usize,
        wanted: KeyId,
    },
}

/// What damaged JSON seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonSubject {
    Jwk,
    JwkSet,
    Json,
}

/// How JSON is damaged, as far as that decides the advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonFault {
    /// The end is missing: the file is half written, or was cut by a limit.
    BreaksOff,
    /// RFC 7517 section 4 forbids it, and parsers differ in which one they use.
    SameMemberTwice,
    /// `keys` is something else than a list of objects (RFC 7517 section 5).
    KeysAreNotAList,
    Syntax,
}

/// A key id as an error may repeat it. Key ids are public: they are in the header of every JWT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(Result<String, usize>);

impl KeyId {
    /// Keeps up to 80 plain characters. In a damaged JWK anything longer could be the key.
    pub(crate) fn new(id: &str) -> Self {
        let is_plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\');
        KeyId(if id.len() <= 80 && id.chars().all(is_plain) { Ok(id.to_owned()) } else { Err(id.len()) })
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(id) => write!(f, "\"{id}\""),
            Err(length) => write!(f, "of {length} bytes"),
        }
    }
}

/// Whether the text is a JWK or a set of JWKs, and so neither a PEM nor a secret.
pub(crate) fn is_jwk(text: &[u8]) -> bool {
    object(text).is_some() && read(text).is_ok()
}

/// The text from its first brace on.
pub(crate) fn object(text: &[u8]) -> Option<&[u8]> {
    Some(without_mark(text).trim_ascii_start()).filter(|text| text.starts_with(b"{"))
}

/// Reads one key or a set.
pub(crate) fn read(text: &[u8]) -> Result<JwkDocument, JwkFault> {
    let text = without_mark(text);
    let document: Document = serde_json::from_slice(text).map_err(|error| json_fault(text, &error))?;
    match (document.keys, document.members.contains_key("kty")) {
        (Some(keys), _) => Ok(JwkDocument::Set(keys)),
        (None, true) => Ok(JwkDocument::One(Jwk(document.members))),
        (None, false) => Err(JwkFault::NotAJwk),
    }
}

/// The parser's own sentence is not used: it may quote the text.
///
/// The names of members show what the document was meant to be, because parsing has no result.
fn json_fault(text: &[u8], error: &serde_json::Error) -> JwkFault {
    let subject = match (has(text, "\"keys\""), has_word(text)) {
        (true, _) => JsonSubject::JwkSet,
        (false, true) => JsonSubject::Jwk,
        (false, false) => JsonSubject::Json,
    };
    let fault = match error.classify() {
        Category::Eof => JsonFault::BreaksOff,
        Category::Data if error.to_string().starts_with(TWICE) => JsonFault::SameMemberTwice,
        Category::Data => JsonFault::KeysAreNotAList,
        Category::Syntax | Category::Io => JsonFault::Syntax,
    };
    JwkFault::Json { subject, fault, line: error.line(), column: error.column() }
}

/// Whether the text contains a member name that JWKs have, even if the rest is missing.
pub(crate) fn has_word(text: &[u8]) -> bool {
    ["\"keys\"", "\"kty\"", "\"kid\"", "\"crv\"", "\"alg\""].iter().any(|word| has(text, word))
}

/// Whether a string occurs anywhere. It is not parsed, because the document may be damaged.
fn has(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|window| window == word.as_bytes())
}

/// The sentence of an error of ours inside of serde's, by which it is recognised.
const TWICE: &str = "a member occurs twice";

impl JwkDocument {
    /// The key with this id; without an id, the only key.
    ///
    /// Without an id, a set of one is unambiguous. With several keys and no id there is no rule to prefer one, so the
    /// error lists the ids.
    pub(crate) fn choose(self, key_id: Option<&str>) -> Result<Jwk, JwkFault> {
        let (mut keys, key_id) = match (self, key_id) {
            (JwkDocument::One(key), None) => return Ok(key),
            (JwkDocument::One(key), Some(wanted)) => match key.text("kid") {
                Some(own) if own != wanted => {
                    return Err(JwkFault::OtherKeyId { own: KeyId::new(own), wanted: KeyId::new(wanted) });
                }
                _ => return Ok(key),
            },
            (JwkDocument::Set(keys), key_id) => (keys, key_id),
        };
        let ids = keys.iter().filter_map(|key| key.text("kid")).map(KeyId::new).collect();
        let Some(wanted) = key_id else {
            return match (keys.pop(), keys.len()) {
                (Some(key), 0) => Ok(key),
                (None, _) => Err(JwkFault::EmptySet),
                (Some(_), more) => Err(JwkFault::Several { keys: more + 1, ids }),
            };
        };
        keys.retain(|key| key.text("kid") == Some(wanted));
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => Ok(key),
            (None, _) => Err(JwkFault::NotInSet { ids, wanted: KeyId::new(wanted) }),
            (Some(_), more) => Err(JwkFault::SameKeyId { keys: more + 1, wanted: KeyId::new(wanted) }),
        }
    }
}

impl Jwk {
    /// A member that is a string.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Member::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A member that is a list of strings.
    pub(crate) fn texts(&self, name: &str) -> Option<&[String]> {
        match self.0.get(name) {
            Some(Member::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// Whether the member is there, with any value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// A JSON object, whose member `keys` is read as a list of keys.
struct Document {
    members: BTreeMap<String, Member>,
    keys: Option<Vec<Jwk>>,
}

/// Reads a document and refuses a name that occurs twice. Serde's maps would keep the last one without a word.
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
                    // RFC 7517 section 4 requires unique names. Of two, some parsers use the first, others the last.
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

/// Reads one key. A `keys` in it has no meaning there, and is ignored.
impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Document::deserialize(deserializer).map(|document| Jwk(document.members))
    }
}

/// Reads a value of any type. Strings go into a buffer that is wiped; of everything else, only strings in lists are
/// kept.
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

    fn choose(text: &str, key_id: Option<&str>) -> Result<Option<String>, JwkFault> {
        let jwk = read(text.as_bytes()).and_then(|text| text.choose(key_id))?;
        Ok(jwk.text("kid").map(str::to_owned))
    }

    // shows: 7517/4.5 7517/5
    #[test]
    fn the_key_id_chooses_unless_there_is_one_key() {
        let two = jwk_set(&[named("a"), named("b")]);
        assert_eq!(choose(&two, Some("b")), Ok(Some("b".into())));
        assert_eq!(choose(&jwk_set(&[named("a")]), None), Ok(Some("a".into())));
        assert_eq!(choose(&named("a"), None), Ok(Some("a".into())));
        assert_eq!(choose(&named("a"), Some("a")), Ok(Some("a".into())));
        assert_eq!(choose(&jwk_text("ed25519", json!({})), Some("a")), Ok(None));
        // Keys of unknown kinds are ignored (RFC 7517 section 5).
        let strange = r#"{"kty": "future", "kid": 7, "nested": {"a": [1, {}]}, "list": ["a", null, 1.5, -1]}"#;
        let set = jwk_set(&[strange.to_owned(), named("b")]);
        assert_eq!(choose(&format!("\u{feff} \n{set}"), Some("b")), Ok(Some("b".into())));
    }

    // shows: 7518/6.3.2
    #[test]
    fn l23_a_missing_key_is_reported_with_the_others() {
        let two = jwk_set(&[named("a"), named("b")]);
        let unnamed = jwk_set(&[jwk_text("ed25519", json!({}))]);
        let ids = |ids: &[&str]| ids.iter().map(|id| KeyId::new(id)).collect::<Vec<_>>();
        let wanted = || KeyId::new("c");
        for (text, key_id, expected) in [
            (&two, Some("c"), JwkFault::NotInSet { ids: ids(&["a", "b"]), wanted: wanted() }),
            (&two, None, JwkFault::Several { keys: 2, ids: ids(&["a", "b"]) }),
            (&unnamed, Some("c"), JwkFault::NotInSet { ids: ids(&[]), wanted: wanted() }),
            (&jwk_set(&[]), None, JwkFault::EmptySet),
            (&jwk_set(&[]), Some("c"), JwkFault::NotInSet { ids: ids(&[]), wanted: wanted() }),
            (&jwk_set(&[named("c"), named("c")]), Some("c"), JwkFault::SameKeyId { keys: 2, wanted: wanted() }),
            (&named("a"), Some("c"), JwkFault::OtherKeyId { own: KeyId::new("a"), wanted: wanted() }),
        ] {
            assert_eq!(choose(text, key_id), Err(expected), "{text}");
        }
    }

    #[test]
    fn l38_only_plain_key_ids_are_repeated() {
        for (id, shown) in [
            ("2026-01", "\"2026-01\""),
            ("projects/a b/keys/7", "\"projects/a b/keys/7\""),
            (&"x".repeat(81), "of 81 bytes"),
            ("a\nb", "of 3 bytes"),
            ("a\"b", "of 3 bytes"),
            ("\u{e4}", "of 2 bytes"),
        ] {
            assert_eq!(KeyId::new(id).to_string(), shown);
        }
    }

    #[test]
    fn l23_damaged_json_is_told_with_its_place() {
        use JsonFault::{BreaksOff, KeysAreNotAList, SameMemberTwice, Syntax};
        use JsonSubject::{Json, Jwk, JwkSet};

        let cut = &named("a")[..60];
        let twice = r#"{"keys": [{"kty": "oct", "k": "MARKER", "k": "MARKER"}]}"#;
        for (text, subject, fault, place) in [
            (cut, Jwk, BreaksOff, (1, 60)),
            ("{\"", Json, BreaksOff, (1, 2)),
            (r#"{"kty": "oct"} {"#, Jwk, Syntax, (1, 16)),
            (r#"{"kty": "oct", "k": "MARKER", "k": "MARKER"}"#, Jwk, SameMemberTwice, (1, 44)),
            (r#"{"keys": [], "keys": []}"#, JwkSet, SameMemberTwice, (1, 24)),
            (twice, JwkSet, SameMemberTwice, (1, 54)),
            (r#"{"keys": "MARKER"}"#, JwkSet, KeysAreNotAList, (1, 17)),
            (r#"{"keys": 5}"#, JwkSet, KeysAreNotAList, (1, 10)),
            (r#"{"keys": [5]}"#, JwkSet, KeysAreNotAList, (1, 11)),
        ] {
            let JwkFault::Json { subject: found, fault: why, line, column } = choose(text, None).unwrap_err() else {
                panic!("{text}")
            };
            assert_eq!((found, why, (line, column)), (subject, fault, place), "{text}");
            assert!(!is_jwk(text.as_bytes()));
        }
        for text in ["{}", r#"{"private_key": "x"}"#] {
            assert_eq!(choose(text, None), Err(JwkFault::NotAJwk));
        }
        assert!(choose(&"{\"kty\":".repeat(10_000), None).is_err(), "no stack overflow");
    }
}
