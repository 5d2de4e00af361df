//! Putting a token endpoint together.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING},
};
use zeroize::Zeroizing;

use crate::{
    error::Error,
    oauth::{
        ClientAuth, Parameters,
        endpoint::{Inner, TokenEndpoint, url::EndpointUrl},
        grant::{DynGrant, Grant},
        request::RequestParts,
        response::{
            Reading,
            clock_offset::{self, ServerClock},
        },
    },
    problem::{Advice, Problem, Problems},
    transport::{DynTransport, Transport},
};

/// Puts a [`TokenEndpoint`] together; see there.
///
/// Nothing fails before [`build`](Self::build), which reports everything that is wrong at once.
#[must_use = "a builder does nothing until `build` is called"]
pub struct TokenEndpointBuilder {
    url: String,
    grant: Box<dyn DynGrant>,
    grant_type: Option<String>,
    client_auth: ClientAuth,
    scope: String,
    parameters: Parameters,
    headers: Vec<(String, Zeroizing<String>)>,
    reading: Reading,
    max_clock_offset: Duration,
    allow_plaintext: bool,
    transport: Option<Arc<dyn DynTransport>>,
}

impl TokenEndpointBuilder {
    pub(crate) fn new(url: String, grant: impl Grant) -> Self {
        TokenEndpointBuilder {
            url,
            grant: Box::new(grant),
            grant_type: None,
            client_auth: ClientAuth::none(),
            scope: String::new(),
            parameters: Parameters::default(),
            headers: Vec::new(),
            reading: Reading::default(),
            max_clock_offset: clock_offset::LIMIT,
            allow_plaintext: false,
            transport: None,
        }
    }

    /// How the client says who it is. Default: [`ClientAuth::none`].
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// The scope to ask for: words with blanks between them (RFC 6749 section 3.3). An empty text asks for none.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Adds a form parameter, such as `audience` or `resource`. Every call adds one, of the same name too. An empty
    /// value is left out (RFC 6749 section 3.2). `Debug` shows the name only.
    ///
    /// Assertions and client secrets are refused here: [`client_auth`](Self::client_auth) and the grant send them.
    pub fn parameter(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.parameters.push(name, value);
        self
    }

    /// Another `grant_type` than the grant's own, for servers that gave it a name of theirs.
    pub fn grant_type(mut self, grant_type: impl Into<String>) -> Self {
        self.grant_type = Some(grant_type.into());
        self
    }

    /// Adds a header to every token request. Its value is treated as a secret.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), Zeroizing::new(value.into())));
        self
    }

    /// Accepts another word than `Bearer` as `token_type`, from a server that means bearer by it. Upper and lower case
    /// are the same (RFC 6749 section 5.1).
    pub fn accept_token_type(mut self, word: impl Into<String>) -> Self {
        self.reading.token_types.accept(word.into());
        self
    }

    /// Keeps a further member of the answer, such as Salesforce's `instance_url`, with the bearer
    /// ([`Bearer::extra`](crate::Bearer::extra)): a text, a number or a truth value; others are left out.
    pub fn keep(mut self, member: impl Into<String>) -> Self {
        self.reading.keep.push(member.into());
        self
    }

    /// How far this machine's clock may be from the server's, as its `Date` tells it, for a refused assertion to be signed
    /// [once more](TokenEndpoint#the-clock) by the server's clock. Zero switches that off. Default: one hour.
    pub fn max_clock_offset(mut self, limit: Duration) -> Self {
        self.max_clock_offset = limit;
        self
    }

    /// Allows `http://` to other hosts than loopback: credentials then travel in the clear, unless something else, such
    /// as a service mesh, encrypts the way.
    pub fn allow_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// The HTTP client that carries the requests. Default: `HttpTransport::new()`, with the feature `http-transport`.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// The source.
    ///
    /// # Errors
    ///
    /// One error of kind [`Config`](crate::ErrorKind::Config) that lists everything that is wrong.
    pub fn build(self) -> Result<TokenEndpoint, Error> {
        let mut problems = Problems::default();
        let url = EndpointUrl::parse(&self.url, self.allow_plaintext, &mut problems);
        let credentials = self.client_auth.prepare(url.as_ref().map(EndpointUrl::audience), &mut problems);
        check_parameters(&self.parameters, &self.scope, &credentials.parameters, &mut problems);
        if self.grant_type.as_deref() == Some("") {
            problems.push("grant_type", "found an empty text; expected a grant type, or remove the call");
        }
        let headers = headers(self.headers, credentials.header.as_ref(), &mut problems);
        let mut reading = self.reading;
        reading.token_types.check_words(&mut problems);
        check_keep(&reading.keep, &mut problems);
        reading.refusal_hint = credentials.hint;
        let transport = self.transport.or_else(default_transport);
        if transport.is_none() {
            let problem =
                Problem::new("transport", "found no HTTP client for token requests").advise(Advice::set("transport"));
            problems.add(problem.advise(Advice::Feature("http-transport")));
        }
        problems.into_result("the token endpoint cannot be built")?;

        let mut parameters = Parameters::default().with("scope", self.scope);
        parameters.extend(&self.parameters);
        // Each of them is there, or there was a problem about it.
        let (Some(url), Some(transport)) = (url, transport) else {
            return Err(Error::new(crate::ErrorKind::Config, "the token endpoint has no URL or no transport"));
        };
        let (grant, grant_type, client_auth) = (self.grant, self.grant_type, self.client_auth);
        let uri = url.uri().clone();
        let request = RequestParts { uri, grant, grant_type, parameters, credentials, headers };
        let clock = ServerClock::new(self.max_clock_offset);
        Ok(TokenEndpoint(Arc::new(Inner { url, request, client_auth, reading, clock, transport })))
    }
}

impl fmt::Debug for TokenEndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL: it is not checked yet, and may contain credentials.
        f.debug_struct("TokenEndpointBuilder")
            .field("client_auth", &self.client_auth)
            .field("scope", &self.scope)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "http-transport")]
fn default_transport() -> Option<Arc<dyn DynTransport>> {
    Some(Arc::new(crate::transport::HttpTransport::new()))
}

#[cfg(not(feature = "http-transport"))]
fn default_transport() -> Option<Arc<dyn DynTransport>> {
    None
}

/// Parameters with a setting of their own. A fixed assertion would outlive its `exp`.
const RESERVED: [(&str, &[&str]); 5] = [
    ("grant_type", &["grant_type"]),
    ("client_secret", &["ClientAuth::post"]),
    ("client_assertion", &["ClientAuth::private_key_jwt", "ClientAuth::assertion_from"]),
    ("client_assertion_type", &["ClientAuth::private_key_jwt"]),
    ("assertion", &["JwtBearer::new"]),
];

fn check_parameters(parameters: &Parameters, scope: &str, credentials: &Parameters, problems: &mut Problems) {
    for name in parameters.names() {
        let problem = |found: &'static str| Problem::new(format!("parameter.{name}"), found);
        if name.is_empty() {
            problems.push("parameter", "found one with an empty name");
        } else if let Some((_, settings)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
            let problem = problem("found a fixed value for a parameter that has a setting of its own");
            problems.add(settings.iter().copied().map(Advice::set).fold(problem, Problem::advise));
        } else if credentials.names().any(|sent| sent == name) {
            let problem = problem("found a parameter that the client authentication sends already");
            problems.add(problem.advise(Advice::text("remove one of the two")));
        } else if name == "scope" && !scope.is_empty() {
            let problem = problem("found a second scope, but it may be sent only once");
            problems.add(problem.advise(Advice::remove("scope")).advise(Advice::remove("parameter")));
        }
    }
}

/// Headers that say how the request itself is written.
const OWN_HEADERS: [HeaderName; 5] = [ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

fn headers(
    wanted: Vec<(String, Zeroizing<String>)>,
    authorization: Option<&HeaderValue>,
    problems: &mut Problems,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, mut value) in wanted {
        let Ok(parsed) = HeaderName::try_from(&name) else {
            problems.push("header", format!("found a name of {} bytes that no header can have", name.len()));
            continue;
        };
        let path = format!("header.{parsed}");
        if OWN_HEADERS.contains(&parsed) {
            problems.push(path, "belongs to the token request itself: remove it");
        } else if parsed == AUTHORIZATION && authorization.is_some() {
            problems.push(path, "is set by the client authentication too: remove one");
        } else if let Ok(mut value) = secret_value(std::mem::take(&mut *value)) {
            value.set_sensitive(true);
            headers.append(parsed, value);
        } else {
            problems.push(path, "found a line end or another character that no header value can have");
        }
    }
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value.clone());
    }
    headers
}

/// A header value that is wiped when its last clone is dropped.
fn secret_value(text: String) -> Result<HeaderValue, http::Error> {
    Ok(HeaderValue::from_maybe_shared(Bytes::from_owner(Zeroizing::new(text.into_bytes())))?)
}

fn check_keep(keep: &[String], problems: &mut Problems) {
    for name in keep {
        if name.is_empty() {
            problems.push("keep", "found an empty name; expected a member of the answer such as `instance_url`");
        } else if name == "access_token" {
            let problem = Problem::new("keep", "found `access_token`, the token itself, which the bearer contains");
            problems.add(problem.advise(Advice::text("remove it")));
        }
    }
}
