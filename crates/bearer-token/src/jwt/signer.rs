//! Keys that are not here: a KMS, an HSM, Vault, another process.

use std::{future::Future, pin::Pin};

use super::algorithm::Algorithm;
use crate::error::Error;

/// Signs with a key that this process does not hold.
///
/// Give it to [`SigningKey::remote`](super::SigningKey::remote); then it serves wherever a key does. It is asked once
/// for each JWT, so once for each refresh of a token, never once for each request, and the time that it takes belongs
/// to that fetch: when the fetch's deadline passes, the future is dropped, wherever it is. Whatever it held, such as a
/// connection with half an answer in it, must not be used again then.
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
///         Err(Error::new(ErrorKind::Transport, "the vault did not answer"))
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// let template = JwtTemplate::builder(SigningKey::remote(Vault {})).issuer("service-a").build()?;
/// # let _ = template;
/// # Ok(()) }
/// ```
pub trait Signer: Send + Sync + 'static {
    /// The algorithm that it signs with. It never changes: it stands in the header of every JWT.
    fn algorithm(&self) -> Algorithm;

    /// The name of the key, the `kid` in the header of the JWT that is about to be signed (RFC 7515 section 4.1.4).
    /// Asked anew before each signature. [`SigningKey::with_key_id`](super::SigningKey::with_key_id) overrides it.
    fn key_id(&self) -> Option<String> {
        None
    }

    /// The signature over the message, in the form that a JWT has it (RFC 7518 section 3): as it is for RSA, Ed25519
    /// and HMAC, and r||s for ECDSA. Many services give ECDSA signatures in DER:
    /// [`Algorithm::signature_from_der`] turns them into r||s. The message is not hashed yet.
    ///
    /// # Errors
    ///
    /// The kind says what the provider makes of it: [`Transport`](crate::ErrorKind::Transport),
    /// [`Timeout`](crate::ErrorKind::Timeout) and [`Unavailable`](crate::ErrorKind::Unavailable) may pass by themselves;
    /// [`Signing`](crate::ErrorKind::Signing) and [`Refused`](crate::ErrorKind::Refused) want something changed.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
}

/// The erased mirror of [`Signer`].
pub(super) trait DynSigner: Send + Sync {
    fn key_id(&self) -> Option<String>;
    fn sign<'a>(&'a self, message: &'a [u8]) -> SignatureFuture<'a>;
}

pub(super) type SignatureFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Error>> + Send + 'a>>;

impl<S: Signer> DynSigner for S {
    fn key_id(&self) -> Option<String> {
        Signer::key_id(self)
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> SignatureFuture<'a> {
        Box::pin(Signer::sign(self, message))
    }
}
