use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    algorithm::{Algorithm, Curve, Family, ParameterSet},
    formats::der::{INTEGER, OCTET_STRING, SEQUENCE, take, trimmed},
    template::SignedJwt,
};

/// The path of a file of `testdata`, all of which `testdata/make.sh` makes.
pub(crate) fn testdata_path(name: &str) -> String {
    format!("{}/src/jwt/testdata/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The content of a file of `testdata`.
pub(crate) fn testdata(name: &str) -> Vec<u8> {
    let path = testdata_path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A PEM file of `testdata`.
pub(crate) fn pem(name: &str) -> String {
    String::from_utf8(testdata(&format!("{name}.pem"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The content of the last block of a PEM file of `testdata`.
pub(crate) fn key_der(name: &str) -> Vec<u8> {
    let blocks = ::pem::parse_many(pem(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    blocks.into_iter().next_back().unwrap_or_else(|| panic!("{name}: no block")).into_contents()
}

/// The last 32 bytes of a key of `testdata`: the seed of an Ed25519 key, or its public half.
pub(crate) fn last_32(name: &str) -> Vec<u8> {
    let mut der = key_der(name);
    der.split_off(der.len() - 32)
}

/// A part of a JWT: 0 for its header, 1 for its claims.
pub(crate) fn part(jwt: &SignedJwt, index: usize) -> Value {
    let part = jwt.secret().split('.').nth(index).unwrap_or_else(|| panic!("no part {index}"));
    let part = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_else(|error| panic!("part {index}: {error}"));
    serde_json::from_slice(&part).unwrap_or_else(|error| panic!("part {index}: {error}"))
}

/// The signature at the end of a JWT.
pub(crate) fn signature(jwt: &str) -> Vec<u8> {
    let (_, signature) = jwt.rsplit_once('.').unwrap_or_else(|| panic!("no signature"));
    BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_else(|error| panic!("signature: {error}"))
}

/// The key of `testdata` for an algorithm, unless that takes a shared secret.
pub(crate) fn key_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm.family() {
        Family::Hmac(_) => None,
        Family::Rsa(..) => Some("rsa2048"),
        Family::Ecdsa(Curve::P256) => Some("p256"),
        Family::Ecdsa(Curve::P384) => Some("p384"),
        Family::Ecdsa(Curve::P521) => Some("p521"),
        Family::Ed25519 => Some("ed25519"),
        Family::MlDsa(ParameterSet::MlDsa44) => Some("mldsa44"),
        Family::MlDsa(ParameterSet::MlDsa65) => Some("mldsa65"),
        Family::MlDsa(ParameterSet::MlDsa87) => Some("mldsa87"),
    }
}

/// The private JWK of a key of `testdata`, with a member for the algorithm where that is not plain.
pub(crate) fn jwk(name: &str) -> Map<String, Value> {
    let der = |name: &str| ::pem::parse(pem(name)).unwrap_or_else(|error| panic!("{name}: {error}")).into_contents();
    let encode = |bytes: &[u8]| Value::from(BASE64_URL_SAFE_NO_PAD.encode(bytes));
    let numbers = |der: &[u8]| {
        let (mut rest, _) = take(der, SEQUENCE).expect("a sequence");
        let mut numbers = Vec::new();
        while let Some((number, more)) = take(rest, INTEGER) {
            numbers.push(encode(trimmed(number)));
            rest = more;
        }
        numbers
    };
    match name {
        "rsa2048" | "rsa1024" => {
            let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(str::to_owned);
            let numbers = numbers(&der(&format!("{name}.pkcs1"))).into_iter().skip(1);
            let plain = [("kty", "RSA"), ("alg", "RS256")].map(|(name, value)| (name.to_owned(), value.into()));
            plain.into_iter().chain(names.into_iter().zip(numbers)).collect()
        }
        "p256" | "p384" | "p521" => {
            let der = key_der(&format!("{name}.sec1"));
            let (size, curve) = match name {
                "p256" => (32, "P-256"),
                "p384" => (48, "P-384"),
                _ => (66, "P-521"),
            };
            let (key, _) = take(&der, SEQUENCE).expect("SEC1");
            let (d, _) = take(take(key, INTEGER).expect("a version").1, OCTET_STRING).expect("a number");
            let point = &der[der.len() - 2 * size..];
            [
                ("kty", "EC".into()),
                ("crv", curve.into()),
                ("d", encode(d)),
                ("x", encode(&point[..size])),
                ("y", encode(&point[size..])),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect()
        }
        "ed25519" => {
            let last = |der: Vec<u8>| encode(&der[der.len() - 32..]);
            let (d, x) = (last(der("ed25519")), last(der("ed25519.pub")));
            [("kty", "OKP".into()), ("crv", "Ed25519".into()), ("d", d), ("x", x)]
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect()
        }
        // RFC 7515 appendix A.1.
        "oct" => [
            ("kty", "oct"),
            ("alg", "HS256"),
            ("k", "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
        ]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into_iter()
        .collect(),
        _ => panic!("there is no JWK of {name}"),
    }
}

/// A JWK in JSON. Members that are `null` are removed, and the others are set.
pub(crate) fn jwk_text(name: &str, members: Value) -> String {
    let mut jwk = jwk(name);
    let Value::Object(members) = members else { panic!("no object") };
    jwk.extend(members);
    jwk.retain(|_, value| !value.is_null());
    Value::Object(jwk).to_string()
}

/// A JWK set of these keys, each in JSON.
pub(crate) fn jwk_set(keys: &[String]) -> String {
    format!("{{\"keys\": [{}]}}", keys.join(","))
}
