//! Public keys in DER: `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7).
//!
//! Servers know a client by a digest of this structure (Snowflake), and a certificate contains it. Only the bits inside
//! are compared: the algorithm beside them may be written in several ways for one key.

use super::der::{BIT_STRING, OBJECT_IDENTIFIER, SEQUENCE, take};

/// The key itself, without its algorithm; `None` if the bytes are something else.
pub(crate) fn bits(der: &[u8]) -> Option<&[u8]> {
    let (key, b"") = take(der, SEQUENCE)? else { return None };
    let (algorithm, rest) = take(key, SEQUENCE)?;
    take(algorithm, OBJECT_IDENTIFIER)?;
    let (bits, b"") = take(rest, BIT_STRING)? else { return None };
    // The number of unused bits in the last byte.
    bits.strip_prefix(&[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::test_support::key_der;

    #[test]
    fn only_a_whole_public_key_has_bits() {
        for (name, length) in [("rsa2048.pub", 270), ("p256.pub", 65), ("p521.pub", 133), ("ed25519.pub", 32)] {
            let der = key_der(name);
            assert_eq!(bits(&der).map(<[u8]>::len), Some(length), "{name}");
            for length in 0..der.len() {
                assert_eq!(bits(&der[..length]), None, "{name} cut to {length}");
            }
            assert_eq!(bits(&[der.as_slice(), &[0]].concat()), None, "{name} and more");
        }
        for name in ["p256", "rsa2048.pkcs1.pub", "certificate"] {
            assert_eq!(bits(&key_der(name)), None, "{name}");
        }
    }
}
