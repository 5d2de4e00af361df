//! Errors about responses that refuse the request, with any status.
//!
//! The same refusal looks different at every server: with a code and a wrong status, with a status and no code, with an
//! HTML page. This file turns all of them into one error with a kind, a retry advice and one sentence of advice. The
//! status decides about outages, the code about everything else, and the way in which the client authenticated about
//! the advice.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use crate::{
    error::{Error, ErrorKind, RefusalHead, Retry},
    oauth::{
        client_auth::Presented,
        request::sent::Sent,
        response::{
            body::encoding,
            delay::requested_delay,
            description::description,
            oauth_code::{Meaning, OAuthCode},
        },
    },
    source::Challenge,
    token::fields::{Field, Place, ResponseFields},
};

/// A refusal as it arrived.
///
/// It is borrowed, because the error keeps none of its strings.
pub(crate) struct Refusal<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// The fields, if the body could be read.
    pub(crate) fields: Option<&'a ResponseFields>,
    /// The time of day when it arrived, by this machine's clock.
    pub(crate) now: SystemTime,
}

impl Refusal<'_> {
    /// Judges a refusal by a token endpoint, which the message names as `endpoint`.
    ///
    /// `Retry-After` changes the advice of a refusal too: a server that names a time expects the client back.
    pub(crate) fn error(&self, endpoint: &str, presented: &Presented, sent: &Sent) -> Error {
        let status = self.status;
        let code = match self.fields.and_then(|fields| fields.get(Place::Error)) {
            Some(Field::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let known = code.and_then(OAuthCode::find);
        let found = match (&known, code, encoding(self.headers, self.body)) {
            (Some(known), ..) => format!("OAuth error `{}`", known.code),
            (None, Some(code), _) => format!("an error code of {} bytes that is not a known one", code.len()),
            (None, None, Some(encoding)) if self.fields.is_none() => {
                format!("a body that is compressed ({encoding}), which the request did not accept")
            }
            (None, None, _) => "no OAuth error code".to_owned(),
        };
        // An outage remains one, even with a verdict in its body.
        let outage = status.is_server_error() || TRANSIENT.contains(&status);
        let passes = outage || known.is_some_and(|known| known.meaning == Meaning::Passes);
        let advice = advice(status, known, outage, presented);
        let number = status.as_u16();
        let description = description(self.body, sent);
        let more = match &description {
            Some(_) if !passes => ". `Error::server_description` has the server's own words",
            _ => "",
        };
        let message = format!("{endpoint} responded with {number} and {found}; expected a token: {advice}{more}");
        let error = Error::new(if passes { ErrorKind::Unavailable } else { ErrorKind::Refused }, message);
        let error = if passes { error } else { error.with_refusal(self.head()) };
        let error = match requested_delay(status, self.headers, self.now) {
            after @ Some(_) => error.with_retry(Retry::Later { after }),
            None => error,
        };
        let error = match known {
            Some(known) => error.with_oauth_code(known.code),
            None => error,
        };
        error.with_server_description(description)
    }

    /// What a grant needs to know of a refusal, to decide whether its own credential was refused.
    fn head(&self) -> RefusalHead {
        let challenges = Challenge::read(self.headers);
        let asks_for_client = challenges.iter().any(|challenge| challenge.is_scheme("Basic"));
        RefusalHead { status: self.status, asks_for_client }
    }
}

/// Statuses that may pass, besides 5xx. 425 is "too early", which a TLS terminator may send.
const TRANSIENT: [StatusCode; 3] = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY];

/// What to change.
///
/// The rules go from the most to the least certain. They are an outage, a wrong URL, a code or a status about the
/// client, a code that may be about it, and nothing.
fn advice(status: StatusCode, known: Option<OAuthCode>, outage: bool, presented: &Presented) -> String {
    let meaning = known.map(|known| known.meaning);
    let about_client = presented.advice();
    if outage && meaning != Some(Meaning::Passes) {
        return match status {
            StatusCode::TOO_MANY_REQUESTS => "the server asks for fewer token requests".to_owned(),
            _ => "the server, or a proxy in front of it, is in trouble".to_owned(),
        };
    }
    let about = known.map_or("", |known| known.advice);
    if let Some(about_url) = about_url(status)
        && known.is_none_or(|known| known.code == "invalid_request")
    {
        return about_url.to_owned();
    }
    match meaning {
        Some(Meaning::Passes) => about.to_owned(),
        Some(Meaning::Client) => about_client,
        // Unless the code says otherwise, 401 is about the client (RFC 9110 section 15.5.2).
        None if status == StatusCode::UNAUTHORIZED => about_client,
        Some(Meaning::Other) if status == StatusCode::UNAUTHORIZED => {
            format!("{about}. If the client authentication is the cause, {about_client}")
        }
        Some(Meaning::Other) => about.to_owned(),
        // Such as Keycloak's `unauthorized_client` for a wrong secret.
        Some(Meaning::PerhapsClient) if status == StatusCode::UNAUTHORIZED => format!("{about_client}. Or {about}"),
        Some(Meaning::PerhapsClient) => format!("{about}. If the client authentication is the cause, {about_client}"),
        None => format!(
            "the server's log or documentation knows the cause: perhaps the grant type, the scope or another parameter. If \
             it is the client authentication, {about_client}"
        ),
    }
}

/// What to change if the status says that the URL is wrong. The catch-all code of RFC 6749 beside it says less.
fn about_url(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Some("check the path of the token endpoint URL, as the server has nothing there")
        }
        StatusCode::METHOD_NOT_ALLOWED => Some(
            "check the path of the token endpoint URL, as the server has something else there, and the HTTP method",
        ),
        _ => None,
    }
}
