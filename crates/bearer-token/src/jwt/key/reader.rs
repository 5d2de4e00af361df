//! Reads signing keys in any format.
//!
//! The constructors of [`SigningKey`] expect one format each and say so in their errors. A reader expects any, and has
//! the settings that only some formats need: a passphrase, a key id to choose by, an encoding. All ways lead through
//! `read_material`, so a key in a file is read by the same rules as one in memory.

use std::{fmt, path::Path};

use zeroize::Zeroizing;

use self::content::is_path;
use super::{
    SigningKey,
    diagnose::{self, Expected},
    looked_up::LookedUpKey,
};
use crate::{
    error::Error,
    jwt::{
        algorithm::Algorithm,
        formats::{
            encoding::{self, Encoding},
            json, jwk, pem,
            sniff::Sniffed,
        },
    },
    secret::string,
    value::Value,
};

mod content;
#[cfg(test)]
mod tests;

/// Reads a signing key in any format, from memory or from a file that may change.
///
/// | found | read as |
/// |---|---|
/// | `-----BEGIN ..` | a private key as PEM: PKCS#8, PKCS#1, SEC1; encrypted, with a passphrase |
/// | `{ "kty": .. }`, `{ "keys": .. }` | a private JWK (RFC 7517), or the one of a set that has the key id |
/// | base64 of one of these | the same |
/// | DER, or its base64 | a private key: PKCS#8, PKCS#1, SEC1 |
/// | for `EdDSA`: base64 or hex of 32 or 64 bytes | an Ed25519 seed, alone or with its public half |
/// | for HS256, HS384, HS512: anything else | the shared secret itself |
///
/// The newlines of a PEM may be escaped (`\n`), and there may be quotes around it, as in environment variables. A byte
/// order mark and one trailing newline are not part of a shared secret. Quotes or spaces around one are an error, and
/// so is a path in place of a key.
///
/// A part of another format, or an unsupported one (a JWK without its end, UTF-16, PKCS#12), is an error and never a
/// shared secret. If a secret looks like that, set its [`encoding`](Self::encoding): [`Binary`](Encoding::Binary),
/// base64 or hex.
///
/// ```
/// use bearer_token::jwt::{Algorithm, Encoding, KeyReader};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let set = r#"{"keys": [{"kty": "oct", "kid": "2026-01", "alg": "HS256",
///     "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;
/// let key = KeyReader::new().key_id("2026-01").read(set)?;
/// assert_eq!(key.algorithm(), Algorithm::HS256);
///
/// let secret = KeyReader::new().algorithm(Algorithm::HS256).encoding(Encoding::Hex);
/// let key = secret.read("5e".repeat(32))?;
/// # Ok(()) }
/// ```
///
/// Every error is of kind [`Config`](crate::ErrorKind::Config). It says what was found, what was expected, and often
/// how to convert it.
///
/// # Which settings a key needs
///
/// | the key | settings |
/// |---|---|
/// | a PEM, a DER, an RSA JWK without `alg` | [`algorithm`](Self::algorithm) |
/// | an encrypted PKCS#8 PEM, as Box and Snowflake issue them | `algorithm` and `passphrase` (feature `encrypted-keys`) |
/// | a JWK set | [`key_id`](Self::key_id) |
/// | Ghost's secret, in hex | `algorithm` and [`encoding(Encoding::Hex)`](Self::encoding) |
/// | Twitch's extension secret, in Base64 | `algorithm` and `encoding(Encoding::Base64)` |
/// | Coinbase's Ed25519 key, 64 bytes in Base64 | `algorithm(Algorithm::EdDSA)` |
/// | a shared secret of fewer bytes than the hash | `algorithm` and [`allow_short_secret(true)`](Self::allow_short_secret) |
#[derive(Clone, Default)]
pub struct KeyReader {
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    allow_short_secret: bool,
    encoding: Encoding,
    /// Whether the bytes were decoded already.
    /// Then even a newline at the end is a part of it.
    is_decoded: bool,
}

impl KeyReader {
    /// Creates a reader that relies on what the key itself says. The other methods add what it does not say.
    pub fn new() -> Self {
        KeyReader::default()
    }

    /// Sets the algorithm to sign with. It is needed unless a JWK names its own with `alg`, with which it must agree.
    ///
    /// It is never guessed. RSA keys fit six algorithms, and a guess that the server does not accept is found by a
    /// refusal at the first request.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Sets the name of the key: it selects one of a JWK set, and is the `kid` of the JWTs that the key signs. A single
    /// JWK with another name is refused.
    ///
    /// ```
    /// use bearer_token::jwt::KeyReader;
    ///
    /// # fn main() {
    /// let set = r#"{"keys": [{"kty": "oct", "kid": "old", "k": "a2V5"}, {"kty": "oct", "kid": "new", "k": "a2V5"}]}"#;
    /// // Without an id the error lists those of the set.
    /// let error = KeyReader::new().read(set).unwrap_err();
    /// assert!(error.to_string().contains("`kid` \"old\", \"new\""));
    /// # }
    /// ```
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// Sets the passphrase with which the key is encrypted: `ENCRYPTED PRIVATE KEY`, PKCS#8 with PBES2 (RFC 8018
    /// section 6.2), with PBKDF2 or scrypt, and AES or triple DES. A key that is not encrypted is refused then.
    ///
    /// The key determines how long it takes to decrypt it, usually some milliseconds. Keys that would take more than
    /// some seconds are refused.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, KeyReader};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.aes128.encrypted.pem"));
    /// let wrong = KeyReader::new().algorithm(Algorithm::ES256).passphrase("not this one").read(pem);
    /// assert!(wrong.unwrap_err().to_string().contains("found a passphrase that does not open the private key"));
    /// # Ok(()) }
    /// ```
    ///
    /// The old encryption of OpenSSL (`DEK-Info` in the PEM) is not read; the error has the command that rewrites the
    /// key.
    #[cfg(feature = "encrypted-keys")]
    #[must_use]
    pub fn passphrase(mut self, passphrase: impl AsRef<[u8]>) -> Self {
        self.passphrase = Some(Zeroizing::new(passphrase.as_ref().to_vec()));
        self
    }

    /// Sets whether a shared secret may be shorter than the hash. Default: no.
    ///
    /// With a short secret a signature is easier to forge: an attacker with one JWT can search for the secret offline.
    /// RFC 7518 section 3.2 forbids it. Some servers still issue such secrets.
    ///
    /// A secret that a person has chosen can be guessed. Use this only where the server's secrets are short,
    /// and ask the provider for a longer one.
    #[must_use]
    pub fn allow_short_secret(mut self, on: bool) -> Self {
        self.allow_short_secret = on;
        self
    }

    /// Sets the encoding of the key. Only secrets and bare Ed25519 keys need it: all other formats are recognised.
    ///
    /// For a [`Value`] that has an encoding of its own, the value decodes first, and the reader uses all decoded bytes.
    /// Set one of the two.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Reads a key from memory.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config). A problem with a setting has the name of its method as its path,
    /// and one with the key itself has `key`.
    pub fn read(&self, key: impl AsRef<[u8]>) -> Result<SigningKey, Error> {
        let material = self.read_material(key.as_ref())?;
        Ok(self.named(SigningKey::in_memory(material)))
    }

    /// Reads a key from a file, now, and again before each signature. A new key is used from the next JWT on, together
    /// with its own `kid`, if it has one.
    ///
    /// The key that was read last stays in use while the file is missing, half written, or without a usable key. The
    /// algorithm never changes. Replace the file as a whole (write a new one beside it, then rename), as Kubernetes and
    /// Vault's agent do: otherwise a half-written secret could be read as a shorter one. A pipe is read only once, now.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also if the file cannot be read now, or is larger than 1 MiB.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<SigningKey, Error> {
        self.read_value(Value::file(path))
    }

    /// Reads a key from the place that a value names, now, and again before each signature, as
    /// [`read_file`](Self::read_file) does. A literal is read once.
    ///
    /// If the value has an encoding, it is decoded first, and all of the decoded bytes are used, as with
    /// [`Binary`](Encoding::Binary).
    ///
    /// ```
    /// use bearer_token::{Encoding, Value, jwt::{Algorithm, KeyReader}};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("account.json");
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem")).replace('\n', "\\n");
    /// # std::fs::write(&path, format!("{{\"private_key\": \"{pem}\"}}")).unwrap();
    /// // A service account file of Google, as it is downloaded.
    /// let key = Value::file(path).member("/private_key");
    /// let key = KeyReader::new().algorithm(Algorithm::RS256).read_value(key)?;
    ///
    /// # let admin_key = format!("{}:{}", "1".repeat(24), "5e".repeat(32));
    /// // Ghost's admin key, `id:secret`, with the secret in hex. Mostly it is in a variable: `Value::env(..)`.
    /// let secret = Value::from(admin_key).after(":").encoding(Encoding::Hex);
    /// let key = KeyReader::new().algorithm(Algorithm::HS256).read_value(secret)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also if the value is not there. The token of another provider is not a key.
    pub fn read_value(&self, value: impl Into<Value>) -> Result<SigningKey, Error> {
        let value = value.into();
        let mut reader = self.clone();
        reader.is_decoded = value.is_encoded();
        if value.literal().is_some() {
            let content = value.bytes_now("key").map_err(diagnose::error)?;
            return reader.read(&content);
        }
        let key = LookedUpKey::open(value, self.algorithm, move |content, algorithm| match algorithm {
            Some(algorithm) => reader.clone().algorithm(algorithm).read_material(content),
            None => reader.read_material(content),
        })?;
        Ok(self.named(SigningKey::looked_up(key)))
    }

    /// Reads PEM, as it is or in base64, and nothing else.
    pub(super) fn read_pem_only(&self, algorithm: Algorithm, text: &[u8]) -> Result<SigningKey, Error> {
        if algorithm.is_hmac() {
            return Err(diagnose::pem_constructor_for_hmac(algorithm));
        }
        let wrapped = || encoding::base64(text).filter(|inside| pem::looks_like_pem(inside));
        let material = match Sniffed::of(text) {
            Sniffed::Pem => self.read_pem(text, Expected::Pem)?,
            _ => match wrapped() {
                Some(inside) => self.read_pem(&inside, Expected::Pem)?,
                None if is_path(text) => return Err(diagnose::path(Expected::Pem)),
                None => return Err(diagnose::content(text, Expected::Pem)),
            },
        };
        Ok(SigningKey::in_memory(material))
    }

    /// Reads a JWK or a JWK set, and nothing else.
    pub(super) fn read_jwk_only(&self, text: &[u8]) -> Result<SigningKey, Error> {
        if jwk::object(text).is_none() {
            let is_path = is_path(text);
            return Err(if is_path { diagnose::path(Expected::Jwk) } else { diagnose::content(text, Expected::Jwk) });
        }
        Ok(SigningKey::in_memory(self.read_jwk(text, Expected::Jwk)?))
    }

    /// Reads a shared secret that is meant as one: anything but a whole PEM or JWK.
    pub(super) fn read_secret_only(&self, algorithm: Algorithm, content: &[u8]) -> Result<SigningKey, Error> {
        let secret = string::trim(content);
        if algorithm.is_hmac() && pem::looks_like_pem(secret) && !json::begins_like_json(secret) {
            return Err(diagnose::pem_for_hmac(algorithm));
        }
        if algorithm.is_hmac() && jwk::is_jwk(secret) {
            return Err(diagnose::jwk_for_hmac(algorithm));
        }
        Ok(SigningKey::in_memory(self.secret(algorithm, content)?))
    }

    /// Names the key by the id that was set, if one was. It does so after reading, where the same id may have chosen
    /// the key from a set.
    fn named(&self, key: SigningKey) -> SigningKey {
        match &self.key_id {
            Some(key_id) => key.with_key_id(key_id),
            None => key,
        }
    }
}

impl fmt::Debug for KeyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyReader")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .field("allow_short_secret", &self.allow_short_secret)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}
