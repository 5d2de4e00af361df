//! Computes signatures (RFC 7515 section 5.1).
//!
//! aws-lc-rs is called directly, not through jsonwebtoken's signers: those are neither `Send` nor `Sync`, so that they
//! would have to be made anew for each signature, and for RSA they parse and check the key each time, which takes
//! nearly as long as signing.

use aws_lc_rs::{
    error::KeyRejected,
    hmac,
    rand::SystemRandom,
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};

pub(crate) mod signature;

use super::{
    algorithm::Algorithm,
    formats::{
        der::{bits, padded, trimmed},
        key_kind::{Format, KeyKind, identify},
    },
};
use crate::error::{Error, ErrorKind};
use crate::jwt::key::key_problem;
use crate::problem::{Advice, Problem};

/// A parsed key, and how to sign with it.
pub(crate) enum LocalKey {
    Hmac(Box<hmac::Key>),
    /// aws-lc makes the salt of PSS as long as the hash (RFC 7518 section 3.5).
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    /// Signatures are r||s (RFC 7518 section 3.4).
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// What an algorithm signs with.
enum Scheme {
    Hmac(hmac::Algorithm),
    Rsa(&'static dyn RsaEncoding),
    Ecdsa(&'static EcdsaSigningAlgorithm),
    Ed25519,
}

impl Scheme {
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::HS256 => Scheme::Hmac(hmac::HMAC_SHA256),
            Algorithm::HS384 => Scheme::Hmac(hmac::HMAC_SHA384),
            Algorithm::HS512 => Scheme::Hmac(hmac::HMAC_SHA512),
            Algorithm::RS256 => Scheme::Rsa(&RSA_PKCS1_SHA256),
            Algorithm::RS384 => Scheme::Rsa(&RSA_PKCS1_SHA384),
            Algorithm::RS512 => Scheme::Rsa(&RSA_PKCS1_SHA512),
            Algorithm::PS256 => Scheme::Rsa(&RSA_PSS_SHA256),
            Algorithm::PS384 => Scheme::Rsa(&RSA_PSS_SHA384),
            Algorithm::PS512 => Scheme::Rsa(&RSA_PSS_SHA512),
            Algorithm::ES256 => Scheme::Ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => Scheme::Ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDSA => Scheme::Ed25519,
        }
    }
}

impl LocalKey {
    /// A shared secret, at least as long as the hash (RFC 7518 section 3.2) unless it may be short.
    pub(crate) fn hmac(algorithm: Algorithm, secret: &[u8], short: bool) -> Result<Self, Error> {
        let Scheme::Hmac(scheme) = Scheme::of(algorithm) else {
            let problem = Problem::new("key", format!("found a secret; {algorithm} signs with a private key"));
            return Err(key_problem(
                problem.advise(Advice::text("give a private key")).advise(Advice::text("choose HS256, HS384 or HS512")),
            ));
        };
        let least = scheme.digest_algorithm().output_len();
        match secret.len() {
            0 => Err(config(format!("found an empty secret; {algorithm} needs {least} bytes"))),
            length if length < least && !short => Err(key_problem(
                Problem::new(
                    "key",
                    format!(
                        "found a secret of {length} bytes; {algorithm} needs at least {least} (RFC 7518 section 3.2)"
                    ),
                )
                .advise(Advice::text("use a longer one"))
                .advise(Advice::turn_on("KeyReader::allow_short_secret")),
            )),
            _ => Ok(LocalKey::Hmac(Box::new(hmac::Key::new(scheme, secret)))),
        }
    }

    /// A private key as DER.
    pub(crate) fn private_key(algorithm: Algorithm, der: &[u8]) -> Result<Self, Error> {
        let Some((format, kind)) = identify(der) else {
            return Err(config(format!(
                "found a PEM whose content is no private key; expected {}: is the file damaged?",
                needed(algorithm)
            )));
        };
        let key = match (check(algorithm, kind)?, format) {
            (Scheme::Rsa(encoding), Format::Pkcs1) => {
                RsaKeyPair::from_der(der).map(|pair| LocalKey::Rsa(pair, encoding))
            }
            (Scheme::Rsa(encoding), _) => RsaKeyPair::from_pkcs8(der).map(|pair| LocalKey::Rsa(pair, encoding)),
            (Scheme::Ecdsa(scheme), Format::Sec1) => {
                EcdsaKeyPair::from_private_key_der(scheme, der).map(LocalKey::Ecdsa)
            }
            (Scheme::Ecdsa(scheme), _) => EcdsaKeyPair::from_pkcs8(scheme, der).map(LocalKey::Ecdsa),
            (Scheme::Ed25519, _) => Ed25519KeyPair::from_pkcs8(der).map(LocalKey::Ed25519),
            (Scheme::Hmac(_), _) => return Err(mismatch(algorithm, kind)),
        };
        key.map_err(|rejected| damaged(kind, rejected))
    }

    /// An RSA key from its numbers.
    pub(crate) fn rsa(algorithm: Algorithm, numbers: &RsaNumbers<'_>) -> Result<Self, Error> {
        let kind = KeyKind::Rsa { bits: bits(numbers.n) };
        let Scheme::Rsa(encoding) = check(algorithm, kind)? else { return Err(mismatch(algorithm, kind)) };
        let RsaNumbers { n, e, d, p, q, dp, dq, qi } = *numbers;
        // Zeros in front are not allowed in a JWK (RFC 7518 section 2), and written by some all the same.
        let public_key = PublicKeyComponents { n: trimmed(n), e: trimmed(e) };
        let pair = RsaKeyPair::from_components(&KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi });
        pair.map(|pair| LocalKey::Rsa(pair, encoding)).map_err(|rejected| damaged(kind, rejected))
    }

    /// An EC key from its private number and the coordinates of its public point.
    pub(crate) fn ec(algorithm: Algorithm, kind: KeyKind, [d, x, y]: [&[u8]; 3]) -> Result<Self, Error> {
        let Scheme::Ecdsa(scheme) = check(algorithm, kind)? else { return Err(mismatch(algorithm, kind)) };
        let size = if kind == KeyKind::P384 { 48 } else { 32 };
        let (Some(d), Some(x), Some(y)) = (padded(d, size), padded(x, size), padded(y, size)) else {
            return Err(does_not_add_up(kind));
        };
        // Uncompressed (SEC 1 section 2.3.3).
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(scheme, &d, &point);
        pair.map(LocalKey::Ecdsa).map_err(|rejected| damaged(kind, rejected))
    }

    /// An Ed25519 key from its seed, and its public half, if that is to be compared.
    pub(crate) fn ed25519(algorithm: Algorithm, seed: &[u8], public: Option<&[u8]>) -> Result<Self, Error> {
        check(algorithm, KeyKind::Ed25519)?;
        let pair = match public {
            Some(public) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => Ed25519KeyPair::from_seed_unchecked(seed),
        };
        pair.map(LocalKey::Ed25519).map_err(|rejected| damaged(KeyKind::Ed25519, rejected))
    }

    /// The bare bytes of an Ed25519 key: its seed, or its seed and its public half.
    pub(crate) fn raw_ed25519(bytes: &[u8]) -> Result<Self, Error> {
        match (bytes.len(), bytes.split_at_checked(32)) {
            (32, _) => LocalKey::ed25519(Algorithm::EdDSA, bytes, None),
            (64, Some((seed, public))) => LocalKey::ed25519(Algorithm::EdDSA, seed, Some(public)),
            (length, _) => Err(config(format!(
                "found {length} bytes; expected the bare bytes of an Ed25519 key, which are 32 (the seed) or 64 (the \
                 seed and its public half)"
            ))),
        }
    }

    /// Whether a signature takes longer than a poll should, which is taken to be 100 us: then it is computed away from
    /// the runtime's tasks. Otherwise the way there and back would cost more than it saves.
    ///
    /// Medians of `signing_times` below, on a virtual machine with two cores of an AMD EPYC: HMAC 0.5 to 1.2 us, Ed25519
    /// 10, ES256 16, ES384 82. RSA, RS and PS alike: 230 us with 2048 bits, 670 with 3072, 1,400 with 4096.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self, LocalKey::Rsa(..))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::new(ErrorKind::Signing, "the JWT could not be signed with this key");
        match self {
            LocalKey::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            LocalKey::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            LocalKey::Ecdsa(pair) => {
                pair.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec()).map_err(failed)
            }
            LocalKey::Ed25519(pair) => {
                pair.try_sign(message).map(|signature| signature.as_ref().to_vec()).map_err(failed)
            }
        }
    }
}

/// The numbers of an RSA private key, big-endian, by their names in a JWK (RFC 7518 section 6.3).
pub(crate) struct RsaNumbers<'a> {
    pub(crate) n: &'a [u8],
    pub(crate) e: &'a [u8],
    pub(crate) d: &'a [u8],
    pub(crate) p: &'a [u8],
    pub(crate) q: &'a [u8],
    pub(crate) dp: &'a [u8],
    pub(crate) dq: &'a [u8],
    pub(crate) qi: &'a [u8],
}

/// Whether the algorithm signs with keys of this kind, and how.
fn check(algorithm: Algorithm, kind: KeyKind) -> Result<Scheme, Error> {
    let scheme = Scheme::of(algorithm);
    let fits = match (&scheme, kind) {
        (Scheme::Rsa(_), KeyKind::Rsa { bits }) => return check_size(algorithm, bits).map(|()| scheme),
        (Scheme::Ecdsa(_), KeyKind::UnnamedCurve) => true,
        (Scheme::Ecdsa(_), _) => kind == curve(algorithm),
        (Scheme::Ed25519, KeyKind::Ed25519) => true,
        _ => false,
    };
    if fits { Ok(scheme) } else { Err(mismatch(algorithm, kind)) }
}

/// RFC 7518 sections 3.3 and 3.5 ask for 2048 bits; above 8192 aws-lc does not go.
fn check_size(algorithm: Algorithm, bits: usize) -> Result<(), Error> {
    let expected = match bits {
        ..2048 => "at least 2048 (RFC 7518 section 3.3)",
        2048..=8192 => return Ok(()),
        _ => "at most 8192",
    };
    Err(config(format!("found an RSA key of {bits} bits; {algorithm} needs {expected}: make a new key")))
}

fn mismatch(algorithm: Algorithm, kind: KeyKind) -> Error {
    config(format!("found {kind}; {algorithm} needs {}", needed(algorithm)))
}

fn damaged(kind: KeyKind, rejected: KeyRejected) -> Error {
    does_not_add_up(kind).with_source(rejected)
}

fn does_not_add_up(kind: KeyKind) -> Error {
    config(format!("found {kind} that does not add up; expected a sound one: is it damaged?"))
}

fn needed(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "an EC P-256 key",
        Algorithm::ES384 => "an EC P-384 key",
        Algorithm::EdDSA => "an Ed25519 key",
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => "a shared secret",
        _ => "an RSA key",
    }
}

fn curve(algorithm: Algorithm) -> KeyKind {
    if algorithm == Algorithm::ES384 { KeyKind::P384 } else { KeyKind::P256 }
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
        RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
    };
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;
    use crate::jwt::{formats::pem as private_key, test_support::pem};

    fn load(algorithm: Algorithm, name: &str) -> Result<LocalKey, Error> {
        LocalKey::private_key(algorithm, &private_key::from_pem(pem(name).as_bytes())?)
    }

    #[test]
    fn each_private_key_in_each_wrapping_signs_what_its_public_key_verifies() {
        let rsa = ["rsa2048", "rsa2048.pkcs1"].as_slice();
        let cases: [(Algorithm, &dyn VerificationAlgorithm, &[&str], &str); 9] = [
            (Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256, rsa, "rsa2048.pub"),
            (Algorithm::RS384, &RSA_PKCS1_2048_8192_SHA384, rsa, "rsa2048.pub"),
            (Algorithm::RS512, &RSA_PKCS1_2048_8192_SHA512, rsa, "rsa2048.pub"),
            (Algorithm::PS256, &RSA_PSS_2048_8192_SHA256, rsa, "rsa2048.pub"),
            (Algorithm::PS384, &RSA_PSS_2048_8192_SHA384, rsa, "rsa2048.pub"),
            (Algorithm::PS512, &RSA_PSS_2048_8192_SHA512, rsa, "rsa2048.pub"),
            (Algorithm::ES256, &ECDSA_P256_SHA256_FIXED, &["p256", "p256.sec1"], "p256.pub"),
            (Algorithm::ES384, &ECDSA_P384_SHA384_FIXED, &["p384", "p384.sec1"], "p384.pub"),
            (Algorithm::EdDSA, &ED25519, &["ed25519"], "ed25519.pub"),
        ];
        for (algorithm, verification, names, public) in cases {
            let public = ::pem::parse(pem(public)).unwrap().into_contents();
            let public = UnparsedPublicKey::new(verification, public);
            for name in names {
                let signature = load(algorithm, name).unwrap().sign(b"header.claims").unwrap();
                public.verify(b"header.claims", &signature).unwrap_or_else(|_| panic!("{algorithm} {name}"));
                assert!(public.verify(b"header.Claims", &signature).is_err(), "{algorithm} {name}");
            }
        }
    }

    /// RFC 7515 appendix A.1.
    #[test]
    fn the_hmac_of_the_rfc_is_the_one_computed_here() {
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dH\
                     A6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signer = LocalKey::hmac(Algorithm::HS256, &BASE64_URL_SAFE_NO_PAD.decode(secret).unwrap(), false).unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signer.sign(input.as_bytes()).unwrap());
        assert_eq!(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    /// RFC 8037 appendix A.4.
    #[test]
    fn the_eddsa_signature_of_the_rfc_is_the_one_computed_here() {
        let seed = BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pkcs8 = [b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", seed.as_slice()].concat();
        let signer = LocalKey::private_key(Algorithm::EdDSA, &pkcs8).unwrap();
        let signature = signer.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc").unwrap();
        assert_eq!(
            BASE64_URL_SAFE_NO_PAD.encode(signature),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn l23_a_key_of_another_kind_is_an_error_that_names_both() {
        for (algorithm, name, expected) in [
            (Algorithm::RS256, "p256", "found an EC P-256 key; RS256 needs an RSA key"),
            (Algorithm::RS256, "p256.sec1", "found an EC P-256 key; RS256 needs an RSA key"),
            (Algorithm::PS512, "ed25519", "found an Ed25519 key; PS512 needs an RSA key"),
            (Algorithm::ES256, "rsa2048", "found an RSA key of 2048 bits; ES256 needs an EC P-256 key"),
            (Algorithm::ES256, "rsa2048.pkcs1", "found an RSA key of 2048 bits; ES256 needs an EC P-256 key"),
            (Algorithm::ES256, "p384", "found an EC P-384 key; ES256 needs an EC P-256 key"),
            (Algorithm::ES384, "p256.sec1", "found an EC P-256 key; ES384 needs an EC P-384 key"),
            (Algorithm::ES384, "p521", "found an EC P-521 key; ES384 needs an EC P-384 key"),
            (Algorithm::EdDSA, "p256", "found an EC P-256 key; EdDSA needs an Ed25519 key"),
            (Algorithm::EdDSA, "x25519", "found an X25519 key, which cannot sign; EdDSA needs an Ed25519 key"),
            (
                Algorithm::RS256,
                "rsa3primes",
                "found an RSA key of more than two primes, which is not read; RS256 needs an RSA key",
            ),
            (Algorithm::RS256, "rsa-pss", "found an RSA key of the kind RSASSA-PSS; RS256 needs an RSA key"),
        ] {
            let error = load(algorithm, name).err().unwrap();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, expected));
        }
    }

    #[test]
    fn l25_rsa_keys_below_2048_bits_are_refused() {
        for name in ["rsa1024", "rsa1024.pkcs1"] {
            let error = load(Algorithm::RS256, name).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = error.to_string();
            assert!(text.contains("found an RSA key of 1024 bits; RS256 needs at least 2048"), "{text}");
        }
    }

    #[test]
    fn l23_a_damaged_key_is_an_error_and_never_a_panic() {
        for (algorithm, name) in [
            (Algorithm::RS256, "rsa2048"),
            (Algorithm::RS256, "rsa2048.pkcs1"),
            (Algorithm::ES256, "p256"),
            (Algorithm::ES256, "p256.sec1"),
            (Algorithm::EdDSA, "ed25519"),
        ] {
            let der = private_key::from_pem(pem(name).as_bytes()).unwrap();
            let middle = der.len() / 2;
            for cut in [0, 1, 10, middle, der.len() - 1] {
                let error = LocalKey::private_key(algorithm, &der[..cut]).err().unwrap();
                assert!(error.to_string().contains("damaged"), "{name} cut to {cut}: {error}");
            }
            if name.starts_with("rsa") {
                let mut bent = der.to_vec();
                bent[middle] ^= 1;
                let error = LocalKey::private_key(algorithm, &bent).err().unwrap();
                assert!(error.to_string().contains("found an RSA key of 2048 bits that does not add up"), "{error}");
            }
        }
    }

    /// `cargo test --release -p bearer-token signing_times -- --ignored --nocapture`
    #[test]
    #[ignore = "prints how long signatures take"]
    #[allow(clippy::disallowed_methods, reason = "measures real time")]
    fn signing_times() {
        use aws_lc_rs::{encoding::AsDer, rsa::KeySize};

        let message = vec![b'x'; 400];
        let time = |what: String, signer: &LocalKey| {
            let mut times: Vec<_> = (0..300)
                .map(|_| {
                    let start = std::time::Instant::now();
                    signer.sign(&message).unwrap();
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
            match Scheme::of(algorithm) {
                Scheme::Hmac(_) => time(algorithm.to_string(), &LocalKey::hmac(algorithm, &[7; 64], false).unwrap()),
                Scheme::Rsa(_) => {
                    for (bits, der) in &sizes {
                        time(format!("{algorithm} {bits}"), &LocalKey::private_key(algorithm, der).unwrap());
                    }
                }
                Scheme::Ecdsa(_) => {
                    let name = if algorithm == Algorithm::ES256 { "p256" } else { "p384" };
                    time(algorithm.to_string(), &load(algorithm, name).unwrap());
                }
                Scheme::Ed25519 => time(algorithm.to_string(), &load(algorithm, "ed25519").unwrap()),
            }
        }
        let start = std::time::Instant::now();
        for _ in 0..100 {
            LocalKey::private_key(Algorithm::RS256, &sizes[0].1).unwrap();
        }
        println!("parsing an RSA key of 2048 bits: {:?}", start.elapsed() / 100);
    }
}
