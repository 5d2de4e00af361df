//! Secrets by value, by file, or by environment variable.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use bearer_token::{Advice, Problem, Setting, jwt::Encoding, secret};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use zeroize::Zeroizing;

use super::read_file;

/// Where a secret is, and how it is encoded.
pub(crate) struct SecretField {
    given: Given,
    encoding: Encoding,
}

/// Where a secret is.
pub(crate) enum Given {
    /// A string in place of a table.
    Plain(Zeroizing<String>),
    Value(Zeroizing<String>),
    File(PathBuf),
    Env(String),
    /// None of them, or several.
    Unclear,
}

impl SecretField {
    pub(crate) fn given(&self) -> &Given {
        &self.given
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The secret as it is written, before it is decoded.
    pub(crate) fn read_encoded(&self, path: &str, directory: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let bytes = match &self.given {
            Given::Plain(text) => {
                if secret::looks_like_path(text.trim_ascii()) || is_file(directory, text) {
                    return Err(a_path(path));
                }
                Zeroizing::new(text.as_bytes().to_vec())
            }
            Given::Value(text) => Zeroizing::new(text.as_bytes().to_vec()),
            Given::File(file) => read_file(&directory.join(file)).map_err(|found| Problem::new(path, found))?,
            Given::Env(name) => read_variable(path, name)?,
            Given::Unclear => {
                let found = "found none, or several, of `value`, `file` and `env`";
                return Err(Problem::new(path, found).expecting("exactly one of them"));
            }
        };
        if bytes.is_empty() { Err(Problem::new(path, "found an empty secret")) } else { Ok(bytes) }
    }

    /// The secret, decoded.
    pub(crate) fn read_bytes(&self, path: &str, directory: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let bytes = self.read_encoded(path, directory)?;
        if self.encoding == Encoding::Text {
            return Ok(bytes);
        }
        self.encoding.decode(&bytes).map(Zeroizing::new).ok_or_else(|| {
            let name = format!("{:?}", self.encoding).to_lowercase();
            Problem::new(path, format!("found a secret that is not {name}, which `encoding` says it is"))
        })
    }

    /// The secret as a string. Stray characters around it are removed or named, whatever its origin (L49).
    pub(crate) fn read_text(&self, path: &str, directory: &Path) -> Result<Zeroizing<String>, Problem> {
        let bytes = self.read_bytes(path, directory)?;
        let text = if self.encoding == Encoding::Text {
            secret::read(&bytes).map_err(|error| Problem::new(path, error.to_string()))?
        } else {
            // What is encoded is meant as it is.
            str::from_utf8(&bytes).map_err(|_| Problem::new(path, "found a secret that is not UTF-8"))?
        };
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The file that the secret is in, if it is in one.
    pub(crate) fn file(&self, directory: &Path) -> Option<PathBuf> {
        match &self.given {
            Given::File(file) => Some(directory.join(file)),
            _ => None,
        }
    }
}

/// A file beside the configuration, whose name was given in place of a table.
fn is_file(directory: &Path, text: &str) -> bool {
    let text = text.trim_ascii();
    !text.is_empty() && text.len() < 4096 && !text.contains(char::is_control) && directory.join(text).is_file()
}

/// The problem with a path in place of a secret. The path may be a secret after all, and is not repeated.
fn a_path(path: &str) -> Problem {
    Problem::new(path, A_PATH)
        .expecting("the secret itself, or a table that says where it is")
        .advise(Advice::text("did you mean `{ file = \"..\" }`?"))
        .advise(Advice::text("if this string is the secret itself, write `{ value = \"..\" }`"))
}

/// What is found where a path is given in place of a secret.
const A_PATH: &str = "found a string that looks like the path of a file";

/// The same problem with a variable.
pub(crate) fn path_in_variable(problem: &Problem, variable: &str) -> Option<Problem> {
    (problem.found() == A_PATH).then(|| {
        Problem::new(variable, A_PATH)
            .expecting("the secret itself")
            .advise(Advice::DidYouMean(Setting::Variable(format!("{variable}__FILE").into())))
            .advise(Advice::text(format!("if this string is the secret itself, call the variable `{variable}__VALUE`")))
    })
}

fn read_variable(path: &str, name: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    // The operating system panics on other names.
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Problem::new(path, "found something else").expecting("the name of an environment variable"));
    }
    let value = std::env::var_os(name)
        .ok_or_else(|| Problem::new(path, format!("the environment variable `{name}` is not set")))?;
    let value = value
        .into_string()
        .map_err(|_| Problem::new(path, format!("the environment variable `{name}` is not UTF-8")))?;
    Ok(Zeroizing::new(value.into_bytes()))
}

impl<'de> Deserialize<'de> for SecretField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Table {
            value: Option<String>,
            file: Option<PathBuf>,
            env: Option<String>,
            encoding: Encoding,
        }

        struct StringOrTable;

        impl<'de> Visitor<'de> for StringOrTable {
            type Value = SecretField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a table with `value`, `file` or `env`")
            }

            fn visit_str<E>(self, text: &str) -> Result<SecretField, E> {
                let given = Given::Plain(Zeroizing::new(text.to_owned()));
                Ok(SecretField { given, encoding: Encoding::Text })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretField, A::Error> {
                let Table { value, file, env, encoding } = Table::deserialize(MapAccessDeserializer::new(map))?;
                let given = match (value.map(Zeroizing::new), file, env) {
                    (Some(value), None, None) => Given::Value(value),
                    (None, Some(file), None) => Given::File(file),
                    (None, None, Some(env)) => Given::Env(env),
                    _ => Given::Unclear,
                };
                Ok(SecretField { given, encoding })
            }
        }

        deserializer.deserialize_any(StringOrTable)
    }
}

#[cfg(test)]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::SecretField;

    impl JsonSchema for SecretField {
        fn schema_name() -> Cow<'static, str> {
            "Secret".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A secret: a string, or a table that says where it is.",
                "anyOf": [
                    { "type": "string", "description": "The secret itself." },
                    {
                        "type": "object",
                        "description": "Where the secret is, with one of `value`, `file` and `env`.",
                        "properties": {
                            "value": { "type": "string", "description": "The secret itself." },
                            "file": { "type": "string", "description": "A file, relative to this one." },
                            "env": { "type": "string", "description": "The name of an environment variable." },
                            "encoding": {
                                "enum": ["text", "binary", "base64", "hex"],
                                "description": "How it is encoded. Default: `text`.",
                            },
                        },
                        "additionalProperties": false,
                        "oneOf": [{ "required": ["value"] }, { "required": ["file"] }, { "required": ["env"] }],
                    },
                ],
            })
        }
    }
}
