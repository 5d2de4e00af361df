//! A private key from a string, a file or a [`SigningKey`].

use std::{
    fmt,
    path::{Path, PathBuf},
};

use bearer_token::{
    Error, Problem,
    jwt::{Algorithm, KeyReader, SigningKey},
};
use zeroize::Zeroizing;

/// A private key: PEM or JWK as a string, the path of a file with one, or a [`SigningKey`].
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
#[derive(Clone)]
pub struct Key(Given);

#[derive(Clone)]
enum Given {
    Ready(SigningKey),
    Text(Zeroizing<String>),
    File(PathBuf),
}

impl Key {
    /// Reads the key for an algorithm. Returns the problems if it cannot be used.
    pub(crate) fn read(&self, path: &str, algorithm: Algorithm) -> Result<SigningKey, Vec<Problem>> {
        let reader = KeyReader::new().algorithm(algorithm);
        let read = match &self.0 {
            Given::Ready(key) if key.algorithm() == algorithm => return Ok(key.clone()),
            Given::Ready(key) => {
                let found = format!("found a key for {}", key.algorithm());
                return Err(vec![Problem::new(path, found).expecting(format!("a key for {algorithm}"))]);
            }
            Given::Text(text) => reader.read(text.as_bytes()),
            Given::File(file) => reader.read_file(file),
        };
        read.map_err(|error| at(path, &error))
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

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Key(Given::Text(Zeroizing::new(text.to_owned())))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Key(Given::Text(Zeroizing::new(text)))
    }
}

impl From<&Path> for Key {
    fn from(file: &Path) -> Self {
        Key(Given::File(file.to_owned()))
    }
}

impl From<PathBuf> for Key {
    fn from(file: PathBuf) -> Self {
        Key(Given::File(file))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Given::Ready(key) => key.fmt(f),
            Given::Text(_) => f.write_str("Key([redacted])"),
            Given::File(file) => write!(f, "Key(file {})", file.display()),
        }
    }
}
