//! The few members that are wanted of a JSON object.

use std::{collections::BTreeMap, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, error::Category};
use zeroize::Zeroize;

/// The members of an answer that somebody asked for.
///
/// All others are skipped without being held: an answer may carry refresh and identity tokens that nobody wants, or a
/// megabyte of noise. Texts are wiped when dropped, and `Debug` shows names only.
pub struct ResponseFields(BTreeMap<String, Value>);

impl ResponseFields {
    /// A member that is a text, empty or not. It may be a secret: handle with care.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Reads UTF-8 JSON, or tells why it is not an object. The reason never repeats any of the text.
    pub(crate) fn read(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Self, NotAnObject> {
        // A byte order mark may be ignored (RFC 8259 section 8.1), and some servers send one.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = str::from_utf8(bytes).map_err(|_| NotAnObject("is not UTF-8"))?;
        if text.trim().is_empty() {
            return Err(NotAnObject("is empty"));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let members = Wanted(wanted).deserialize(&mut json).and_then(|members| json.end().map(|()| members));
        members.map(ResponseFields).map_err(|error| match error.classify() {
            Category::Eof => NotAnObject("is JSON that breaks off"),
            Category::Data => NotAnObject("is JSON, but not an object"),
            Category::Syntax | Category::Io => NotAnObject("is not JSON"),
        })
    }

    /// A member that is there and not `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Takes a member out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }
}

impl Drop for ResponseFields {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

impl fmt::Debug for ResponseFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseFields").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

/// Why a text is not the JSON object that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAnObject(pub(crate) &'static str);

struct Wanted<F>(F);

impl<'de, F: Fn(&str) -> bool> DeserializeSeed<'de> for Wanted<F> {
    type Value = BTreeMap<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Wanted<F> {
    type Value = BTreeMap<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(name) = object.next_key::<String>()? {
            if (self.0)(&name) {
                // Of a name that comes twice the last one counts; the first may be a secret all the same.
                if let Some(Value::String(mut text)) = members.insert(name, object.next_value()?) {
                    text.zeroize();
                }
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_members_are_read_and_the_rest_is_skipped() {
        let deep = "[".repeat(50_000) + &"]".repeat(50_000);
        let text = format!("\u{feff} {{\"a\": 1, \"noise\": {deep}, \"b\": null, \"a\": 2}} ");
        let mut members = ResponseFields::read(text.as_bytes(), |name| name != "noise").unwrap();
        assert_eq!(members.get("a"), Some(&Value::from(2)));
        assert_eq!(members.get("b"), None);
        assert_eq!(members.take("a"), Some(Value::from(2)));
        assert_eq!(members.get("a"), None);
    }

    #[test]
    fn l38_debug_shows_names_only() {
        let members = ResponseFields::read(br#"{"a": "planted", "b": "planted", "c": 1}"#, |name| name != "b").unwrap();
        assert_eq!(format!("{members:?}"), r#"ResponseFields(["a", "c"])"#);
        assert_eq!((members.text("a"), members.text("b"), members.text("c")), (Some("planted"), None, None));
    }

    #[test]
    fn what_is_not_an_object_has_a_reason() {
        for (bytes, reason) in [
            (&b""[..], "is empty"),
            (b" \r\n", "is empty"),
            (b"<html>", "is not JSON"),
            (b"access_token=a&token_type=bearer", "is not JSON"),
            (b"{\"a\":1} trailing", "is not JSON"),
            (b"{\"a\":1", "is JSON that breaks off"),
            (b"\"text\"", "is JSON, but not an object"),
            (b"[{}]", "is JSON, but not an object"),
            (b"null", "is JSON, but not an object"),
            (b"{\"a\":\"\xff\"}", "is not UTF-8"),
        ] {
            assert_eq!(ResponseFields::read(bytes, |_| true).err(), Some(NotAnObject(reason)), "{bytes:?}");
        }
        // A wanted member nests without limit only in appearance: no stack overflow.
        let deep = "{\"a\":".repeat(50_000);
        assert!(ResponseFields::read(deep.as_bytes(), |_| true).is_err());
    }
}
