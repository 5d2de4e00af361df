//! Keys in another place: a KMS, an HSM, Vault, another process.
//!
//! A remote key is one that cannot be stolen from this process. The trait asks for as little as a service offers: a
//! name, an algorithm, a signature. It is `async fn`-style for implementors, and erased once in
//! [`SigningKey`](crate::jwt::SigningKey).

use std::{future::Future, pin::Pin};

use crate::{error::Error, jwt::algorithm::Algorithm};

/// Signs with a key that this process does not hold.
///
/// Pass it to [`SigningKey::remote`](crate::jwt::SigningKey::remote), and use that as any other key. It is called once
/// for each JWT: once for each refresh of a token, not for each request.
///
/// The time that it takes counts towards the deadline of that fetch. When the deadline passes, the future is dropped at
/// its current await. If it was using a connection, do not reuse that connection: it may contain half a response.
///
/// ```
/// use bearer_token::{Error, ErrorKind, jwt::{Algorithm, JwtTemplate, Signer, SigningKey}};
///
/// struct Vault { /* a client, the name of the key, .. */ }
///
/// impl Signer for Vault {
///     fn algorithm(&self) -> Algorithm {
///         Algorithm::ES256
///     }
///
///     fn key_id(&self) -> Option<String> {
///         Some("2026-01".to_owned())
///     }
///
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
///         // Ask for a signature over the message: 64 bytes, r||s, for ES256.
///         # let _ = message;
///         Err(Error::new(ErrorKind::Transport, "no response from the vault"))
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// let template = JwtTemplate::builder(SigningKey::remote(Vault {})).issuer("service-a").build()?;
/// # let _ = template;
/// # Ok(()) }
/// ```
///
/// # What services return
///
/// The documentation of the service says which of these it does:
///
/// | the service | what to do |
/// |---|---|
/// | takes the message | pass it on as it is |
/// | takes a digest | hash the message with the algorithm's hash first: SHA-256 for ES256, RS256 and PS256 |
/// | returns an ECDSA signature in DER | [`Algorithm::signature_from_der`] |
/// | returns an ECDSA signature as r‖s | nothing |
/// | returns text, such as Base64 after a prefix | remove the prefix, decode |
///
/// # Rotation
///
/// If [`key_id`](Self::key_id) changes, the next JWT has the new one. Return the id, the public key and the signature
/// of the same key: a signer that switches in between produces one JWT that is refused.
///
/// # A key management service
///
/// This one takes a digest and returns DER:
///
/// ```
/// use bearer_token::{Error, ErrorKind, jwt::{Algorithm, Signer}};
///
/// /// What the service and its client offer.
/// trait Kms: Send + Sync + 'static {
///     fn sha256(&self, message: &[u8]) -> [u8; 32];
///
///     fn sign_digest(&self, key: &str, digest: [u8; 32]) -> impl Future<Output = std::io::Result<Vec<u8>>> + Send;
/// }
///
/// struct KmsKey<K> {
///     kms: K,
///     /// The version is part of the name, so a rotation is a new `KmsKey`.
///     name: String,
/// }
///
/// impl<K: Kms> Signer for KmsKey<K> {
///     fn algorithm(&self) -> Algorithm {
///         Algorithm::ES256
///     }
///
///     fn key_id(&self) -> Option<String> {
///         self.name.rsplit('/').next().map(str::to_owned)
///     }
///
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
///         let der = self.kms.sign_digest(&self.name, self.kms.sha256(message)).await.map_err(|error| {
///             // An outage: the provider tries again, and a token in service stays there meanwhile.
///             Error::new(ErrorKind::Unavailable, "the key management service gave no signature").with_source(error)
///         })?;
///         self.algorithm().signature_from_der(&der)
///     }
/// }
/// ```
///
/// `with_source` puts the client's error into logs. Use it only if the client's errors contain no secrets.
pub trait Signer: Send + Sync + 'static {
    /// The algorithm that it signs with. It never changes, because it is in the header of every JWT.
    ///
    /// Called once, by [`SigningKey::remote`](crate::jwt::SigningKey::remote).
    fn algorithm(&self) -> Algorithm;

    /// The name of the key: the `kid` in the header of the next JWT (RFC 7515 section 4.1.4). It is called before each
    /// signature. [`SigningKey::with_key_id`](crate::jwt::SigningKey::with_key_id) overrides it.
    fn key_id(&self) -> Option<String> {
        None
    }

    /// The public half of the key that signs next, as `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1.2.7). Key
    /// management services return it in this form, or as its PEM, `PUBLIC KEY`. It is called before each signature.
    ///
    /// Only JWTs with a fingerprint of the key ([`SignContext::public_key_sha256`]) or with a
    /// [certificate](crate::jwt::JwtTemplateBuilder::certificate) need it. Default: `None`, unknown.
    ///
    /// [`SignContext::public_key_sha256`]: crate::jwt::SignContext::public_key_sha256
    fn public_key(&self) -> Option<Vec<u8>> {
        None
    }

    /// Signs the message, which is not hashed yet. The signature has the form that JWTs use (RFC 7518 section 3): r||s
    /// for ECDSA, and the usual one for RSA, Ed25519 and HMAC. Many services return ECDSA signatures in DER:
    /// [`Algorithm::signature_from_der`] converts them.
    ///
    /// # Errors
    ///
    /// The kind decides how the provider retries. [`Transport`](crate::ErrorKind::Transport),
    /// [`Timeout`](crate::ErrorKind::Timeout) and [`Unavailable`](crate::ErrorKind::Unavailable) may pass by
    /// themselves. After [`Signing`](crate::ErrorKind::Signing) and [`Refused`](crate::ErrorKind::Refused), something
    /// has to change first.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
}

/// The erased mirror of [`Signer`].
pub(crate) trait DynSigner: Send + Sync {
    fn key_id(&self) -> Option<String>;
    fn public_key(&self) -> Option<Vec<u8>>;
    fn sign<'a>(&'a self, message: &'a [u8]) -> SignatureFuture<'a>;
}

pub(crate) type SignatureFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Error>> + Send + 'a>>;

impl<S: Signer> DynSigner for S {
    fn key_id(&self) -> Option<String> {
        Signer::key_id(self)
    }

    fn public_key(&self) -> Option<Vec<u8>> {
        Signer::public_key(self)
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> SignatureFuture<'a> {
        Box::pin(Signer::sign(self, message))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    };

    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::Value;

    use super::*;
    use crate::{
        error::ErrorKind,
        jwt::{JwtTemplate, SelfSigned, SigningKey},
        platform::Platform,
        provider::TokenProvider,
        test_support::{PausedClock, platform_at},
    };

    /// Returns a fixed result, and remembers the message.
    struct Fixed {
        algorithm: Algorithm,
        result: Result<Vec<u8>, Error>,
        asked: Arc<Mutex<Vec<u8>>>,
    }

    impl Signer for Fixed {
        fn algorithm(&self) -> Algorithm {
            self.algorithm
        }

        fn key_id(&self) -> Option<String> {
            Some("key/versions/7".to_owned())
        }

        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
            *self.asked.lock().map_err(|_| Error::new(ErrorKind::Signing, "poisoned"))? = message.to_vec();
            self.result.clone()
        }
    }

    fn remote(algorithm: Algorithm, result: Result<Vec<u8>, Error>) -> (SigningKey, Arc<Mutex<Vec<u8>>>) {
        let asked = Arc::default();
        (SigningKey::remote(Fixed { algorithm, result, asked: Arc::clone(&asked) }), asked)
    }

    #[tokio::test]
    async fn a_remote_signature_covers_the_header_with_its_key_id() {
        let (key, asked) = remote(Algorithm::ES256, Ok(vec![7; 64]));
        let template = JwtTemplate::builder(key.clone()).issuer("me").build().unwrap();
        assert_eq!(template.algorithm(), Algorithm::ES256);
        let jwt = template.sign(&platform_at(1_000)).await.unwrap();
        let (input, signature) = jwt.secret().rsplit_once('.').unwrap();
        assert_eq!(*asked.lock().unwrap(), input.as_bytes());
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap(), [7; 64]);
        let header: Value =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(input.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!((&header["alg"], &header["kid"]), (&"ES256".into(), &"key/versions/7".into()));
        assert_eq!(key.with_key_id("mine").key_id().as_deref(), Some("mine"));
    }

    #[tokio::test]
    async fn errors_and_impossible_signatures_reach_the_caller() {
        let der = vec![0x30, 0x06, 0x02, 0x01, 0x05, 0x02, 0x01, 0x07];
        for (algorithm, result, kind, expected) in [
            (Algorithm::ES256, Ok(der), ErrorKind::Signing, "found a signature in DER, 8 bytes"),
            (Algorithm::RS256, Ok(vec![0; 64]), ErrorKind::Signing, "RS256 expects at least 256 bytes"),
            (Algorithm::EdDSA, Err(Error::new(ErrorKind::Transport, "gone")), ErrorKind::Transport, "gone"),
        ] {
            let (key, _) = remote(algorithm, result);
            let template = JwtTemplate::builder(key).build().unwrap();
            let error = template.sign(&platform_at(1_000)).await.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    struct Hanging(Arc<AtomicBool>);

    impl Drop for Hanging {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    struct Silent(Arc<AtomicBool>);

    impl Signer for Silent {
        fn algorithm(&self) -> Algorithm {
            Algorithm::ES256
        }

        async fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
            let _hanging = Hanging(Arc::clone(&self.0));
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn l04_a_hung_signer_is_aborted_at_the_deadline() {
        let dropped = Arc::new(AtomicBool::new(false));
        let key = SigningKey::remote(Silent(Arc::clone(&dropped)));
        let source = SelfSigned::new(JwtTemplate::builder(key).build().unwrap());
        let platform = Platform::system().with_clock(PausedClock::new());
        let provider = TokenProvider::builder(source).platform(platform).build().unwrap();
        assert_eq!(provider.token().await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(dropped.load(Ordering::SeqCst));
    }
}
