//! A key that signs JWTs.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

pub(crate) mod file;
pub(crate) mod reader;
pub(crate) mod remote;

use self::{
    file::KeyFile,
    reader::KeyReader,
    remote::{DynSigner, Signer},
};
use super::{
    algorithm::Algorithm,
    formats::{encoding as decode, jwk, pem as private_key},
    native::{LocalKey, signature},
};
use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
    problem::{Advice, Problem},
};

/// A key that signs JWTs with one algorithm, parsed and checked once, here.
///
/// | constructor | reads |
/// |---|---|
/// | [`from_pem`](Self::from_pem) | a private key as PEM: PKCS#8, PKCS#1, SEC1 |
/// | `from_encrypted_pem` | PKCS#8 that is encrypted with a passphrase (feature `encrypted-keys`) |
/// | [`from_jwk`](Self::from_jwk), [`from_jwk_set`](Self::from_jwk_set) | a private JSON Web Key, alone or in a set |
/// | [`ed25519`](Self::ed25519), [`ed25519_base64`](Self::ed25519_base64) | the bare bytes of an Ed25519 key |
/// | [`hmac`](Self::hmac), [`hmac_base64`](Self::hmac_base64), [`hmac_hex`](Self::hmac_hex) | a shared secret |
/// | [`from_file`](Self::from_file), [`KeyReader`] | any of them; a file is read again when it changes |
/// | [`remote`](Self::remote) | nothing: the key is elsewhere, behind a [`Signer`] |
///
/// A clone shares the key. `Debug` shows algorithm and key id, never the key.
///
/// Every constructor fails with [`ErrorKind::Config`] and says what was found, what was expected, and often how to
/// convert it.
///
/// ```
/// use bearer_token::jwt::{Algorithm, SigningKey};
///
/// let key = SigningKey::hmac_hex(Algorithm::HS256, &"5e".repeat(32))?.with_key_id("2026-01");
/// assert_eq!(key.key_id().as_deref(), Some("2026-01"));
///
/// let error = SigningKey::from_pem(Algorithm::RS256, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----");
/// assert!(error.unwrap_err().to_string().starts_with("found a PEM with label CERTIFICATE; expected a private key"));
/// # Ok::<(), bearer_token::Error>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    held: Held,
    key_id: Option<Arc<str>>,
}

/// Where the key is.
#[derive(Clone)]
enum Held {
    Local(Arc<Local>),
    File(Arc<KeyFile>),
    Remote(Arc<dyn DynSigner>),
}

/// A key in memory, and the name that it brought along.
pub(crate) struct Local {
    pub(crate) key: LocalKey,
    pub(crate) key_id: Option<Arc<str>>,
    /// A secret or a seed as such: any bytes could be one.
    pub(crate) bare: bool,
}

impl SigningKey {
    /// Reads a private key from PEM (RFC 7468): PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC1
    /// (`EC PRIVATE KEY`).
    ///
    /// Other blocks beside the key, such as a certificate or EC parameters, and text around it are passed over; line
    /// ends do not matter, and the whole may be wrapped in base64 once more. RSA keys have 2048 to 8192 bits
    /// (RFC 7518 section 3.3). Keys in OpenSSH's own format are not read.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        if algorithm.is_hmac() {
            return Err(secret_for_hmac(algorithm));
        }
        let der = private_key::from_pem(pem.as_ref())?;
        Ok(Self::plain(algorithm, LocalKey::private_key(algorithm, &der)?))
    }

    /// Reads a private key that is encrypted with a passphrase: `ENCRYPTED PRIVATE KEY`, PKCS#8 with PBES2
    /// (RFC 8018 section 6.2), with PBKDF2 or scrypt, and AES or triple DES. Otherwise as [`from_pem`](Self::from_pem).
    ///
    /// It takes as long as whoever encrypted it chose: common keys some milliseconds, and some seconds at the most, for
    /// keys that would take longer are refused.
    #[cfg(feature = "encrypted-keys")]
    pub fn from_encrypted_pem(
        algorithm: Algorithm,
        pem: impl AsRef<[u8]>,
        passphrase: impl AsRef<[u8]>,
    ) -> Result<Self, Error> {
        if algorithm.is_hmac() {
            return Err(secret_for_hmac(algorithm));
        }
        let der = private_key::from_encrypted_pem(pem.as_ref(), passphrase.as_ref())?;
        Ok(Self::plain(algorithm, LocalKey::private_key(algorithm, &der)?))
    }

    /// Reads a private JSON Web Key (RFC 7517): RSA with all of `p`, `q`, `dp`, `dq` and `qi`, EC on P-256 or P-384,
    /// Ed25519, or a shared secret (`oct`).
    ///
    /// Its `kid` names the key, unless [`with_key_id`](Self::with_key_id) does, and its `alg` is what it signs with;
    /// without one, EC and Ed25519 keys have only one choice, and others need a [`KeyReader`] that is told.
    ///
    /// Keys for encryption (`use`), for other operations than `sign` (`key_ops`) and public halves are refused.
    pub fn from_jwk(jwk: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::read_jwk(&KeyReader::new(), jwk.as_ref())
    }

    /// Reads the private key with this `kid` out of a JWK set (RFC 7517 section 5); otherwise as
    /// [`from_jwk`](Self::from_jwk).
    pub fn from_jwk_set(set: impl AsRef<[u8]>, key_id: impl Into<String>) -> Result<Self, Error> {
        Self::read_jwk(&KeyReader::new().key_id(key_id), set.as_ref())
    }

    fn read_jwk(reader: &KeyReader, text: &[u8]) -> Result<Self, Error> {
        // Says what it is, if it is none.
        jwk::read(text)?;
        reader.read(text)
    }

    /// Reads a key in any of these formats from a file, now, and again whenever the file has changed: see
    /// [`KeyReader::read_file`].
    pub fn from_file(algorithm: Algorithm, path: impl AsRef<Path>) -> Result<Self, Error> {
        KeyReader::new().algorithm(algorithm).read_file(path)
    }

    /// Takes the bare bytes of an Ed25519 key (RFC 8032 section 5.1.5): the 32 of its seed, or 64, the seed and its
    /// public half.
    pub fn ed25519(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        Ok(Self::plain(Algorithm::EdDSA, LocalKey::raw_ed25519(bytes.as_ref())?))
    }

    /// The same, written as base64: standard or URL-safe, padded or not.
    pub fn ed25519_base64(text: &str) -> Result<Self, Error> {
        let expected = "found text that is not base64; expected the base64 of the 32 or 64 bytes of an Ed25519 key";
        let bytes = decode::base64(text.as_bytes());
        let bytes = bytes.filter(|_| !text.trim().is_empty()).ok_or_else(|| Error::new(ErrorKind::Config, expected))?;
        Self::ed25519(&*bytes)
    }

    /// Signs with a key that is elsewhere: in a KMS, an HSM, another process.
    pub fn remote(signer: impl Signer) -> Self {
        SigningKey { algorithm: signer.algorithm(), held: Held::Remote(Arc::new(signer)), key_id: None }
    }

    /// Takes a shared secret as it is: these very bytes, a trailing line end included. Only a whole PEM or JWK is
    /// refused.
    ///
    /// The secret must be at least as long as the hash (RFC 7518 section 3.2): 32 bytes for HS256, 48 for HS384, 64
    /// for HS512. See [`hmac_short_secret`](Self::hmac_short_secret) for servers that hand out shorter ones.
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::secret(algorithm, secret.as_ref(), false)
    }

    /// Takes a shared secret that is written as base64: standard or URL-safe, padded or not.
    pub fn hmac_base64(algorithm: Algorithm, text: &str) -> Result<Self, Error> {
        Self::hmac(algorithm, &*Self::decode_base64(text)?)
    }

    /// Takes a shared secret that is written as hex digits.
    pub fn hmac_hex(algorithm: Algorithm, text: &str) -> Result<Self, Error> {
        Self::hmac(algorithm, &*Self::decode_hex(text)?)
    }

    /// Takes a shared secret of any length, as it is.
    ///
    /// A secret shorter than the hash makes the signature easier to forge: whoever sees one JWT can search for the
    /// secret offline. RFC 7518 section 3.2 forbids it. Some servers hand out such secrets all the same.
    pub fn hmac_short_secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::secret(algorithm, secret.as_ref(), true)
    }

    fn secret(algorithm: Algorithm, secret: &[u8], short: bool) -> Result<Self, Error> {
        if algorithm.is_hmac() && private_key::looks_like_pem(secret) {
            return Err(pem_for_hmac(algorithm));
        }
        if algorithm.is_hmac() && jwk::looks_like_jwk(secret) {
            let found = Problem::new("key", format!("found a JWK; {algorithm} needs a shared secret here"));
            return Err(key_problem(found.advise(Advice::set("SigningKey::from_jwk"))));
        }
        Ok(Self::plain(algorithm, LocalKey::hmac(algorithm, secret, short)?))
    }

    /// Names the key: JWTs signed with it carry this `kid` (RFC 7515 section 4.1.4), whatever name it brought along.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into().into());
        self
    }

    /// The name of the key: the one it was given, or the one it brought along, as a JWK may. That of a key in a file can
    /// change with the file.
    pub fn key_id(&self) -> Option<String> {
        self.given_key_id().map(str::to_owned).or_else(|| match &self.held {
            Held::Local(local) => local.key_id.as_deref().map(str::to_owned),
            Held::File(file) => file.key().key_id.as_deref().map(str::to_owned),
            Held::Remote(signer) => signer.key_id(),
        })
    }

    /// The name that it was given.
    pub(crate) fn given_key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The algorithm that the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn decode_base64(text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        decode::base64(text.as_bytes()).ok_or_else(|| {
            let found = Problem::new("key", "found text that is not base64").expecting("base64, standard or URL-safe");
            key_problem(found.advise(Advice::set("SigningKey::hmac")))
        })
    }

    pub(crate) fn decode_hex(text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        decode::hex(text).ok_or_else(|| {
            let found = Problem::new("key", "found text that is not hex").expecting("two hex digits for each byte");
            key_problem(found.advise(Advice::set("SigningKey::hmac")))
        })
    }

    /// The key as it is now: one in a file is read again, away from the tasks of the runtime.
    pub(crate) async fn now(&self, platform: &Platform) -> Result<Self, Error> {
        let Held::File(file) = &self.held else { return Ok(self.clone()) };
        let file = file.clone();
        let local = platform.run_blocking(move || file.read_again()).await?;
        Ok(SigningKey { algorithm: self.algorithm, held: Held::Local(local), key_id: self.key_id.clone() })
    }

    /// The signature of the message, which is handed back.
    pub(crate) async fn sign(&self, platform: &Platform, message: String) -> Result<(String, Vec<u8>), Error> {
        let local = match &self.held {
            Held::Local(local) => local.clone(),
            Held::File(file) => file.key(),
            Held::Remote(signer) => {
                let signature = signer.sign(message.as_bytes()).await?;
                return signature::check(self.algorithm, signature).map(|signature| (message, signature));
            }
        };
        let slow = local.key.is_slow();
        let sign = move || local.key.sign(message.as_bytes()).map(|signature| (message, signature));
        if slow { platform.run_blocking(sign).await? } else { sign() }
    }

    /// Whether another key can be had than the one that signed last.
    pub(crate) fn has_changed(&self) -> bool {
        matches!(&self.held, Held::File(file) if file.has_changed())
    }

    fn plain(algorithm: Algorithm, key: LocalKey) -> Self {
        Self::local(algorithm, Local { key, key_id: None, bare: false })
    }

    pub(crate) fn local(algorithm: Algorithm, local: Local) -> Self {
        SigningKey { algorithm, held: Held::Local(Arc::new(local)), key_id: None }
    }

    pub(crate) fn file(algorithm: Algorithm, file: KeyFile) -> Self {
        SigningKey { algorithm, held: Held::File(Arc::new(file)), key_id: None }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id())
            .finish_non_exhaustive()
    }
}

/// The error about a key that cannot be loaded.
pub(crate) fn key_problem(problem: Problem) -> Error {
    Error::config("the key cannot be loaded", [problem])
}

fn secret_for_hmac(algorithm: Algorithm) -> Error {
    let problem = Problem::new("algorithm", format!("{algorithm} signs with a shared secret, not with a PEM"));
    key_problem(problem.advise(Advice::set("SigningKey::hmac")).advise(Advice::text("choose the key's own algorithm")))
}

/// A public key used as an HMAC secret is the oldest JWT attack; a private one leaks with the first guess.
pub(crate) fn pem_for_hmac(algorithm: Algorithm) -> Error {
    let problem = Problem::new("key", format!("found a PEM (-----BEGIN ...); {algorithm} needs a shared secret"));
    key_problem(problem.advise(Advice::text("to sign with a private key, choose the algorithm that it was made for")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        jwt::test_support::pem,
        test_support::{NoSpawn, platform_at},
    };

    const HMACS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

    #[test]
    fn a_key_is_shared_between_threads() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<SigningKey>();
    }

    #[test]
    fn l25_hmac_secrets_below_the_hash_size_are_refused_unless_asked_for() {
        for algorithm in HMACS {
            let least = match algorithm {
                Algorithm::HS256 => 32,
                Algorithm::HS384 => 48,
                _ => 64,
            };
            let long = vec![7; least];
            let short = &long[1..];
            SigningKey::hmac(algorithm, &long).unwrap();
            let error = SigningKey::hmac(algorithm, short).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let expected = format!("found a secret of {} bytes; {algorithm} needs at least {least}", least - 1);
            assert!(error.to_string().contains(&expected), "{error}");
            SigningKey::hmac_short_secret(algorithm, short).unwrap();
            for none in [SigningKey::hmac(algorithm, ""), SigningKey::hmac_short_secret(algorithm, "")] {
                assert!(none.unwrap_err().to_string().contains("found an empty secret"));
            }
        }
    }

    #[tokio::test]
    async fn a_secret_is_the_same_as_text_as_base64_and_as_hex() {
        let text = "~~~ at least 32 bytes of secret ~~~";
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        let keys = [
            SigningKey::hmac(Algorithm::HS256, text),
            SigningKey::hmac_base64(Algorithm::HS256, "fn5+IGF0IGxlYXN0IDMyIGJ5dGVzIG9mIHNlY3JldCB+fn4="),
            SigningKey::hmac_base64(Algorithm::HS256, "fn5-IGF0IGxlYXN0IDMyIGJ5dGVzIG9mIHNlY3JldCB-fn4"),
            SigningKey::hmac_hex(Algorithm::HS256, &hex),
        ];
        let mut signatures = Vec::new();
        for key in keys {
            signatures.push(key.unwrap().sign(&platform_at(0), "message".to_owned()).await.unwrap());
        }
        assert!(signatures.windows(2).all(|pair| pair[0] == pair[1]), "{signatures:?}");
    }

    #[test]
    fn l23_a_secret_where_a_key_belongs_and_a_key_where_a_secret_belongs_are_refused() {
        let wrapped = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pem("p256"));
        for (made, expected) in [
            (SigningKey::hmac(Algorithm::HS256, pem("rsa2048")), "found a PEM (-----BEGIN ...); HS256 needs a shared"),
            (SigningKey::hmac(Algorithm::HS256, pem("rsa2048.pub")), "found a PEM"),
            (SigningKey::hmac_short_secret(Algorithm::HS256, pem("p256")), "found a PEM"),
            (SigningKey::hmac_base64(Algorithm::HS256, &wrapped), "found a PEM"),
            (SigningKey::hmac_base64(Algorithm::HS256, "not base64!"), "found text that is not base64"),
            (SigningKey::hmac_hex(Algorithm::HS256, "not hex"), "found text that is not hex"),
            (SigningKey::hmac(Algorithm::RS256, [7; 64]), "found a secret; RS256 signs with a private key"),
            (SigningKey::from_pem(Algorithm::HS256, pem("p256")), "HS256 signs with a shared secret, not with a PEM"),
            (SigningKey::from_pem(Algorithm::EdDSA, "a secret"), "found no PEM block"),
        ] {
            let error = made.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(expected), "expected {expected:?} in: {error}");
        }
    }

    #[test]
    fn l38_no_error_and_no_debug_shows_a_secret() {
        let marker = "MARKERMARKER";
        let long = marker.repeat(6);
        let mut shown = vec![format!("{:?}", SigningKey::hmac(Algorithm::HS512, &long).unwrap().with_key_id("k"))];
        for made in [
            SigningKey::hmac(Algorithm::HS256, marker),
            SigningKey::hmac(Algorithm::RS256, &long),
            SigningKey::hmac_base64(Algorithm::HS256, marker),
            SigningKey::hmac_base64(Algorithm::HS256, &format!("{long}!")),
            SigningKey::hmac_hex(Algorithm::HS256, &long),
            SigningKey::from_pem(Algorithm::RS256, &long),
            SigningKey::from_pem(Algorithm::RS256, format!("-----BEGIN {long}-----\n{long}\n-----END {long}-----")),
        ] {
            let error = made.unwrap_err();
            shown.push(format!("{error} {error:?}"));
        }
        for text in shown {
            assert!(!text.contains("MARKER"), "{text}");
        }
    }

    #[tokio::test]
    async fn rsa_is_signed_away_from_the_tasks_of_the_runtime_and_the_rest_in_place() {
        let spawn = NoSpawn::default();
        let platform = platform_at(0).with_spawn(spawn.clone());
        for (key, expected) in [
            (SigningKey::hmac(Algorithm::HS512, [7; 64]), 0),
            (SigningKey::from_pem(Algorithm::ES256, pem("p256")), 0),
            (SigningKey::from_pem(Algorithm::ES384, pem("p384")), 0),
            (SigningKey::from_pem(Algorithm::EdDSA, pem("ed25519")), 0),
            (SigningKey::from_pem(Algorithm::RS256, pem("rsa2048")), 1),
            (SigningKey::from_pem(Algorithm::PS512, pem("rsa2048")), 1),
        ] {
            let key = key.unwrap();
            let (message, _) = key.sign(&platform, "message".to_owned()).await.unwrap();
            assert_eq!(message, "message");
            assert_eq!(spawn.take_jobs(), expected, "{}", key.algorithm());
        }
    }
}
