//! Reading the response of a token endpoint: bytes in, a token or an error out.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::{
    error::{Error, ErrorKind, Retry},
    oauth::{client_auth::Presented, request::sent::Sent},
    token::{AccessToken, fields::Field, jwt_times::JwtTimes},
    transport::{RESPONSE_LIMIT, too_large},
};

mod body;
pub(crate) mod clock_offset;
mod date;
mod delay;
mod description;
mod lifetime;
mod oauth_code;
mod refusal;
mod token_type;

pub use self::clock_offset::ClockOffset;
pub(crate) use self::lifetime::Findings;
use self::{
    body::{encoding, kind},
    date::server_time,
    lifetime::{Clocks, Lifetime, Negative, lifetime},
    refusal::Refusal,
    token_type::TokenTypes,
};
pub use crate::token::fields::ResponseFields;

/// The way in which responses are read.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    /// What messages call the token endpoint, with its origin.
    pub(crate) endpoint: String,
    pub(crate) token_types: TokenTypes,
    /// The fields that callers need besides the token.
    pub(crate) keep: Vec<String>,
    /// How requests identify the client.
    pub(crate) presented: Presented,
}

/// What a response contained.
pub(crate) struct Read {
    /// The token, or why there is none.
    pub(crate) token: Result<AccessToken, Error>,
    /// The fields of a success, even if its token is unusable.
    pub(crate) fields: Option<ResponseFields>,
    pub(crate) findings: Findings,
}

/// The fields that are read from every response (RFC 6749 sections 5.1 and 5.2).
const NEEDED: [&str; 5] = ["access_token", "token_type", "expires_in", "scope", "error"];

impl ResponseReader {
    /// Reads a response to a request. The grant asks for more fields; `now` is when the response arrived.
    pub(crate) fn read(&self, response: &Response<Bytes>, for_grant: &[&str], sent: &Sent, now: SystemTime) -> Read {
        let mut fields = match self.fields(response, for_grant, sent, now) {
            Ok(fields) => fields,
            Err(error) => return Read { token: Err(error), fields: None, findings: Findings::default() },
        };
        let clocks = Clocks { ours: now, server: server_time(response.headers()) };
        let (token, findings) = match self.token(response.status(), &mut fields, clocks) {
            Ok((token, findings)) => (Ok(token), findings),
            Err(error) => (Err(error), Findings::default()),
        };
        Read { token, fields: Some(fields), findings }
    }

    /// The fields of a success.
    fn fields(
        &self,
        response: &Response<Bytes>,
        for_grant: &[&str],
        sent: &Sent,
        now: SystemTime,
    ) -> Result<ResponseFields, Error> {
        let (status, headers, body) = (response.status(), response.headers(), response.body());
        if body.len() > RESPONSE_LIMIT {
            return Err(too_large());
        }
        if status.is_redirection() {
            let found = "a redirect; expected a token. Redirects are not followed, because the request carries \
                         credentials: set the URL that responds itself";
            return Err(self.unusable(status, found).with_retry(Retry::AfterChange));
        }
        let wanted = |name: &str| {
            NEEDED.contains(&name) || for_grant.contains(&name) || self.keep.iter().any(|keep| keep == name)
        };
        let fields = ResponseFields::read(body, wanted);
        let refused =
            |fields| Refusal { status, headers, body, fields, now }.error(&self.endpoint, self.presented, sent);
        if !status.is_success() {
            return Err(refused(fields.as_ref().ok()));
        }
        let fields = fields.map_err(|why| {
            let expected = "expected a JSON object with a token (RFC 6749 section 5.1)";
            let (kind, length) = (kind(headers), body.len());
            let found = match encoding(headers, body) {
                Some(encoding) => format!(
                    "{kind} of {length} bytes that is compressed ({encoding}); {expected}, as the request accepts no \
                     compression: turn it off for token responses at the server or proxy"
                ),
                None => format!("{kind} of {length} bytes that {}; {expected}: check the URL", why.0),
            };
            self.unusable(status, &found)
        })?;
        // Some servers send an empty `error`, `0` or `false` beside a token.
        if fields.get("error").is_some_and(|error| !error.is_empty()) {
            return Err(refused(Some(&fields)));
        }
        Ok(fields)
    }

    fn token(
        &self,
        status: StatusCode,
        fields: &mut ResponseFields,
        clocks: Clocks,
    ) -> Result<(AccessToken, Findings), Error> {
        let expected = "expected a token in the field `access_token` (RFC 6749 section 5.1)";
        let unusable = |found: &str| Err(self.unusable(status, &format!("{found}; {expected}")));
        let text = match fields.take("access_token") {
            Some(Field::Text(text)) if !text.is_empty() => text,
            Some(Field::Text(_)) => return unusable("an empty token"),
            Some(Field::NotUtf8) => return unusable("an `access_token` that is not UTF-8"),
            Some(Field::NotJson) => return unusable("an `access_token` with characters that JSON does not allow"),
            Some(_) => return unusable("an `access_token` that is not a string"),
            None => return unusable("JSON without a token"),
        };
        let times = JwtTimes::of(&text);
        // From here on the string is wiped, whatever else is wrong with the response.
        let mut token = AccessToken::new(text);
        self.token_types.check(fields.get("token_type")).map_err(|found| self.unusable(status, &found))?;
        let Lifetime { expiry, findings } = lifetime(fields.get("expires_in"), &times, clocks).map_err(|Negative| {
            let found = "a token whose `expires_in` is negative; expected the seconds that it lives: check the token \
                         lifetime at the server";
            self.unusable(status, found)
        })?;
        token = token.with_expiry(expiry);
        if let Some(scope) = fields.get("scope").and_then(scope) {
            token = token.scope(scope);
        }
        for name in &self.keep {
            if let Some(value) = fields.get(name).and_then(plain) {
                token = token.extra(name, value);
            }
        }
        Ok((token, findings))
    }

    /// A success that is unusable.
    fn unusable(&self, status: StatusCode, found: &str) -> Error {
        let (endpoint, status) = (&self.endpoint, status.as_u16());
        Error::new(ErrorKind::Response, format!("{endpoint} responded with {status} and {found}"))
    }
}

/// One string (RFC 6749 section 3.3), or a list of strings as some servers send it.
fn scope(field: &Field) -> Option<String> {
    match field {
        Field::Text(text) => Some(text.clone()),
        Field::Texts(list) => Some(list.join(" ")),
        Field::Empty => Some(String::new()),
        _ => None,
    }
}

/// The text of a field that is a string, a number or a truth value.
fn plain(field: &Field) -> Option<String> {
    match field {
        Field::Text(text) | Field::Number(text) => Some(text.clone()),
        Field::Truth(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
