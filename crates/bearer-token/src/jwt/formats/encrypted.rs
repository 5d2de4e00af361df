//! Opens private keys that are encrypted with a passphrase: PKCS#8 (RFC 5958 section 3) with PBES2 (RFC 8018).

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
use crate::error::{Error, ErrorKind};

/// What turns any encrypted or plain key into one that is read here.
pub(crate) const REWRITE: &str = "`openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY.pem -out NEW.pem`";

/// Some seconds of work. Whoever writes the file says how much it takes to open it, and must not hold a thread for
/// hours; the most that is recommended today is 1.4 million.
const MOST_ITERATIONS: u32 = 10_000_000;

/// The memory of scrypt is 128 bytes times cost times block size (RFC 7914 section 2); common parameters take 16 to
/// 64 MiB. The work is that times the parallelization.
const MOST_MEMORY: u128 = 256 << 20;
const MOST_WORK: u128 = 1 << 30;

/// The plain private key, as DER.
pub(crate) fn open(der: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (scheme, encrypted) = parts(der).ok_or_else(|| {
        config("found an ENCRYPTED PRIVATE KEY whose content is none; expected PKCS#8: is the file damaged?".to_owned())
    })?;
    let Ok(EncryptionScheme::Pbes2(parameters)) = EncryptionScheme::from_der(scheme) else { return Err(unknown()) };
    check(&parameters)?;
    let mut buffer = Zeroizing::new(encrypted.to_vec());
    let plain = match parameters.decrypt_in_place(passphrase, &mut buffer) {
        Ok(plain) => Zeroizing::new(plain.to_vec()),
        Err(pkcs5::Error::DecryptFailed) => return Err(wrong()),
        Err(_) => return Err(unknown()),
    };
    // One wrong passphrase in 256 leaves a padding that looks right.
    if identify(&plain).is_none() {
        return Err(wrong());
    }
    Ok(plain)
}

/// The algorithm, whole, and the encrypted key.
fn parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, _) = take(der, SEQUENCE)?;
    let (_, rest) = take(info, SEQUENCE)?;
    let (scheme, _) = info.split_at_checked(info.len().checked_sub(rest.len())?)?;
    let (encrypted, _) = take(rest, OCTET_STRING)?;
    Some((scheme, encrypted))
}

fn check(parameters: &Parameters) -> Result<(), Error> {
    let excess = match &parameters.kdf {
        Kdf::Pbkdf2(kdf) => (kdf.iteration_count > MOST_ITERATIONS)
            .then(|| format!("{} iterations of PBKDF2; expected at most {MOST_ITERATIONS}", kdf.iteration_count)),
        // RFC 7914 section 2; the library panics at zero.
        Kdf::Scrypt(kdf) if kdf.cost_parameter < 2 || !kdf.cost_parameter.is_power_of_two() => return Err(unknown()),
        Kdf::Scrypt(kdf) => {
            let memory = 128 * u128::from(kdf.cost_parameter) * u128::from(kdf.block_size);
            let work = memory.saturating_mul(kdf.parallelization.into());
            (memory > MOST_MEMORY || work > MOST_WORK)
                .then(|| format!("scrypt with {} MiB; expected at most {} MiB", work >> 20, MOST_MEMORY >> 20))
        }
        _ => return Err(unknown()),
    };
    match excess {
        Some(excess) => Err(config(format!("found a private key encrypted with {excess}: rewrite it with {REWRITE}"))),
        None => Ok(()),
    }
}

fn unknown() -> Error {
    config(format!(
        "found a private key encrypted with a scheme that is not read; expected PBES2 with PBKDF2 or scrypt, and AES or \
         triple DES: rewrite it with {REWRITE}"
    ))
}

fn wrong() -> Error {
    config(
        "found a passphrase that does not open the private key; expected the one it was encrypted with: does it end in \
         a line end that is not part of it, or is the file damaged?"
            .to_owned(),
    )
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use pkcs5::pbes2::{Pbkdf2Params, ScryptParams};

    use super::*;
    use crate::jwt::test_support::pem;

    fn der(name: &str) -> Vec<u8> {
        let blocks = ::pem::parse_many(pem(name)).unwrap();
        blocks.into_iter().next_back().unwrap().into_contents()
    }

    #[test]
    fn l23_keys_open_however_openssl_encrypted_them() {
        for (plain, encrypted) in [
            ("rsa2048", "rsa2048.encrypted"),
            ("rsa2048", "rsa2048.des3.encrypted"),
            ("p256", "p256.aes128.encrypted"),
            ("ed25519", "ed25519.scrypt.encrypted"),
        ] {
            assert!(*open(&der(encrypted), b"test").unwrap() == der(plain), "{encrypted}");
        }
    }

    #[test]
    fn l23_a_passphrase_that_does_not_open_the_key_is_said_to_be_wrong() {
        // Of so many, some leave a padding that looks right.
        let wrong = (0..2_000).map(|number| format!("MARKER{number}"));
        for passphrase in wrong.chain(["", "test\n", " test", "Test"].map(str::to_owned)) {
            let error = open(&der("p256.aes128.encrypted"), passphrase.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = format!("{error} {error:?}");
            assert!(text.contains("found a passphrase that does not open the private key"), "{text}");
            assert!(!text.contains("MARKER"), "{text}");
        }
    }

    #[test]
    fn l23_other_schemes_are_refused_with_the_command_that_converts() {
        let error = open(&der("p256.pbes1.encrypted"), b"test").unwrap_err();
        assert!(error.to_string().contains("encrypted with a scheme that is not read; expected PBES2"), "{error}");
        assert!(error.to_string().contains(REWRITE), "{error}");
        for none in [der("p256"), der("certificate"), Vec::new(), vec![0x30, 0x80]] {
            let error = open(&none, b"test").unwrap_err();
            assert!(error.to_string().contains("whose content is none"), "{error}");
        }
    }

    #[test]
    fn a_hostile_key_cannot_hold_a_thread_for_long() {
        let error = open(&der("p256.slow.encrypted"), b"test").unwrap_err();
        let expected = "found a private key encrypted with 10000001 iterations of PBKDF2; expected at most 10000000";
        assert!(error.to_string().starts_with(expected), "{error}");

        let EncryptionScheme::Pbes2(parameters) =
            EncryptionScheme::from_der(parts(&der("p256.aes128.encrypted")).unwrap().0).unwrap()
        else {
            panic!("PBES2")
        };
        let salt = || parameters.kdf.pbkdf2().unwrap().salt;
        let check = |kdf: Kdf| check(&Parameters { kdf, encryption: parameters.encryption });
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
            // No powers of two.
            (0, 8, 1, false),
            (1, 8, 1, false),
            (3, 8, 1, false),
            (u64::MAX, 8, 1, false),
        ] {
            assert_eq!(scrypt(cost, size, lanes).is_ok(), fine, "{cost} {size} {lanes}");
        }
    }
}
