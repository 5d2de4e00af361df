//! A value: a string, or a table that says where the string is found.

use std::{fmt, ops::Deref, path::PathBuf};

use bearer_token::Encoding;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use zeroize::Zeroizing;

/// Where a value is, and what is done with what is found there.
pub(crate) struct ValueField {
    pub(crate) origin: Origin,
    pub(crate) steps: Steps,
}

/// Where a value is.
pub(crate) enum Origin {
    /// A string in place of a table.
    Plain(Zeroizing<String>),
    Value(Zeroizing<String>),
    File(PathBuf),
    Env(String),
    Source(String),
    Variable(String),
    /// None of the table's members, or several of them.
    Unclear(Vec<&'static str>),
}

impl ValueField {
    /// Whether the value may change while the process runs.
    pub(crate) fn is_looked_up(&self) -> bool {
        matches!(self.origin, Origin::File(_) | Origin::Env(_) | Origin::Source(_))
    }
}

/// What is done with what was found, in this order.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) fresh: bool,
    pub(crate) member: Option<String>,
    pub(crate) part: Option<String>,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) prefix: Option<Zeroizing<String>>,
    pub(crate) suffix: Option<Zeroizing<String>>,
}

impl Steps {
    /// Whether what was found is used as it is, or only decoded.
    pub(crate) fn is_encoding_only(&self) -> bool {
        let Steps { fresh, member, part, encoding: _, prefix, suffix } = self;
        !fresh && member.is_none() && part.is_none() && prefix.is_none() && suffix.is_none()
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding.unwrap_or_default()
    }
}

/// The members that say where a value is.
pub(crate) const ORIGINS: [&str; 5] = ["value", "file", "env", "source", "variable"];

/// The other members of a value's table.
const STEPS: [&str; 6] = ["fresh", "member", "part", "encoding", "prefix", "suffix"];

/// All members of a value's table.
pub(crate) fn members() -> impl Iterator<Item = &'static str> {
    ORIGINS.into_iter().chain(STEPS)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Members {
    value: Option<String>,
    file: Option<PathBuf>,
    env: Option<String>,
    source: Option<String>,
    variable: Option<String>,
    fresh: bool,
    member: Option<String>,
    part: Option<String>,
    encoding: Option<Encoding>,
    prefix: Option<String>,
    suffix: Option<String>,
}

impl From<Members> for ValueField {
    fn from(members: Members) -> Self {
        let Members { value, file, env, source, variable, fresh, member, part, encoding, prefix, suffix } = members;
        let found = [
            value.map(|text| ("value", Origin::Value(Zeroizing::new(text)))),
            file.map(|file| ("file", Origin::File(file))),
            env.map(|name| ("env", Origin::Env(name))),
            source.map(|name| ("source", Origin::Source(name))),
            variable.map(|name| ("variable", Origin::Variable(name))),
        ];
        let mut found: Vec<_> = found.into_iter().flatten().collect();
        let origin = match found.pop() {
            Some((_, origin)) if found.is_empty() => origin,
            last => Origin::Unclear(found.into_iter().chain(last).map(|(name, _)| name).collect()),
        };
        let secret = |text: Option<String>| text.map(Zeroizing::new);
        let steps = Steps { fresh, member, part, encoding, prefix: secret(prefix), suffix: secret(suffix) };
        ValueField { origin, steps }
    }
}

impl<'de> Deserialize<'de> for ValueField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrTable;

        impl<'de> Visitor<'de> for StringOrTable {
            type Value = ValueField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a table with one of `value`, `file`, `env`, `source` and `variable`")
            }

            fn visit_str<E>(self, text: &str) -> Result<ValueField, E> {
                Ok(ValueField { origin: Origin::Plain(Zeroizing::new(text.to_owned())), steps: Steps::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ValueField, A::Error> {
                Members::deserialize(MapAccessDeserializer::new(map)).map(ValueField::from)
            }
        }

        deserializer.deserialize_any(StringOrTable)
    }
}

/// A value that is a secret: a string that looks like the path of a file is a problem.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretField(pub(crate) ValueField);

impl Deref for SecretField {
    type Target = ValueField;

    fn deref(&self) -> &ValueField {
        &self.0
    }
}

#[cfg(test)]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde_json::json;

    use super::{ORIGINS, SecretField, ValueField};

    fn schema(what: &str) -> Schema {
        let one_of: Vec<_> = ORIGINS.iter().map(|origin| json!({ "required": [origin] })).collect();
        json_schema!({
            "description": format!("A {what}: a string, or a table that says where it is."),
            "anyOf": [
                { "type": "string", "description": format!("The {what} itself.") },
                {
                    "type": "object",
                    "description": format!(
                        "Where the {what} is, with one of `value`, `file`, `env`, `source` and `variable`. The other \
                         members are applied in the order in which they are listed."
                    ),
                    "properties": {
                        "value": { "type": "string", "description": format!("The {what} itself.") },
                        "file": { "type": "string", "description": "A file, relative to that of the configuration." },
                        "env": { "type": "string", "description": "The name of an environment variable." },
                        "source": { "type": "string", "description": "The name of one of `sources`: its token." },
                        "variable": {
                            "type": "string",
                            "description": "A name that a keyed provider gives a value for each request.",
                        },
                        "fresh": {
                            "type": "boolean",
                            "description": "Ask the source for a new token each time. Default: false.",
                        },
                        "member": {
                            "type": "string",
                            "description": "A JSON pointer into what was found, such as `/private_key`.",
                        },
                        "part": {
                            "type": "string",
                            "description": "`before :` or `after :`, with any separator in place of the colon.",
                        },
                        "encoding": {
                            "enum": ["text", "binary", "base64", "base64url", "hex"],
                            "description": "How it is encoded. Default: `text`.",
                        },
                        "prefix": { "type": "string", "description": "A string to put before it, such as `Bearer `." },
                        "suffix": { "type": "string", "description": "A string to put behind it." },
                    },
                    "additionalProperties": false,
                    "oneOf": one_of,
                },
            ],
        })
    }

    impl JsonSchema for ValueField {
        fn schema_name() -> Cow<'static, str> {
            "Value".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            schema("value")
        }
    }

    impl JsonSchema for SecretField {
        fn schema_name() -> Cow<'static, str> {
            "Secret".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            schema("secret")
        }
    }
}
