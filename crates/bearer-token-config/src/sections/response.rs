//! The section `token_endpoint.response`: where a response has the token and its lifetime.

use bearer_token::oauth::ResponseFormat;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use crate::values::Pointer;

/// Where a response has the token and its lifetime, as JSON pointers (RFC 6901).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct FormatFields {
    /// The token; `""` is the whole body. Default: `/access_token`.
    token: Option<Pointer>,
    /// The remaining lifetime. Default: `/expires_in`.
    expires_in: Option<Pointer>,
    /// The end of the lifetime: a date, or a time since 1970. Default: nowhere.
    expires_at: Option<Pointer>,
    /// The time after which the server recommends a new token. Default: nowhere.
    refresh_in: Option<Pointer>,
    /// The next refresh token. Default: `/refresh_token`.
    refresh_token: Option<Pointer>,
    /// The unit of `expires_in` and `refresh_in`. Default: `s`.
    unit: Option<Unit>,
    /// The number that means that the token does not expire, such as 0.
    never: Option<i64>,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
}

impl FormatFields {
    /// The pointer to the token, the pointer to the lifetime, and a lifetime of an hour.
    pub(super) fn places(format: Option<&Self>) -> (String, (String, u64)) {
        let at = |pointer: Option<&Pointer>, default: &str| pointer.map_or(default, Pointer::as_str).to_owned();
        let token = at(format.and_then(|format| format.token.as_ref()), "/access_token");
        let lifetime = at(format.and_then(|format| format.expires_in.as_ref()), "/expires_in");
        let hour = if format.is_some_and(|format| format.unit == Some(Unit::Ms)) { 3_600_000 } else { 3_600 };
        (token, (lifetime, hour))
    }

    pub(super) fn format(&self) -> ResponseFormat {
        let mut format = ResponseFormat::oauth();
        for (pointer, set) in [
            (&self.token, ResponseFormat::token as fn(ResponseFormat, String) -> ResponseFormat),
            (&self.expires_in, ResponseFormat::expires_in),
            (&self.expires_at, ResponseFormat::expires_at),
            (&self.refresh_in, ResponseFormat::refresh_in),
            (&self.refresh_token, ResponseFormat::refresh_token),
        ] {
            format = pointer.iter().fold(format, |format, pointer| set(format, pointer.as_str().to_owned()));
        }
        if self.unit == Some(Unit::Ms) {
            format = format.milliseconds();
        }
        self.never.into_iter().fold(format, ResponseFormat::never)
    }
}
