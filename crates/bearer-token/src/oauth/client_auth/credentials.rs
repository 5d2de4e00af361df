//! What a client sends to authenticate: checked, and ready for each request.
//!
//! `Credentials` is the boundary between settings and requests. Its static half is cloned into each request. Its fresh
//! half is one of three things that have to be awaited: a signature, another source, a file.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::{
    error::Error,
    oauth::{
        Parameters,
        client_auth::{
            assertion_source::AssertionSource,
            presented::{BasicEncoding, Presented},
            signed::AssertionTemplate,
        },
        client_secret::ClientSecret,
    },
    platform::Platform,
    secret::Secret,
    source::FetchContext,
};

/// Client authentication, checked and ready to be sent.
///
/// One per endpoint, shared by all requests.
#[derive(Default)]
pub(crate) struct Credentials {
    pub(crate) parameters: Parameters,
    pub(crate) header: Option<HeaderValue>,
    pub(crate) presented: Presented,
    /// `client_assertion_type`, if there is an assertion.
    pub(crate) assertion_type: String,
    pub(crate) fresh: Fresh,
}

/// The part that is made anew for every request.
///
/// At most one part of a request's authentication changes between requests, so this is an enum and not a list.
#[derive(Default)]
pub(crate) enum Fresh {
    #[default]
    Nothing,
    Signed(AssertionTemplate),
    Assertion(AssertionSource),
    Secret(ClientSecret, SecretPlace),
}

/// Where a secret goes.
pub(crate) enum SecretPlace {
    Body,
    /// Together with the client id.
    Header(String, BasicEncoding),
}

impl Credentials {
    /// Adds the parameters of one request, and returns its `Authorization` header if that changes between requests.
    ///
    /// Assertions are signed with the time of day of `signing`.
    ///
    /// `signing` differs from the platform of the fetch while the clock of the server is used. Only assertions see it:
    /// deadlines, cool-downs and files go on with our own clock.
    pub(crate) async fn apply(
        &self,
        parameters: &mut Parameters,
        cx: &FetchContext,
        signing: &Platform,
    ) -> Result<Option<HeaderValue>, Error> {
        parameters.extend(&self.parameters);
        let mut assert = |jwt: &str| {
            parameters.push("client_assertion_type", &self.assertion_type);
            parameters.push_credential("client_assertion", jwt);
        };
        match &self.fresh {
            Fresh::Nothing => {}
            Fresh::Signed(template) => assert(template.sign(signing).await?.secret()),
            Fresh::Assertion(source) => assert(source.get(cx).await?.secret()),
            Fresh::Secret(secret, place) => {
                let secret = secret.for_request(cx).await?;
                match place {
                    SecretPlace::Body => parameters.push_credential("client_secret", secret.expose()),
                    SecretPlace::Header(client_id, encoding) => return Ok(basic_header(client_id, &secret, *encoding)),
                }
            }
        }
        Ok(None)
    }

    /// Whether something in it depends on the time of day.
    ///
    /// If so, a refusal may be about the clock, and is worth one more request with the server's.
    pub(crate) fn is_time_bound(&self) -> bool {
        matches!(self.fresh, Fresh::Signed(_))
    }

    /// Whether the credential has changed since it was used last.
    pub(crate) fn has_changed(&self) -> bool {
        match &self.fresh {
            Fresh::Nothing => false,
            Fresh::Signed(template) => template.has_changed(),
            Fresh::Assertion(source) => source.has_changed(),
            Fresh::Secret(secret, _) => secret.has_changed(),
        }
    }
}

/// Encodes a string for a form. The worst case is three bytes for one, so the buffer never grows, and leaves no copy of
/// the secret behind.
pub(crate) fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    encoded.extend(form_urlencoded::byte_serialize(text.as_bytes()));
    encoded
}

/// The header of HTTP Basic (RFC 7617), marked sensitive. Every intermediate string is wiped: the pair, its Base64 and
/// the header's own buffer. `None` cannot happen; it is not worth a panic.
pub(crate) fn basic_header(client_id: &str, secret: &Secret, encoding: BasicEncoding) -> Option<HeaderValue> {
    let pair = Zeroizing::new(match encoding {
        BasicEncoding::Form => [&form_encoded(client_id), ":", &form_encoded(secret.expose())].concat(),
        BasicEncoding::Raw => [client_id, ":", secret.expose()].concat(),
    });
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    let value = Zeroizing::new(["Basic ", &encoded].concat().into_bytes());
    // Base64 is always a legal header value.
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).ok()?;
    value.set_sensitive(true);
    Some(value)
}
