//! Values that are one string or a list.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor, value::StrDeserializer},
};

use super::Text;

/// A string, or a list of strings.
pub(crate) enum OneOrMany {
    One(Text),
    Many(Vec<Text>),
}

impl OneOrMany {
    /// All of them in one string.
    pub(crate) fn joined(&self, separator: &str) -> String {
        match self {
            OneOrMany::One(text) => text.as_str().to_owned(),
            OneOrMany::Many(texts) => texts.iter().map(Text::as_str).collect::<Vec<_>>().join(separator),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrList;

        impl<'de> Visitor<'de> for StringOrList {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                Text::deserialize(StrDeserializer::new(text)).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany::Many(texts))
            }
        }

        deserializer.deserialize_any(StringOrList)
    }
}

#[cfg(test)]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::OneOrMany;

    impl JsonSchema for OneOrMany {
        fn schema_name() -> Cow<'static, str> {
            "OneOrMany".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A string, or a list of strings.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            })
        }
    }
}
