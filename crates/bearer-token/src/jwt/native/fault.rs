//! Why a key does not sign, as data.
//!
//! Only data: the sentences are in `key/diagnose.rs`. So the same fault reads the same for a PEM, a JWK and a DER.

use aws_lc_rs::error::KeyRejected;

use crate::jwt::formats::key_kind::KeyKind;

/// The reason why a key does not sign with an algorithm.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NativeFault {
    /// The DER is not a private key.
    NotAKey,
    /// The algorithm needs a key of another kind.
    Mismatch(KeyKind),
    /// A shared secret for an algorithm that signs with a private key.
    SecretForKey,
    /// An RSA key of this many bits, which is too small or too large.
    RsaSize(usize),
    /// The parts of the key do not match.
    Inconsistent(KeyKind, Option<KeyRejected>),
    EmptySecret,
    ShortSecret {
        found: usize,
        needed: usize,
    },
    /// An ML-DSA key without the feature for it.
    #[cfg_attr(feature = "ml-dsa", allow(dead_code, reason = "without the feature"))]
    WithoutMlDsa,
    /// Not the 32 or 64 bytes of an Ed25519 key.
    SeedLength(usize),
}
