//! A private key from a string, a file or a [`SigningKey`].

use std::path::{Path, PathBuf};

use bearer_token::{
    Error, Problem, Value,
    jwt::{Algorithm, KeyReader, SigningKey},
};

/// A private key: PEM or JWK as a string, the path of a file with one, any other [`Value`], or a [`SigningKey`].
///
/// A file is read again when it changes, so a rotated key needs no restart.
///
/// ```
/// use std::path::Path;
///
/// use bearer_token_presets::{Key, snowflake};
///
/// let from_a_file: Key = Path::new("/run/secrets/key.p8").into();
/// let preset = snowflake::key_pair("ACCT", "REPORTS", from_a_file);
/// # let _ = preset;
/// ```
#[derive(Clone, Debug)]
pub struct Key(Given);

#[derive(Clone, Debug)]
enum Given {
    Ready(SigningKey),
    Value(Box<Value>),
}

impl Key {
    /// Reads the key for an algorithm. Returns the problems if it cannot be used.
    pub(crate) fn read(&self, path: &str, algorithm: Algorithm) -> Result<SigningKey, Vec<Problem>> {
        match &self.0 {
            Given::Ready(key) if key.algorithm() == algorithm => Ok(key.clone()),
            Given::Ready(key) => {
                let found = format!("found a key for {}", key.algorithm());
                Err(vec![Problem::new(path, found).expecting(format!("a key for {algorithm}"))])
            }
            Given::Value(value) => {
                let reader = KeyReader::new().algorithm(algorithm);
                reader.read_value(Value::clone(value)).map_err(|error| at(path, &error))
            }
        }
    }
}

/// The problems of an error, under one path.
pub(crate) fn at(path: &str, error: &Error) -> Vec<Problem> {
    match error.problems() {
        [] => vec![Problem::new(path, error.to_string())],
        problems => problems.iter().map(|problem| problem.clone().at(path)).collect(),
    }
}

impl From<SigningKey> for Key {
    fn from(key: SigningKey) -> Self {
        Key(Given::Ready(key))
    }
}

impl From<Value> for Key {
    fn from(value: Value) -> Self {
        Key(Given::Value(Box::new(value)))
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Value::from(text).into()
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Value::from(text).into()
    }
}

impl From<&Path> for Key {
    fn from(file: &Path) -> Self {
        Value::file(file).into()
    }
}

impl From<PathBuf> for Key {
    fn from(file: PathBuf) -> Self {
        Value::file(file).into()
    }
}
