//! The few members that are wanted of a JSON object.

use std::{collections::BTreeMap, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, error::Category};

/// The wanted members of a JSON object. All others are skipped without being held: an answer may carry refresh and
/// identity tokens that nobody asked for, or a megabyte of noise.
pub(crate) struct Members(BTreeMap<String, Value>);

impl Members {
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
        members.map(Members).map_err(|error| match error.classify() {
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
    #[cfg(any(feature = "token-endpoint", test))]
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
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
                members.insert(name, object.next_value()?);
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
        let mut members = Members::read(text.as_bytes(), |name| name != "noise").ok().unwrap();
        assert_eq!(members.get("a"), Some(&Value::from(2)));
        assert_eq!(members.get("b"), None);
        assert_eq!(members.take("a"), Some(Value::from(2)));
        assert_eq!(members.get("a"), None);
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
            assert_eq!(Members::read(bytes, |_| true).err(), Some(NotAnObject(reason)), "{bytes:?}");
        }
        // A wanted member nests without limit only in appearance: no stack overflow.
        let deep = "{\"a\":".repeat(50_000);
        assert!(Members::read(deep.as_bytes(), |_| true).is_err());
    }
}
