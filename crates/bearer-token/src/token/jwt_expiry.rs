//! When a token that is a JWT says that it expires.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use serde_json::Number;
use zeroize::Zeroizing;

const URL_SAFE_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The `exp` claim (RFC 7519 section 4.1.4) of a token that is a JWT.
///
/// The signature is not verified: the token came from the authorization server itself, and the claim decides nothing
/// but when it is renewed.
pub(crate) fn jwt_expiry(token: &str) -> Option<SystemTime> {
    let mut parts = token.split('.');
    let (Some(_header), Some(payload), Some(_signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let payload = Zeroizing::new(URL_SAFE_LENIENT.decode(payload).ok()?);
    // serde reads lists as structs, too.
    if !payload.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let since_epoch = claims.exp?.as_f64().filter(|seconds| *seconds >= 0.0)?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(since_epoch.trunc()).ok()?)
}

/// All other claims are skipped without being held.
#[derive(Deserialize)]
struct Claims {
    exp: Option<Number>,
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn the_claim_is_read_from_a_jwt_and_from_nothing_else() {
        let jwt = |claims: &str| format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims));
        for (token, expected) in [
            (jwt(r#"{"sub":"a","exp":1700000000}"#), Some(1_700_000_000)),
            (jwt(r#"{"exp":1700000000.9}"#), Some(1_700_000_000)),
            (jwt(r#"{"exp":0}"#), Some(0)),
            (format!("e30.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"exp":5}"#)), Some(5)),
            // Some libraries pad.
            ("e30.eyJleHAiOjV9IA==.sig".into(), Some(5)),
            (jwt(r#"{"exp":-1}"#), None),
            (jwt(r#"{"exp":"1700000000"}"#), None),
            (jwt(r#"{"exp":1e300}"#), None),
            (jwt(r#"{"sub":"a"}"#), None),
            (jwt("[5]"), None),
            (jwt("{"), None),
            ("opaque".into(), None),
            ("a.b.c".into(), None),
            // An encrypted JWT has five parts.
            (format!("{}.x.y", jwt(r#"{"exp":5}"#)), None),
        ] {
            let expected = expected.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(jwt_expiry(&token), expected, "{token}");
        }
    }
}
