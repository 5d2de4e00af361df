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
    let text = str::from_utf8(key).unwrap_or_default();
    let read = KeyReader::new().algorithm(algorithm);
    let loaded = match format % 12 {
        0 => SigningKey::from_pem(algorithm, key),
        1 => SigningKey::from_jwk(key),
        2 => SigningKey::from_jwk_set(key, "a"),
        3 => SigningKey::ed25519(key),
        4 => SigningKey::ed25519_base64(text),
        5 => SigningKey::hmac(algorithm, key),
        6 => SigningKey::hmac_base64(algorithm, text),
        7 => SigningKey::hmac_hex(algorithm, text),
        8 => SigningKey::hmac_short_secret(algorithm, key),
        9 => read.encoding(Encoding::Base64).read(key),
        10 => KeyReader::new().read(key),
        _ => read.read(key),
    };
    match loaded {
        Ok(key) => sign(key),
        Err(error) => assert_hidden(&algorithm, &shown(&error)),
    }
});

/// Signs with a loaded key. RSA takes a millisecond, and is left to the tests.
fn sign(key: SigningKey) {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512};

    let algorithm = key.algorithm();
    assert_hidden(&algorithm, &format!("{key:?}"));
    if matches!(algorithm, HS256 | HS384 | HS512 | ES256 | ES384 | EdDSA) {
        let jwt = || -> Result<_, Error> {
            let template = JwtTemplate::builder(key).issuer("app").build()?;
            let cx = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
            now_or_never(SelfSigned::new(template).fetch(cx))
        };
        let jwt = jwt().expect("a loaded key can sign");
        assert_eq!(jwt.secret().split('.').count(), 3);
    }
}
