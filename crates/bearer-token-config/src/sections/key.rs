//! The fields about the key that signs, which two sections have.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use bearer_token::{
    Advice, Encoding, Problem, Setting,
    jwt::{Algorithm, KeyReader, SigningKey},
    secret,
};
use zeroize::Zeroizing;

use super::context::Context;
use crate::{
    names::{Name, Names, name, value},
    nearest::nearest,
    values::{Origin, SecretField, ValueField},
};

/// The names for a key in the field `key`.
pub(super) const NAMES: &[Name] = &[
    name("key_id", "kid"),
    name("encoding", "key.encoding"),
    name("KeyReader::algorithm", "algorithm"),
    name("KeyReader::allow_short_secret", "allow_short_secret"),
    name("KeyReader::key_id", "kid"),
    name("KeyReader::passphrase", "passphrase"),
    name("KeyReader::read_file", "key.file"),
    name("SigningKey::from_file", "key.file"),
    name("Value::member", "key.member"),
    value("KeyReader::encoding", "key.encoding", "base64"),
    value("SigningKey::hmac", "key.encoding", "text"),
];

/// The names for a client's secret that signs, in the section of the client.
pub(super) const SECRET_NAMES: &[Name] = &[
    name("key", "secret"),
    name("encoding", "secret.encoding"),
    name("algorithm", "jwt.algorithm"),
    name("allow_short_secret", "jwt.allow_short_secret"),
    name("KeyReader::algorithm", "jwt.algorithm"),
    name("KeyReader::allow_short_secret", "jwt.allow_short_secret"),
    name("KeyReader::read_file", "secret.file"),
    name("SigningKey::from_file", "secret.file"),
    name("Value::member", "secret.member"),
    value("KeyReader::encoding", "secret.encoding", "base64"),
    value("SigningKey::hmac", "secret.encoding", "text"),
];

/// The fields about the key that signs.
pub(super) struct KeyFields<'a> {
    /// The names of these fields for the methods of the key reader.
    pub(super) names: &'a Names,
    /// The section of all fields except the key, which may be in another one.
    pub(super) section: &'a str,
    /// The path of the key.
    pub(super) path: String,
    pub(super) key: Option<&'a SecretField>,
    pub(super) algorithm: Option<&'a str>,
    pub(super) kid: Option<&'a ValueField>,
    pub(super) passphrase: Option<&'a SecretField>,
    pub(super) allow_short_secret: bool,
}

impl KeyFields<'_> {
    /// The reader of a key that was loaded, for the keys after it.
    pub(super) fn reader(&self, cx: &mut Context<'_>) -> Option<KeyReader> {
        let mut reader = KeyReader::new().allow_short_secret(self.allow_short_secret);
        if let Some(name) = self.algorithm {
            reader = reader.algorithm(name.parse::<Algorithm>().ok()?);
        }
        if let Some(kid) = self.kid.filter(|kid| !kid.is_looked_up()) {
            reader = reader.key_id(cx.text(&format!("{}.kid", self.section), kid)?.as_str());
        }
        match self.passphrase {
            Some(passphrase) => with_passphrase(reader, &format!("{}.passphrase", self.section), passphrase, cx),
            None => Some(reader),
        }
    }

    /// The key, if nothing is wrong with it.
    pub(super) fn load(self, cx: &mut Context<'_>) -> Option<SigningKey> {
        let (section, path) = (self.section, self.path);
        let algorithm_path = format!("{section}.algorithm");
        let key = cx.required(&path, self.key, "the private key as PEM or JWK, or the HMAC secret");
        let algorithm = match self.algorithm.map(|name| algorithm(&algorithm_path, name)) {
            Some(Ok(algorithm)) => Some(algorithm),
            Some(Err(problem)) => {
                cx.report.add(problem);
                // What is wrong with the key as well, as far as that is known.
                if let Err(problem) = cx.key(&path, key?) {
                    cx.report.add(problem);
                }
                return None;
            }
            None => None,
        };
        let Some(key) = key else {
            cx.required(&algorithm_path, algorithm.as_ref(), "the algorithm that the key signs with");
            return None;
        };
        if let Origin::Variable(name) = &key.origin
            && cx.is_stand_in(key)
        {
            // A key of each set of variables is read with that set.
            cx.variable(&path, name).map_err(|problem| cx.report.add(problem)).ok()?;
            return stand_in(algorithm);
        }
        // What only a variable gives is left out in a rehearsal.
        let mut left_out = Vec::new();
        let mut reader = KeyReader::new().allow_short_secret(self.allow_short_secret);
        if let Some(algorithm) = algorithm {
            reader = reader.algorithm(algorithm);
        }
        // One that is looked up may change with the key, and is set on each JWT.
        if let Some(kid) = self.kid.filter(|kid| !kid.is_looked_up()) {
            let text = cx.text(&format!("{section}.kid"), kid)?;
            match cx.is_stand_in(kid) {
                true => left_out.push("KeyReader::key_id"),
                false => reader = reader.key_id(text.as_str()),
            }
        }
        if let Some(passphrase) = self.passphrase {
            let with_passphrase = with_passphrase(reader.clone(), &format!("{section}.passphrase"), passphrase, cx)?;
            match cx.is_stand_in(passphrase) {
                true => left_out.push("KeyReader::passphrase"),
                false => reader = with_passphrase,
            }
        }
        let read = match &key.origin {
            // In its own words, it says more about a file that is the wrong one.
            Origin::File(file) if is_empty(&cx.directory.join(file)) => {
                let problem =
                    Problem::new(path, format!("found an empty file `{}`", cx.directory.join(file).display()));
                let problem = problem.expecting("a private key as PEM or JWK, or the HMAC secret");
                cx.report.add(problem.advise(Advice::text("look at the program that writes the file")));
                return None;
            }
            Origin::File(file) if key.steps.is_encoding_only() => {
                let checked = cx.check_for_pipe(&cx.directory.join(file));
                checked.map_err(|problem| cx.report.add(problem.at(&path))).ok()?;
                reader.encoding(key.steps.encoding()).read_file(cx.directory.join(file))
            }
            Origin::File(_) | Origin::Env(_) if !key.steps.is_encoding_only() => {
                reader.read_value(cx.bytes_value(&path, key)?)
            }
            _ => {
                let (text, encoding) = cx.key(&path, key).map_err(|problem| cx.report.add(problem)).ok()?;
                read(reader, key, &text, encoding)
            }
        };
        match read {
            Ok(key) => Some(key),
            Err(error) if error.problems().is_empty() => {
                cx.report.push(path, error.to_string());
                None
            }
            Err(error) if error.problems().iter().all(|problem| needs(problem, &left_out)) => stand_in(algorithm),
            Err(error) => {
                cx.report.add_translated(self.names, &error);
                None
            }
        }
    }
}

/// A key to check the rest of a configuration with, if its own cannot be used. It has a public key, if the algorithm
/// does.
pub(super) fn stand_in(algorithm: Option<Algorithm>) -> Option<SigningKey> {
    match algorithm.filter(|algorithm| algorithm.is_hmac()) {
        Some(algorithm) => SigningKey::hmac(algorithm, [0; 64]).ok(),
        None => KeyReader::new().algorithm(Algorithm::EdDSA).encoding(Encoding::Binary).read([0; 32]).ok(),
    }
}

/// Whether one of these calls would solve the problem.
fn needs(problem: &Problem, calls: &[&str]) -> bool {
    let is_one = |advice: &Advice| matches!(advice, Advice::Set(Setting::Call(call)) if calls.contains(&&**call));
    problem.advice().iter().any(is_one)
}

/// Whether a regular file has no content.
fn is_empty(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// Reads a key that is not in a file.
fn read(
    reader: KeyReader,
    key: &SecretField,
    text: &[u8],
    encoding: Encoding,
) -> Result<SigningKey, bearer_token::Error> {
    // `{ value = ".." }` says that it is the secret itself, even if it looks like a path.
    let is_certain = matches!(key.origin, Origin::Value(_)) && encoding == Encoding::Text;
    if is_certain && str::from_utf8(text).is_ok_and(secret::looks_like_path) {
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(text));
        return reader.encoding(Encoding::Base64).read(encoded.as_bytes());
    }
    reader.encoding(encoding).read(text)
}

fn algorithm(path: &str, name: &str) -> Result<Algorithm, Problem> {
    name.parse::<Algorithm>().map_err(|error| {
        let names: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
        let text = error.to_string();
        // Its own suggestion knows fewer words.
        let text = text.split_once("; did you mean").map_or(text.as_str(), |(text, _)| text);
        let problem = match text.split_once("; expected ") {
            Some((found, expected)) => Problem::new(path, found.to_owned()).expecting(expected.to_owned()),
            None => Problem::new(path, text.to_owned()),
        };
        // `ECDSA` is not `EdDSA`.
        let exact = family(name, |name, family| name == family);
        let near = exact.or_else(|| nearest(name, names.iter().copied()));
        match near.or_else(|| family(name, |name, family| name.contains(family))) {
            Some(name) => problem.advise(Advice::text(format!("did you mean `{name}`?"))),
            None => problem,
        }
    })
}

/// The usual algorithm of a family of keys.
fn family(name: &str, is_of: impl Fn(&str, &str) -> bool) -> Option<&'static str> {
    let name = name.to_lowercase();
    let families = [
        ("ecdsa", Algorithm::ES256),
        ("ed25519", Algorithm::EdDSA),
        ("hmac", Algorithm::HS256),
        ("pss", Algorithm::PS256),
        ("rsa", Algorithm::RS256),
    ];
    families.iter().find(|(family, _)| is_of(&name, family)).map(|(_, algorithm)| algorithm.name())
}

#[cfg(feature = "encrypted-keys")]
fn with_passphrase(reader: KeyReader, path: &str, passphrase: &SecretField, cx: &mut Context<'_>) -> Option<KeyReader> {
    cx.secret(path, passphrase).map(|passphrase| reader.passphrase(passphrase.as_bytes()))
}

#[cfg(not(feature = "encrypted-keys"))]
fn with_passphrase(
    _reader: KeyReader,
    path: &str,
    _passphrase: &SecretField,
    cx: &mut Context<'_>,
) -> Option<KeyReader> {
    let problem = Problem::new(path, "found a passphrase, which this program cannot use");
    cx.report.add(problem.advise(Advice::Feature("encrypted-keys")));
    None
}

/// The name of an [`Algorithm`], for the schema.
#[cfg(test)]
pub(super) struct AlgorithmName;

#[cfg(test)]
impl schemars::JsonSchema for AlgorithmName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Algorithm".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
        schemars::json_schema!({ "enum": names, "description": "The algorithm that signs a JWT." })
    }
}
