//! Reads signing keys in whichever format they come.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use super::{
    algorithm::Algorithm,
    decode::{self, Encoding},
    jwk, jwk_key,
    key::{Local, SigningKey, pem_for_hmac},
    key_file::KeyFile,
    local_key::LocalKey,
    private_key,
};
use crate::error::{Error, Problems};

/// Reads a signing key in whichever format it is, from memory or from a file that may change.
///
/// | what is found | is read as |
/// |---|---|
/// | `-----BEGIN ..` | a private key as PEM: PKCS#8, PKCS#1, SEC1; encrypted, with a passphrase |
/// | `{ "kty": .. }`, `{ "keys": .. }` | a private JWK (RFC 7517), or the one of a set that has the key id |
/// | base64 of one of these | the same |
/// | for `EdDSA`: base64 or hex of 32 or 64 bytes | an Ed25519 seed, alone or with its public half |
/// | for HS256, HS384, HS512: anything else | the shared secret itself |
///
/// ```
/// use bearer_token::jwt::{Algorithm, KeyReader};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let set = r#"{"keys": [{"kty": "oct", "kid": "2026-01", "alg": "HS256",
///     "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;
/// let key = KeyReader::new().key_id("2026-01").read(set)?;
/// assert_eq!(key.algorithm(), Algorithm::HS256);
/// # Ok(()) }
/// ```
///
/// Every error is of kind [`Config`](crate::ErrorKind::Config), and says what was found, what was expected, and often how to
/// convert it.
#[derive(Clone, Default)]
pub struct KeyReader {
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
    #[cfg(feature = "encrypted-keys")]
    passphrase: Option<Zeroizing<Vec<u8>>>,
    short_secret: bool,
    encoding: Encoding,
}

impl KeyReader {
    /// Knows nothing but what the key itself says.
    pub fn new() -> Self {
        KeyReader::default()
    }

    /// The algorithm to sign with. Needed unless the key says it: a JWK may, with `alg`, and then this must agree.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// The name of the key: which one of a JWK set it is, and the `kid` of the JWTs that it signs. A single JWK with
    /// another name is refused.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// What the PEM is encrypted with. A key that is not encrypted is refused then.
    #[cfg(feature = "encrypted-keys")]
    #[must_use]
    pub fn passphrase(mut self, passphrase: impl AsRef<[u8]>) -> Self {
        self.passphrase = Some(Zeroizing::new(passphrase.as_ref().to_vec()));
        self
    }

    /// Accepts a shared secret below the size of the hash: see
    /// [`SigningKey::hmac_short_secret`] for what that means.
    #[must_use]
    pub fn allow_short_secret(mut self, on: bool) -> Self {
        self.short_secret = on;
        self
    }

    /// How the bytes are written. Only secrets need it; all other formats are told apart by themselves.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Reads a key from memory.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config); problems with what was set here stand under the method's name.
    pub fn read(&self, key: impl AsRef<[u8]>) -> Result<SigningKey, Error> {
        let (algorithm, local) = self.read_local(Zeroizing::new(key.as_ref().to_vec()))?;
        Ok(self.named(SigningKey::local(algorithm, local)))
    }

    /// Reads a key from a file, now, and again before each signature: a key that was replaced is used from the next
    /// JWT on, together with its own `kid`, if it brings one. A line end at the end of the file is not part of a secret.
    ///
    /// The key that was read last stays in use while the file is missing, half written, or holds no key that fits. The
    /// algorithm never changes. Replace the file as a whole (write beside it, then rename), as Kubernetes and Vault's
    /// agent do: a shared secret that is half written looks like a shorter one. What is no regular file, a pipe say, is
    /// read only now.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also when the file cannot be read now, or is larger than 1 MiB.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<SigningKey, Error> {
        let (algorithm, file) = KeyFile::open(path.as_ref(), self)?;
        Ok(self.named(SigningKey::file(algorithm, file)))
    }

    /// For a key whose algorithm was learnt from its first reading.
    pub(super) fn pinned(&self, algorithm: Algorithm) -> Self {
        self.clone().algorithm(algorithm)
    }

    pub(super) fn read_local(&self, text: Zeroizing<Vec<u8>>) -> Result<(Algorithm, Local), Error> {
        let Some(bytes) = self.encoding.decode(text) else {
            let name = self.encoding.name();
            return Err(one("encoding", format!("found a key that is not {name}; expected {name}, as this says")));
        };
        if private_key::looks_like_pem(&bytes) {
            return self.read_pem(&bytes);
        }
        if jwk::looks_like_jwk(&bytes) {
            return self.read_jwk(&bytes);
        }
        match decode::base64(&bytes) {
            Some(inside) if private_key::looks_like_pem(&inside) => return self.read_pem(&inside),
            Some(inside) if jwk::looks_like_jwk(&inside) => return self.read_jwk(&inside),
            _ => {}
        }
        let algorithm = self.need_algorithm()?;
        let key = match algorithm {
            _ if algorithm.is_hmac() => LocalKey::hmac(algorithm, &bytes, self.short_secret)?,
            Algorithm::EdDSA => match self.ed25519(&bytes) {
                Some(raw) => LocalKey::raw_ed25519(&raw)?,
                None => return self.read_pem(&bytes),
            },
            // It says what is wrong with it.
            _ => return self.read_pem(&bytes),
        };
        self.check_passphrase("a key that is no PEM")?;
        Ok((algorithm, Local { key, key_id: None }))
    }

    fn read_pem(&self, text: &[u8]) -> Result<(Algorithm, Local), Error> {
        let algorithm = self.need_algorithm()?;
        if algorithm.is_hmac() {
            return Err(pem_for_hmac(algorithm));
        }
        #[cfg(feature = "encrypted-keys")]
        if let Some(passphrase) = &self.passphrase {
            let der = private_key::from_encrypted_pem(text, passphrase)?;
            return Ok((algorithm, Local { key: LocalKey::private_key(algorithm, &der)?, key_id: None }));
        }
        let der = private_key::from_pem(text)?;
        Ok((algorithm, Local { key: LocalKey::private_key(algorithm, &der)?, key_id: None }))
    }

    fn read_jwk(&self, text: &[u8]) -> Result<(Algorithm, Local), Error> {
        self.check_passphrase("a JWK")?;
        let jwk = jwk::read(text)?.choose(self.key_id.as_deref())?;
        let (algorithm, key) = jwk_key::load(&jwk, self.algorithm, self.short_secret)?;
        Ok((algorithm, Local { key, key_id: jwk.text("kid").map(Arc::from) }))
    }

    /// The raw bytes of an Ed25519 key.
    fn ed25519(&self, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let raw = |bytes: Zeroizing<Vec<u8>>| matches!(bytes.len(), 32 | 64).then_some(bytes);
        if self.encoding != Encoding::Text {
            return raw(Zeroizing::new(bytes.to_vec()));
        }
        let as_hex = || str::from_utf8(bytes).ok().and_then(decode::hex);
        decode::base64(bytes).and_then(raw).or_else(|| as_hex().and_then(raw))
    }

    fn need_algorithm(&self) -> Result<Algorithm, Error> {
        let message = "found nothing; expected the algorithm that the key signs with: only a JWK can say it itself";
        self.algorithm.ok_or_else(|| one("algorithm", message))
    }

    #[cfg_attr(not(feature = "encrypted-keys"), allow(clippy::unused_self, reason = "nothing is encrypted then"))]
    fn check_passphrase(&self, found: &str) -> Result<(), Error> {
        #[cfg(feature = "encrypted-keys")]
        if self.passphrase.is_some() {
            return Err(one("passphrase", format!("found one for {found}, which has none; leave it out")));
        }
        let _ = found;
        Ok(())
    }

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
            .field("short_secret", &self.short_secret)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

fn one(method: &str, message: impl Into<String>) -> Error {
    Problems::one("the key cannot be loaded", method, message)
}
