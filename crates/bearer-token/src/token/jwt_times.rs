//! The times in a token that is a JWT.
//!
//! Many access tokens are JWTs (RFC 9068 is one profile). The protocol treats them as opaque, and so does this crate,
//! with one exception: their times correct a lifetime that the response got wrong. Gateways cache responses, servers
//! have two settings for one lifetime, and some send milliseconds. [`JwtTimes::life`] is the difference of two times by
//! the same clock, so it is right even if that clock is not ours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use crate::token::json;

/// The decoder of a JWT's parts. Padding and spare bits are ignored (RFC 7515 section 2 wants neither): we only read a
/// time, and the API decides what it accepts.
const URL_SAFE_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The claims `iat` and `exp` of a token that is a JWT (RFC 7519 sections 4.1.4 and 4.1.6).
///
/// The signature is not verified: the token is from the authorization server itself, and the claims decide only when
/// the token is renewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JwtTimes {
    pub(crate) issued_at: Option<SystemTime>,
    pub(crate) expires: Option<SystemTime>,
}

impl JwtTimes {
    /// The times of a token; none if it is not a JWT.
    pub(crate) fn of(token: &str) -> Self {
        Self::read(token).unwrap_or_default()
    }

    /// The time from `iat` to `exp`, which compares no two clocks.
    #[cfg(feature = "oauth")]
    pub(crate) fn life(&self) -> Option<Duration> {
        let life = self.expires?.duration_since(self.issued_at?).ok()?;
        Some(life).filter(|life| !life.is_zero())
    }

    /// Reads the claims, if the token has the form of a JWT. A JWT in the compact form has three parts (RFC 7515
    /// section 3.1); five are an encrypted one, whose times cannot be read. The decoded claims are wiped, because they
    /// may name a person.
    fn read(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(_header), Some(payload), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let payload = Zeroizing::new(URL_SAFE_LENIENT.decode(payload).ok()?);
        let mut times = JwtTimes::default();
        json::members(&payload, |name, raw| match name {
            "iat" => times.issued_at = numeric_date(raw),
            "exp" => times.expires = numeric_date(raw),
            _ => {}
        })
        .ok()?;
        Some(times)
    }
}

/// The `exp` of a token that is a JWT.
///
/// For tokens that come without a response, such as a file that the platform writes. This compares the issuer's clock
/// with ours: it is the only time there is.
pub(crate) fn jwt_expiry(token: &str) -> Option<SystemTime> {
    JwtTimes::of(token).expires
}

/// The time in a claim: a NumericDate (RFC 7519 section 2), without its fraction. Negative and absurd numbers are
/// ignored: the token has no time then.
fn numeric_date(raw: &[u8]) -> Option<SystemTime> {
    let since_epoch = json::number(raw)?.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(since_epoch.trunc()).ok()?)
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    fn jwt(claims: impl AsRef<[u8]>) -> String {
        format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    // shows: 7519/4b
    #[test]
    fn exp_is_read_from_a_jwt_and_from_nothing_else() {
        for (token, expected) in [
            (jwt(r#"{"sub":"a","exp":1700000000}"#), Some(1_700_000_000)),
            (jwt(r#"{"exp":1700000000.9}"#), Some(1_700_000_000)),
            (jwt(r#"{"exp":0}"#), Some(0)),
            (format!("e30.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"exp":5}"#)), Some(5)),
            // Some libraries pad.
            ("e30.eyJleHAiOjV9IA==.sig".into(), Some(5)),
            // Other claims may be anything.
            (jwt(b"{\"name\":\"J\xf6rg\",\"exp\":5,\"n\":1e400}"), Some(5)),
            (jwt(r#"{"exp":-1}"#), None),
            (jwt(r#"{"exp":"1700000000"}"#), None),
            (jwt(r#"{"exp":1e300}"#), None),
            (jwt(r#"{"exp":1e400}"#), None),
            (jwt(r#"{"exp":NaN}"#), None),
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

    #[cfg(feature = "oauth")]
    #[test]
    fn l45_the_life_of_a_jwt_is_exp_minus_iat() {
        for (claims, life) in [
            (r#"{"iat":1700000000,"exp":1700003600}"#, Some(3_600)),
            (r#"{"iat":0,"exp":1}"#, Some(1)),
            (r#"{"iat":1,"exp":1}"#, None),
            (r#"{"iat":2,"exp":1}"#, None),
            (r#"{"exp":1}"#, None),
            (r#"{"iat":1}"#, None),
        ] {
            assert_eq!(JwtTimes::of(&jwt(claims)).life(), life.map(Duration::from_secs), "{claims}");
        }
    }
}
