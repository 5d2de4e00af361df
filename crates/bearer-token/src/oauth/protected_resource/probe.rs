//! What the API asks for, before there is a token.
//!
//! The first token needs to know which server issues it. The API says so only in a response to a request without a
//! token (RFC 9728 section 5.1). The probe is that request. It has neither a body nor a credential, and its response's
//! body is not used.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method, header::CONTENT_LENGTH};

use super::location::Resource;
use crate::{
    error::Error,
    oauth::{discovery::document, scope},
    source::{Challenge, FetchContext},
    transport::DynTransport,
};

/// The longest wait for the response of a request without a token. An API that needs no token may respond with a stream
/// that never ends.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a challenge says about the way to a token. It is untrusted input.
///
/// Read from challenges of the scheme `Bearer` only, and with bounds on length and number of the words.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Hint {
    /// `resource_metadata` (RFC 9728 section 5.1).
    pub(super) location: Option<String>,
    /// `scope` (RFC 6750 section 3), unless it is about a [step](crate::oauth::StepUp).
    pub(super) scope: Option<String>,
}

impl Hint {
    /// Reads the challenges of a response. The scope of an `insufficient_scope` challenge is left to the step, which
    /// knows what was tried already.
    pub(super) fn of(challenges: &[Challenge]) -> Self {
        let bearer = || challenges.iter().filter(|challenge| challenge.is_scheme("Bearer"));
        let location = bearer().find_map(|challenge| challenge.parameter("resource_metadata"));
        let scope = bearer()
            .filter(|challenge| challenge.parameter("error") != Some("insufficient_scope"))
            .find_map(|challenge| challenge.parameter("scope"))
            .and_then(scope::words)
            .filter(|words| !words.is_empty());
        Hint { location: location.map(str::to_owned), scope: scope.map(|words| words.join(" ")) }
    }
}

/// The request without a token.
pub(super) struct Probe(pub(super) Method);

impl Probe {
    /// Asks the API. An API that does not respond in time gives no hint; one that cannot be reached is an error.
    ///
    /// The wait takes at most half of the fetch's time, because two or three requests still have to follow.
    pub(super) async fn ask(
        &self,
        resource: &Resource,
        transport: &Arc<dyn DynTransport>,
        cx: &FetchContext,
    ) -> Result<Hint, Error> {
        let mut request = document::request(resource.uri());
        *request.method_mut() = self.0.clone();
        if self.0 == Method::POST {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let wait = LONGEST_WAIT.min(cx.remaining() / 2);
        let deadline = cx.platform().now().after(wait).monotonic();
        let sent = Arc::clone(transport).send(request);
        let Some(result) = cx.platform().before(deadline, sent).await else { return Ok(Hint::default()) };
        let response = result.map_err(|error| {
            let message = format!("the API at {} cannot be asked for its metadata: {error}", resource.shown());
            error.with_context(message)
        })?;
        // Only a 401 challenges the client (RFC 9110 section 15.5.2).
        let is_challenge = response.status() == http::StatusCode::UNAUTHORIZED;
        let challenges = if is_challenge { Challenge::read(response.headers()) } else { Vec::new() };
        Ok(Hint::of(&challenges))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header::WWW_AUTHENTICATE};

    use super::*;

    #[test]
    fn only_a_bearer_challenge_is_a_hint() {
        for (line, location, scope) in [
            ("Bearer", None, None),
            (
                r#"Bearer resource_metadata="https://a.example.com/m", scope="b  a""#,
                Some("https://a.example.com/m"),
                Some("b a"),
            ),
            (r#"bearer RESOURCE_METADATA="x""#, Some("x"), None),
            (r#"DPoP resource_metadata="x", scope="a""#, None, None),
            (r#"Basic realm="x", Bearer scope="a", Bearer resource_metadata="x""#, Some("x"), Some("a")),
            (r#"Bearer scope="""#, None, None),
            (r#"Bearer scope="a\"b""#, None, None),
            (r#"Bearer error="insufficient_scope", scope="a""#, None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, line.parse().unwrap());
            let expected = Hint { location: location.map(str::to_owned), scope: scope.map(str::to_owned) };
            assert_eq!(Hint::of(&Challenge::read(&headers)), expected, "{line}");
        }
    }
}
