//! The form of a signature in a JWT (RFC 7518 section 3).
//!
//! JWS has its own form for ECDSA: two numbers of fixed length, one after the other. Nearly every tool and service
//! returns DER instead, and a JWT with a DER signature is refused without a reason. So the form of a remote signature
//! is checked, and a conversion is one call.

use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind},
    jwt::{
        algorithm::{Algorithm, Family},
        formats::der::{INTEGER, SEQUENCE, padded, take},
        template::base64url::append_base64url,
    },
};

impl Algorithm {
    /// Turns an ECDSA signature in DER (RFC 3279 section 2.2.3) into the r||s of a JWT (RFC 7518 section 3.4). OpenSSL
    /// and many key management services return DER.
    ///
    /// ```
    /// use bearer_token::jwt::Algorithm;
    ///
    /// let der = [0x30, 0x06, 0x02, 0x01, 0x05, 0x02, 0x01, 0x07];
    /// let signature = Algorithm::ES256.signature_from_der(&der)?;
    /// assert_eq!((signature.len(), signature[31], signature[63]), (64, 5, 7));
    /// # Ok::<(), bearer_token::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Of kind [`Signing`](ErrorKind::Signing) if it is not such a signature, or if the algorithm is not ES256, ES384
    /// or ES512.
    pub fn signature_from_der(self, der: &[u8]) -> Result<Vec<u8>, Error> {
        let size = match self.family() {
            Family::Ecdsa(curve) => curve.facts().coordinate_bytes,
            Family::Hmac(_) | Family::Rsa(..) | Family::Ed25519 | Family::MlDsa(_) => {
                let message = format!(
                    "found {self}; expected ES256, ES384 or ES512, because only ECDSA signatures are written in DER"
                );
                return Err(Error::new(ErrorKind::Signing, message));
            }
        };
        let join = |(r, s)| Some([padded(r, size)?.as_slice(), padded(s, size)?.as_slice()].concat());
        numbers(der).and_then(join).ok_or_else(|| {
            let message = format!(
                "found {} bytes that are not an ECDSA signature in DER for {self}; expected two numbers of up to \
                 {size} bytes",
                der.len()
            );
            Error::new(ErrorKind::Signing, message)
        })
    }
}

/// The message, a dot, and the signature in base64url without padding (RFC 7515 section 7.1).
///
/// The result is wiped when it is dropped, because it is a credential from here on.
pub(crate) fn append(mut message: String, signature: &[u8]) -> Zeroizing<String> {
    // A string that grows leaves a copy behind: here, one that is not signed yet.
    message.reserve_exact(1 + base64::encoded_len(signature.len(), false).unwrap_or_default());
    message.push('.');
    append_base64url(signature, &mut message);
    Zeroizing::new(message)
}

/// Checks that a signature from a remote signer can be one of this algorithm. The server verifies it.
///
/// The length is all that can be checked without the public key. It finds the usual mistakes: DER, hex or Base64 in
/// place of bytes.
pub(crate) fn check_form(algorithm: Algorithm, signature: Vec<u8>) -> Result<Vec<u8>, Error> {
    let length = signature.len();
    let expected = algorithm.signature_bytes();
    if expected.contains(&length) {
        return Ok(signature);
    }
    let bytes = expected.end();
    let (found, expected) = match algorithm.family() {
        Family::Ecdsa(_) if numbers(&signature).is_some() => {
            ("in DER", format!("{bytes} bytes, r||s: convert it with `Algorithm::signature_from_der`"))
        }
        Family::Ecdsa(_) => ("of another form", format!("{bytes} bytes, r||s")),
        Family::Hmac(_) | Family::Ed25519 | Family::MlDsa(_) => ("of another form", format!("{bytes} bytes")),
        Family::Rsa(..) => ("of another form", format!("at least {} bytes, as long as the key", expected.start())),
    };
    let message =
        format!("found a signature {found}, {length} bytes, from the remote signer; {algorithm} expects {expected}");
    Err(Error::new(ErrorKind::Signing, message))
}

/// The two numbers of an ECDSA signature in DER, if it is nothing else.
fn numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (pair, b"") = take(der, SEQUENCE)? else { return None };
    let (r, rest) = take(pair, INTEGER)?;
    let (s, b"") = take(rest, INTEGER)? else { return None };
    Some((r, s))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let integer = |number: &[u8]| [&[INTEGER, u8::try_from(number.len()).unwrap()], number].concat();
        let pair = [integer(r), integer(s)].concat();
        [&[SEQUENCE, u8::try_from(pair.len()).unwrap()], pair.as_slice()].concat()
    }

    // shows: 7518/3.4a
    #[test]
    fn der_becomes_r_and_s_of_full_length() {
        let (long, short) = ([&[0], [0xff; 32].as_slice()].concat(), [5]);
        let raw = Algorithm::ES256.signature_from_der(&der(&long, &short)).unwrap();
        assert_eq!(raw, [[0xff; 32].as_slice(), &[0; 31], &[5]].concat());
        assert_eq!(Algorithm::ES384.signature_from_der(&der(&long, &short)).unwrap().len(), 96);
        assert_eq!(Algorithm::ES512.signature_from_der(&der(&long, &short)).unwrap().len(), 132);
        let trailing = [der(&short, &short), vec![0]].concat();
        for wrong in [&[][..], &[0; 64], &der(&[1; 33], &short), &trailing, &der(&long, &short)[..30]] {
            let error = Algorithm::ES256.signature_from_der(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Signing);
            assert!(error.to_string().contains(&format!("found {} bytes", wrong.len())), "{error}");
        }
        assert!(Algorithm::RS256.signature_from_der(&der(&long, &short)).is_err());
    }

    // shows: 7518/3.4b
    #[test]
    fn an_impossible_length_is_named_with_the_possible_one() {
        for (algorithm, right) in [
            (Algorithm::HS256, 32),
            (Algorithm::HS384, 48),
            (Algorithm::HS512, 64),
            (Algorithm::RS256, 256),
            (Algorithm::PS512, 512),
            (Algorithm::ES256, 64),
            (Algorithm::ES384, 96),
            (Algorithm::ES512, 132),
            (Algorithm::EdDSA, 64),
            (Algorithm::MlDsa44, 2420),
            (Algorithm::MlDsa65, 3309),
            (Algorithm::MlDsa87, 4627),
        ] {
            assert_eq!(check_form(algorithm, vec![1; right]).unwrap(), vec![1; right], "{algorithm}");
            for wrong in [0, 31, 65, 5_000] {
                let error = check_form(algorithm, vec![1; wrong]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Signing);
                assert!(error.to_string().contains(&format!("of another form, {wrong} bytes")), "{error}");
            }
        }
        let error = check_form(Algorithm::ES256, der(&[1; 32], &[1; 32])).unwrap_err();
        let expected = "found a signature in DER, 70 bytes, from the remote signer; ES256 expects 64 bytes, r||s";
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
