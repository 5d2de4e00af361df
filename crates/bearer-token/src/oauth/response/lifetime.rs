//! How long the answer says that the token lives.

use std::time::Duration;

use serde_json::Value;

/// What `expires_in` says (RFC 6749 section 5.1): a lifetime in whole seconds, or nothing that can be read as one.
/// The table is in the docs of [`TokenEndpoint`](crate::oauth::TokenEndpoint).
pub(crate) fn expires_in(value: &Value) -> Result<Option<Duration>, Negative> {
    let seconds = match value {
        Value::Number(number) => match number.as_u64() {
            Some(seconds) => return Ok(Some(Duration::from_secs(seconds))),
            None => number.as_f64(),
        },
        // Entra's first version and others send text.
        Value::String(text) => match text.trim().parse::<u64>() {
            Ok(seconds) => return Ok(Some(Duration::from_secs(seconds))),
            Err(_) => text.trim().parse::<f64>().ok(),
        },
        _ => None,
    };
    match seconds.filter(|seconds| seconds.is_finite()) {
        Some(seconds) if seconds < 0.0 => Err(Negative),
        // Rounded down, and what no duration can hold is capped by the policy anyway.
        Some(seconds) => Ok(Some(Duration::try_from_secs_f64(seconds.trunc()).unwrap_or(Duration::MAX))),
        None => Ok(None),
    }
}

/// The lifetime is below zero: the token has expired before it was issued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Negative;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_every_expires_in_has_an_outcome() {
        let seconds = |seconds| Ok(Some(Duration::from_secs(seconds)));
        for (json, expected) in [
            ("3600", seconds(3_600)),
            ("\"3599\"", seconds(3_599)),
            ("\" 3599 \"", seconds(3_599)),
            ("3599.9", seconds(3_599)),
            ("\"3599.9\"", seconds(3_599)),
            ("3.6e3", seconds(3_600)),
            ("0", seconds(0)),
            ("-0.0", seconds(0)),
            ("\"0\"", seconds(0)),
            ("1099511627776", seconds(1 << 40)),
            ("18446744073709551615", seconds(u64::MAX)),
            ("1e300", Ok(Some(Duration::MAX))),
            ("-1", Err(Negative)),
            ("-0.5", Err(Negative)),
            ("\"-3600\"", Err(Negative)),
            ("-9223372036854775808", Err(Negative)),
            ("\"\"", Ok(None)),
            ("\"NaN\"", Ok(None)),
            ("\"inf\"", Ok(None)),
            ("\"-infinity\"", Ok(None)),
            ("\"soon\"", Ok(None)),
            ("\"2026-01-01T00:00:00Z\"", Ok(None)),
            ("true", Ok(None)),
            ("[3600]", Ok(None)),
            ("{}", Ok(None)),
        ] {
            assert_eq!(expires_in(&serde_json::from_str(json).unwrap()), expected, "{json}");
        }
    }
}
