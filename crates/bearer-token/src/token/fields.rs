//! The few fields of a response that are needed.

use std::{collections::BTreeMap, fmt};

use zeroize::Zeroize;

use crate::token::json::{self, NotAnObject};

/// The fields of a token response that a grant asked for.
///
/// All others are skipped without being stored: a response may carry refresh and identity tokens that the program does
/// not need, or a megabyte of noise. Strings are wiped when dropped, and `Debug` shows names only.
pub struct ResponseFields(BTreeMap<String, Field>);

/// One field, as far as it can be read.
#[derive(PartialEq)]
pub(crate) enum Field {
    Text(String),
    /// The digits as they were sent.
    Number(String),
    Truth(bool),
    /// A list of strings, of one at least.
    Texts(Vec<String>),
    /// `[]` or `{}`.
    Empty,
    /// Any other list or object.
    Nested,
    /// A string with bytes that are not UTF-8.
    NotUtf8,
    /// A string with characters that JSON does not allow, or a word that JSON does not have.
    NotJson,
}

impl ResponseFields {
    /// A field that is a string, empty or not. It may be a secret.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Field::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Reads the wanted fields of a JSON object. One that cannot be read costs no other.
    pub(crate) fn read(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Self, NotAnObject> {
        let mut fields = ResponseFields(BTreeMap::new());
        json::members(bytes, |name, raw| {
            if wanted(name) {
                // Of a name that occurs twice the last one counts, but the first may be a secret all the same.
                let earlier = match Field::read(raw) {
                    Some(field) => fields.0.insert(name.to_owned(), field),
                    None => fields.0.remove(name),
                };
                wipe(earlier);
            }
        })?;
        Ok(fields)
    }

    /// A field that is present and not `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        self.0.get(name)
    }

    /// Takes a field out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Field> {
        self.0.remove(name)
    }
}

impl Field {
    /// Reads a raw value; none for `null`.
    fn read(raw: &[u8]) -> Option<Self> {
        let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
        Some(match raw {
            b"null" => return None,
            b"true" => Field::Truth(true),
            b"false" => Field::Truth(false),
            [b'[' | b'{', ..] if inner.trim_ascii().is_empty() => Field::Empty,
            [b'[', ..] => serde_json::from_slice(raw).map_or(Field::Nested, Field::Texts),
            [b'{', ..] => Field::Nested,
            [b'"', ..] if str::from_utf8(raw).is_err() => Field::NotUtf8,
            [b'"', ..] => json::text(raw).map_or(Field::NotJson, Field::Text),
            _ => json::number(raw).map_or(Field::NotJson, |digits| Field::Number(digits.to_owned())),
        })
    }

    /// Whether it says nothing: `""`, `0`, `false`, `[]` or `{}`.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Field::Text(text) => text.trim().is_empty(),
            Field::Number(digits) => digits.parse() == Ok(0.0),
            Field::Truth(truth) => !truth,
            Field::Empty => true,
            Field::Texts(_) | Field::Nested | Field::NotUtf8 | Field::NotJson => false,
        }
    }
}

fn wipe(field: Option<Field>) {
    if let Some(Field::Text(mut text)) = field {
        text.zeroize();
    }
}

impl Drop for ResponseFields {
    fn drop(&mut self) {
        for (_, field) in std::mem::take(&mut self.0) {
            wipe(Some(field));
        }
    }
}

impl fmt::Debug for ResponseFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseFields").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_what_it_is() {
        let text = |text: &str| Some(Field::Text(text.to_owned()));
        let number = |digits: &str| Some(Field::Number(digits.to_owned()));
        for (raw, field, empty) in [
            ("\"a\\n\"", text("a\n"), false),
            ("\"\"", text(""), true),
            ("\" \"", text(" "), true),
            ("\"a\tb\"", Some(Field::NotJson), false),
            ("\"\\ud800\"", Some(Field::NotJson), false),
            ("7", number("7"), false),
            ("12345678901234567890123", number("12345678901234567890123"), false),
            ("1e400", number("1e400"), false),
            ("0", number("0"), true),
            ("-0.0", number("-0.0"), true),
            ("NaN", Some(Field::NotJson), false),
            ("true", Some(Field::Truth(true)), false),
            ("false", Some(Field::Truth(false)), true),
            ("null", None, true),
            ("[ ]", Some(Field::Empty), true),
            ("{}", Some(Field::Empty), true),
            ("[\"a\", \"b\"]", Some(Field::Texts(vec!["a".into(), "b".into()])), false),
            ("[\"a\", 7]", Some(Field::Nested), false),
            ("[1e400]", Some(Field::Nested), false),
            ("{\"a\":1}", Some(Field::Nested), false),
        ] {
            let found = Field::read(raw.as_bytes());
            assert_eq!(found.as_ref().is_none_or(Field::is_empty), empty, "{raw}");
            assert!(found == field, "{raw}");
        }
        assert!(Field::read(b"\"t\xf6k\"") == Some(Field::NotUtf8));
    }

    #[test]
    fn l50_a_wanted_field_that_is_unreadable_costs_no_other() {
        let body = b"{\"a\":\"\xff\",\"b\":1e400,\"c\":\"x\ty\",\"secret\":\"kept\",\"d\":{\"e\":1e999}}";
        let fields = ResponseFields::read(body, |_| true).unwrap();
        assert_eq!(fields.text("secret"), Some("kept"));
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("c"), fields.text("d")), (None, None, None, None));
    }

    #[test]
    fn the_last_of_two_counts() {
        for (body, expected) in [
            (r#"{"a":"1","a":"2"}"#, Some("2")),
            (r#"{"a":"1","a":null}"#, None),
            (r#"{"a":null,"a":"2"}"#, Some("2")),
            (r#"{"a":"1","b":null}"#, Some("1")),
        ] {
            assert_eq!(ResponseFields::read(body.as_bytes(), |_| true).unwrap().text("a"), expected, "{body}");
        }
    }

    #[test]
    fn l38_debug_shows_names_only() {
        let fields = ResponseFields::read(br#"{"a": "planted", "b": "planted", "c": 1}"#, |name| name != "b").unwrap();
        assert_eq!(format!("{fields:?}"), r#"ResponseFields(["a", "c"])"#);
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("c")), (Some("planted"), None, None));
    }
}
