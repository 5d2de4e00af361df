//! Secrets by value, by file, or by environment variable.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use zeroize::Zeroizing;

use crate::{
    files::watched::{WatchedFile, without_line_end},
    jwt::Encoding,
    secret::Secret,
};

/// Where a secret comes from, and how it is written.
pub(super) struct SecretField {
    value: Option<Secret>,
    file: Option<PathBuf>,
    env: Option<String>,
    encoding: Encoding,
}

impl SecretField {
    /// Reads the secret, or says why not.
    pub(super) fn read(&self, directory: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
        let bytes = match (&self.value, &self.file, &self.env) {
            (Some(value), None, None) => Zeroizing::new(value.expose().as_bytes().to_vec()),
            (None, Some(file), None) => read_file(&directory.join(file))?,
            (None, None, Some(name)) => read_variable(name)?,
            _ => return Err("expected exactly one of `value`, `file` and `env`".to_owned()),
        };
        if bytes.is_empty() {
            return Err("found an empty secret".to_owned());
        }
        let decoded = self.encoding.decode(bytes);
        decoded.ok_or_else(|| format!("the secret is not {}, which `encoding` says it is", self.encoding.name()))
    }

    /// The file that it is in, if it is in one.
    pub(super) fn file(&self, directory: &Path) -> Option<PathBuf> {
        let file = self.file.as_ref().filter(|_| self.value.is_none() && self.env.is_none())?;
        Some(directory.join(file))
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Reads a secret that is a text.
    pub(super) fn read_text(&self, directory: &Path) -> Result<Zeroizing<String>, String> {
        let bytes = self.read(directory)?;
        text(&bytes).map(|text| Zeroizing::new(text.to_owned())).ok_or_else(|| "the secret is not UTF-8".to_owned())
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok()
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let (bytes, _) = WatchedFile::new(path).read_first()?;
    Ok(without_line_end(bytes))
}

fn read_variable(name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    // Names that the operating system does not allow are never looked for.
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("expected the name of an environment variable".to_owned());
    }
    let value = std::env::var_os(name).ok_or_else(|| format!("the environment variable `{name}` is not set"))?;
    let value = value.into_string().map_err(|_| format!("the environment variable `{name}` is not UTF-8"))?;
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

        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = SecretField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a table with `value`, `file` or `env`")
            }

            fn visit_str<E>(self, text: &str) -> Result<SecretField, E> {
                let value = Some(Secret::new(text));
                Ok(SecretField { value, file: None, env: None, encoding: Encoding::Text })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretField, A::Error> {
                let Table { value, file, env, encoding } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SecretField { value: value.map(Secret::new), file, env, encoding })
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}
