//! Keys that verify JWTs.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use bearer_token::Error;
use jsonwebtoken::{Algorithm as Backend, DecodingKey, crypto::aws_lc::DEFAULT_PROVIDER};

/// A signature algorithm of JWTs (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of the specification")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Algorithm; 13] = [
        Algorithm::HS256,
        Algorithm::HS384,
        Algorithm::HS512,
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::ES512,
        Algorithm::EdDSA,
    ];

    /// The value of the `alg` header member.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::HS256 => "HS256",
            Algorithm::HS384 => "HS384",
            Algorithm::HS512 => "HS512",
            Algorithm::RS256 => "RS256",
            Algorithm::RS384 => "RS384",
            Algorithm::RS512 => "RS512",
            Algorithm::PS256 => "PS256",
            Algorithm::PS384 => "PS384",
            Algorithm::PS512 => "PS512",
            Algorithm::ES256 => "ES256",
            Algorithm::ES384 => "ES384",
            Algorithm::ES512 => "ES512",
            Algorithm::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of jsonwebtoken, which has no ES512.
    fn backend(self) -> Option<Backend> {
        Some(match self {
            Algorithm::HS256 => Backend::HS256,
            Algorithm::HS384 => Backend::HS384,
            Algorithm::HS512 => Backend::HS512,
            Algorithm::RS256 => Backend::RS256,
            Algorithm::RS384 => Backend::RS384,
            Algorithm::RS512 => Backend::RS512,
            Algorithm::PS256 => Backend::PS256,
            Algorithm::PS384 => Backend::PS384,
            Algorithm::PS512 => Backend::PS512,
            Algorithm::ES256 => Backend::ES256,
            Algorithm::ES384 => Backend::ES384,
            Algorithm::ES512 => return None,
            Algorithm::EdDSA => Backend::EdDSA,
        })
    }
}

/// The key that verifies the JWTs of a client or an issuer: a public key or a shared secret, and its one algorithm.
///
/// A JWT whose `alg` names another algorithm is refused (RFC 8725 section 3.1).
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: Verifier,
}

#[derive(Clone)]
enum Verifier {
    Backend(DecodingKey),
    /// The DER of a public key on P-521.
    P521(Vec<u8>),
}

impl VerifyingKey {
    /// A shared secret, for `HS256`, `HS384` or `HS512`. With another algorithm, every signature is refused.
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Self {
        VerifyingKey { algorithm, key: Verifier::Backend(DecodingKey::from_secret(secret.as_ref())) }
    }

    /// A public key in PEM with the label `PUBLIC KEY` (RFC 7468 section 13), as written by `openssl pkey -pubout`.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Config`](bearer_token::ErrorKind::Config) if the string is not such a PEM, or if the
    /// algorithm uses no public key. A key of the wrong type is noticed when it is used.
    pub fn from_public_pem(algorithm: Algorithm, pem: &str) -> Result<Self, Error> {
        const EXPECTED: &str = "the public key cannot be read; expected a PEM with the label `PUBLIC KEY`";
        let text = pem
            .trim()
            .strip_prefix("-----BEGIN PUBLIC KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
            .ok_or_else(|| Error::config(EXPECTED, []))?;
        let text: String = text.split_ascii_whitespace().collect();
        let der = STANDARD.decode(text).map_err(|_| Error::config(EXPECTED, []))?;
        if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            let found =
                format!("found a public key; {} needs a shared secret: use `VerifyingKey::hmac`", algorithm.name());
            return Err(Error::config(found, []));
        }
        Ok(VerifyingKey::public(algorithm, &der))
    }

    /// With an `HS` algorithm every signature is refused: the backend refuses a key of another family.
    pub(crate) fn public(algorithm: Algorithm, der: &[u8]) -> Self {
        let key = match algorithm {
            Algorithm::ES512 => Verifier::P521(der.to_vec()),
            Algorithm::ES256 | Algorithm::ES384 => Verifier::Backend(DecodingKey::from_ec_der(der)),
            Algorithm::EdDSA => Verifier::Backend(DecodingKey::from_ed_der(der)),
            Algorithm::HS256
            | Algorithm::HS384
            | Algorithm::HS512
            | Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Verifier::Backend(DecodingKey::from_rsa_der(der)),
        };
        VerifyingKey { algorithm, key }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        match (&self.key, self.algorithm.backend()) {
            (Verifier::Backend(key), Some(algorithm)) => {
                // The backend is named: the process-wide default panics when another crate adds a second one.
                let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, key);
                verifier.is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
            }
            (Verifier::P521(der), None) => {
                UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, der).verify(message, signature).is_ok()
            }
            (Verifier::Backend(_), None) | (Verifier::P521(_), Some(_)) => false,
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
