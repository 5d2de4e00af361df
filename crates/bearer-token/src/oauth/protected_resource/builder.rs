//! The builder of a source for a protected resource.
//!
//! The registrations are finished token endpoints, built here with what the resource adds to each of them: the
//! `resource` parameter and the shared transport. Their problems are reported under `authorization_server[0]` and so
//! on.

use std::{fmt, sync::Arc};

use http::Method;

use super::{Inner, Lookup, ProtectedResource, Server, State, location, location::Resource, probe::Probe};
use crate::{
    error::Error,
    oauth::{
        TokenEndpointBuilder,
        endpoint::default_transport,
        step_up::{StepUp, Steps},
    },
    problem::{Advice, Problem, Problems},
    sync::Mutex,
    transport::{DynTransport, Transport},
};

/// Builds a [`ProtectedResource`].
///
/// Nothing fails before [`build`](Self::build), which reports all problems at once.
///
/// ```
/// use bearer_token::oauth::{ClientCredentials, ProtectedResource, TokenEndpoint};
///
/// # #[cfg(feature = "http-transport")] {
/// // A URL without an issuer cannot be matched with the metadata.
/// let by_url = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new());
/// let builder = ProtectedResource::builder("https://mcp.example.com/mcp").authorization_server(by_url);
/// let error = builder.build().unwrap_err();
/// assert_eq!(error.problems()[0].path(), "authorization_server[0]");
/// # }
/// ```
///
/// # Defaults
///
/// | setting | default |
/// |---|---|
/// | [`probe`](Self::probe) | `GET` of the resource |
/// | [`metadata_url`](Self::metadata_url) | from the challenge or the probe, then the well-known place |
/// | [`send_resource`](Self::send_resource) | yes |
/// | [`request_supported_scopes`](Self::request_supported_scopes) | no |
/// | [`step_up`](Self::step_up) | no steps |
#[must_use = "a builder does nothing until `build` is called"]
pub struct ProtectedResourceBuilder {
    resource: String,
    metadata_url: Option<String>,
    probe: Option<Method>,
    servers: Vec<TokenEndpointBuilder>,
    lookup: Option<Lookup>,
    sends_resource: bool,
    requests_supported_scopes: bool,
    step_up: Option<StepUp>,
    allow_plaintext: bool,
    transport: Option<Arc<dyn DynTransport>>,
}

impl ProtectedResourceBuilder {
    pub(super) fn new(resource: String) -> Self {
        ProtectedResourceBuilder {
            resource,
            metadata_url: None,
            probe: Some(Method::GET),
            servers: Vec::new(),
            lookup: None,
            sends_resource: true,
            requests_supported_scopes: false,
            step_up: None,
            allow_plaintext: false,
            transport: None,
        }
    }

    /// Trusts an authorization server. The registration has the grant and the client authentication for it.
    ///
    /// It is a [`discover`](crate::oauth::TokenEndpoint::discover) with the issuer, or a URL with an
    /// [`issuer`](TokenEndpointBuilder::issuer).
    ///
    /// May be called several times. The first one that the metadata names is used.
    ///
    /// ```
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, ProtectedResource, TokenEndpoint};
    ///
    /// // Two servers; the resource's metadata decides, and the first has precedence if it names both.
    /// let registration = |issuer: &str, id: &str| {
    ///     let auth = ClientAuth::basic(id, "client-secret");
    ///     TokenEndpoint::discover(issuer, ClientCredentials::new()).client_auth(auth)
    /// };
    /// let builder = ProtectedResource::builder("https://mcp.example.com/mcp")
    ///     .authorization_server(registration("https://as.example.com", "reports"))
    ///     .authorization_server(registration("https://as.example.org", "reports-eu"));
    /// # let _ = builder;
    /// ```
    pub fn authorization_server(mut self, registration: TokenEndpointBuilder) -> Self {
        self.servers.push(registration);
        self
    }

    /// Trusts the authorization servers for which a function returns a registration, for programs that keep their
    /// registrations elsewhere. It gets an issuer that the metadata names, after the
    /// [listed](Self::authorization_server) ones were not found.
    ///
    /// **The issuer is untrusted input.** Return a registration only if this client was registered there: its
    /// credential is sent to that server.
    ///
    /// ```
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, ProtectedResource, TokenEndpoint};
    ///
    /// # fn secret_for(issuer: &str) -> Option<String> { None }
    /// let builder = ProtectedResource::builder("https://mcp.example.com/mcp").authorization_servers(|issuer| {
    ///     let secret = secret_for(issuer)?;
    ///     let registration = TokenEndpoint::discover(issuer, ClientCredentials::new());
    ///     Some(registration.client_auth(ClientAuth::basic("client-id", secret)))
    /// });
    /// # let _ = builder;
    /// ```
    pub fn authorization_servers(
        mut self,
        find: impl Fn(&str) -> Option<TokenEndpointBuilder> + Send + Sync + 'static,
    ) -> Self {
        self.lookup = Some(Box::new(find));
        self
    }

    /// Sets where the metadata is, in place of the challenges and the well-known place. It may be at another origin.
    ///
    /// For an API whose metadata is served by a gateway elsewhere. With it, no probe is sent, and the
    /// `resource_metadata` of challenges is ignored.
    pub fn metadata_url(mut self, url: impl Into<String>) -> Self {
        self.metadata_url = Some(url.into());
        self
    }

    /// Sets the method of the request without a token, which asks where the metadata is. Default: `GET`.
    ///
    /// `POST` is for APIs that challenge nothing else. The request has an empty body and no credential.
    pub fn probe(mut self, method: Method) -> Self {
        self.probe = Some(method);
        self
    }

    /// Sends no request without a token: the metadata is at the well-known place, until a challenge says otherwise.
    ///
    /// Saves a request at start, and is right for APIs that respond to a request without a token with 200 or 404.
    pub fn no_probe(mut self) -> Self {
        self.probe = None;
        self
    }

    /// Asks for the `scopes_supported` of the metadata, if neither the registration nor a challenge names a scope.
    ///
    /// By default the authorization server decides. The Model Context Protocol demands it; but a list of all scopes is
    /// rarely what a client needs.
    pub fn request_supported_scopes(mut self) -> Self {
        self.requests_supported_scopes = true;
        self
    }

    /// Sets whether token requests name the resource (`resource`, RFC 8707). Default: yes.
    ///
    /// Without it, the token may be accepted by other APIs too. Turn it off only for a server that refuses it.
    pub fn send_resource(mut self, sends: bool) -> Self {
        self.sends_resource = sends;
        self
    }

    /// Asks for a wider scope when the API does: HTTP 403 with `insufficient_scope`. By default the caller gets the
    /// response.
    pub fn step_up(mut self, step_up: StepUp) -> Self {
        self.step_up = Some(step_up);
        self
    }

    /// Allows `http://` to hosts other than loopback, for the resource and its metadata. Registrations have a setting
    /// of their own.
    pub fn allow_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// Sets the HTTP client for the metadata, and for registrations without one of their own. Default: that of the
    /// first registration that has one, then `HttpTransport::shared()`, with the feature `http-transport`.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Builds the source.
    ///
    /// # Errors
    ///
    /// One error of kind [`Config`](crate::ErrorKind::Config) that lists all problems.
    pub fn build(self) -> Result<ProtectedResource, Error> {
        let mut problems = Problems::default();
        let resource = Resource::parse(&self.resource, self.allow_plaintext, &mut problems);
        let metadata_url = self
            .metadata_url
            .as_deref()
            .and_then(|url| location::parse("metadata_url", url, self.allow_plaintext, &mut problems));
        if let Some(method) = self.probe.as_ref().filter(|method| !PROBES.contains(method)) {
            let found = format!("found `{}`", method.as_str().escape_default());
            problems.add(Problem::new("probe", found).expecting("`GET`, `HEAD`, `OPTIONS` or `POST`"));
        }
        if let Some(step_up) = &self.step_up {
            step_up.check(&mut problems);
            self.servers.iter().for_each(|server| server.check_can_step_up(&mut problems));
        }
        if self.servers.is_empty() && self.lookup.is_none() {
            let found = "found no authorization server that is trusted";
            let problem = Problem::new("authorization_server", found).expecting("at least one, with a registration");
            problems.add(problem.advise(Advice::set("authorization_server")));
        }
        let of_registration = || self.servers.iter().find_map(TokenEndpointBuilder::own_transport);
        let transport = self.transport.or_else(of_registration).or_else(default_transport);
        if transport.is_none() {
            let problem = Problem::new("transport", "found no HTTP client").advise(Advice::set("transport"));
            problems.add(problem.advise(Advice::Feature("http-transport")));
        }
        let mut servers = Vec::new();
        for (index, server) in self.servers.into_iter().enumerate() {
            let path = format!("authorization_server[{index}]");
            let Some(issuer) = server.issuer_text().map(str::to_owned) else {
                let found = "found the URL of a token endpoint without an issuer";
                let problem = Problem::new(path, found).expecting("the issuer, by which the metadata names it");
                problems.add(problem.advise(Advice::set("issuer")));
                continue;
            };
            if server.has_step_up() {
                let problem = Problem::new(format!("{path}.step_up"), "found in a registration");
                problems.add(problem.expecting("it at the resource").advise(Advice::text("move it there")));
            }
            let server = match &transport {
                Some(transport) => finished(server, &self.resource, self.sends_resource, transport),
                None => server,
            };
            match server.build() {
                Ok(endpoint) => servers.push(Server { issuer, endpoint }),
                Err(error) => error.problems().iter().for_each(|problem| {
                    problems.add(problem.clone().at(format!("{path}.{}", problem.path())));
                }),
            }
        }
        problems.into_result("the source for a protected resource cannot be built")?;

        // Each of them is there, or there was a problem about it.
        let (Some(resource), Some(transport)) = (resource, transport) else {
            return Err(Error::config("the protected resource has no URL or no transport", []));
        };
        Ok(ProtectedResource(Arc::new(Inner {
            resource,
            metadata_url: metadata_url.map(|url| url.uri().clone()),
            probe: self.probe.map(Probe),
            servers,
            lookup: self.lookup,
            sends_resource: self.sends_resource,
            requests_supported_scopes: self.requests_supported_scopes,
            steps: self.step_up.map(Steps::new),
            transport,
            state: Mutex::new(State::default()),
        })))
    }
}

/// The methods that a probe may have: those without an effect (RFC 9110 section 9.2.1), and `POST` with an empty body.
const PROBES: [Method; 4] = [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST];

/// The registration with what all registrations of the resource share.
pub(super) fn finished(
    registration: TokenEndpointBuilder,
    resource: &str,
    sends_resource: bool,
    transport: &Arc<dyn DynTransport>,
) -> TokenEndpointBuilder {
    let registration = if sends_resource { registration.for_resource(resource) } else { registration };
    registration.or_transport(transport)
}

impl fmt::Debug for ProtectedResourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs are left out: they are not checked yet, and may contain credentials.
        f.debug_struct("ProtectedResourceBuilder").field("authorization_servers", &self.servers).finish_non_exhaustive()
    }
}
