//! Values that are one or a list.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer},
    },
};

use super::ValueField;

/// A value, or a list of values.
pub(crate) enum OneOrMany {
    One(ValueField),
    Many(Vec<ValueField>),
}

impl OneOrMany {
    /// Each value with its path.
    pub(crate) fn with_paths(&self, path: &str) -> Vec<(String, &ValueField)> {
        match self {
            OneOrMany::One(value) => vec![(path.to_owned(), value)],
            OneOrMany::Many(values) => {
                values.iter().enumerate().map(|(index, value)| (format!("{path}[{index}]"), value)).collect()
            }
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueOrList;

        impl<'de> Visitor<'de> for ValueOrList {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                ValueField::deserialize(StrDeserializer::new(text)).map(OneOrMany::One)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany, A::Error> {
                ValueField::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany::Many)
            }
        }

        deserializer.deserialize_any(ValueOrList)
    }
}

#[cfg(test)]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{OneOrMany, ValueField};

    impl JsonSchema for OneOrMany {
        fn schema_name() -> Cow<'static, str> {
            "OneOrMany".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let value = generator.subschema_for::<ValueField>();
            json_schema!({
                "description": "A value, or a list of values.",
                "anyOf": [value, { "type": "array", "items": value }],
            })
        }
    }
}
