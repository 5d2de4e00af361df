//! What a private key is, read from its outermost DER.
//!
//! aws-lc-rs loads keys, but does not tell what the one is that it refuses. A user with the wrong key needs to know.

use std::fmt;

use super::der::{CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, bits, take};

/// How a private key is wrapped. Told from the content, not from the PEM label, which tools get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 5958, `PRIVATE KEY`.
    Pkcs8,
    /// RFC 8017 appendix A.1.2, `RSA PRIVATE KEY`.
    Pkcs1,
    /// RFC 5915, `EC PRIVATE KEY`.
    Sec1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Rsa {
        bits: usize,
    },
    P256,
    P384,
    Ed25519,
    /// SEC1 that leaves its curve out.
    UnnamedCurve,
    /// A kind that no supported algorithm signs with.
    Other(&'static str),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Rsa { bits } => write!(f, "an RSA key of {bits} bits"),
            KeyKind::P256 => f.write_str("an EC P-256 key"),
            KeyKind::P384 => f.write_str("an EC P-384 key"),
            KeyKind::Ed25519 => f.write_str("an Ed25519 key"),
            KeyKind::UnnamedCurve => f.write_str("an EC key that does not name its curve"),
            KeyKind::Other(name) => f.write_str(name),
        }
    }
}

/// Format and kind of a private key, or nothing if the bytes are no private key.
pub(crate) fn identify(der: &[u8]) -> Option<(Format, KeyKind)> {
    let (key, _) = take(der, SEQUENCE)?;
    let (version, rest) = take(key, INTEGER)?;
    if let Some((algorithm, rest)) = take(rest, SEQUENCE) {
        let (object, parameters) = take(algorithm, OBJECT_IDENTIFIER)?;
        let (inner, _) = take(rest, OCTET_STRING)?;
        return Some((Format::Pkcs8, pkcs8_kind(object, parameters, inner)?));
    }
    if let Some((modulus, _)) = take(rest, INTEGER) {
        return Some((Format::Pkcs1, rsa_kind(version, modulus)));
    }
    let (_, rest) = take(rest, OCTET_STRING)?;
    if version != [1] {
        return None;
    }
    let curve = take(rest, CONTEXT_0).and_then(|(named, _)| take(named, OBJECT_IDENTIFIER));
    Some((Format::Sec1, curve.map_or(KeyKind::UnnamedCurve, |(object, _)| curve_kind(object))))
}

fn pkcs8_kind(object: &[u8], parameters: &[u8], inner: &[u8]) -> Option<KeyKind> {
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
        _ => KeyKind::Other("a key of a kind not known here"),
    })
}

/// RFC 8017 appendix A.1.2: version 1 has more than two primes.
fn rsa_kind(version: &[u8], modulus: &[u8]) -> KeyKind {
    match version {
        [1] => KeyKind::Other("an RSA key of more than two primes, which is not read"),
        _ => KeyKind::Rsa { bits: bits(modulus) },
    }
}

fn curve_kind(object: &[u8]) -> KeyKind {
    match object {
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => KeyKind::P256,
        [0x2b, 0x81, 4, 0, 34] => KeyKind::P384,
        [0x2b, 0x81, 4, 0, 35] => KeyKind::Other("an EC P-521 key"),
        [0x2b, 0x81, 4, 0, 10] => KeyKind::Other("an EC secp256k1 key"),
        _ => KeyKind::Other("an EC key on another curve"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::{formats::pem as private_key, test_support::pem};

    #[test]
    fn each_private_key_is_told_apart() {
        for (name, format, kind) in [
            ("rsa2048", Format::Pkcs8, KeyKind::Rsa { bits: 2048 }),
            ("rsa2048.pkcs1", Format::Pkcs1, KeyKind::Rsa { bits: 2048 }),
            ("rsa1024", Format::Pkcs8, KeyKind::Rsa { bits: 1024 }),
            ("p256", Format::Pkcs8, KeyKind::P256),
            ("p256.sec1", Format::Sec1, KeyKind::P256),
            ("p384.sec1", Format::Sec1, KeyKind::P384),
            ("p521", Format::Pkcs8, KeyKind::Other("an EC P-521 key")),
            ("ed25519", Format::Pkcs8, KeyKind::Ed25519),
            ("x25519", Format::Pkcs8, KeyKind::Other("an X25519 key, which cannot sign")),
            ("rsa-pss", Format::Pkcs8, KeyKind::Other("an RSA key of the kind RSASSA-PSS")),
            ("rsa3primes", Format::Pkcs8, KeyKind::Other("an RSA key of more than two primes, which is not read")),
            (
                "rsa3primes.pkcs1",
                Format::Pkcs1,
                KeyKind::Other("an RSA key of more than two primes, which is not read"),
            ),
        ] {
            let der = private_key::from_pem(pem(name).as_bytes()).unwrap();
            assert_eq!(identify(&der), Some((format, kind)), "{name}");
        }
    }

    #[test]
    fn a_torn_or_foreign_der_is_nothing_and_never_a_panic() {
        for name in ["rsa2048", "rsa2048.pkcs1", "p256", "p256.sec1", "ed25519"] {
            let der = private_key::from_pem(pem(name).as_bytes()).unwrap();
            for length in 0..der.len() {
                assert_eq!(identify(&der[..length]), None, "{name} cut to {length}");
                let mut bent = der.to_vec();
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
