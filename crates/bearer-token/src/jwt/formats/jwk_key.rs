//! Turns the members of a JWK (RFC 7518 section 6, RFC 8037 section 2, RFC 9964 section 3) into the parts of a private
//! key.
//!
//! A JWK states its kind, its purpose and perhaps its algorithm, and all three are checked before the numbers are
//! decoded. So a public key, an encryption key and a key for another algorithm each have an error of their own.
//!
//! | `kty` | kind | private member | algorithm without `alg` |
//! |---|---|---|---|
//! | `oct` | shared secret | `k` | must be set |
//! | `RSA` | RSA, with all five of `p`, `q`, `dp`, `dq`, `qi` | `d` | must be set |
//! | `EC` | P-256, P-384, P-521 | `d` | the curve's only one |
//! | `OKP` | Ed25519 | `d` | `EdDSA` |
//! | `AKP` | ML-DSA | `priv`, the seed | required by RFC 9964 section 3 |

use zeroize::Zeroizing;

use super::{encoding, jwk::Jwk};
use crate::jwt::algorithm::{Algorithm, Curve, Family, ParameterSet};

/// The parts of a private or secret key.
///
/// Every number is wiped when dropped. The RSA parts are boxed, because they are eight times as large as the others.
pub(crate) enum KeyParts {
    Secret(Bytes),
    Rsa(Box<RsaParts>),
    Ec { curve: Curve, d: Bytes, x: Bytes, y: Bytes },
    Ed25519 { d: Bytes, x: Bytes },
    MlDsa { set: ParameterSet, seed: Bytes, public: Bytes },
}

/// A number, which is wiped when it is dropped.
type Bytes = Zeroizing<Vec<u8>>;

/// The numbers of an RSA private key, big-endian, by their names in a JWK (RFC 7518 section 6.3).
pub(crate) struct RsaParts {
    /// The modulus, which is public.
    pub(crate) n: Bytes,
    /// The public exponent, nearly always 65537.
    pub(crate) e: Bytes,
    /// The private exponent.
    pub(crate) d: Bytes,
    /// The first prime. With it and `q`, aws-lc can blind its computations against timing.
    pub(crate) p: Bytes,
    /// The second prime.
    pub(crate) q: Bytes,
    /// `d` modulo `p - 1`, for the Chinese remainder theorem, which makes signatures faster.
    pub(crate) dp: Bytes,
    /// `d` modulo `q - 1`.
    pub(crate) dq: Bytes,
    /// The inverse of `q` modulo `p`.
    pub(crate) qi: Bytes,
}

/// The kind of key that a JWK claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwkKind {
    Secret,
    Rsa,
    Ec(Curve),
    Ed25519,
    MlDsa(ParameterSet),
}

/// The reason why a JWK cannot sign.
#[derive(Debug)]
pub(crate) enum JwkKeyFault {
    NoKeyType,
    KeyType(Word),
    /// An EC key whose `crv` is missing or unknown.
    EcCurve(Option<Word>),
    /// An OKP key whose `crv` is missing or unknown.
    OkpCurve(Option<Word>),
    /// An AKP key whose `alg` is missing (`false`) or not one of ML-DSA.
    AkpAlgorithm {
        is_there: bool,
    },
    /// `use` is not `sig` (RFC 7517 section 4.2).
    Use(Word),
    /// `key_ops` lacks `sign` (RFC 7517 section 4.3).
    Operations(Vec<Word>),
    /// The error of reading `alg`.
    UnknownAlgorithm(crate::error::Error),
    OtherAlgorithm {
        own: Algorithm,
        wanted: Algorithm,
    },
    /// No `alg`, and none was set. RSA keys and secrets fit several.
    NoAlgorithm(JwkKind),
    /// The private member is missing: the file is the one for verifiers.
    PublicHalf(JwkKind),
    /// `oth` (RFC 7518 section 6.3.2.7), which aws-lc does not support.
    MorePrimes,
    /// The members of an RSA key that are missing.
    MissingNumbers(Vec<&'static str>),
    MissingMember(&'static str),
    /// This member is a number or another JSON value. Some exporters write numbers.
    NotAString(&'static str),
    NotBase64(&'static str),
}

/// A word of a JWK as an error may repeat it: a registered one, or else its length. Anything else could be part of a
/// damaged key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Known(&'static str),
    Other(usize),
}

/// The registered values of `kty`, `crv`, `use` and `key_ops` (IANA, JSON Object Signing and Encryption).
const REGISTERED_WORDS: [&str; 25] = [
    "AKP",
    "EC",
    "OKP",
    "RSA",
    "oct",
    "P-256",
    "P-384",
    "P-521",
    "secp256k1",
    "Ed25519",
    "Ed448",
    "X25519",
    "X448",
    "BP-256",
    "sig",
    "enc",
    "sign",
    "verify",
    "encrypt",
    "decrypt",
    "wrapKey",
    "unwrapKey",
    "deriveKey",
    "deriveBits",
    "P-256K",
];

impl Word {
    fn new(word: &str) -> Self {
        REGISTERED_WORDS.into_iter().find(|known| *known == word).map_or(Word::Other(word.len()), Word::Known)
    }
}

/// The algorithm that the JWK signs with, its own `alg` or the wanted one, and the parts of the key.
pub(crate) fn parts(jwk: &Jwk, wanted: Option<Algorithm>) -> Result<(Algorithm, KeyParts), JwkKeyFault> {
    let kind = kind(jwk)?;
    check_use(jwk)?;
    let algorithm = algorithm(jwk, kind, wanted)?;
    let parts = match kind {
        JwkKind::Secret => KeyParts::Secret(member(jwk, "k")?),
        JwkKind::Rsa => {
            let d = private(jwk, kind)?;
            if jwk.has("oth") {
                return Err(JwkKeyFault::MorePrimes);
            }
            check_numbers(jwk)?;
            KeyParts::Rsa(Box::new(RsaParts {
                d,
                n: member(jwk, "n")?,
                e: member(jwk, "e")?,
                p: member(jwk, "p")?,
                q: member(jwk, "q")?,
                dp: member(jwk, "dp")?,
                dq: member(jwk, "dq")?,
                qi: member(jwk, "qi")?,
            }))
        }
        JwkKind::Ec(curve) => {
            KeyParts::Ec { curve, d: private(jwk, kind)?, x: member(jwk, "x")?, y: member(jwk, "y")? }
        }
        JwkKind::Ed25519 => KeyParts::Ed25519 { d: private(jwk, kind)?, x: member(jwk, "x")? },
        JwkKind::MlDsa(set) => KeyParts::MlDsa { set, seed: private(jwk, kind)?, public: member(jwk, "pub")? },
    };
    Ok((algorithm, parts))
}

/// The kind of the key, by `kty` and where it matters by `crv` or `alg`. Unsupported kinds have names in the error, as
/// far as they are registered.
fn kind(jwk: &Jwk) -> Result<JwkKind, JwkKeyFault> {
    let curve = jwk.text("crv");
    match jwk.text("kty") {
        Some("oct") => Ok(JwkKind::Secret),
        Some("RSA") => Ok(JwkKind::Rsa),
        Some("EC") => match curve.and_then(Curve::named) {
            Some(curve) => Ok(JwkKind::Ec(curve)),
            None => Err(JwkKeyFault::EcCurve(curve.map(Word::new))),
        },
        // RFC 9964 section 3: `alg` is required, and says what the key is.
        Some("AKP") => {
            let alg = jwk.text("alg");
            let set = ParameterSet::ALL.into_iter().find(|set| alg == Some(set.facts().algorithm.name()));
            set.map(JwkKind::MlDsa).ok_or(JwkKeyFault::AkpAlgorithm { is_there: alg.is_some() })
        }
        Some("OKP") if curve == Some("Ed25519") => Ok(JwkKind::Ed25519),
        Some("OKP") => Err(JwkKeyFault::OkpCurve(curve.map(Word::new))),
        Some(other) => Err(JwkKeyFault::KeyType(Word::new(other))),
        None => Err(JwkKeyFault::NoKeyType),
    }
}

/// Checks that `use` and `key_ops` allow signatures. Both members are optional. If they are there, they bind: a key for
/// encryption must not sign.
fn check_use(jwk: &Jwk) -> Result<(), JwkKeyFault> {
    match jwk.text("use") {
        None | Some("sig") => {}
        Some(other) => return Err(JwkKeyFault::Use(Word::new(other))),
    }
    let operations = jwk.texts("key_ops");
    if jwk.has("key_ops") && !operations.is_some_and(|operations| operations.iter().any(|one| one == "sign")) {
        let operations = operations.into_iter().flatten().take(10).map(|one| Word::new(one)).collect();
        return Err(JwkKeyFault::Operations(operations));
    }
    Ok(())
}

/// RFC 7517 section 4.4: the algorithm that the key is intended for.
fn algorithm(jwk: &Jwk, kind: JwkKind, wanted: Option<Algorithm>) -> Result<Algorithm, JwkKeyFault> {
    let own = jwk.text("alg").map(str::parse::<Algorithm>).transpose().map_err(JwkKeyFault::UnknownAlgorithm)?;
    match (own, wanted) {
        (Some(own), Some(wanted)) if own != wanted => Err(JwkKeyFault::OtherAlgorithm { own, wanted }),
        (Some(algorithm), _) | (None, Some(algorithm)) => Ok(algorithm),
        (None, None) => kind.only_algorithm().ok_or(JwkKeyFault::NoAlgorithm(kind)),
    }
}

impl JwkKind {
    /// The algorithm of keys that have only one.
    fn only_algorithm(self) -> Option<Algorithm> {
        match self {
            JwkKind::Ec(curve) => Some(curve.facts().algorithm),
            JwkKind::Ed25519 => Some(Algorithm::EdDSA),
            JwkKind::MlDsa(set) => Some(set.facts().algorithm),
            JwkKind::Rsa | JwkKind::Secret => None,
        }
    }

    /// The name of the member that makes it a private key.
    pub(crate) fn private_member(self) -> &'static str {
        match self {
            JwkKind::Secret => "k",
            JwkKind::Rsa | JwkKind::Ec(_) | JwkKind::Ed25519 => "d",
            JwkKind::MlDsa(_) => "priv",
        }
    }

    /// Whether the algorithm signs with keys of this kind.
    ///
    /// For the list in an error; the key itself is checked by `native.rs`.
    pub(crate) fn fits(self, algorithm: Algorithm) -> bool {
        match algorithm.family() {
            Family::Hmac(_) => self == JwkKind::Secret,
            Family::Rsa(..) => self == JwkKind::Rsa,
            Family::Ecdsa(curve) => self == JwkKind::Ec(curve),
            Family::Ed25519 => self == JwkKind::Ed25519,
            Family::MlDsa(set) => self == JwkKind::MlDsa(set),
        }
    }
}

/// The bytes of the member that makes it a private key.
fn private(jwk: &Jwk, kind: JwkKind) -> Result<Bytes, JwkKeyFault> {
    let name = kind.private_member();
    if jwk.has(name) { member(jwk, name) } else { Err(JwkKeyFault::PublicHalf(kind)) }
}

/// Requires members that RFC 7518 section 6.3.2 makes optional. Without them aws-lc would sign as if `e` were unknown:
/// not blinded against timing, and without a check that the numbers match.
fn check_numbers(jwk: &Jwk) -> Result<(), JwkKeyFault> {
    let missing: Vec<_> = ["p", "q", "dp", "dq", "qi"].into_iter().filter(|name| !jwk.has(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(JwkKeyFault::MissingNumbers(missing)) }
}

/// The bytes of a member, base64url (RFC 7518 section 2).
///
/// Padded and unpadded Base64 in both alphabets are accepted, because tools write all of them.
fn member(jwk: &Jwk, name: &'static str) -> Result<Bytes, JwkKeyFault> {
    let Some(text) = jwk.text(name) else {
        return Err(if jwk.has(name) { JwkKeyFault::NotAString(name) } else { JwkKeyFault::MissingMember(name) });
    };
    let bytes = encoding::base64(text.as_bytes()).filter(|bytes| !bytes.is_empty());
    bytes.ok_or(JwkKeyFault::NotBase64(name))
}
