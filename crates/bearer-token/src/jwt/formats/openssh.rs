//! The kind of a key in OpenSSH's own private key format (`PROTOCOL.key` of OpenSSH).
//!
//! aws-lc does not read this format. Its header is not encrypted, though, and names the kind of the key. For RSA and
//! EC, an `ssh-keygen` command converts it. For Ed25519 there is none before OpenSSH 9.6.

/// What the header of an OpenSSH private key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenSshKey {
    Rsa,
    Ec,
    Ed25519,
    Other,
}

/// What every such key begins with, after its Base64 is decoded.
const MAGIC: &[u8] = b"openssh-key-v1\0";

impl OpenSshKey {
    /// The kind of the key in the bytes of an `OPENSSH PRIVATE KEY` block.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::named(bytes).unwrap_or(OpenSshKey::Other)
    }

    /// The kind of an SSH key type, such as `ssh-rsa`.
    pub(crate) fn of_type(name: &[u8]) -> Self {
        match name {
            b"ssh-rsa" => OpenSshKey::Rsa,
            b"ssh-ed25519" => OpenSshKey::Ed25519,
            _ if name.starts_with(b"ecdsa-sha2-") => OpenSshKey::Ec,
            _ => OpenSshKey::Other,
        }
    }

    /// The kind that the public half names. The private half behind it may be encrypted; it is not looked at.
    fn named(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        // Cipher, key derivation, its options; then the number of keys, and the public half of the first.
        let (_, rest) = string(rest)?;
        let (_, rest) = string(rest)?;
        let (_, rest) = string(rest)?;
        let (_, rest) = rest.split_at_checked(4)?;
        let (public, _) = string(rest)?;
        let (kind, _) = string(public)?;
        Some(OpenSshKey::of_type(kind))
    }
}

/// A length in four bytes, and as many bytes (RFC 4251 section 5).
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::test_support::pem;

    #[test]
    fn l53_the_kind_is_read_from_the_public_half() {
        for (name, kind) in [
            ("openssh", OpenSshKey::Ed25519),
            ("openssh.rsa", OpenSshKey::Rsa),
            ("openssh.ec", OpenSshKey::Ec),
            ("openssh.ec.encrypted", OpenSshKey::Ec),
        ] {
            let bytes = ::pem::parse(pem(name)).unwrap().into_contents();
            assert_eq!(OpenSshKey::of(&bytes), kind, "{name}");
            for length in 0..60 {
                assert_eq!(OpenSshKey::of(&bytes[..length]), OpenSshKey::Other);
            }
        }
    }
}
