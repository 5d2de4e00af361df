//! Key pairs and secrets for tests, made at run time: none is stored.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::{self, SystemRandom},
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
        RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bearer_token::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::key::{Algorithm, VerifyingKey};

/// A key pair for tests.
///
/// [`rs256`](Self::rs256), [`es256`](Self::es256), [`ed25519`](Self::ed25519) and [`shared`](Self::shared) return the
/// same pair throughout the process, because making an RSA key is slow. [`generate`](Self::generate) makes a new pair.
/// All fail with [`ErrorKind::Signing`] only if the system has no random bytes or no memory.
///
/// ```
/// use bearer_token_testing::{Issuer, TestKey};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let key = TestKey::es256()?;
/// assert!(key.private_pem().starts_with("-----BEGIN PRIVATE KEY-----"));
/// let issuer = Issuer::new("reports@example.com", key.verifying_key());
/// # let _ = issuer; Ok(()) }
/// ```
#[derive(Clone)]
pub struct TestKey {
    algorithm: Algorithm,
    material: Arc<Material>,
}

struct Material {
    pair: Pair,
    private_pem: String,
    public_pem: String,
    public_der: Vec<u8>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl TestKey {
    /// RSA with 2048 bits, for `RS256`.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Signing`] if the cryptography library does.
    pub fn rs256() -> Result<Self, Error> {
        TestKey::shared(Algorithm::RS256)
    }

    /// The curve P-256, for `ES256`.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Signing`] if the cryptography library does.
    pub fn es256() -> Result<Self, Error> {
        TestKey::shared(Algorithm::ES256)
    }

    /// The curve Ed25519, for `EdDSA`.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Signing`] if the cryptography library does.
    pub fn ed25519() -> Result<Self, Error> {
        TestKey::shared(Algorithm::EdDSA)
    }

    /// The pair that this process uses for the algorithm. All RSA algorithms share one.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Config`] for an `HS` algorithm, which uses a [`TestSecret`].
    pub fn shared(algorithm: Algorithm) -> Result<Self, Error> {
        static RSA: OnceLock<Result<Arc<Material>, Error>> = OnceLock::new();
        static P256: OnceLock<Result<Arc<Material>, Error>> = OnceLock::new();
        static P384: OnceLock<Result<Arc<Material>, Error>> = OnceLock::new();
        static P521: OnceLock<Result<Arc<Material>, Error>> = OnceLock::new();
        static ED25519: OnceLock<Result<Arc<Material>, Error>> = OnceLock::new();
        let shared = match algorithm {
            Algorithm::ES256 => &P256,
            Algorithm::ES384 => &P384,
            Algorithm::ES512 => &P521,
            Algorithm::EdDSA => &ED25519,
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return Err(not_a_pair(algorithm)),
            _ => &RSA,
        };
        let material = shared.get_or_init(|| Material::generate(algorithm).map(Arc::new)).clone()?;
        Ok(TestKey { algorithm, material })
    }

    /// Makes a new pair, for a key that must *not* be accepted, or for key rotation.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Config`] for an `HS` algorithm, which uses a [`TestSecret`], and with
    /// [`ErrorKind::Signing`] if the cryptography library does.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Ok(TestKey { algorithm, material: Arc::new(Material::generate(algorithm)?) })
    }

    /// The algorithm of its signatures.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The unencrypted private key, in PEM with the label `PRIVATE KEY` (PKCS#8).
    pub fn private_pem(&self) -> &str {
        &self.material.private_pem
    }

    /// The public key, in PEM with the label `PUBLIC KEY`.
    pub fn public_pem(&self) -> &str {
        &self.material.public_pem
    }

    /// The public key, for the registration of a client or an issuer.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::public(self.algorithm, &self.material.public_der)
    }

    /// Signs a JWT with exactly these claims, even if no server should accept them.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Signing`] if the cryptography library does.
    pub fn sign(&self, claims: &Value) -> Result<String, Error> {
        self.sign_as("JWT", claims)
    }

    /// Signs a JWT with this `typ` in the header.
    pub(crate) fn sign_as(&self, typ: &str, claims: &Value) -> Result<String, Error> {
        let header = json!({ "alg": self.algorithm.name(), "typ": typ });
        let signed = [header, claims.clone()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.material.pair.sign(self.algorithm, signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A shared secret for tests: random, printable, and not shorter than its hash (RFC 7518 section 3.2).
#[derive(Clone)]
pub struct TestSecret {
    algorithm: Algorithm,
    text: String,
}

impl TestSecret {
    /// Makes a new secret for `HS256`.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Signing`] only if the system has no random bytes.
    pub fn hs256() -> Result<Self, Error> {
        TestSecret::generate(Algorithm::HS256)
    }

    /// Makes a new secret for this `HS` algorithm.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Config`] for another algorithm, and with [`ErrorKind::Signing`] if the system has no random
    /// bytes.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let mut random = [0; 64];
        let random = match algorithm {
            Algorithm::HS256 => random.get_mut(..32),
            Algorithm::HS384 => random.get_mut(..48),
            Algorithm::HS512 => Some(&mut random[..]),
            _ => None,
        }
        .ok_or_else(|| Error::config(format!("{} needs a key pair: use a `TestKey`", algorithm.name()), []))?;
        rand::fill(random).map_err(broken)?;
        Ok(TestSecret { algorithm, text: URL_SAFE_NO_PAD.encode(random) })
    }

    /// The secret: the bytes of this string.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The secret, for the registration of a client or an issuer.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::hmac(self.algorithm, &self.text)
    }
}

impl fmt::Debug for TestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSecret").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Material {
    fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let (pair, private, public) = match algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return Err(not_a_pair(algorithm)),
            Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512 => {
                let curve = match algorithm {
                    Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
                    Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
                    _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
                };
                let pair = EcdsaKeyPair::generate(curve).map_err(broken)?;
                let private = pair.to_pkcs8v1().map_err(broken)?.as_ref().to_vec();
                let public = spki(pair.public_key())?;
                (Pair::Ec(pair), private, public)
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().map_err(broken)?;
                // Every reader knows the first version of PKCS#8.
                let private = pair.to_pkcs8v1().map_err(broken)?.as_ref().to_vec();
                let public = spki(pair.public_key())?;
                (Pair::Ed(pair), private, public)
            }
            _ => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(broken)?;
                let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(broken)?.as_ref().to_vec();
                let public = spki(pair.public_key())?;
                (Pair::Rsa(pair), private, public)
            }
        };
        Ok(Material {
            pair,
            private_pem: pem("PRIVATE KEY", &private),
            public_pem: pem("PUBLIC KEY", &public),
            public_der: public,
        })
    }
}

impl Pair {
    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        match self {
            Pair::Ec(pair) => Ok(pair.sign(&random, message).map_err(broken)?.as_ref().to_vec()),
            Pair::Ed(pair) => Ok(pair.try_sign(message).map_err(broken)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::RS384 => &RSA_PKCS1_SHA384,
                    Algorithm::RS512 => &RSA_PKCS1_SHA512,
                    Algorithm::PS256 => &RSA_PSS_SHA256,
                    Algorithm::PS384 => &RSA_PSS_SHA384,
                    Algorithm::PS512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).map_err(broken)?;
                Ok(signature)
            }
        }
    }
}

fn spki<K: AsDer<PublicKeyX509Der<'static>>>(public: &K) -> Result<Vec<u8>, Error> {
    Ok(public.as_der().map_err(broken)?.as_ref().to_vec())
}

/// RFC 7468 section 3: base64 in lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

fn not_a_pair(algorithm: Algorithm) -> Error {
    Error::config(format!("{} needs a shared secret: use a `TestSecret`", algorithm.name()), [])
}

fn broken(_: aws_lc_rs::error::Unspecified) -> Error {
    Error::new(ErrorKind::Signing, "the cryptography library failed to make or use a test key")
}
