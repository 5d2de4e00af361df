//! The builder of a token endpoint.
//!
//! All checks run, in the order of the request: server, client, method and body, parameters, headers, response, grant,
//! transport. Nothing returns early, so one run of a program shows everything that is wrong.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};

use crate::{
    error::Error,
    oauth::{
        BodyFormat, ClientAuth, ParameterValue,
        endpoint::{
            Inner, TokenEndpoint, checks,
            server::{CheckedServer, Server},
        },
        grant::{DynGrant, Grant},
        request::{GrantType, RequestParts},
        response::{
            CustomReader, ResponseFormat, ResponseReader,
            clock_offset::{self, ServerClock},
        },
        step_up::{StepUp, Steps},
    },
    problem::{Advice, Problem, Problems},
    token::AccessToken,
    transport::{
        DynTransport, Transport,
        observed::{Observed, TraceContext},
    },
    value::Value,
};

/// Builds a [`TokenEndpoint`].
///
/// Nothing fails before [`build`](Self::build), which reports all problems at once.
///
/// ```
/// use bearer_token::oauth::{BodyFormat, ClientAuth, ClientCredentials, TokenEndpoint};
///
/// // Four mistakes, one error.
/// let error = TokenEndpoint::builder("as.example.com/token", ClientCredentials::new())
///     .client_auth(ClientAuth::basic("", "secret "))
///     .body(BodyFormat::None)
///     .scope("read")
///     .build()
///     .unwrap_err();
/// let paths: Vec<_> = error.problems().iter().map(|problem| problem.path()).collect();
/// for path in ["url", "client_auth.client_id", "client_auth.client_secret", "scope"] {
///     assert!(paths.contains(&path));
/// }
/// ```
///
/// A clone is built into an endpoint of its own. A [`HotSwap`](crate::HotSwap) makes one for each credential.
///
/// # Defaults
///
/// | setting | default |
/// |---|---|
/// | [`client_auth`](Self::client_auth) | none |
/// | [`scope`](Self::scope) | none: the server decides (RFC 6749 section 3.3) |
/// | [`method`](Self::method), [`body`](Self::body) | `POST`, a form |
/// | [`response`](Self::response) | `access_token`, `expires_in` in seconds, `refresh_token` |
/// | [`max_clock_offset`](Self::max_clock_offset) | one hour |
/// | [`step_up`](Self::step_up) | no steps |
/// | [`transport`](Self::transport) | `HttpTransport::shared()` |
/// | [`trace_context`](Self::trace_context) | none is sent |
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct TokenEndpointBuilder {
    server: Server,
    use_mtls_alias: bool,
    method: Method,
    body: BodyFormat,
    grant: Arc<dyn DynGrant>,
    grant_type: GrantType,
    client_auth: ClientAuth,
    scope: String,
    parameters: Vec<(String, ParameterValue)>,
    headers: Vec<(String, Value)>,
    reader: ResponseReader,
    max_clock_offset: Duration,
    step_up: Option<StepUp>,
    allow_plaintext: bool,
    transport: Option<Arc<dyn DynTransport>>,
    trace_context: Option<TraceContext>,
}

impl TokenEndpointBuilder {
    pub(crate) fn new(url: String, grant: impl Grant) -> Self {
        Self::with(Server::Url { url, issuer: None }, grant)
    }

    pub(crate) fn discover(issuer: String, grant: impl Grant) -> Self {
        Self::with(Server::Issuer(issuer), grant)
    }

    /// Creates a builder with default settings. The defaults, in one place. The table in the type's docs repeats them
    /// for readers.
    fn with(server: Server, grant: impl Grant) -> Self {
        TokenEndpointBuilder {
            server,
            use_mtls_alias: false,
            method: Method::POST,
            body: BodyFormat::default(),
            grant: Arc::new(grant),
            grant_type: GrantType::default(),
            client_auth: ClientAuth::none(),
            scope: String::new(),
            parameters: Vec::new(),
            headers: Vec::new(),
            reader: ResponseReader::default(),
            max_clock_offset: clock_offset::LIMIT,
            step_up: None,
            allow_plaintext: false,
            transport: None,
            trace_context: None,
        }
    }

    /// Replaces the grant. For an endpoint that is made again when a key changes: of a clone of this builder.
    pub fn grant(mut self, grant: impl Grant) -> Self {
        self.grant = Arc::new(grant);
        self
    }

    /// Sets the client authentication. Default: [`ClientAuth::none`].
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Sets the scope to request: words separated by spaces (RFC 6749 section 3.3). An empty string requests none.
    ///
    /// If the server grants less, an event names the missing words. [`Bearer::scope`](crate::Bearer::scope) is the
    /// granted scope.
    ///
    /// Entra ID wants one resource with `/.default`, such as `https://graph.microsoft.com/.default`. Auth0 and Zoom
    /// grant what was configured for the client and need no scope. An unknown word is refused with `invalid_scope` by
    /// most servers and ignored by others, which the event tells apart.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Sets the method: `POST`, `GET`, `PUT` or `PATCH`. Default: `POST`.
    ///
    /// A `GET` has no body. It needs [`BodyFormat::Query`] or [`BodyFormat::None`].
    ///
    /// Cloud instances hand out identity tokens in response to a GET without credentials:
    ///
    /// ```
    /// use bearer_token::oauth::{BodyFormat, ClientCredentials, ResponseFormat, TokenEndpoint};
    /// use http::Method;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # #[cfg(feature = "http-transport")] {
    /// let url = "http://169.254.169.254/metadata/identity/oauth2/token";
    /// let source = TokenEndpoint::builder(url, ClientCredentials::new())
    ///     .method(Method::GET)
    ///     .body(BodyFormat::Query)
    ///     .no_grant_type()
    ///     .header("metadata", "true")
    ///     .parameters([("api-version", "2018-02-01"), ("resource", "https://vault.example.com")])
    ///     .response(ResponseFormat::oauth().expires_at("/expires_on"))
    ///     // The address is link-local: the request never leaves the host.
    ///     .allow_plaintext()
    ///     .build()?;
    /// # let _ = source; }
    /// # Ok(()) }
    /// ```
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sets where the parameters are, and in which format. Default: a form in the body.
    ///
    /// A server that expects JSON responds to a form with 400 or 415, often without an error code. The standard is a
    /// form, and Keycloak refuses everything else.
    pub fn body(mut self, body: BodyFormat) -> Self {
        self.body = body;
        self
    }

    /// Adds a parameter, such as `audience` or `resource`.
    ///
    /// Its value is a string, a [`Value`] that is read again for each request, or a [`ParameterValue`]. The last one is
    /// a list, a number or, for JSON bodies, any tree. Every call adds one, even of the same name. An empty string is
    /// not sent (RFC 6749 section 3.2). `Debug` never shows a value.
    ///
    /// These are refused:
    ///
    /// - what others send: `grant_type`, `client_secret`, `client_assertion` and `client_assertion_type`, and the
    ///   [own parameters of the grant](Grant::parameter_names), such as `subject_token_type` of a token exchange;
    /// - literals for credentials that expire, such as `assertion`, `subject_token` or `code`;
    /// - control characters.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<ParameterValue>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Adds several parameters, or none, as [`parameter`](Self::parameter) adds one.
    ///
    /// An `Option` is such a list, too:
    ///
    /// ```
    /// use bearer_token::oauth::{ClientCredentials, TokenEndpoint};
    ///
    /// let audience: Option<String> = std::env::var("AUDIENCE").ok();
    /// let builder = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
    ///     .parameters(audience.map(|audience| ("audience", audience)))
    ///     .parameters([("resource", "https://a.example.com"), ("resource", "https://b.example.com")]);
    /// # let _ = builder;
    /// ```
    pub fn parameters<N: Into<String>, V: Into<ParameterValue>>(
        mut self,
        parameters: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.parameters.extend(parameters.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Replaces the grant's own `grant_type`, for servers that use another name for it.
    ///
    /// ```
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    ///
    /// // Zoom's server-to-server apps.
    /// let builder = TokenEndpoint::builder("https://zoom.us/oauth/token", ClientCredentials::new())
    ///     .client_auth(ClientAuth::basic("client-id", "client-secret"))
    ///     .grant_type("account_credentials")
    ///     .parameter("account_id", "a1b2c3");
    /// # let _ = builder;
    /// ```
    pub fn grant_type(mut self, grant_type: impl Into<String>) -> Self {
        self.grant_type = GrantType::Named(grant_type.into());
        self
    }

    /// Sends no `grant_type`, for servers that do not expect one.
    ///
    /// GitHub's installation tokens, Vault's logins and Yandex Cloud's IAM tokens are bought without one. Together with
    /// [`ClientCredentials`](crate::oauth::ClientCredentials) the grant then adds nothing to the request, and your
    /// parameters are all of it.
    pub fn no_grant_type(mut self) -> Self {
        self.grant_type = GrantType::Absent;
        self
    }

    /// Adds a header to every token request.
    ///
    /// Its value is a string, or a [`Value`] that is read again for each request. It counts as a secret. `Accept`
    /// replaces the usual one. Headers that describe the request itself, such as `Content-Type`, are refused.
    ///
    /// ```
    /// use bearer_token::{Value, oauth::{BodyFormat, ClientCredentials, ResponseFormat, TokenEndpoint}};
    ///
    /// // A login at Vault with the JWT of the platform, in a namespace.
    /// let builder = TokenEndpoint::builder("https://vault.example.com/v1/auth/jwt/login", ClientCredentials::new())
    ///     .no_grant_type()
    ///     .body(BodyFormat::Json)
    ///     .header("x-vault-namespace", "team-a")
    ///     .parameter("role", "reports")
    ///     .parameter("jwt", Value::file("/var/run/secrets/tokens/vault"))
    ///     .response(ResponseFormat::oauth().token("/auth/client_token").expires_in("/auth/lease_duration").never(0));
    /// # let _ = builder;
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds several headers, or none, as [`header`](Self::header) adds one. An `Option` is such a list, too.
    pub fn headers<N: Into<String>, V: Into<Value>>(mut self, headers: impl IntoIterator<Item = (N, V)>) -> Self {
        self.headers.extend(headers.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Sets where the response has the token, its lifetime and the next refresh token. Default:
    /// [`ResponseFormat::oauth`].
    ///
    /// ```
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, ResponseFormat, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # #[cfg(feature = "http-transport")]
    /// let source = TokenEndpoint::builder("https://login.example.com/token", ClientCredentials::new())
    ///     .client_auth(ClientAuth::post("client-id", "client-secret"))
    ///     .response(ResponseFormat::oauth().token("/data/token").expires_at("/data/expiresAt"))
    ///     .build()?;
    /// # #[cfg(feature = "http-transport")] let _ = source;
    /// # Ok(()) }
    /// ```
    pub fn response(mut self, format: ResponseFormat) -> Self {
        self.reader.format = format;
        self
    }

    /// Sets a function that makes the token of a success, for responses that no [format](Self::response) describes: a
    /// token in a header, or XML.
    ///
    /// The function gets only responses with a status of 2xx, before their fields are judged. Other statuses are
    /// [errors](TokenEndpoint#errors) as usual. If the function sets no lifetime and the token is a JWT, the JWT's own
    /// lifetime counts. [`keep`](Self::keep) and [`accept_token_type`](Self::accept_token_type) then have no effect.
    /// The function's error ends up in logs: keep strings of the response out of it.
    ///
    /// ```
    /// use bearer_token::{AccessToken, Error, ErrorKind};
    /// use bearer_token::oauth::{ClientCredentials, TokenEndpoint};
    ///
    /// let builder = TokenEndpoint::builder("https://login.example.com/v3/auth/tokens", ClientCredentials::new())
    ///     .response_with(|response| {
    ///         let token = response.headers().get("x-subject-token").and_then(|token| token.to_str().ok());
    ///         let missing = || Error::new(ErrorKind::Response, "found no `X-Subject-Token` in the response");
    ///         Ok(AccessToken::new(token.ok_or_else(missing)?))
    ///     });
    /// # let _ = builder;
    /// ```
    pub fn response_with(
        mut self,
        read: impl Fn(&Response<Bytes>) -> Result<AccessToken, Error> + Send + Sync + 'static,
    ) -> Self {
        self.reader.custom = Some(CustomReader::new(read));
        self
    }

    /// Accepts another `token_type` than `Bearer`, for a server that means bearer by it.
    ///
    /// Case does not matter (RFC 6749 section 5.1).
    ///
    /// ```
    /// use bearer_token::oauth::{ClientCredentials, TokenEndpoint};
    ///
    /// // Apigee sends `"token_type": "BearerToken"`.
    /// let builder = TokenEndpoint::builder("https://api.example.com/oauth/token", ClientCredentials::new())
    ///     .accept_token_type("BearerToken");
    /// # let _ = builder;
    /// ```
    ///
    /// `DPoP`, `mac`, `PoP` and `N_A` cannot be accepted. Such a token is unusable as a bearer (RFC 6749 section 7.1),
    /// and naming one is a problem at `build()`. May be called several times.
    pub fn accept_token_type(mut self, word: impl Into<String>) -> Self {
        self.reader.token_types.accept(word.into());
        self
    }

    /// Keeps another field of the response with the bearer, such as Salesforce's `instance_url`.
    ///
    /// A name that begins with a slash is a JSON pointer: `/auth/accessor` (RFC 6901).
    ///
    /// [`Bearer::extra`](crate::Bearer::extra) returns it by the same name: a string, the digits of a number, or `true`
    /// or `false`. Other values are not kept, nor are strings that are not valid JSON.
    ///
    /// ```
    /// use bearer_token::{TokenProvider, oauth::{ClientCredentials, TokenEndpoint}};
    ///
    /// # #[cfg(feature = "http-transport")]
    /// # async fn example() -> Result<(), bearer_token::Error> {
    /// // Salesforce says in the response where the API is.
    /// let url = "https://login.salesforce.com/services/oauth2/token";
    /// let source = TokenEndpoint::builder(url, ClientCredentials::new())
    ///     .keep("instance_url")
    ///     .build()?;
    /// let provider = TokenProvider::builder(source).allow_origin("https://acme.my.salesforce.com").build()?;
    /// let bearer = provider.token().await?;
    /// let api = bearer.extra("instance_url").unwrap_or("https://acme.my.salesforce.com");
    /// # let _ = api; Ok(()) }
    /// ```
    pub fn keep(mut self, field: impl Into<String>) -> Self {
        self.reader.keep.push(field.into());
        self
    }

    /// Sets the largest difference between this machine's clock and the server's `Date` that is corrected: a refused
    /// assertion is signed [again](TokenEndpoint#the-clock) with the server's time. Zero turns that off. Default: one
    /// hour.
    ///
    /// Turn it off where a wrong clock must be an outage rather than a warning, for example because audits depend on
    /// it.
    pub fn max_clock_offset(mut self, limit: Duration) -> Self {
        self.max_clock_offset = limit;
        self
    }

    /// Asks for a wider scope when the API does: HTTP 403 with `insufficient_scope`. By default the caller gets the
    /// response.
    ///
    /// Not for a [`RefreshToken`](crate::oauth::RefreshToken), whose scope never grows (RFC 6749 section 6): a person
    /// has to consent to more.
    ///
    /// Without it, a token with too little scope is not renewed: another token with the same scope would be refused
    /// again.
    pub fn step_up(mut self, step_up: StepUp) -> Self {
        self.step_up = Some(step_up);
        self
    }

    /// Allows `http://` to hosts other than loopback.
    ///
    /// Credentials then travel in the clear, unless something else encrypts the connection, such as a service mesh.
    ///
    /// It is meant for a sidecar that adds TLS, and for link-local addresses of cloud instances. RFC 6749 section 3.2
    /// requires TLS everywhere else.
    pub fn allow_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// Sets the HTTP client that carries the requests. Default: `HttpTransport::shared()`, which all
    /// token endpoints of the process share, with the feature `http-transport`.
    ///
    /// A transport of its own is needed for a client certificate, an additional CA, a proxy, or other timeouts:
    ///
    /// ```
    /// # #[cfg(feature = "http-transport")]
    /// # fn example() -> Result<(), bearer_token::Error> {
    /// use bearer_token::{Value, oauth::{ClientAuth, ClientCredentials, TokenEndpoint}, transport::HttpTransport};
    ///
    /// let (certificate, key) = (Value::file("/run/tls/tls.crt"), Value::file("/run/tls/tls.key"));
    /// let transport = HttpTransport::builder().certificate(certificate).key(key).build()?;
    /// let source = TokenEndpoint::discover("https://bank.example.com", ClientCredentials::new())
    ///     .client_auth(ClientAuth::public("tpp-client"))
    ///     .use_mtls_alias()
    ///     .transport(transport)
    ///     .build()?;
    /// # let _ = source; Ok(()) }
    /// ```
    ///
    /// Endpoints of the same needs share one transport by its clones. Each transport that is built has connections and CA
    /// certificates of its own.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Sends the trace context along: the function adds it to the headers of each token request, and of each request
    /// for the server's metadata. Default: the authorization server learns nothing of traces.
    ///
    /// With feature `tracing` the function is called inside the span `token_request`, which belongs to the fetch. So
    /// with OpenTelemetry the request of the server becomes a child of that span:
    ///
    /// ```
    /// use bearer_token::oauth::{ClientCredentials, TokenEndpoint};
    /// use http::{HeaderMap, HeaderValue};
    ///
    /// // With the crates `opentelemetry`, `opentelemetry-http` and `tracing-opentelemetry` it is
    /// //
    /// //     let context = tracing::Span::current().context();
    /// //     get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut HeaderInjector(headers)));
    /// fn inject(headers: &mut HeaderMap) {
    ///     let context = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    ///     headers.insert("traceparent", context);
    /// }
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # #[cfg(feature = "http-transport")]
    /// let source = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
    ///     .trace_context(inject)
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    ///
    /// Add nothing else: the headers are those of a request with credentials.
    pub fn trace_context(mut self, add: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.trace_context = Some(Arc::new(add));
        self
    }

    /// Sets the authorization server's issuer, for a token endpoint whose URL is set.
    ///
    /// It becomes the audience of signed assertions (`ClientAuth::private_key_jwt`), byte for byte, as
    /// draft-ietf-oauth-rfc7523bis requires. Metadata is not read: [`TokenEndpoint::discover`] does that.
    ///
    /// Set it for FAPI and SPIFFE servers, which insist on the issuer. Leave it out for Entra ID, Okta, NetSuite and
    /// SMART servers, which want the URL of the token endpoint. Keycloak accepts either, and recommends the issuer.
    /// After [`discover`](TokenEndpoint::discover) it replaces the issuer that was given there.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        match &mut self.server {
            Server::Url { issuer: place, .. } => *place = Some(issuer.into()),
            Server::Issuer(place) => *place = issuer.into(),
        }
        self
    }

    /// Uses the token endpoint for clients with a TLS certificate, if the server's metadata has one
    /// (`mtls_endpoint_aliases`, RFC 8705 section 5).
    ///
    /// For [`TokenEndpoint::discover`] with a transport that has such a certificate. By default the alias is ignored.
    pub fn use_mtls_alias(mut self) -> Self {
        self.use_mtls_alias = true;
        self
    }

    /// Builds the source.
    ///
    /// # Errors
    ///
    /// One error of kind [`Config`](crate::ErrorKind::Config) that lists all problems.
    pub fn build(self) -> Result<TokenEndpoint, Error> {
        let mut problems = Problems::default();
        if let Some(step_up) = &self.step_up {
            step_up.check(&mut problems);
            self.check_can_step_up(&mut problems);
        }
        let server = self.server.checked(self.allow_plaintext, self.use_mtls_alias, &mut problems);
        let audience = server.as_ref().map(CheckedServer::audience);
        let credentials = self.client_auth.prepare(audience.as_ref(), &mut problems);
        let request_line = checks::RequestLine { method: &self.method, body: self.body };
        request_line.check(&self.grant_type, &self.scope, &self.parameters, &credentials, &mut problems);
        let others = checks::Others {
            scope: &self.scope,
            credentials: &credentials.parameters,
            grant: self.grant.parameter_names(),
        };
        checks::parameters(&self.parameters, self.body, &others, &mut problems);
        checks::scope_and_grant_type(&self.scope, &self.grant_type, &mut problems);
        let headers = checks::headers(self.headers, credentials.header.as_ref(), &mut problems);
        let mut reader = self.reader;
        reader.token_types.check_words(&mut problems);
        checks::keep(&reader.keep, &reader.format, &mut problems);
        reader.format.check(&mut problems);
        for field in self.grant.kept_fields().iter().map(|&field| field.to_owned()) {
            if !reader.keep.contains(&field) {
                reader.keep.push(field);
            }
        }
        self.grant.problems().into_iter().for_each(|problem| problems.add(problem));
        let transport = self.transport.or_else(default_transport);
        if transport.is_none() {
            let problem =
                Problem::new("transport", "found no HTTP client for token requests").advise(Advice::set("transport"));
            problems.add(problem.advise(Advice::Feature("http-transport")));
        }
        problems.into_result("the token endpoint cannot be built")?;

        // Each of them is there, or there was a problem about it.
        let (Some(server), Some(transport)) = (server, transport) else {
            return Err(Error::config("the token endpoint has no URL or no transport", []));
        };
        let transport: Arc<dyn DynTransport> = Arc::new(Observed { transport, trace_context: self.trace_context });
        let location = server.location(self.use_mtls_alias, &transport);
        let (grant, grant_type, client_auth) = (self.grant, self.grant_type, self.client_auth);
        reader.endpoint = location.description();
        reader.presented = credentials.presented.clone();
        grant.token_types().iter().for_each(|&word| reader.token_types.accept(word.to_owned()));
        let (method, body, scope, parameters) = (self.method, self.body, self.scope, self.parameters);
        let request = RequestParts { method, body, grant, grant_type, scope, parameters, credentials, headers };
        let clock = ServerClock::new(self.max_clock_offset);
        let steps = self.step_up.map(Steps::new);
        Ok(TokenEndpoint(Arc::new(Inner { location, request, client_auth, reader, clock, steps, transport })))
    }

    /// The issuer, if it is known.
    pub(crate) fn issuer_text(&self) -> Option<&str> {
        match &self.server {
            Server::Issuer(issuer) | Server::Url { issuer: Some(issuer), .. } => Some(issuer),
            Server::Url { issuer: None, .. } => None,
        }
    }

    pub(crate) fn has_step_up(&self) -> bool {
        self.step_up.is_some()
    }

    /// Adds the `resource` parameter (RFC 8707), unless there is one.
    ///
    /// One that the user set stays: a server may know the API under another identifier.
    pub(crate) fn for_resource(self, resource: &str) -> Self {
        let has_one = self.parameters.iter().any(|(name, _)| name == "resource");
        if has_one { self } else { self.parameter("resource", resource) }
    }

    /// The transport that was set.
    pub(crate) fn own_transport(&self) -> Option<Arc<dyn DynTransport>> {
        self.transport.clone()
    }

    /// Sets the transport, unless there is one.
    ///
    /// The transport of the protected resource. It is shared, so a hundred registrations do not open a hundred pools.
    pub(crate) fn or_transport(mut self, transport: &Arc<dyn DynTransport>) -> Self {
        self.transport.get_or_insert_with(|| Arc::clone(transport));
        self
    }

    /// Reports a grant whose scope cannot grow.
    pub(crate) fn check_can_step_up(&self, problems: &mut Problems) {
        if !self.grant.can_step_up() {
            let found = "found with a refresh token, whose scope never grows (RFC 6749 section 6)";
            let advice = Advice::text("remove it, and get a new consent when the API asks for more");
            problems.add(Problem::new("step_up", found).advise(advice));
        }
    }
}

impl fmt::Debug for TokenEndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL and the names of headers are left out: they are not checked yet, and may contain credentials.
        f.debug_struct("TokenEndpointBuilder")
            .field("method", &self.method)
            .field("body", &self.body)
            .field("client_auth", &self.client_auth)
            .field("scope", &self.scope)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "http-transport")]
pub(crate) fn default_transport() -> Option<Arc<dyn DynTransport>> {
    Some(Arc::new(crate::transport::HttpTransport::shared()))
}

#[cfg(not(feature = "http-transport"))]
pub(crate) fn default_transport() -> Option<Arc<dyn DynTransport>> {
    None
}
