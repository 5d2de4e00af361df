//! Building a token request.
//!
//! One request, from five contributors, in this order: the grant's parameters (`grant_type` first), the scope, the
//! user's parameters, the client authentication, the headers. The order is fixed: two requests of the same settings
//! look the same in a server's log.
//!
//! | file | what it has |
//! |---|---|
//! | `parameters.rs` | what a grant returns: names, strings, credentials |
//! | `parameter_value.rs` | what a user sets: a tree whose leaves are values |
//! | `content.rs` | what is sent: strings and trees, as a form, JSON or a query |
//! | `sent.rs` | what was sent, to recognise it in a response |
//! | `taken_names.rs` | names of parameters that users do not set |
//! | `wire.rs` | the check of every string that is sent |

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING},
};
use zeroize::Zeroizing;

use crate::{
    PassThrough,
    error::{Error, ErrorKind, Retry},
    oauth::{client_auth::Credentials, grant::DynGrant},
    platform::Platform,
    source::{FetchContext, Identity},
    value::Value,
};

mod content;
mod parameter_value;
mod parameters;
pub(crate) mod sent;
pub(crate) mod taken_names;
pub(crate) mod wire;

pub(crate) use self::parameter_value::check_value;
pub use self::{content::BodyFormat, parameter_value::ParameterValue, parameters::Parameters};
use self::{content::Content, content::Sendable, sent::Sent, taken_names::is_credential};

/// The parts of a token request, checked.
///
/// Everything that `build()` has checked. Requests share it, and none of them changes it.
pub(crate) struct RequestParts {
    pub(crate) method: Method,
    pub(crate) body: BodyFormat,
    pub(crate) grant: Arc<dyn DynGrant>,
    pub(crate) grant_type: GrantType,
    pub(crate) scope: String,
    /// The parameters that the user added.
    pub(crate) parameters: Vec<(String, ParameterValue)>,
    pub(crate) credentials: Credentials,
    /// The headers that the user added.
    pub(crate) headers: Vec<(HeaderName, Value)>,
}

/// The `grant_type` of a request.
///
/// `Absent` and an empty `Named` differ: the second is a mistake.
#[derive(Clone, Debug, Default)]
pub(crate) enum GrantType {
    /// The grant's own.
    #[default]
    OfGrant,
    Named(String),
    Absent,
}

/// Headers that describe the request itself.
///
/// `Accept` is missing: a user may replace it for an API that wants a version there.
pub(crate) const OWN_HEADERS: [HeaderName; 5] =
    [ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

impl RequestParts {
    /// Whether a part of the request is signed here, and depends on the time of day.
    pub(crate) fn is_time_bound(&self) -> bool {
        self.grant.is_time_bound() || self.credentials.is_time_bound()
    }

    /// Describes everything that reaches the server, apart from the client.
    pub(crate) fn identity(&self, identity: &mut Identity) {
        identity.text("method", self.method.as_str());
        identity.text("body", self.body.name());
        match &self.grant_type {
            GrantType::OfGrant => identity.set("grant_type", None::<&str>),
            GrantType::Named(name) => identity.text("grant_type", name),
            GrantType::Absent => identity.text("grant_type", ""),
        }
        self.grant.identity(identity);
        identity.set("scope", self.scope.split_ascii_whitespace());
        for (name, value) in &self.parameters {
            let path = format!("parameter.{name}");
            // A credential expires, and each replica may have another one.
            if is_credential(name) { identity.unknown(path) } else { value.identity(&path, identity) }
        }
        for (name, value) in &self.headers {
            value.identity(&format!("header.{name}"), identity);
        }
    }

    /// Whether an input of the requests has changed since the last one.
    pub(crate) fn has_changed(&self) -> bool {
        self.grant.has_changed()
            || self.credentials.has_changed()
            || self.parameters.iter().any(|(_, value)| value.has_changed())
            || self.headers.iter().any(|(_, value)| value.has_changed())
    }

    /// Builds a new request around the parameters of the grant (RFC 6749 section 3.2), and keeps a record of it.
    ///
    /// It reuses nothing from an earlier request. `for_grant` is the context that the grant was called with.
    ///
    /// Two contexts and two platforms look like too many. A grant may be signed by the server's clock. Files, deadlines
    /// and other providers go by our own. So the grant has its own context, and the client authentication its own
    /// platform.
    pub(crate) async fn make(
        &self,
        uri: &Uri,
        granted: &Parameters,
        for_grant: &FetchContext,
        cx: &FetchContext,
        signing: &Platform,
        scope: &str,
    ) -> Result<(Request<Bytes>, Sent), Error> {
        let mut content = Content::default();
        self.grant_type(granted, &mut content);
        content.push("scope", Sendable::String(Zeroizing::new(scope.to_owned())), false);
        for (name, value) in &self.parameters {
            let is_credential = value.has_token() || is_credential(name);
            let value = value.read(cx).await.map_err(|error| missing("parameter", name, error))?;
            content.push(name.clone(), value, is_credential);
        }
        let mut credentials = Parameters::default();
        let authorization = self.credentials.apply(&mut credentials, cx, signing).await?;
        content.extend(&credentials);
        let headers = self.headers(for_grant, cx, authorization).await?;

        let (uri, body) = match self.body {
            BodyFormat::Form => (uri.clone(), Zeroizing::new(std::mem::take(&mut *content.form()).into_bytes())),
            BodyFormat::Json => (uri.clone(), content.json()?),
            BodyFormat::Query => (content.in_query(uri)?, Zeroizing::default()),
            BodyFormat::None => match content.names().next() {
                None => (uri.clone(), Zeroizing::default()),
                Some(name) => return Err(no_place(name)),
            },
        };
        let is_empty = body.is_empty();
        // It is wiped when its last clone is dropped.
        let mut request = Request::new(Bytes::from_owner(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        let query = request.uri().query().map(|query| Zeroizing::new(query.to_owned()));
        *request.headers_mut() = headers.clone();
        if let Some(content_type) = self.body.content_type() {
            request.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        // Clients leave it out, and servers then respond with 411 (RFC 9110 section 8.6).
        if is_empty && self.method != Method::GET {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // Without it some servers respond to errors with an HTML page.
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        // Without it a server may compress as it likes (RFC 9110 section 12.5.3).
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request.extensions_mut().insert(PassThrough);
        Ok((request, Sent { parameters: content.flat(), headers, query }))
    }

    /// Adds the parameters of the grant to the content, with the configured grant type.
    ///
    /// An empty value means that the parameter is not sent, which is how `no_grant_type` removes the grant's own.
    fn grant_type(&self, granted: &Parameters, content: &mut Content) {
        let has_none = matches!(self.grant_type, GrantType::Absent) || self.body == BodyFormat::None;
        let mut parameters = Parameters::default();
        parameters.extend(granted);
        match &self.grant_type {
            _ if has_none => parameters.replace("grant_type", ""),
            GrantType::Named(name) => parameters.replace("grant_type", name),
            GrantType::OfGrant | GrantType::Absent => {}
        }
        content.extend(&parameters);
    }

    /// The headers that the user, the grant and the client authentication add.
    async fn headers(
        &self,
        for_grant: &FetchContext,
        cx: &FetchContext,
        authorization: Option<HeaderValue>,
    ) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let mut text = value.read(cx).await.map_err(|error| missing("header", name.as_str(), error))?;
            // It is wiped when its last clone is dropped.
            let bytes = Bytes::from_owner(Zeroizing::new(std::mem::take(&mut *text).into_bytes()));
            let value = HeaderValue::from_maybe_shared(bytes).map_err(|_| {
                let found = format!("the header `{name}`: found a character that no header value can have");
                Error::new(ErrorKind::Source, found).with_retry(Retry::AfterChange)
            })?;
            headers.append(name, value);
        }
        if let Some(value) = authorization.or_else(|| self.credentials.header.clone()) {
            headers.insert(AUTHORIZATION, value);
        }
        let mut last = None;
        for (name, value) in self.grant.headers(for_grant).await? {
            // Further values of a name come without it.
            let Some(name) = name.or(last.take()) else { continue };
            if OWN_HEADERS.contains(&name) || (name == AUTHORIZATION && headers.contains_key(AUTHORIZATION)) {
                let found = format!("the grant sends the header `{name}`, which the token request has already");
                return Err(Error::config(found, []));
            }
            headers.append(name.clone(), value);
            last = Some(name);
        }
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        Ok(headers)
    }
}

/// Adds to an error which part of the request needs the value.
///
/// The kind and the advice stay those of the cause: an outage of an inner stage is an outage here.
pub(crate) fn missing(part: &str, name: &str, error: Error) -> Error {
    let message = format!("the {part} `{name}` is missing: {error}");
    error.with_context(message)
}

/// The error for a parameter in a request without a body or a query. Found at the first request and not at `build()`,
/// because only then is it known what a grant of the user's makes.
fn no_place(name: &str) -> Error {
    let found =
        format!("the grant makes the parameter `{name}`, but the request has neither a body nor a query for it");
    Error::config(format!("{found}; expected the body `form`, `json` or `query`"), [])
}
