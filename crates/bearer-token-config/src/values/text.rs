//! Strings of one line.

use std::{fmt, ops::Deref};

use bearer_token::Problem;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// A string that is sent as part of a line: without newlines and other control characters (L52).
///
/// Copies from terminals and files bring such characters along, and a server's refusal would not name them.
#[derive(Clone)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A secret may be in the wrong field.
        f.write_str("[text]")
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match found(&text) {
            Some(found) => Err(D::Error::custom(format_args!("{found}; expected {ONE_LINE}"))),
            None => Ok(Text(text)),
        }
    }
}

/// A JSON pointer. The core checks its form.
pub(crate) struct Pointer(String);

impl Pointer {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyString;

        impl Visitor<'_> for OnlyString {
            type Value = Pointer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON pointer to a field of the response, as a string such as `\"/expires_in\"`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Pointer, E> {
                match found(text) {
                    Some(found) => Err(E::custom(format_args!("{found}; expected {ONE_LINE}"))),
                    None => Ok(Pointer(text.to_owned())),
                }
            }
        }

        deserializer.deserialize_str(OnlyString)
    }
}

const ONE_LINE: &str = "one line of text: remove it, or put a space in its place";

/// The problem with a string that has a newline or another control character.
pub(crate) fn text_problem(text: &str) -> Option<Problem> {
    found(text).map(|found| Problem::new("", found).expecting(ONE_LINE))
}

fn found(text: &str) -> Option<&'static str> {
    text.chars().find_map(|c| match c {
        '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some("found a newline in the string"),
        '\u{feff}' => Some("found a byte order mark in the string"),
        c if c.is_control() => Some("found a control character in the string"),
        _ => None,
    })
}

#[cfg(test)]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Pointer, Text};

    impl JsonSchema for Text {
        fn schema_name() -> Cow<'static, str> {
            "Text".into()
        }

        fn inline_schema() -> bool {
            true
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string" })
        }
    }

    impl JsonSchema for Pointer {
        fn schema_name() -> Cow<'static, str> {
            "Pointer".into()
        }

        fn inline_schema() -> bool {
            true
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string" })
        }
    }
}
