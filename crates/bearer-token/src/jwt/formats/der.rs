//! The small part of DER (ITU-T X.690) that identifies a key or a signature.
//!
//! aws-lc parses and checks keys. This reader only finds out what something is when aws-lc refuses it. Its whole
//! interface is [`take`]: split off one element with this tag.

use zeroize::Zeroizing;

/// The tag of a number, and of the version that begins most key formats.
pub(crate) const INTEGER: u8 = 0x02;
/// The tag of a public key's bits, and of a signature.
pub(crate) const BIT_STRING: u8 = 0x03;
/// The tag of a wrapped key: the inside of PKCS#8, or an encrypted one.
pub(crate) const OCTET_STRING: u8 = 0x04;
/// The tag of an algorithm's or a curve's name.
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
/// The tag of a structure. Every key and certificate is one.
pub(crate) const SEQUENCE: u8 = 0x30;
/// The tag of a first optional part: the version of a certificate, the curve of a SEC1 key.
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// Splits off the first element, if it has this tag: its content, and the bytes after it.
///
/// Definite lengths in the short and the long form. A length beyond the input is `None`, so a cut-off file is never
/// read past its end.
pub(crate) fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    if length < 0x80 {
        return rest.split_at_checked(length.into());
    }
    let (length, rest) = rest.split_at_checked((length & 0x7f).into())?;
    let length = length.iter().try_fold(0_usize, |sum, &byte| sum.checked_mul(256)?.checked_add(byte.into()))?;
    rest.split_at_checked(length)
}

/// A number without its leading zeros.
pub(crate) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The size of a positive number in bits.
pub(crate) fn bits(number: &[u8]) -> usize {
    let number = trimmed(number);
    number.len() * 8 - number.first().map_or(0, |byte| byte.leading_zeros() as usize)
}

/// A number in exactly this many bytes, if it fits.
///
/// Wiped, because private numbers pass through here.
pub(crate) fn padded(number: &[u8], size: usize) -> Option<Zeroizing<Vec<u8>>> {
    let number = trimmed(number);
    let zeros = size.checked_sub(number.len())?;
    let mut padded = Zeroizing::new(vec![0; size]);
    padded.get_mut(zeros..)?.copy_from_slice(number);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_length_reaches_beyond_the_end() {
        for text in [
            b"".as_slice(),
            b"\x30",
            b"\x30\x05",
            b"\x30\x81",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01",
            b"\x30\xff",
        ] {
            assert_eq!(take(text, SEQUENCE), None, "{text:?}");
        }
        assert_eq!(take(b"\x30\x81\x01xy", SEQUENCE), Some((b"x".as_slice(), b"y".as_slice())));
        assert_eq!(take(b"\x30\x01xy", INTEGER), None);
    }

    #[test]
    fn bits_are_counted_without_leading_zeros() {
        for (number, expected) in
            [(b"".as_slice(), 0), (b"\0\0", 0), (b"\x01", 1), (b"\0\x80\0", 16), (b"\x0f\xff", 12)]
        {
            assert_eq!(bits(number), expected, "{number:?}");
        }
    }
}
