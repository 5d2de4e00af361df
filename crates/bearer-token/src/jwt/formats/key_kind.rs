//! The kind of a private key, read from its outermost DER.
//!
//! aws-lc-rs loads keys, but does not say what a rejected key is. A user with the wrong key needs to know.

use std::fmt;

use super::der::{CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, bits, take};
use crate::jwt::algorithm::{Curve, ParameterSet};

/// The DER structure around a private key. It is read from the content, because some tools write wrong PEM labels.
///
/// Needed apart from the kind, because aws-lc has a function for each structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyStructure {
    /// RFC 5958, `PRIVATE KEY`.
    Pkcs8,
    /// RFC 8017 appendix A.1.2, `RSA PRIVATE KEY`.
    Pkcs1,
    /// RFC 5915, `EC PRIVATE KEY`.
    Sec1,
}

/// The kind of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Rsa {
        bits: usize,
    },
    Ec(Curve),
    Ed25519,
    MlDsa(ParameterSet),
    /// SEC1 that leaves its curve out.
    UnnamedCurve,
    /// A kind that no supported algorithm signs with.
    Other(&'static str),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Rsa { bits } => write!(f, "an RSA key of {bits} bits"),
            KeyKind::Ec(curve) => write!(f, "an EC {} key", curve.facts().name),
            KeyKind::Ed25519 => f.write_str("an Ed25519 key"),
            KeyKind::MlDsa(set) => write!(f, "an {} key", set.facts().algorithm),
            KeyKind::UnnamedCurve => f.write_str("an EC key that does not name its curve"),
            KeyKind::Other(name) => f.write_str(name),
        }
    }
}

/// The structure and the kind of a private key; `None` if the bytes are not a private key.
///
/// Three structures, told apart by what follows the version: an algorithm (PKCS#8), a number (PKCS#1) or a string
/// (SEC1).
pub(crate) fn identify(der: &[u8]) -> Option<(KeyStructure, KeyKind)> {
    let (key, _) = take(der, SEQUENCE)?;
    let (version, rest) = take(key, INTEGER)?;
    if let Some((algorithm, rest)) = take(rest, SEQUENCE) {
        let (object, parameters) = take(algorithm, OBJECT_IDENTIFIER)?;
        let (inner, _) = take(rest, OCTET_STRING)?;
        return Some((KeyStructure::Pkcs8, pkcs8_kind(object, parameters, inner)?));
    }
    if let Some((modulus, more)) = take(rest, INTEGER) {
        // A public key has the modulus and the exponent alone (RFC 8017 appendix A.1.1).
        return (!more.is_empty()).then(|| (KeyStructure::Pkcs1, rsa_kind(version, modulus)));
    }
    let (_, rest) = take(rest, OCTET_STRING)?;
    if version != [1] {
        return None;
    }
    let curve = take(rest, CONTEXT_0).and_then(|(named, _)| take(named, OBJECT_IDENTIFIER));
    Some((KeyStructure::Sec1, curve.map_or(KeyKind::UnnamedCurve, |(object, _)| curve_kind(object))))
}

/// The kind of a PKCS#8 key, by the identifier of its algorithm. Unsupported kinds have names as well: "an Ed448 key"
/// helps more than "an unknown key".
fn pkcs8_kind(object: &[u8], parameters: &[u8], inner: &[u8]) -> Option<KeyKind> {
    if let Some(set) = ParameterSet::ALL.into_iter().find(|set| set.facts().object_identifier == object) {
        return Some(KeyKind::MlDsa(set));
    }
    Some(match object {
        // rsaEncryption
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1] => {
            let (key, _) = take(inner, SEQUENCE)?;
            let (version, rest) = take(key, INTEGER)?;
            rsa_kind(version, take(rest, INTEGER)?.0)
        }
        // id-RSASSA-PSS: restricted to PSS, which aws-lc-rs does not load.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10] => KeyKind::Other("an RSA key of the kind RSASSA-PSS"),
        // id-ecPublicKey
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => {
            take(parameters, OBJECT_IDENTIFIER).map_or(KeyKind::UnnamedCurve, |(curve, _)| curve_kind(curve))
        }
        [0x2b, 0x65, 0x70] => KeyKind::Ed25519,
        [0x2b, 0x65, 0x71] => KeyKind::Other("an Ed448 key"),
        [0x2b, 0x65, 0x6e] => KeyKind::Other("an X25519 key, which cannot sign"),
        [0x2b, 0x65, 0x6f] => KeyKind::Other("an X448 key, which cannot sign"),
        [0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1] => KeyKind::Other("a DSA key"),
        _ => KeyKind::Other("a key of an unknown kind"),
    })
}

/// RFC 8017 appendix A.1.2: version 1 has more than two primes.
fn rsa_kind(version: &[u8], modulus: &[u8]) -> KeyKind {
    match version {
        [1] => KeyKind::Other("an RSA key with more than two primes, which is not supported"),
        _ => KeyKind::Rsa { bits: bits(modulus) },
    }
}

/// The kind of an EC key, by the identifier of its curve. secp256k1 has a name because it is common, and no algorithm
/// here signs with it.
fn curve_kind(object: &[u8]) -> KeyKind {
    if let Some(curve) = Curve::ALL.into_iter().find(|curve| curve.facts().object_identifier == object) {
        return KeyKind::Ec(curve);
    }
    match object {
        [0x2b, 0x81, 4, 0, 10] => KeyKind::Other("an EC secp256k1 key"),
        _ => KeyKind::Other("an EC key on another curve"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::test_support::{key_der, pem};

    #[test]
    fn each_private_key_is_told_apart() {
        const THREE_PRIMES: KeyKind = KeyKind::Other("an RSA key with more than two primes, which is not supported");
        for (name, structure, kind) in [
            ("rsa2048", KeyStructure::Pkcs8, KeyKind::Rsa { bits: 2048 }),
            ("rsa2048.pkcs1", KeyStructure::Pkcs1, KeyKind::Rsa { bits: 2048 }),
            ("rsa1024", KeyStructure::Pkcs8, KeyKind::Rsa { bits: 1024 }),
            ("p256", KeyStructure::Pkcs8, KeyKind::Ec(Curve::P256)),
            ("p256.sec1", KeyStructure::Sec1, KeyKind::Ec(Curve::P256)),
            ("p384.sec1", KeyStructure::Sec1, KeyKind::Ec(Curve::P384)),
            ("p521", KeyStructure::Pkcs8, KeyKind::Ec(Curve::P521)),
            ("p521.sec1", KeyStructure::Sec1, KeyKind::Ec(Curve::P521)),
            ("secp256k1", KeyStructure::Pkcs8, KeyKind::Other("an EC secp256k1 key")),
            ("ed25519", KeyStructure::Pkcs8, KeyKind::Ed25519),
            ("x25519", KeyStructure::Pkcs8, KeyKind::Other("an X25519 key, which cannot sign")),
            ("rsa-pss", KeyStructure::Pkcs8, KeyKind::Other("an RSA key of the kind RSASSA-PSS")),
            ("rsa3primes", KeyStructure::Pkcs8, THREE_PRIMES),
            ("rsa3primes.pkcs1", KeyStructure::Pkcs1, THREE_PRIMES),
        ] {
            assert_eq!(identify(&key_der(name)), Some((structure, kind)), "{name}");
        }
    }

    #[test]
    fn torn_or_foreign_der_is_nothing_and_never_a_panic() {
        for name in ["rsa2048", "rsa2048.pkcs1", "p256", "p256.sec1", "p521", "ed25519"] {
            let der = key_der(name);
            for length in 0..der.len() {
                assert_eq!(identify(&der[..length]), None, "{name} cut to {length}");
                let mut bent = der.clone();
                bent[length] ^= 0xff;
                let _may_be_anything = identify(&bent);
            }
        }
        let certificate = ::pem::parse(pem("certificate")).unwrap().into_contents();
        let public = ::pem::parse(pem("p256.pub")).unwrap().into_contents();
        for der in [&certificate[..], &public, b"", b"0", b"\x30\xff\xff", b"\x30\x00"] {
            assert_eq!(identify(der), None);
        }
    }
}
