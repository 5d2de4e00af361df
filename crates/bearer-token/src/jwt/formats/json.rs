//! Looks for a private key inside a JSON document that is not a JWK itself.
//!
//! A cloud's account file has a private key among its members. It is not used silently: the file may have several keys,
//! and the wrong one would sign. Instead the error names the member, its JSON pointer for
//! [`Value::member`](crate::Value::member), and the `jq` command.

use std::fmt::{self, Write};

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use super::{encoding, pem::looks_like_pem};

/// What a JSON document is, apart from a JWK.
///
/// The first key counts; an error about a second one would not help.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct JsonDocument {
    /// Google's `"type": "service_account"`.
    pub(crate) is_service_account: bool,
    /// The first private key in the document, in the order of its members.
    pub(crate) key: Option<JsonKey>,
}

/// A private key inside a JSON document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JsonKey {
    /// Whether it is a PEM in a string, plain or in Base64. Otherwise it is a JWK.
    pub(crate) is_pem: bool,
    /// The filter of `jq` that selects it, such as `.data.private_key`. `None` if the path contains an uncommon name,
    /// which could be anything.
    pub(crate) filter: Option<String>,
    /// The JSON pointer to it (RFC 6901), on the same condition.
    pub(crate) pointer: Option<String>,
}

/// Whether the content begins like a JSON object or list. Other text in braces is not enough.
pub(crate) fn begins_like_json(content: &[u8]) -> bool {
    let mut bytes = encoding::without_mark(content).iter().filter(|byte| !byte.is_ascii_whitespace());
    matches!((bytes.next(), bytes.next()), (Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b'{' | b'"' | b'[')))
}

/// Reads the document; `None` if it is not JSON.
pub(crate) fn read(content: &[u8]) -> Option<JsonDocument> {
    let mut walk = Walk { path: Vec::new(), is_service_account: false, key: None };
    let mut deserializer = serde_json::Deserializer::from_slice(encoding::without_mark(content));
    WalkNode(&mut walk).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(JsonDocument { is_service_account: walk.is_service_account, key: walk.key })
}

/// A JSON string with a document inside: `"{\"kty\": ..}"`, or the same between single quotes.
pub(crate) fn unquoted(content: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let text = encoding::without_mark(content).trim_ascii();
    if let Some(inner) = text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")) {
        return Some(zeroize::Zeroizing::new(inner.to_vec()));
    }
    let text: String = serde_json::from_slice(text).ok()?;
    Some(zeroize::Zeroizing::new(text.into_bytes()))
}

/// One step of the path from the document to a value.
enum Step {
    Name(String),
    Index(usize),
}

/// The state of a walk through the document: where it is, and what it has found.
struct Walk {
    path: Vec<Step>,
    is_service_account: bool,
    key: Option<JsonKey>,
}

impl Walk {
    /// Notes a key at the current path, if it is the first one. The path is formatted only here. A document without a
    /// key costs nothing.
    fn found(&mut self, is_pem: bool) {
        if self.key.is_none() {
            self.key = Some(JsonKey { is_pem, filter: self.filter(), pointer: self.pointer() });
        }
    }

    /// The current path as a JSON pointer, for `Value::member`.
    fn pointer(&self) -> Option<String> {
        let mut pointer = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => write!(pointer, "/{index}").ok()?,
                // Common names have neither slashes nor tildes.
                Step::Name(name) => write!(pointer, "/{}", is_common(name).then_some(name)?).ok()?,
            }
        }
        Some(pointer)
    }

    /// The current path as a filter of `jq`. An array at the root needs a dot before its index, and a name with a
    /// hyphen needs brackets and quotes.
    fn filter(&self) -> Option<String> {
        let mut filter = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => write!(filter, "{}[{index}]", if filter.is_empty() { "." } else { "" }).ok()?,
                Step::Name(name) if !is_common(name) => return None,
                Step::Name(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                    write!(filter, ".{name}").ok()?;
                }
                Step::Name(name) => write!(filter, "{}[{name:?}]", if filter.is_empty() { "." } else { "" }).ok()?,
            }
        }
        Some(filter)
    }
}

/// The words of which names like `private_key`, `tls.key` and `boxAppSettings` are made.
///
/// A name in an untrusted file could be a secret that was put on the wrong side of a colon. Names of these words
/// cannot.
const MEMBER_WORDS: [&str; 38] = [
    "account",
    "api",
    "app",
    "auth",
    "base64",
    "box",
    "cert",
    "certificate",
    "client",
    "config",
    "content",
    "credential",
    "credentials",
    "data",
    "ec",
    "file",
    "items",
    "json",
    "jwk",
    "jwt",
    "key",
    "keys",
    "pair",
    "pem",
    "pkcs8",
    "private",
    "rsa",
    "secret",
    "secrets",
    "server",
    "service",
    "settings",
    "sign",
    "signing",
    "string",
    "tls",
    "user",
    "value",
];

/// Whether a name consists of common words only. Then an error may repeat it.
fn is_common(name: &str) -> bool {
    let mut words = Vec::new();
    for part in name.split(['_', '-', '.', ' ']) {
        let mut word = String::new();
        for c in part.chars() {
            if c.is_ascii_uppercase() && word.ends_with(|c: char| c.is_ascii_lowercase()) {
                words.push(std::mem::take(&mut word));
            }
            word.push(c);
        }
        words.push(word);
    }
    !name.is_empty() && words.iter().all(|word| MEMBER_WORDS.contains(&word.to_ascii_lowercase().as_str()))
}

/// A value at the current path.
///
/// Serde drives the walk, and its recursion limit bounds the depth. Values are looked at in place and not collected.
struct WalkNode<'a>(&'a mut Walk);

impl<'de> DeserializeSeed<'de> for WalkNode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for WalkNode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    /// A string is the only value that can be a PEM, or the type of an account.
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let is_private = |text: &[u8]| {
            const LABEL: &[u8] = b"PRIVATE KEY-----";
            looks_like_pem(text) && text.windows(LABEL.len()).any(|window| window == LABEL)
        };
        if is_private(text.as_bytes()) || encoding::base64(text.as_bytes()).is_some_and(|inside| is_private(&inside)) {
            self.0.found(true);
        }
        let is_type = matches!(self.0.path.as_slice(), [Step::Name(name)] if name == "type");
        self.0.is_service_account |= is_type && text == "service_account";
        Ok(())
    }

    /// A nested object with `kty` is a JWK. At the root it would have been read as one, so there it is something else.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == "kty" && !self.0.path.is_empty() {
                self.0.found(false);
            }
            self.0.path.push(Step::Name(name));
            map.next_value_seed(WalkNode(self.0))?;
            self.0.path.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0.. {
            self.0.path.push(Step::Index(index));
            let more = list.next_element_seed(WalkNode(self.0))?.is_some();
            self.0.path.pop();
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jwt::test_support::{jwk, pem};

    #[test]
    fn l53_the_member_with_the_key_is_found() {
        let key = pem("p256");
        let wrapped = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &key);
        let certificate = pem("certificate");
        for (document, filter) in [
            (json!({ "type": "service_account", "private_key": key }), Some(".private_key")),
            (json!({ "data": { "certificate": certificate, "private_key": key } }), Some(".data.private_key")),
            (
                json!({ "boxAppSettings": { "appAuth": { "privateKey": key } } }),
                Some(".boxAppSettings.appAuth.privateKey"),
            ),
            (json!({ "data": { "tls.crt": certificate, "tls.key": wrapped } }), Some(".data[\"tls.key\"]")),
            (json!({ "tls.key": key }), Some(".[\"tls.key\"]")),
            (json!([{ "key": key }]), Some(".[0].key")),
            (json!({ "keys": [1, { "signing-key": key }] }), Some(".keys[1][\"signing-key\"]")),
            (json!({ "MARKER": { "key": key } }), None),
            (json!({ "SecretString": jwk("p256") }), Some(".SecretString")),
        ] {
            let found = read(document.to_string().as_bytes()).unwrap();
            assert_eq!(found.is_service_account, document.get("type").is_some());
            let found = found.key.unwrap();
            assert_eq!(found.filter.as_deref(), filter, "{document}");
            assert_eq!(found.pointer.is_some(), filter.is_some());
            if let Some(pointer) = found.pointer {
                let found = document.pointer(&pointer).unwrap();
                assert!(found == &json!(key) || found == &json!(wrapped) || found.is_object(), "{pointer}");
            }
            assert_eq!(found.is_pem, document.get("SecretString").is_none());
        }
        let without = json!({ "certificate": certificate, "n": [1, -2, 0.5, true, null] });
        assert_eq!(read(without.to_string().as_bytes()), Some(JsonDocument { is_service_account: false, key: None }));
    }

    #[test]
    fn what_is_not_json_is_none() {
        for text in ["", "{", "{\"private_key\": \"-----BEGIN PRIVATE KEY-----", "{} {}", "secret"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read("{\"a\":".repeat(10_000).as_bytes()), None, "no stack overflow");
        for (text, is_json) in
            [("{\"a\"", true), (" {}", true), ("[ {", true), ("{a secret}", false), ("[a]", false), ("{", false)]
        {
            assert_eq!(begins_like_json(text.as_bytes()), is_json, "{text}");
        }
    }
}
