//! Keys in this process, and how they sign (RFC 7515 section 5.1).
//!
//! aws-lc-rs is called directly, not through jsonwebtoken's signers. Those are neither `Send` nor `Sync`, so each
//! signature would need a new one. For RSA they also parse and check the key each time, which takes nearly as long as
//! signing.

mod fault;
#[cfg_attr(not(feature = "ml-dsa"), path = "native/no_ml_dsa.rs")]
mod ml_dsa;
pub(crate) mod signature;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    error::Unspecified,
    hmac,
    rand::SystemRandom,
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use zeroize::Zeroizing;

pub(crate) use self::fault::NativeFault;
use self::{ml_dsa::MlDsaKey, signature::append};
use super::{
    algorithm::{Algorithm, Curve, Family, Hash, Padding, RSA_BITS},
    formats::{
        der::{bits, padded, trimmed},
        jwk_key::{KeyParts, RsaParts},
        key_kind::{KeyKind, KeyStructure, identify},
    },
};
use crate::error::{Error, ErrorKind};

/// A parsed key, and how to sign with it.
///
/// Parsed and checked. Signing never parses again, and shares the key among threads.
pub(crate) enum NativeKey {
    Hmac(Box<hmac::Key>),
    /// aws-lc makes the salt of PSS as long as the hash (RFC 7518 section 3.5).
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    /// Signatures are r||s (RFC 7518 section 3.4).
    Ecdsa(EcdsaKeyPair, Curve),
    Ed25519(Ed25519KeyPair),
    MlDsa(MlDsaKey),
}

impl NativeKey {
    /// A shared secret, at least as long as the hash (RFC 7518 section 3.2) unless it may be short.
    pub(crate) fn hmac(algorithm: Algorithm, secret: &[u8], allow_short: bool) -> Result<Self, NativeFault> {
        let hash = match algorithm.family() {
            Family::Hmac(hash) => hash,
            Family::Rsa(..) | Family::Ecdsa(_) | Family::Ed25519 | Family::MlDsa(_) => {
                return Err(NativeFault::SecretForKey);
            }
        };
        match secret.len() {
            0 => Err(NativeFault::EmptySecret),
            found if found < hash.bytes() && !allow_short => {
                Err(NativeFault::ShortSecret { found, needed: hash.bytes() })
            }
            _ => Ok(NativeKey::Hmac(Box::new(hmac::Key::new(hmac_algorithm(hash), secret)))),
        }
    }

    /// A private key as DER.
    ///
    /// The kind is checked before aws-lc sees the key, so a wrong kind is a mismatch with a name and not a rejection
    /// without one. Impossible pairs of structure and family reach aws-lc, which refuses them.
    pub(crate) fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, NativeFault> {
        let (structure, kind) = identify(der).ok_or(NativeFault::NotAKey)?;
        check_kind(algorithm, kind)?;
        let key = match (algorithm.family(), structure) {
            (Family::Rsa(padding, hash), KeyStructure::Pkcs1) => {
                RsaKeyPair::from_der(der).map(|pair| NativeKey::Rsa(pair, rsa_encoding(padding, hash)))
            }
            (Family::Rsa(padding, hash), KeyStructure::Pkcs8 | KeyStructure::Sec1) => {
                RsaKeyPair::from_pkcs8(der).map(|pair| NativeKey::Rsa(pair, rsa_encoding(padding, hash)))
            }
            (Family::Ecdsa(curve), KeyStructure::Sec1) => {
                EcdsaKeyPair::from_private_key_der(ecdsa_algorithm(curve), der)
                    .map(|pair| NativeKey::Ecdsa(pair, curve))
            }
            (Family::Ecdsa(curve), KeyStructure::Pkcs8 | KeyStructure::Pkcs1) => {
                EcdsaKeyPair::from_pkcs8(ecdsa_algorithm(curve), der).map(|pair| NativeKey::Ecdsa(pair, curve))
            }
            (Family::Ed25519, KeyStructure::Pkcs8 | KeyStructure::Pkcs1 | KeyStructure::Sec1) => {
                Ed25519KeyPair::from_pkcs8(der).map(NativeKey::Ed25519)
            }
            (Family::MlDsa(set), _) => return MlDsaKey::from_pkcs8(set, der).map(NativeKey::MlDsa),
            (Family::Hmac(_), _) => return Err(NativeFault::Mismatch(kind)),
        };
        key.map_err(|rejected| NativeFault::Inconsistent(kind, Some(rejected)))
    }

    /// The key of a JWK.
    pub(crate) fn from_parts(algorithm: Algorithm, parts: &KeyParts, allow_short: bool) -> Result<Self, NativeFault> {
        match parts {
            KeyParts::Secret(secret) => NativeKey::hmac(algorithm, secret, allow_short),
            KeyParts::Rsa(parts) => NativeKey::rsa(algorithm, parts),
            KeyParts::Ec { curve, d, x, y } => NativeKey::ec(algorithm, *curve, [d, x, y]),
            KeyParts::Ed25519 { d, x } => NativeKey::ed25519(algorithm, d, Some(x)),
            KeyParts::MlDsa { set, seed, public } => {
                check_kind(algorithm, KeyKind::MlDsa(*set))?;
                MlDsaKey::from_seed(*set, seed, public).map(NativeKey::MlDsa)
            }
        }
    }

    /// An RSA key from the numbers of a JWK. aws-lc checks that the numbers belong together, which takes about as long
    /// as a signature.
    fn rsa(algorithm: Algorithm, parts: &RsaParts) -> Result<Self, NativeFault> {
        let RsaParts { n, e, d, p, q, dp, dq, qi } = parts;
        let kind = KeyKind::Rsa { bits: bits(n) };
        check_kind(algorithm, kind)?;
        let encoding = match algorithm.family() {
            Family::Rsa(padding, hash) => rsa_encoding(padding, hash),
            Family::Hmac(_) | Family::Ecdsa(_) | Family::Ed25519 | Family::MlDsa(_) => {
                return Err(NativeFault::Mismatch(kind));
            }
        };
        // RFC 7518 section 2 forbids leading zeros in a JWK; some tools write them anyway.
        let public_key = PublicKeyComponents { n: trimmed(n), e: trimmed(e) };
        let pair = RsaKeyPair::from_components(&KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi });
        pair.map(|pair| NativeKey::Rsa(pair, encoding))
            .map_err(|rejected| NativeFault::Inconsistent(kind, Some(rejected)))
    }

    /// An EC key from its private number and its point. Numbers are padded to the size of the curve: tools drop leading
    /// zeros, which RFC 7518 section 6.2.2.1 forbids.
    fn ec(algorithm: Algorithm, curve: Curve, numbers: [&[u8]; 3]) -> Result<Self, NativeFault> {
        let kind = KeyKind::Ec(curve);
        check_kind(algorithm, kind)?;
        let [Some(d), Some(x), Some(y)] = numbers.map(|number| padded(number, curve.facts().coordinate_bytes)) else {
            return Err(NativeFault::Inconsistent(kind, None));
        };
        // Uncompressed (SEC 1 section 2.3.3).
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        EcdsaKeyPair::from_private_key_and_public_key(ecdsa_algorithm(curve), &d, &point)
            .map(|pair| NativeKey::Ecdsa(pair, curve))
            .map_err(|rejected| NativeFault::Inconsistent(kind, Some(rejected)))
    }

    /// An Ed25519 key from its seed. If the public half is given, it must match.
    fn ed25519(algorithm: Algorithm, seed: &[u8], public: Option<&[u8]>) -> Result<Self, NativeFault> {
        check_kind(algorithm, KeyKind::Ed25519)?;
        let pair = match public {
            Some(public) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => Ed25519KeyPair::from_seed_unchecked(seed),
        };
        pair.map(NativeKey::Ed25519).map_err(|rejected| NativeFault::Inconsistent(KeyKind::Ed25519, Some(rejected)))
    }

    /// The bare bytes of an Ed25519 key: its seed, or its seed and its public half.
    pub(crate) fn bare_ed25519(bytes: &[u8]) -> Result<Self, NativeFault> {
        match (bytes.len(), bytes.split_at_checked(32)) {
            (32, _) => NativeKey::ed25519(Algorithm::EdDSA, bytes, None),
            (64, Some((seed, public))) => NativeKey::ed25519(Algorithm::EdDSA, seed, Some(public)),
            (length, _) => Err(NativeFault::SeedLength(length)),
        }
    }

    /// Whether a signature takes longer than a poll should, which is 100 us. Then it is computed on a thread that may
    /// block. For faster ones, changing threads would cost more than it saves.
    ///
    /// Medians of `signing_times` below, on a virtual machine with two cores: HMAC 0.5 to 1.1 us, Ed25519 7, ES256 12,
    /// ES384 60, ES512 114. RSA, RS and PS alike: 200 us with 2048 bits, 580 with 3072, 1,250 with 4096. ML-DSA-44: 58,
    /// -65: 115, -87: 118; it starts again by chance, so that some take several times as long (FIPS 204 section 6.2).
    pub(crate) fn is_slow(&self) -> bool {
        match self {
            NativeKey::Rsa(..) | NativeKey::MlDsa(_) => true,
            NativeKey::Ecdsa(_, curve) => match curve {
                Curve::P256 | Curve::P384 => false,
                Curve::P521 => true,
            },
            NativeKey::Hmac(_) | NativeKey::Ed25519(_) => false,
        }
    }

    /// Whether a signature draws randomness: a nonce, a salt, or what blinds a private key.
    pub(crate) fn draws_randomness(&self) -> bool {
        match self {
            NativeKey::Rsa(..) | NativeKey::Ecdsa(..) | NativeKey::MlDsa(_) => true,
            NativeKey::Hmac(_) | NativeKey::Ed25519(_) => false,
        }
    }

    /// The public key as `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1.2.7); `None` for a shared secret.
    pub(crate) fn public_key(&self) -> Option<Vec<u8>> {
        let der: Result<PublicKeyX509Der<'static>, Unspecified> = match self {
            NativeKey::Hmac(_) => return None,
            NativeKey::Rsa(pair, _) => pair.public_key().as_der(),
            NativeKey::Ecdsa(pair, _) => pair.public_key().as_der(),
            NativeKey::Ed25519(pair) => pair.public_key().as_der(),
            NativeKey::MlDsa(key) => key.public_key(),
        };
        der.ok().map(|der| der.as_ref().to_vec())
    }

    /// How long a signature is, in bytes.
    pub(crate) fn signature_bytes(&self, algorithm: Algorithm) -> usize {
        match self {
            NativeKey::Rsa(pair, _) => pair.public_modulus_len(),
            NativeKey::Hmac(_) | NativeKey::Ecdsa(..) | NativeKey::Ed25519(_) | NativeKey::MlDsa(_) => {
                *algorithm.signature_bytes().end()
            }
        }
    }

    /// The message with its signature.
    ///
    /// An error here means that the system has no randomness, or that aws-lc failed: the key was checked before. The
    /// cause is dropped, because it says nothing.
    pub(crate) fn sign(&self, message: String) -> Result<Zeroizing<String>, Error> {
        let failed = |_| Error::new(ErrorKind::Signing, "the JWT could not be signed with this key");
        let bytes = message.as_bytes();
        match self {
            NativeKey::Hmac(key) => {
                let tag = hmac::sign(key, bytes);
                Ok(append(message, tag.as_ref()))
            }
            NativeKey::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), bytes, &mut signature).map_err(failed)?;
                Ok(append(message, &signature))
            }
            NativeKey::Ecdsa(pair, _) => {
                let signature = pair.sign(&SystemRandom::new(), bytes).map_err(failed)?;
                Ok(append(message, signature.as_ref()))
            }
            NativeKey::Ed25519(pair) => {
                let signature = pair.try_sign(bytes).map_err(failed)?;
                Ok(append(message, signature.as_ref()))
            }
            NativeKey::MlDsa(key) => {
                let signature = key.sign(bytes).map_err(failed)?;
                Ok(append(message, &signature))
            }
        }
    }
}

/// Checks that the algorithm signs with keys of this kind and size.
fn check_kind(algorithm: Algorithm, kind: KeyKind) -> Result<(), NativeFault> {
    let fits = match algorithm.family() {
        Family::Hmac(_) => false,
        Family::Rsa(..) => match kind {
            KeyKind::Rsa { bits } if RSA_BITS.contains(&bits) => true,
            KeyKind::Rsa { bits } => return Err(NativeFault::RsaSize(bits)),
            KeyKind::Ec(_) | KeyKind::Ed25519 | KeyKind::MlDsa(_) | KeyKind::UnnamedCurve | KeyKind::Other(_) => false,
        },
        Family::Ecdsa(curve) => kind == KeyKind::Ec(curve) || kind == KeyKind::UnnamedCurve,
        Family::Ed25519 => kind == KeyKind::Ed25519,
        Family::MlDsa(set) => kind == KeyKind::MlDsa(set),
    };
    if fits { Ok(()) } else { Err(NativeFault::Mismatch(kind)) }
}

fn hmac_algorithm(hash: Hash) -> hmac::Algorithm {
    match hash {
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
    }
}

/// aws-lc's name for a padding and a hash. The salt of PSS has the length of the hash there (RFC 7518 section 3.5).
fn rsa_encoding(padding: Padding, hash: Hash) -> &'static dyn RsaEncoding {
    match (padding, hash) {
        (Padding::Pkcs1, Hash::Sha256) => &RSA_PKCS1_SHA256,
        (Padding::Pkcs1, Hash::Sha384) => &RSA_PKCS1_SHA384,
        (Padding::Pkcs1, Hash::Sha512) => &RSA_PKCS1_SHA512,
        (Padding::Pss, Hash::Sha256) => &RSA_PSS_SHA256,
        (Padding::Pss, Hash::Sha384) => &RSA_PSS_SHA384,
        (Padding::Pss, Hash::Sha512) => &RSA_PSS_SHA512,
    }
}

/// The variant with signatures of fixed length, r and s one after the other: what JWTs have.
fn ecdsa_algorithm(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}

#[cfg(test)]
mod tests;
