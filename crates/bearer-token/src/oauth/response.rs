//! Reading the response of a token endpoint: bytes in, a token or an error out.
//!
//! A response is judged in this order, and the first rule that applies decides:
//!
//! | the response | becomes |
//! |---|---|
//! | is larger than 1 MiB | an error of kind [`Response`](ErrorKind::Response) |
//! | is a redirect | the same, after a change: redirects are not followed, because the request carries credentials |
//! | has a status other than 2xx | a refusal or an outage (`refusal.rs`) |
//! | is not readable as the format says | an error that names its kind, its length and what was expected |
//! | has a non-empty `error` | a refusal, although its status is a success |
//! | has a token that is one of the request's credentials | an error: the server echoes requests |
//! | has a `token_type` that is not bearer | an error |
//! | has a negative lifetime | an error |
//! | else | a token, with its lifetime, scope and kept fields |
//!
//! No rule depends on the content type: servers label JSON as plain text, and plain text as JSON.

use std::{fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::{
    error::{Error, ErrorKind, Retry},
    oauth::{client_auth::Presented, request::sent::Sent},
    source::Identity,
    token::{
        AccessToken, Expiry,
        fields::{Field, Place, Wanted},
        jwt_times::JwtTimes,
    },
    transport::{RESPONSE_LIMIT, too_large},
};

mod body;
pub(crate) mod clock_offset;
mod date;
mod delay;
mod description;
mod format;
mod lifetime;
mod oauth_code;
mod raw;
mod refusal;
mod token_type;

pub use self::clock_offset::ClockOffset;
pub use self::format::ResponseFormat;
use self::{
    body::{encoding, kind},
    date::server_time,
    lifetime::{Clocks, Lifetime, Negative, Times, lifetime},
    refusal::Refusal,
    token_type::TokenTypes,
};
pub(crate) use self::{delay::requested_delay, lifetime::Findings};
pub use crate::token::fields::ResponseFields;

/// The way in which responses are read.
///
/// One per endpoint. It has no state, so responses can be read at the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseReader {
    /// What messages call the token endpoint, with its origin.
    pub(crate) endpoint: String,
    pub(crate) format: ResponseFormat,
    /// Makes the token of a success, in place of the format.
    pub(crate) custom: Option<CustomReader>,
    pub(crate) token_types: TokenTypes,
    /// The fields that callers need besides the token.
    pub(crate) keep: Vec<String>,
    /// How requests identify the client.
    pub(crate) presented: Presented,
}

impl ResponseReader {
    /// Describes what becomes of a response. Two readers may find two tokens in it.
    pub(crate) fn identity(&self, identity: &mut Identity) {
        self.format.identity(identity);
        identity.set("keep", &self.keep);
        if self.custom.is_some() {
            identity.unknown("response_with");
        }
    }
}

/// A user's function that makes a token of a response.
///
/// It sees successes only. A function that judged refusals as well would have to repeat the table of kinds and delays.
#[derive(Clone)]
pub(crate) struct CustomReader(Arc<ReadResponse>);

type ReadResponse = dyn Fn(&Response<Bytes>) -> Result<AccessToken, Error> + Send + Sync;

impl CustomReader {
    pub(crate) fn new(read: impl Fn(&Response<Bytes>) -> Result<AccessToken, Error> + Send + Sync + 'static) -> Self {
        CustomReader(Arc::new(read))
    }
}

impl fmt::Debug for CustomReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomReader")
    }
}

/// What a response contained.
///
/// `fields` is separate from `token`: a grant stores a new refresh token even if the access token beside it is
/// unusable.
pub(crate) struct Read {
    /// The token, or why there is none.
    pub(crate) token: Result<AccessToken, Error>,
    /// The fields of a success, even if its token is unusable.
    pub(crate) fields: Option<ResponseFields>,
    pub(crate) findings: Findings,
}

impl ResponseReader {
    /// Reads a response to a request. `for_grant` are the fields that the grant asks for; `now` is the time at which
    /// the response arrived.
    ///
    /// The credential check comes last and applies to every way of finding a token, a user's function included.
    pub(crate) fn read(&self, response: &Response<Bytes>, for_grant: &[&str], sent: &Sent, now: SystemTime) -> Read {
        let mut fields = match self.fields(response, for_grant, sent, now) {
            Ok(fields) => fields,
            Err(error) => return Read { token: Err(error), fields: None, findings: Findings::default() },
        };
        let clocks = Clocks { ours: now, server: server_time(response.headers()) };
        let token = match &self.custom {
            Some(CustomReader(read)) => read(response).map(|token| self.complete(token, clocks)),
            None => self.token(response, &mut fields, clocks),
        };
        let token = token.and_then(|(token, findings)| match sent.credential(token.secret()) {
            Some(name) => Err(self.unusable(response.status(), &returned(name))),
            None => Ok((token, findings)),
        });
        let (token, findings) = match token {
            Ok((token, findings)) => (Ok(token), findings),
            Err(error) => (Err(error), Findings::default()),
        };
        Read { token, fields: Some(fields), findings }
    }

    /// The fields of a success.
    ///
    /// Errors are reported in the order of the table above. The fields of the grant and the kept ones are read in the
    /// same pass as the format's.
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
        let named = for_grant.iter().copied().chain(self.keep.iter().map(String::as_str));
        let named = named.map(|name| Wanted::named(name, self.format.pointer_to(name)));
        let fields = ResponseFields::read(body, self.format.wanted().into_iter().chain(named).collect());
        let refused =
            |fields| Refusal { status, headers, body, fields, now }.error(&self.endpoint, &self.presented, sent);
        if !status.is_success() {
            return Err(refused(fields.as_ref().ok()));
        }
        if self.custom.is_some() || (self.format.is_token_alone() && fields.is_err()) {
            return Ok(fields.unwrap_or_default());
        }
        let fields = fields.map_err(|why| {
            let expected = match self.format == ResponseFormat::oauth() {
                true => "expected a JSON object with a token (RFC 6749 section 5.1)".to_owned(),
                false => self.format.expected(),
            };
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
        if fields.get(Place::Error).is_some_and(|error| !error.is_empty()) {
            return Err(refused(Some(&fields)));
        }
        Ok(fields)
    }

    /// Makes the token of a success.
    ///
    /// The order matters for secrets: the token moves into a type that is wiped before anything can fail.
    fn token(
        &self,
        response: &Response<Bytes>,
        fields: &mut ResponseFields,
        clocks: Clocks,
    ) -> Result<(AccessToken, Findings), Error> {
        let status = response.status();
        let text = self.token_text(response, fields)?;
        let times = JwtTimes::of(&text);
        // From here on the string is wiped when it is dropped, even if the rest of the response is unusable.
        let mut token = AccessToken::new(text);
        self.token_types.check(fields.get(Place::TokenType)).map_err(|found| self.unusable(status, &found))?;
        let life = lifetime(self.format.times(fields), &times, clocks).map_err(|Negative| {
            let name = self.format.expires_in_name().escape_default();
            let found = format!(
                "a token whose `{name}` is negative; expected the time that it lives: check the token lifetime at the \
                 server"
            );
            self.unusable(status, &found)
        })?;
        let Lifetime { expiry, refresh_in, findings } = life;
        token = token.with_expiry(expiry);
        if let Some(time) = refresh_in {
            token = token.refresh_in(time);
        }
        if let Some(scope) = fields.get(Place::Scope).and_then(scope) {
            token = token.scope(scope);
        }
        for name in &self.keep {
            if let Some(value) = fields.named(name).and_then(plain) {
                token = token.extra(name, value);
            }
        }
        Ok((token, findings))
    }

    /// The text of the token, which the caller wipes.
    ///
    /// Each wrong kind of field is named, because each points to another mistake. A nested object points to a wrong
    /// pointer, a number to another field, an empty string to a server that reports its failure with 200.
    fn token_text(&self, response: &Response<Bytes>, fields: &mut ResponseFields) -> Result<String, Error> {
        let (status, name) = (response.status(), self.format.token_name().escape_default());
        let unusable = |found: &str| Err(self.unusable(status, &format!("{found}; {}", self.format.expected())));
        if self.format.is_token_alone() {
            return raw::token(response.headers(), response.body()).or_else(|found| unusable(&found));
        }
        match fields.take(Place::Token) {
            Some(Field::Text(text)) if !text.is_empty() => Ok(text),
            Some(Field::Text(_)) => unusable("an empty token"),
            Some(Field::NotUtf8) => unusable(&format!("a field `{name}` that is not UTF-8")),
            Some(Field::NotJson) => unusable(&format!("a field `{name}` with characters that JSON does not allow")),
            Some(_) => unusable(&format!("a field `{name}` that is not a string")),
            None => {
                let expected = self.format.expected();
                let advice = "if another field has it, name that field in the response format";
                Err(self.unusable(status, &format!("JSON without a token; {expected}: {advice}")))
            }
        }
    }

    /// Adds the lifetime of a JWT to a token whose maker did not know it.
    ///
    /// A function that set a lifetime knows better. Findings about clocks are then unknown.
    fn complete(&self, token: AccessToken, clocks: Clocks) -> (AccessToken, Findings) {
        if token.expiry() != Expiry::Unknown {
            return (token, Findings::default());
        }
        match lifetime(Times::default(), &JwtTimes::of(token.secret()), clocks) {
            Ok(life) => (token.with_expiry(life.expiry), life.findings),
            Err(Negative) => (token, Findings::default()),
        }
    }

    /// The error for a successful response that is unusable.
    fn unusable(&self, status: StatusCode, found: &str) -> Error {
        let (endpoint, status) = (&self.endpoint, status.as_u16());
        Error::new(ErrorKind::Response, format!("{endpoint} responded with {status} and {found}"))
    }
}

/// A token that is a credential of its own request. As a bearer, it would give the API the credential.
fn returned(parameter: &str) -> String {
    format!(
        "the `{parameter}` that it was sent; expected a token of its own: does the URL belong to the authorization server, \
         or to one that echoes requests?"
    )
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
