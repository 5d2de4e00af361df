use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::*;
use crate::jwt::test_support::{key_der, key_name, signature};

fn load(algorithm: Algorithm, name: &str) -> Result<NativeKey, NativeFault> {
    NativeKey::from_der(algorithm, &key_der(name))
}

/// How the public half is verified, and the fixture that holds the private one.
fn verification(algorithm: Algorithm) -> Option<(&'static dyn VerificationAlgorithm, &'static str)> {
    Some(match algorithm.family() {
        Family::Hmac(_) => return None,
        Family::Rsa(Padding::Pkcs1, Hash::Sha256) => (&RSA_PKCS1_2048_8192_SHA256, "rsa2048"),
        Family::Rsa(Padding::Pkcs1, Hash::Sha384) => (&RSA_PKCS1_2048_8192_SHA384, "rsa2048"),
        Family::Rsa(Padding::Pkcs1, Hash::Sha512) => (&RSA_PKCS1_2048_8192_SHA512, "rsa2048"),
        Family::Rsa(Padding::Pss, Hash::Sha256) => (&RSA_PSS_2048_8192_SHA256, "rsa2048"),
        Family::Rsa(Padding::Pss, Hash::Sha384) => (&RSA_PSS_2048_8192_SHA384, "rsa2048"),
        Family::Rsa(Padding::Pss, Hash::Sha512) => (&RSA_PSS_2048_8192_SHA512, "rsa2048"),
        Family::Ecdsa(Curve::P256) => (&ECDSA_P256_SHA256_FIXED, "p256"),
        Family::Ecdsa(Curve::P384) => (&ECDSA_P384_SHA384_FIXED, "p384"),
        Family::Ecdsa(Curve::P521) => (&ECDSA_P521_SHA512_FIXED, "p521"),
        Family::Ed25519 => (&ED25519, "ed25519"),
        // In `ml_dsa.rs`.
        Family::MlDsa(_) => return None,
    })
}

// shows: 7515/5.1 7518/3.5b
#[test]
fn each_private_key_signs_what_its_public_key_verifies() {
    for algorithm in Algorithm::ALL.iter().copied() {
        let Some((verification, name)) = verification(algorithm) else { continue };
        let public = key_der(&format!("{name}.pub"));
        let public = UnparsedPublicKey::new(verification, public);
        let others = match algorithm.family() {
            Family::Rsa(..) => &["rsa2048", "rsa2048.pkcs1"][..],
            Family::Ecdsa(Curve::P256) => &["p256", "p256.sec1"],
            Family::Ecdsa(Curve::P384) => &["p384", "p384.sec1"],
            Family::Ecdsa(Curve::P521) => &["p521", "p521.sec1"],
            Family::Ed25519 | Family::Hmac(_) | Family::MlDsa(_) => &["ed25519"],
        };
        for name in others {
            let jwt = load(algorithm, name).unwrap().sign("header.claims".to_owned()).unwrap();
            let signature = signature(&jwt);
            public.verify(b"header.claims", &signature).unwrap_or_else(|_| panic!("{algorithm} {name}"));
            assert!(public.verify(b"header.Claims", &signature).is_err(), "{algorithm} {name}");
            assert!(algorithm.signature_bytes().contains(&signature.len()), "{algorithm}");
        }
    }
}

#[test]
fn the_public_key_is_what_openssl_writes() {
    for algorithm in Algorithm::ALL.iter().copied() {
        if algorithm.is_hmac() {
            assert!(NativeKey::hmac(algorithm, &[7; 64], false).unwrap().public_key().is_none());
        }
        let Some((_, name)) = verification(algorithm) else { continue };
        let public = key_der(&format!("{name}.pub"));
        assert_eq!(load(algorithm, name).unwrap().public_key(), Some(public), "{name}");
    }
}

// shows: 7518/3.2b
/// RFC 7515 appendix A.1.
#[test]
fn hmac_matches_the_example_of_the_rfc() {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dH\
                 A6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let key = NativeKey::hmac(Algorithm::HS256, &BASE64_URL_SAFE_NO_PAD.decode(secret).unwrap(), false).unwrap();
    let jwt = key.sign(input.to_owned()).unwrap();
    assert_eq!(jwt.strip_prefix(input).unwrap(), ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

/// RFC 8037 appendix A.4.
#[test]
fn eddsa_matches_the_example_of_the_rfc() {
    let seed = BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let pkcs8 = [b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", seed.as_slice()].concat();
    let key = NativeKey::from_der(Algorithm::EdDSA, &pkcs8).unwrap();
    let jwt = key.sign("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned()).unwrap();
    assert_eq!(
        jwt.rsplit_once('.').unwrap().1,
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn l23_a_key_of_another_kind_does_not_fit() {
    use Algorithm::{ES256, ES384, ES512, EdDSA, HS256, PS512, RS256};

    for (algorithm, name, kind) in [
        (RS256, "p256", KeyKind::Ec(Curve::P256)),
        (RS256, "p256.sec1", KeyKind::Ec(Curve::P256)),
        (PS512, "ed25519", KeyKind::Ed25519),
        (ES256, "rsa2048", KeyKind::Rsa { bits: 2048 }),
        (ES256, "rsa2048.pkcs1", KeyKind::Rsa { bits: 2048 }),
        (ES256, "p384", KeyKind::Ec(Curve::P384)),
        (ES384, "p256.sec1", KeyKind::Ec(Curve::P256)),
        (ES384, "p521", KeyKind::Ec(Curve::P521)),
        (ES512, "p256", KeyKind::Ec(Curve::P256)),
        (ES512, "secp256k1", KeyKind::Other("an EC secp256k1 key")),
        (EdDSA, "p256", KeyKind::Ec(Curve::P256)),
        (EdDSA, "x25519", KeyKind::Other("an X25519 key, which cannot sign")),
        (RS256, "rsa3primes", KeyKind::Other("an RSA key with more than two primes, which is not supported")),
        (RS256, "rsa-pss", KeyKind::Other("an RSA key of the kind RSASSA-PSS")),
        (HS256, "p256", KeyKind::Ec(Curve::P256)),
    ] {
        let fault = load(algorithm, name).err().unwrap();
        assert!(matches!(fault, NativeFault::Mismatch(found) if found == kind), "{algorithm} {name}: {fault:?}");
    }
}

// shows: 7518/3.3 7518/3.5a
#[test]
fn l25_rsa_keys_below_2048_bits_are_refused() {
    for name in ["rsa1024", "rsa1024.pkcs1"] {
        let fault = load(Algorithm::RS256, name).err().unwrap();
        assert!(matches!(fault, NativeFault::RsaSize(1024)), "{fault:?}");
    }
}

// shows: 7518/6.2.2
#[test]
fn l23_a_damaged_key_is_an_error_and_never_a_panic() {
    for (algorithm, name) in [
        (Algorithm::RS256, "rsa2048"),
        (Algorithm::RS256, "rsa2048.pkcs1"),
        (Algorithm::ES256, "p256"),
        (Algorithm::ES256, "p256.sec1"),
        (Algorithm::ES512, "p521"),
        (Algorithm::EdDSA, "ed25519"),
    ] {
        let der = key_der(name);
        let middle = der.len() / 2;
        for cut in [0, 1, 10, middle, der.len() - 1] {
            let fault = NativeKey::from_der(algorithm, &der[..cut]).err().unwrap();
            assert!(matches!(fault, NativeFault::NotAKey), "{name} cut to {cut}: {fault:?}");
        }
        if name.starts_with("rsa") {
            let mut bent = der.clone();
            bent[middle] ^= 1;
            let fault = NativeKey::from_der(algorithm, &bent).err().unwrap();
            assert!(matches!(fault, NativeFault::Inconsistent(KeyKind::Rsa { bits: 2048 }, _)), "{fault:?}");
        }
    }
}

/// `cargo test --release -p bearer-token signing_times -- --ignored --nocapture`
#[test]
#[ignore = "prints how long signatures take"]
#[allow(clippy::disallowed_methods, reason = "measures real time")]
fn signing_times() {
    use aws_lc_rs::{encoding::AsDer, rsa::KeySize};

    let message = "x".repeat(400);
    let time = |what: String, signer: &NativeKey| {
        let mut times: Vec<_> = (0..300)
            .map(|_| {
                let start = std::time::Instant::now();
                signer.sign(message.clone()).unwrap();
                start.elapsed()
            })
            .collect();
        times.sort();
        println!("{what:<14} median {:>9.1?}   99th {:>9.1?}", times[150], times[297]);
    };
    let rsa = |size| {
        let pair = RsaKeyPair::generate(size).unwrap();
        AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec()
    };
    let sizes = [("2048", rsa(KeySize::Rsa2048)), ("3072", rsa(KeySize::Rsa3072)), ("4096", rsa(KeySize::Rsa4096))];
    for algorithm in Algorithm::ALL.iter().copied() {
        match algorithm.family() {
            Family::Hmac(_) => time(algorithm.to_string(), &NativeKey::hmac(algorithm, &[7; 64], false).unwrap()),
            Family::Rsa(..) => {
                for (bits, der) in &sizes {
                    time(format!("{algorithm} {bits}"), &NativeKey::from_der(algorithm, der).unwrap());
                }
            }
            Family::Ecdsa(_) | Family::Ed25519 => {
                let (_, name) = verification(algorithm).unwrap();
                time(algorithm.to_string(), &load(algorithm, name).unwrap());
            }
            Family::MlDsa(_) => {
                if let Some(key) = key_name(algorithm).and_then(|name| load(algorithm, name).ok()) {
                    time(algorithm.to_string(), &key);
                }
            }
        }
    }
    let start = std::time::Instant::now();
    for _ in 0..100 {
        NativeKey::from_der(Algorithm::RS256, &sizes[0].1).unwrap();
    }
    println!("parsing an RSA key of 2048 bits: {:?}", start.elapsed() / 100);
}
