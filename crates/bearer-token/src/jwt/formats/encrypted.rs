//! Opens private keys that are encrypted with a passphrase: PKCS#8 (RFC 5958 section 3) with PBES2 (RFC 8018).
//!
//! The file chooses the key derivation and its cost, so opening it is work that an untrusted file could make
//! arbitrarily long. Both derivations are bounded before they begin. Old schemes (PBES1, RC2, single DES) are refused
//! with the OpenSSL command that rewrites the key.

use pkcs5::{
    EncryptionScheme,
    der::Decode,
    pbes2::{Kdf, Parameters},
};
use zeroize::Zeroizing;

use super::{
    der::{OCTET_STRING, SEQUENCE, take},
    key_kind::identify,
};

/// The most iterations of PBKDF2: some seconds of work.
///
/// The file decides how much work it takes to open it, and must not occupy a thread for hours. The most that is
/// recommended today is 1.4 million.
pub(crate) const MAX_ITERATIONS: u32 = 10_000_000;

/// The most memory of scrypt, which is 128 bytes times cost times block size (RFC 7914 section 2). Common parameters
/// take 16 to 64 MiB.
pub(crate) const MAX_MEMORY: u128 = 256 << 20;

/// The most work of scrypt: its memory times the parallelization.
const MAX_WORK: u128 = 1 << 30;

/// The reason why an encrypted key cannot be opened.
///
/// A wrong passphrase and a damaged file look the same after decryption: the error suggests both.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EncryptionFault {
    /// The content is not encrypted PKCS#8.
    Damaged,
    /// Another scheme than PBES2 with PBKDF2 or scrypt, and AES or triple DES.
    UnknownScheme,
    /// The padding is wrong, or what was decrypted is not a private key.
    WrongPassphrase,
    /// PBKDF2 with more iterations than are allowed: this many.
    Iterations(u32),
    /// What scrypt would take, in MiB.
    Scrypt(u128),
}

/// The plain private key, as DER.
///
/// The plain key exists in two buffers for a moment, both wiped. It is checked to be a private key before it is
/// returned, because padding alone does not prove the passphrase.
pub(crate) fn open(der: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, EncryptionFault> {
    let (scheme, encrypted) = parts(der).ok_or(EncryptionFault::Damaged)?;
    let Ok(EncryptionScheme::Pbes2(parameters)) = EncryptionScheme::from_der(scheme) else {
        return Err(EncryptionFault::UnknownScheme);
    };
    check_work(&parameters)?;
    let mut buffer = Zeroizing::new(encrypted.to_vec());
    let plain = match parameters.decrypt_in_place(passphrase, &mut buffer) {
        Ok(plain) => Zeroizing::new(plain.to_vec()),
        Err(pkcs5::Error::DecryptFailed) => return Err(EncryptionFault::WrongPassphrase),
        Err(_) => return Err(EncryptionFault::UnknownScheme),
    };
    // One wrong passphrase in 256 leaves a padding that looks right.
    if identify(&plain).is_none() {
        return Err(EncryptionFault::WrongPassphrase);
    }
    Ok(plain)
}

/// The algorithm as a whole, and the encrypted key.
fn parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, _) = take(der, SEQUENCE)?;
    let (_, rest) = take(info, SEQUENCE)?;
    let (scheme, _) = info.split_at_checked(info.len().checked_sub(rest.len())?)?;
    let (encrypted, _) = take(rest, OCTET_STRING)?;
    Some((scheme, encrypted))
}

/// Refuses a key whose derivation takes too much time or memory. Runs before the derivation. The dimensions of scrypt
/// are multiplied in 128 bits, because a hostile file can choose numbers that overflow 64.
fn check_work(parameters: &Parameters) -> Result<(), EncryptionFault> {
    match &parameters.kdf {
        Kdf::Pbkdf2(kdf) if kdf.iteration_count > MAX_ITERATIONS => {
            Err(EncryptionFault::Iterations(kdf.iteration_count))
        }
        Kdf::Pbkdf2(_) => Ok(()),
        // RFC 7914 section 2; the library panics at zero.
        Kdf::Scrypt(kdf) if kdf.cost_parameter < 2 || !kdf.cost_parameter.is_power_of_two() => {
            Err(EncryptionFault::UnknownScheme)
        }
        Kdf::Scrypt(kdf) => {
            let memory = 128 * u128::from(kdf.cost_parameter) * u128::from(kdf.block_size);
            let work = memory.saturating_mul(kdf.parallelization.into());
            if memory > MAX_MEMORY || work > MAX_WORK { Err(EncryptionFault::Scrypt(work >> 20)) } else { Ok(()) }
        }
        _ => Err(EncryptionFault::UnknownScheme),
    }
}

#[cfg(test)]
mod tests {
    use pkcs5::pbes2::{Pbkdf2Params, ScryptParams};

    use super::*;
    use crate::jwt::test_support::key_der;

    #[test]
    fn l23_keys_open_however_openssl_encrypted_them() {
        for (plain, encrypted) in [
            ("rsa2048", "rsa2048.encrypted"),
            ("rsa2048", "rsa2048.des3.encrypted"),
            ("p256", "p256.aes128.encrypted"),
            ("ed25519", "ed25519.scrypt.encrypted"),
        ] {
            assert!(*open(&key_der(encrypted), b"test").unwrap() == key_der(plain), "{encrypted}");
        }
    }

    #[test]
    fn l23_a_passphrase_that_does_not_open_the_key_is_wrong() {
        // Of so many, some leave a padding that looks right.
        let wrong = (0..2_000).map(|number| number.to_string());
        for passphrase in wrong.chain(["", "test\n", " test", "Test"].map(str::to_owned)) {
            let fault = open(&key_der("p256.aes128.encrypted"), passphrase.as_bytes()).unwrap_err();
            assert_eq!(fault, EncryptionFault::WrongPassphrase);
        }
    }

    #[test]
    fn l23_other_schemes_and_other_content_are_told_apart() {
        assert_eq!(open(&key_der("p256.pbes1.encrypted"), b"test"), Err(EncryptionFault::UnknownScheme));
        for other in [key_der("p256"), key_der("certificate"), Vec::new(), vec![0x30, 0x80]] {
            assert_eq!(open(&other, b"test"), Err(EncryptionFault::Damaged));
        }
    }

    #[test]
    fn a_hostile_key_cannot_occupy_a_thread_for_long() {
        assert_eq!(open(&key_der("p256.slow.encrypted"), b"test"), Err(EncryptionFault::Iterations(10_000_001)));

        let encrypted = key_der("p256.aes128.encrypted");
        let EncryptionScheme::Pbes2(parameters) = EncryptionScheme::from_der(parts(&encrypted).unwrap().0).unwrap()
        else {
            panic!("PBES2")
        };
        let salt = || parameters.kdf.pbkdf2().unwrap().salt;
        let check = |kdf: Kdf| check_work(&Parameters { kdf, encryption: parameters.encryption });
        let iterations =
            |iteration_count| check(Kdf::Pbkdf2(Pbkdf2Params { iteration_count, ..*parameters.kdf.pbkdf2().unwrap() }));
        assert!(iterations(10_000_000).is_ok() && iterations(10_000_001).is_err() && iterations(u32::MAX).is_err());
        let scrypt = |cost_parameter, block_size, parallelization| {
            check(Kdf::Scrypt(ScryptParams {
                salt: salt(),
                cost_parameter,
                block_size,
                parallelization,
                key_length: None,
            }))
        };
        for (cost, size, lanes, fine) in [
            (1 << 14, 8, 1, true),
            (1 << 17, 8, 1, true),
            (1 << 18, 8, 1, true),
            (1 << 18, 8, 4, true),
            (1 << 18, 8, 5, false),
            (1 << 19, 8, 1, false),
            (1 << 14, 512, 1, false),
            (1 << 63, u16::MAX, u16::MAX, false),
            // Not powers of two.
            (0, 8, 1, false),
            (1, 8, 1, false),
            (3, 8, 1, false),
            (u64::MAX, 8, 1, false),
        ] {
            assert_eq!(scrypt(cost, size, lanes).is_ok(), fine, "{cost} {size} {lanes}");
        }
    }
}
