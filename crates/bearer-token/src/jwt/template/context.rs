//! What is known of a JWT when it is signed.
//!
//! The one argument of computed members. It owns the key of this JWT, so a fingerprint cannot belong to another one,
//! even while a file changes. Randomness and times come from here and not from the system, so tests are deterministic.

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::digest::{Algorithm as Hash, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};

use super::sign_times::SignTimes;
use crate::{
    error::Error,
    jwt::key::{SigningKey, chain::CertificateChain, diagnose::certificate as diagnose},
    platform::{Moment, Platform},
};

/// The JWT that is being signed, for claims and header members that are
/// [computed](crate::jwt::JwtTemplateBuilder::computed).
///
/// Everything in it belongs to the same JWT: fingerprints are those of the key that signs it.
///
/// ```
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SignContext, SigningKey};
/// use bearer_token::Error;
///
/// /// A key id that is the key's own fingerprint, as some servers register keys.
/// fn thumbprint(cx: &SignContext) -> Result<String, Error> {
///     Ok(cx.public_key_sha256()?.hex())
/// }
///
/// # fn main() -> Result<(), Error> {
/// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem"));
/// let key = SigningKey::from_pem(Algorithm::ES256, pem)?;
/// let template = JwtTemplate::builder(key).issuer("app").computed_header("kid", thumbprint).build()?;
/// # let _ = template; Ok(()) }
/// ```
pub struct SignContext {
    /// The same times that the generated claims have.
    times: SignTimes,
    /// The key that signs this JWT, in memory.
    key: SigningKey,
    certificate: CertificateState,
    /// `None` while a template is checked.
    platform: Option<Platform>,
}

/// Whether the JWT's key has a certificate.
///
/// Three states, because "unusable" must neither fail a second time nor pass for "none".
#[derive(Default)]
pub(crate) enum CertificateState {
    #[default]
    None,
    Usable(Arc<CertificateChain>),
    /// There is one, but it cannot be used, which was reported as a problem. Only while a template is checked.
    Unusable,
}

impl SignContext {
    pub(crate) fn new(times: SignTimes, key: SigningKey, certificate: CertificateState, platform: Platform) -> Self {
        SignContext { times, key, certificate, platform: Some(platform) }
    }

    /// The context in which a template is checked: its time is the first second of 1970, and its randomness is zeros.
    pub(crate) fn rehearsal(
        backdate: Duration,
        lifetime: Duration,
        key: SigningKey,
        certificate: CertificateState,
    ) -> Self {
        SignContext { times: SignTimes::new(Moment::START, backdate, lifetime), key, certificate, platform: None }
    }

    /// The time of `iat`, which is back-dated, as time since 1970. JWTs write it in whole
    /// [seconds](Duration::as_secs) (RFC 7519 section 2, `NumericDate`), some servers in
    /// [milliseconds](Duration::as_millis).
    pub fn issued_at(&self) -> Duration {
        self.times.issued_at()
    }

    /// The time of `exp`, as time since 1970.
    ///
    /// ```
    /// use bearer_token::jwt::SignContext;
    ///
    /// /// A claim with the lifetime in seconds, beside the times.
    /// fn lifetime_seconds(cx: &SignContext) -> u64 {
    ///     (cx.expires_at() - cx.issued_at()).as_secs()
    /// }
    /// # let _ = lifetime_seconds;
    /// ```
    ///
    /// `exp` is always later than `iat`, so the difference never underflows.
    pub fn expires_at(&self) -> Duration {
        self.times.expires_at()
    }

    /// The SHA-256 of the public half of the key that signs this JWT, over its `SubjectPublicKeyInfo` in DER (RFC 5280
    /// section 4.1.2.7), as Snowflake has it in `iss`.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config) if the key is a shared secret, or if a remote
    /// [`Signer`](crate::jwt::Signer) does not provide its [public key](crate::jwt::Signer::public_key).
    ///
    /// It is the digest that `openssl pkey -in KEY.pem -pubout -outform DER | openssl dgst -sha256 -binary | base64`
    /// prints. For a key in a file it is that of the file's key at this signature, so it follows a rotation.
    pub fn public_key_sha256(&self) -> Result<Fingerprint, Error> {
        Ok(Fingerprint(digest(&SHA256, &self.key.public_key()?)))
    }

    /// The SHA-1 of the key's certificate, over its DER: `x5t` (RFC 7515 section 4.1.7). Prefer
    /// [`certificate_sha256`](Self::certificate_sha256) where the server knows it.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config) if the template has no
    /// [certificate](crate::jwt::JwtTemplateBuilder::certificate).
    pub fn certificate_sha1(&self) -> Result<Fingerprint, Error> {
        self.certificate_digest(&SHA1_FOR_LEGACY_USE_ONLY)
    }

    /// The SHA-256 of the key's certificate, over its DER: `x5t#S256` (RFC 7515 section 4.1.8).
    ///
    /// # Errors
    ///
    /// As [`certificate_sha1`](Self::certificate_sha1).
    ///
    /// It is the digest that `openssl x509 -in CERTIFICATE.pem -outform DER | openssl dgst -sha256` prints.
    /// [`JwtTemplateBuilder::x5t_s256`](crate::jwt::JwtTemplateBuilder::x5t_s256) puts it into the header.
    pub fn certificate_sha256(&self) -> Result<Fingerprint, Error> {
        self.certificate_digest(&SHA256)
    }

    /// The digest of the key's certificate. For an unusable certificate any digest will do: the result of a rehearsal
    /// is thrown away.
    fn certificate_digest(&self, hash: &'static Hash) -> Result<Fingerprint, Error> {
        match &self.certificate {
            CertificateState::Usable(chain) => Ok(Fingerprint(chain.digest(hash))),
            CertificateState::Unusable => Ok(Fingerprint(digest(hash, b""))),
            CertificateState::None => Err(diagnose::missing()),
        }
    }

    /// The certificate and its chain, as `x5c` has them.
    pub(crate) fn certificate_chain(&self) -> Result<Vec<String>, Error> {
        match &self.certificate {
            CertificateState::Usable(chain) => Ok(chain.base64()),
            CertificateState::Unusable => Ok(Vec::new()),
            CertificateState::None => Err(diagnose::missing()),
        }
    }

    /// Unpredictable bytes from the platform, such as for a `nonce`.
    ///
    /// # Errors
    ///
    /// The error of the platform, if it has no randomness.
    ///
    /// During the rehearsal it is zeros. So do not reject zeros, and do not use them as a divisor.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], Error> {
        random(self.platform.as_ref())
    }

    /// A new random UUID (RFC 9562 section 5.4), as in `jti`.
    ///
    /// # Errors
    ///
    /// As [`random`](Self::random).
    ///
    /// For a second identifier, or for a `jti` with a prefix:
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let key = SigningKey::hmac(Algorithm::HS256, [7; 32])?;
    /// let template = JwtTemplate::builder(key).computed("jti", |cx| Ok(format!("reports-{}", cx.uuid()?))).build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    pub fn uuid(&self) -> Result<String, Error> {
        new_uuid(self.platform.as_ref()).map(|uuid| uuid.to_string())
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }
}

/// Zeros while a template is checked, without a platform.
fn random<const N: usize>(platform: Option<&Platform>) -> Result<[u8; N], Error> {
    platform.map_or(Ok([0; N]), Platform::random)
}

pub(super) fn new_uuid(platform: Option<&Platform>) -> Result<uuid::Uuid, Error> {
    Ok(uuid::Builder::from_random_bytes(random(platform)?).into_uuid())
}

impl fmt::Debug for SignContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignContext").field("times", &self.times).field("key", &self.key).finish_non_exhaustive()
    }
}

/// The digest of a public key or a certificate. It is public: JWTs carry it.
///
/// Its bytes are available as [a slice](AsRef) and in the encodings that servers expect.
///
/// ```
/// use bearer_token::jwt::SignContext;
/// use bearer_token::Error;
///
/// /// What three servers call the same key.
/// fn names(cx: &SignContext) -> Result<[String; 3], Error> {
///     let digest = cx.public_key_sha256()?;
///     Ok([format!("SHA256:{}", digest.base64()), digest.base64url(), digest.hex()])
/// }
/// # let _ = names;
/// ```
#[derive(Clone, Copy)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// As base64 with padding (RFC 4648 section 4).
    ///
    /// As Snowflake shows it, behind `SHA256:`.
    pub fn base64(&self) -> String {
        BASE64_STANDARD.encode(self.0)
    }

    /// As base64url without padding (RFC 4648 section 5), as JOSE headers have it.
    pub fn base64url(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// As lowercase hex digits.
    ///
    /// As OpenSSL prints it, without colons.
    pub fn hex(&self) -> String {
        self.0.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl AsRef<[u8]> for Fingerprint {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.hex())
    }
}
