//! From the members of a JWK (RFC 7518 section 6, RFC 8037 section 2) to a key that signs.

use zeroize::Zeroizing;

use super::{
    encoding as decode,
    jwk::{Jwk, shown},
    key_kind::KeyKind,
};
use crate::jwt::{
    algorithm::Algorithm,
    key::key_problem,
    native::{LocalKey, RsaNumbers},
};
use crate::{
    error::{Error, ErrorKind},
    problem::{Advice, Problem},
};

/// A private or secret key, and the algorithm that it signs with: its own `alg`, or the one that was asked for.
pub(crate) fn load(jwk: &Jwk, wanted: Option<Algorithm>, short_secret: bool) -> Result<(Algorithm, LocalKey), Error> {
    let kind = kind(jwk)?;
    check_use(jwk)?;
    let algorithm = algorithm(jwk, kind, wanted)?;
    let key = match kind {
        Kind::Secret => LocalKey::hmac(algorithm, &member(jwk, "k")?, short_secret),
        Kind::Rsa => {
            let d = private(jwk, kind)?;
            if jwk.has("oth") {
                return Err(config("found an RSA JWK with more than two primes (`oth`); expected two".to_owned()));
            }
            check_crt(jwk)?;
            let (n, e) = (member(jwk, "n")?, member(jwk, "e")?);
            let (p, q) = (member(jwk, "p")?, member(jwk, "q")?);
            let (dp, dq, qi) = (member(jwk, "dp")?, member(jwk, "dq")?, member(jwk, "qi")?);
            LocalKey::rsa(algorithm, &RsaNumbers { n: &n, e: &e, d: &d, p: &p, q: &q, dp: &dp, dq: &dq, qi: &qi })
        }
        Kind::Ec(curve) => {
            let d = private(jwk, kind)?;
            LocalKey::ec(algorithm, curve, [&d, &member(jwk, "x")?, &member(jwk, "y")?])
        }
        Kind::Ed25519 => LocalKey::ed25519(algorithm, &private(jwk, kind)?, Some(&member(jwk, "x")?)),
    };
    Ok((algorithm, key?))
}

/// What a JWK says that it is.
#[derive(Clone, Copy)]
enum Kind {
    Secret,
    Rsa,
    Ec(KeyKind),
    Ed25519,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Secret => "a JWK with a shared secret",
            Kind::Rsa => "a JWK with an RSA key",
            Kind::Ec(_) => "a JWK with an EC key",
            Kind::Ed25519 => "a JWK with an Ed25519 key",
        }
    }
}

fn kind(jwk: &Jwk) -> Result<Kind, Error> {
    match (jwk.text("kty"), jwk.text("crv")) {
        (Some("oct"), _) => Ok(Kind::Secret),
        (Some("RSA"), _) => Ok(Kind::Rsa),
        (Some("EC"), Some("P-256")) => Ok(Kind::Ec(KeyKind::P256)),
        (Some("EC"), Some("P-384")) => Ok(Kind::Ec(KeyKind::P384)),
        (Some("OKP"), Some("Ed25519")) => Ok(Kind::Ed25519),
        (Some("EC"), curve) => Err(config(format!("found an EC JWK with {}; expected P-256 or P-384", crv(curve)))),
        (Some("OKP"), curve) => Err(config(format!("found an OKP JWK with {}; expected Ed25519", crv(curve)))),
        (Some(other), _) => {
            Err(config(format!("found a JWK with `kty` {}; expected \"RSA\", \"EC\", \"OKP\" or \"oct\"", word(other))))
        }
        (None, _) => Err(config("found a JWK without `kty`; expected \"RSA\", \"EC\", \"OKP\" or \"oct\"".to_owned())),
    }
}

fn crv(curve: Option<&str>) -> String {
    curve.map_or("no `crv`".to_owned(), |curve| format!("`crv` {}", word(curve)))
}

/// RFC 7517 sections 4.2 and 4.3.
fn check_use(jwk: &Jwk) -> Result<(), Error> {
    match jwk.text("use") {
        None | Some("sig") => {}
        Some(other) => {
            return Err(config(format!(
                "found a JWK with `use` {}; expected \"sig\": this key is not for signing, take the one that is",
                word(other)
            )));
        }
    }
    if jwk.has("key_ops") && !jwk.texts("key_ops").is_some_and(|uses| uses.iter().any(|one| one == "sign")) {
        let uses: Vec<_> = jwk.texts("key_ops").into_iter().flatten().take(10).map(|one| word(one)).collect();
        return Err(config(format!(
            "found a JWK with `key_ops` [{}]; expected \"sign\" among them: is it the public half?",
            uses.join(", ")
        )));
    }
    Ok(())
}

/// RFC 7517 section 4.4: the algorithm that the key is intended for.
fn algorithm(jwk: &Jwk, kind: Kind, wanted: Option<Algorithm>) -> Result<Algorithm, Error> {
    let own = match jwk.text("alg") {
        Some(name) => Some(name.parse::<Algorithm>().map_err(|error| config(format!("`alg` of the JWK: {error}")))?),
        None => None,
    };
    match (own, wanted, kind) {
        (Some(own), Some(wanted), _) if own != wanted => Err(config(format!(
            "found a JWK with `alg` {own:?}; expected {wanted}: sign with {own}, which it is meant for, or take another \
             key"
        ))),
        (Some(algorithm), _, _) | (None, Some(algorithm), _) => Ok(algorithm),
        (None, None, Kind::Ec(KeyKind::P384)) => Ok(Algorithm::ES384),
        (None, None, Kind::Ec(_)) => Ok(Algorithm::ES256),
        (None, None, Kind::Ed25519) => Ok(Algorithm::EdDSA),
        (None, None, Kind::Rsa | Kind::Secret) => {
            let several = if matches!(kind, Kind::Rsa) { "RS256 to PS512" } else { "HS256 to HS512" };
            let problem =
                Problem::new("algorithm", format!("found {} without `alg`, which fits {several}", kind.name()))
                    .expecting("the name of the one to sign with");
            Err(key_problem(problem.advise(Advice::set("KeyReader::algorithm"))))
        }
    }
}

/// The member that makes it a private key.
fn private(jwk: &Jwk, kind: Kind) -> Result<Zeroizing<Vec<u8>>, Error> {
    if !jwk.has("d") {
        return Err(config(format!(
            "found {} but no private member `d`; expected a private JWK: this is the public half, which verifies",
            kind.name()
        )));
    }
    member(jwk, "d")
}

/// The members that RFC 7518 section 6.3.2 lets a key go without. aws-lc would sign without them only as a key of unknown
/// `e`: not blinded against timing, and never checked whether its numbers belong together.
fn check_crt(jwk: &Jwk) -> Result<(), Error> {
    let missing: Vec<_> = ["p", "q", "dp", "dq", "qi"].into_iter().filter(|name| !jwk.has(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let found =
        if missing.len() == 5 { "only `n`, `e` and `d`".to_owned() } else { format!("no `{}`", missing.join("`, `")) };
    Err(config(format!(
        "found an RSA JWK with {found}; expected `p`, `q`, `dp`, `dq` and `qi` as well: export the key anew with all of \
         them, or as PEM; who has nothing else can compute them, with `rsa_recover_prime_factors` of Python's \
         `cryptography` for example"
    )))
}

/// The bytes of a member, base64url (RFC 7518 section 2).
fn member(jwk: &Jwk, name: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Some(text) = jwk.text(name) else {
        let found = if jwk.has(name) { "with a member that is no text" } else { "without a member" };
        return Err(config(format!("found a JWK {found}, `{name}`; expected base64url")));
    };
    let bytes = decode::base64(text.as_bytes()).filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| {
        config(format!("found a JWK whose `{name}` is not base64url; expected it to be: is it damaged?"))
    })
}

fn word(text: &str) -> String {
    if text.len() <= 20 { shown(text) } else { format!("a text of {} bytes", text.len()) }
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;
    use crate::jwt::{
        formats::jwk::read,
        test_support::{jwk, jwk_text, pem},
    };

    fn load_text(text: &str, algorithm: Option<Algorithm>) -> Result<(Algorithm, LocalKey), Error> {
        load(&read(text.as_bytes())?.choose(None)?, algorithm, false)
    }

    #[test]
    fn l23_each_kind_of_jwk_signs_what_its_public_key_verifies() {
        let cases: [(&str, Algorithm, &dyn VerificationAlgorithm); 4] = [
            ("rsa2048", Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256),
            ("p256", Algorithm::ES256, &ECDSA_P256_SHA256_FIXED),
            ("p384", Algorithm::ES384, &ECDSA_P384_SHA384_FIXED),
            ("ed25519", Algorithm::EdDSA, &ED25519),
        ];
        for (name, algorithm, verification) in cases {
            let public = ::pem::parse(pem(&format!("{name}.pub"))).unwrap().into_contents();
            for (how, text) in [
                ("as it is", jwk_text(name, json!({}))),
                (
                    "named and allowed",
                    jwk_text(name, json!({ "kid": "k", "use": "sig", "key_ops": ["sign", "verify"] })),
                ),
                ("with its alg", jwk_text(name, json!({ "alg": algorithm.name() }))),
                ("with members that nobody knows", jwk_text(name, json!({ "ext": true, "x5c": ["MII"], "iat": 5 }))),
            ] {
                let (found, key) = load_text(&text, None).unwrap_or_else(|error| panic!("{name} {how}: {error}"));
                assert_eq!(found, algorithm, "{name} {how}");
                let signature = key.sign(b"message").unwrap();
                UnparsedPublicKey::new(verification, &public).verify(b"message", &signature).unwrap();
            }
        }
        assert!(load_text(&jwk_text("rsa2048", json!({ "alg": null })), Some(Algorithm::PS512)).is_ok());
        let (algorithm, _) = load_text(&jwk_text("oct", json!({})), None).unwrap();
        assert_eq!(algorithm, Algorithm::HS256);
    }

    /// The private EC key of RFC 7517 appendix A.2 and the Ed25519 key of RFC 8037 appendix A.1.
    #[test]
    fn the_keys_of_the_rfcs_load() {
        let ec = r#"{"kty":"EC", "crv":"P-256", "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use":"enc", "kid":"1",
            "d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}"#;
        assert!(load_text(ec, None).err().unwrap().to_string().contains("found a JWK with `use` \"enc\""));
        assert_eq!(load_text(&ec.replace("enc", "sig"), None).unwrap().0, Algorithm::ES256);

        let okp = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let (_, key) = load_text(okp, None).unwrap();
        let signature = key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc").unwrap();
        let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(signature), expected);
    }

    #[test]
    fn numbers_with_zeros_too_many_or_too_few_are_the_same_numbers() {
        for (name, members) in [("rsa2048", ["n", "e", "d", "p"]), ("p256", ["d", "x", "y", "x"])] {
            for member in members {
                let bytes = BASE64_URL_SAFE_NO_PAD.decode(jwk(name)[member].as_str().unwrap()).unwrap();
                let longer = BASE64_URL_SAFE_NO_PAD.encode([&[0, 0], bytes.as_slice()].concat());
                load_text(&jwk_text(name, json!({ member: longer })), None).unwrap();
            }
        }
    }

    #[test]
    fn l23_each_wrong_jwk_is_an_error_that_names_what_was_found_and_expected() {
        use Algorithm::{ES256, ES384, EdDSA, HS256, HS512, PS256, RS256};

        let other = |member: &str| jwk("p256")[member].clone();
        for (name, members, wanted, expected) in [
            ("rsa2048", json!({ "use": "enc" }), None, "found a JWK with `use` \"enc\"; expected \"sig\""),
            (
                "p256",
                json!({ "key_ops": ["verify"] }),
                None,
                "found a JWK with `key_ops` [\"verify\"]; expected \"sign\"",
            ),
            ("p256", json!({ "key_ops": [] }), None, "found a JWK with `key_ops` []"),
            ("p256", json!({ "key_ops": "sign" }), None, "found a JWK with `key_ops` []"),
            ("rsa2048", json!({ "d": null }), None, "found a JWK with an RSA key but no private member `d`"),
            ("p384", json!({ "d": null }), None, "found a JWK with an EC key but no private member `d`"),
            ("ed25519", json!({ "d": null }), None, "this is the public half"),
            ("rsa2048", json!({}), Some(PS256), "found a JWK with `alg` RS256; expected PS256"),
            ("p256", json!({ "alg": "ES384" }), None, "found an EC P-256 key; ES384 needs an EC P-384 key"),
            ("p256", json!({ "alg": "RS256" }), None, "found an EC P-256 key; RS256 needs an RSA key"),
            ("p256", json!({}), Some(HS256), "found an EC P-256 key; HS256 needs a shared secret"),
            ("p384", json!({}), Some(ES256), "found an EC P-384 key; ES256 needs an EC P-256 key"),
            ("ed25519", json!({}), Some(ES384), "found an Ed25519 key; ES384 needs an EC P-384 key"),
            ("oct", json!({ "alg": null }), Some(EdDSA), "found a secret; EdDSA signs with a private key"),
            ("rsa2048", json!({ "alg": null }), None, "found a JWK with an RSA key without `alg`"),
            (
                "oct",
                json!({ "alg": null }),
                None,
                "found a JWK with a shared secret without `alg`, which fits HS256 to",
            ),
            (
                "rsa2048",
                json!({ "alg": "RSA-OAEP" }),
                None,
                "`alg` of the JWK: found \"RSA-OAEP\"; expected a signature",
            ),
            ("rsa2048", json!({ "alg": "none" }), None, "`alg` of the JWK: found \"none\""),
            ("rsa2048", json!({ "p": null }), None, "found an RSA JWK with no `p`; expected `p`, `q`"),
            ("rsa2048", json!({ "dp": null, "qi": null }), None, "with no `dp`, `qi`; expected `p`, `q`"),
            (
                "rsa2048",
                json!({ "p": null, "q": null, "dp": null, "dq": null, "qi": null }),
                None,
                "found an RSA JWK with only `n`, `e` and `d`; expected `p`, `q`, `dp`, `dq` and `qi` as well: export",
            ),
            ("rsa2048", json!({ "qi": 5 }), None, "with a member that is no text, `qi`"),
            ("rsa2048", json!({ "n": "!" }), None, "whose `n` is not base64url"),
            ("rsa2048", json!({ "e": "" }), None, "whose `e` is not base64url"),
            ("rsa2048", json!({ "oth": [{}] }), None, "with more than two primes"),
            (
                "rsa2048",
                json!({ "p": jwk("rsa2048")["q"] }),
                None,
                "found an RSA key of 2048 bits that does not add up",
            ),
            ("rsa2048", json!({ "e": "Aw" }), None, "found an RSA key of 2048 bits that does not add up"),
            ("rsa1024", json!({}), None, "found an RSA key of 1024 bits; RS256 needs at least 2048"),
            ("p256", json!({ "x": null }), None, "without a member, `x`"),
            ("p256", json!({ "x": other("y") }), None, "found an EC P-256 key that does not add up"),
            ("p256", json!({ "d": other("x") }), None, "found an EC P-256 key that does not add up"),
            ("p256", json!({ "d": "AA" }), None, "found an EC P-256 key that does not add up"),
            ("p256", json!({ "d": jwk("p384")["d"] }), None, "found an EC P-256 key that does not add up"),
            ("p256", json!({ "crv": "P-521" }), None, "found an EC JWK with `crv` \"P-521\"; expected P-256 or P-384"),
            ("p256", json!({ "crv": "secp256k1" }), None, "found an EC JWK with `crv` \"secp256k1\""),
            ("p256", json!({ "crv": null }), None, "found an EC JWK with no `crv`"),
            ("ed25519", json!({ "crv": "X25519" }), None, "found an OKP JWK with `crv` \"X25519\"; expected Ed25519"),
            ("ed25519", json!({ "x": other("x") }), None, "found an Ed25519 key that does not add up"),
            ("ed25519", json!({ "d": "AQID" }), None, "found an Ed25519 key that does not add up"),
            ("oct", json!({ "k": null }), None, "without a member, `k`"),
            ("oct", json!({ "k": "AQID" }), None, "found a secret of 3 bytes; HS256 needs at least 32"),
            (
                "oct",
                json!({ "alg": null, "k": "A".repeat(80) }),
                Some(HS512),
                "found a secret of 60 bytes; HS512 needs",
            ),
            ("oct", json!({ "kty": "AKP" }), None, "found a JWK with `kty` \"AKP\"; expected \"RSA\", \"EC\""),
            ("oct", json!({ "kty": "MARKER-MARKER-MARKER-MARKER" }), None, "`kty` a text of 27 bytes"),
            ("oct", json!({ "kty": 5 }), None, "found a JWK without `kty`"),
            ("oct", json!({ "kty": null, "keys": null }), Some(RS256), "found JSON with neither `kty` nor `keys`"),
        ] {
            let error =
                load_text(&jwk_text(name, members.clone()), wanted).err().unwrap_or_else(|| panic!("{members}"));
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = error.to_string();
            assert!(text.contains(expected), "{name} {members}: expected {expected:?} in: {text}");
            assert!(!text.contains("MARKER"), "{text}");
        }
    }

    #[test]
    fn l25_a_short_secret_needs_the_opt_out() {
        let text = jwk_text("oct", json!({ "k": "AQID" }));
        let short = |on| load(&read(text.as_bytes()).unwrap().choose(None).unwrap(), None, on);
        assert!(short(false).is_err());
        assert!(short(true).is_ok());
    }
}
