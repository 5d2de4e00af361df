//! Keys: a letter for the algorithm, a letter for the format, and the key.
#![no_main]

use std::time::Duration;

use bearer_token::{
    Error, FetchContext, FetchReason, TokenSource,
    jwt::{Algorithm, Encoding, JwtTemplate, KeyReader, SelfSigned, SigningKey},
    platform::Platform,
};
use bearer_token_fuzz::{assert_hidden, now_or_never, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [algorithm, format, key @ ..] = data else { return };
    let algorithm = Algorithm::ALL[usize::from(*algorithm) % Algorithm::ALL.len()];
    let read = KeyReader::new().algorithm(algorithm);
    let loaded = match format % 12 {
        0 => SigningKey::from_pem(algorithm, key),
        1 => SigningKey::from_jwk(key),
        2 => KeyReader::new().key_id("a").read(key),
        3 => read.encoding(Encoding::Binary).read(key),
        4 => KeyReader::new().algorithm(Algorithm::EdDSA).encoding(Encoding::Base64).read(key),
        5 => SigningKey::hmac(algorithm, key),
        6 => read.encoding(Encoding::Base64).allow_short_secret(true).read(key),
        7 => read.encoding(Encoding::Hex).read(key),
        8 => read.allow_short_secret(true).read(key),
        9 => read.encoding(Encoding::Base64).read(key),
        10 => KeyReader::new().read(key),
        _ => read.read(key),
    };
    match loaded {
        Ok(key) => sign(key),
        Err(error) => assert_hidden(&algorithm, &without_key_ids(&shown(&error))),
    }
});

/// What an error shows, without the key ids of a JWK set.
///
/// They are public, as they are in the header of every JWT, and they tell which keys there are. Nothing else of a key
/// is repeated, apart from registered words. Errors quote key ids of plain characters only, so that none contains a
/// quote.
fn without_key_ids(shown: &str) -> String {
    let text = shown.replace("\\\"", "\"");
    let mut parts = text.split("`kid` ");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut rest = part;
        while let Some((_, after)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            rest = after.strip_prefix(", ").filter(|next| next.starts_with('"')).unwrap_or(after);
        }
        kept.push_str(rest);
    }
    kept
}

/// Signs with a loaded key. RSA takes a millisecond, and is left to the tests.
fn sign(key: SigningKey) {
    let algorithm = key.algorithm();
    let key = key.with_key_id("public");
    assert_hidden(&algorithm, &format!("{key:?}"));
    if !matches!(algorithm.name().as_bytes(), [b'R' | b'P', ..]) {
        let jwt = || -> Result<_, Error> {
            let template = JwtTemplate::builder(key).issuer("app").build()?;
            let cx = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
            now_or_never(SelfSigned::new(template).fetch(cx))
        };
        let jwt = jwt().expect("a loaded key can sign");
        assert_eq!(jwt.secret().split('.').count(), 3);
    }
}
