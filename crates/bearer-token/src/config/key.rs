//! The key that signs, from the fields that say which one it is.

use super::{build::Reader, names::Names, secret::SecretField};
use crate::jwt::{Algorithm, KeyReader, SigningKey};

/// The fields that say which key signs.
pub(super) struct KeyFields<'a> {
    /// How they are named.
    pub(super) names: &'a Names,
    /// The name of the first of them.
    pub(super) name: &'a str,
    pub(super) key: Option<&'a SecretField>,
    pub(super) algorithm: Option<&'a String>,
    pub(super) kid: Option<&'a String>,
    pub(super) passphrase: Option<&'a SecretField>,
    pub(super) allow_short_secret: bool,
}

impl Reader<'_> {
    pub(super) fn key(&mut self, path: &str, fields: &KeyFields<'_>) -> Option<SigningKey> {
        let algorithm_path = format!("{path}.algorithm");
        let name = format!("{path}.{}", fields.name);
        let key = self.required(&name, fields.key, "the private key as PEM or JWK, or the HMAC secret");
        let algorithm = match fields.algorithm.map(|name| name.parse::<Algorithm>()) {
            Some(Ok(algorithm)) => Some(algorithm),
            Some(Err(error)) => {
                self.problems.push(algorithm_path, error.to_string());
                // What is wrong with the key as well, as far as that can be told.
                self.read(&name, key?)?;
                return None;
            }
            None => None,
        };
        let Some(key) = key else {
            self.required(&algorithm_path, algorithm.as_ref(), "the algorithm that the key signs with");
            return None;
        };
        let mut reader = KeyReader::new().allow_short_secret(fields.allow_short_secret);
        if let Some(algorithm) = algorithm {
            reader = reader.algorithm(algorithm);
        }
        if let Some(kid) = fields.kid {
            reader = reader.key_id(kid);
        }
        if let Some(passphrase) = fields.passphrase {
            reader = self.passphrase(reader, &format!("{path}.passphrase"), passphrase)?;
        }
        let read = match key.file(self.directory) {
            Some(file) => reader.encoding(key.encoding()).read_file(file),
            None => reader.decoded_from(key.encoding()).read(&*self.read(&name, key)?),
        };
        match read {
            Ok(key) => Some(key),
            Err(error) if error.problems().is_empty() => {
                self.problems.push(name, error.to_string());
                None
            }
            Err(error) => {
                self.translate(fields.names, &error);
                None
            }
        }
    }

    #[cfg(feature = "encrypted-keys")]
    fn passphrase(&mut self, reader: KeyReader, path: &str, passphrase: &SecretField) -> Option<KeyReader> {
        self.read(path, passphrase).map(|passphrase| reader.passphrase(&*passphrase))
    }

    #[cfg(not(feature = "encrypted-keys"))]
    fn passphrase(&mut self, _reader: KeyReader, path: &str, _passphrase: &SecretField) -> Option<KeyReader> {
        self.problems.push(path, "found one, but encrypted keys need the feature `encrypted-keys`: compile it in");
        None
    }
}
