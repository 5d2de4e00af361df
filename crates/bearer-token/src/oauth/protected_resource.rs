//! Tokens for a protected resource that says itself which authorization server it trusts (RFC 9728).
//!
//! OAuth usually begins with the client knowing its authorization server. RFC 9728 turns that round: the API says which
//! servers it trusts, so a client can use an API that it was not configured for. The danger is that the API is
//! untrusted, and must not choose which server gets the client's credential. So nothing here adds a server to the
//! user's list.
//!
//! ```text
//! challenge (401)          metadata of the resource        registration          token endpoint
//! resource_metadata=..  -> authorization_servers: [..]  -> the first one that -> discovered from its issuer,
//! or the well-known        checked: resource == ours       the user listed       resource=.. (RFC 8707)
//! place, or a probe
//! ```
//!
//! | state | until | when it ends |
//! |---|---|---|
//! | metadata is fresh | an hour after it was read | it is read again before the next token request |
//! | metadata is old | a day | used only if reading fails |
//! | a scope that a challenge asked for | the next challenge | replaced |
//! | a server from the user's function | the next lookup | replaced |

use std::{borrow::Cow, fmt, sync::Arc};

use http::Uri;
use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    oauth::{
        TokenEndpoint, TokenEndpointBuilder,
        discovery::{
            LIFETIME, READ_AGAIN_AFTER,
            document::{self, Absent, Owner},
        },
        step_up::Steps,
    },
    observe::{self, EventKind},
    platform::Moment,
    source::{ChallengeTest, FetchContext, Identity, TokenSource},
    sync::{Mutex, lock},
    token::AccessToken,
    transport::DynTransport,
};

mod builder;
mod location;
mod metadata;
mod probe;
#[cfg(test)]
mod tests;

pub use self::builder::ProtectedResourceBuilder;
use self::{
    location::Resource,
    metadata::{Metadata, Unusable},
    probe::{Hint, Probe},
};

/// A source for an API that names its authorization server itself: OAuth 2.0 Protected Resource Metadata (RFC 9728), as
/// the Model Context Protocol demands it. Clones share everything.
///
/// You list the authorization servers that you trust, each with the client's registration there. The API's metadata
/// only chooses among them. So a hostile API cannot send the client's credential anywhere.
///
/// ```
/// use bearer_token::{TokenProvider, oauth::{ClientAuth, ClientCredentials, ProtectedResource, StepUp, TokenEndpoint}};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # #[cfg(feature = "http-transport")] {
/// let registration = TokenEndpoint::discover("https://as.example.com", ClientCredentials::new())
///     .client_auth(ClientAuth::basic("client-id", "client-secret"));
/// let source = ProtectedResource::builder("https://mcp.example.com/mcp")
///     .authorization_server(registration)
///     .step_up(StepUp::at_most(3))
///     .build()?;
/// let provider = TokenProvider::builder(source).allow_origin("https://mcp.example.com").build()?;
/// # let _ = provider; }
/// # Ok(()) }
/// ```
///
/// # The way to a token
///
/// 1. **Where the metadata is.** The `resource_metadata` of the challenge that refused the last token (section 5.1).
///    Before the first token there is none: so the API is asked once without a token, by a `GET` of the resource, or as
///    [`probe`](ProtectedResourceBuilder::probe) says. If its response does not say where the metadata is, it is at the
///    well-known place (section 3.1): for `https://mcp.example.com/mcp` it is
///    `https://mcp.example.com/.well-known/oauth-protected-resource/mcp`.
/// 2. **The metadata.** Its `resource` must be the resource that you gave, byte for byte (section 3.3). It must name an
///    authorization server that you listed, and must not demand what this library does not do
///    (`bearer_methods_supported` without `header`, `dpop_bound_access_tokens_required`).
/// 3. **The authorization server.** The first one in your list that the metadata names. Its own metadata is read and
///    checked by [`TokenEndpoint::discover`].
/// 4. **The token**, by the grant and the client authentication of that registration, for this resource (`resource`,
///    RFC 8707).
///
/// The metadata is read from `https`, from the resource's own origin, without redirects and up to 128 KiB. It is read
/// again after an hour, or when a challenge names its place. If that fails, it is used for up to a day.
///
/// # The scope
///
/// The scope of the registration, if there is one. Otherwise the scope of the last challenge and, with
/// [`request_supported_scopes`](ProtectedResourceBuilder::request_supported_scopes), the `scopes_supported` of the
/// metadata. [`step_up`](ProtectedResourceBuilder::step_up) widens it when the API asks for more.
///
/// # Errors
///
/// In addition to those of the [token endpoint](TokenEndpoint#errors) and of [its metadata](TokenEndpoint::discover):
///
/// | what happened | kind | retry |
/// |---|---|---|
/// | the API was not reached | that of the transport | later |
/// | a challenge names metadata at another origin, or no URL | [`Response`](ErrorKind::Response) | after a change |
/// | the metadata is of another resource, or demands DPoP | [`Response`](ErrorKind::Response) | after a change |
/// | it names only authorization servers that are not listed | [`Response`](ErrorKind::Response) | after a change; [`server_description`](Error::server_description) has their issuers |
/// | the user's function returned another registration | [`Config`](ErrorKind::Config) | after a change |
#[derive(Clone)]
pub struct ProtectedResource(Arc<Inner>);

/// The settings of a source and what it has learned, shared by its clones. Everything but `state` is set by the
/// builder. The lock is held for copies only, never across an await or a call of user code.
struct Inner {
    resource: Resource,
    /// Where the metadata is, if the user said so.
    metadata_url: Option<Uri>,
    probe: Option<Probe>,
    servers: Vec<Server>,
    lookup: Option<Lookup>,
    sends_resource: bool,
    requests_supported_scopes: bool,
    steps: Option<Arc<Steps>>,
    transport: Arc<dyn DynTransport>,
    state: Mutex<State>,
}

/// An authorization server that the user trusts.
struct Server {
    issuer: String,
    endpoint: TokenEndpoint,
}

/// The user's function that knows further authorization servers.
type Lookup = Box<dyn Fn(&str) -> Option<TokenEndpointBuilder> + Send + Sync>;

#[derive(Default)]
struct State {
    known: Option<Known>,
    /// The scope that the last challenge asked for.
    scope: Option<String>,
    /// The last authorization server that came from the user's function.
    looked_up: Option<(String, TokenEndpoint)>,
}

/// The metadata that was read last.
///
/// The place is kept, because the next reading goes to where the last one was: a challenge comes only with a refusal.
#[derive(Clone)]
struct Known {
    location: Uri,
    metadata: Arc<Metadata>,
    read: Moment,
}

impl ProtectedResource {
    /// Starts a source with the resource identifier of the API: its URL, byte for byte as its metadata has it.
    pub fn builder(resource: impl Into<String>) -> ProtectedResourceBuilder {
        ProtectedResourceBuilder::new(resource.into())
    }

    /// The metadata to use for this fetch.
    ///
    /// Decides between what is known and reading anew. A challenge that names the place has it read again, because an
    /// API that moved its metadata says so in this way only. An outage while old metadata is usable is an event and not
    /// an error.
    async fn metadata(&self, hint: &Hint, cx: &FetchContext) -> Result<Arc<Metadata>, Error> {
        let inner = &*self.0;
        let known = lock(&inner.state).known.clone();
        let named = match (&inner.metadata_url, &hint.location) {
            (None, Some(text)) => Some(inner.resource.metadata_named_by_challenge(text)?),
            _ => None,
        };
        if let Some(known) = &known {
            let is_recent = match &named {
                None => !known.read.after(READ_AGAIN_AFTER).is_past(cx.started()),
                // Once per fetch, although a shared one asks several times.
                Some(named) => *named == known.location && known.read.monotonic() == cx.started().monotonic(),
            };
            if is_recent {
                return Ok(Arc::clone(&known.metadata));
            }
        }
        let (error, is_outage) = match self.read(named, known.as_ref(), cx).await {
            Ok(metadata) => return Ok(metadata),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Outage(error)) => (error, true),
            Err(Failure::Nothing(error)) => (error, false),
        };
        let still = known.filter(|known| !known.read.after(LIFETIME).is_past(cx.started()));
        match still {
            // A server that moved its metadata is asked again with the next challenge.
            Some(known) if is_outage || hint.location.is_none() => {
                observe::tell(EventKind::ResourceMetadataKept { resource: inner.resource.origin(), error: &error });
                Ok(known.metadata)
            }
            _ => Err(error),
        }
    }

    /// Finds the place, reads the document and checks it. The order of places is: the challenge's, the user's, the last
    /// one, the one that a probe finds, the well-known one.
    async fn read(
        &self,
        named: Option<Uri>,
        known: Option<&Known>,
        cx: &FetchContext,
    ) -> Result<Arc<Metadata>, Failure> {
        let inner = &*self.0;
        let mut location = named.or_else(|| inner.metadata_url.clone());
        location = location.or_else(|| known.map(|known| known.location.clone()));
        if location.is_none()
            && let Some(probe) = &inner.probe
        {
            let hint = probe.ask(&inner.resource, &inner.transport, cx).await.map_err(Failure::Outage)?;
            if let Some(scope) = hint.scope {
                lock(&inner.state).scope = Some(scope);
            }
            if let Some(text) = hint.location {
                location = Some(inner.resource.metadata_named_by_challenge(&text).map_err(Failure::Final)?);
            }
        }
        let location = location.unwrap_or_else(|| inner.resource.well_known().clone());
        let body =
            document::read(&inner.transport, &location, self.owner(), cx).await.map_err(|absent| match absent {
                Absent::Outage(error) => Failure::Outage(error),
                Absent::Nothing(error) => Failure::Nothing(error),
            })?;
        let metadata = Metadata::read(&body, inner.resource.as_str()).map_err(|unusable| match unusable {
            Unusable::Other(found) => Failure::Nothing(document::wrong(self.owner(), &found)),
            Unusable::Metadata(found) => Failure::Final(document::wrong(self.owner(), &found)),
        })?;
        let metadata = Arc::new(metadata);
        let known = Known { location, metadata: Arc::clone(&metadata), read: cx.started() };
        lock(&inner.state).known = Some(known);
        Ok(metadata)
    }

    /// The authorization server that the metadata names and the user trusts.
    ///
    /// The user's order counts, not the API's, because the user knows which server is preferred. A result of the user's
    /// function is remembered until the metadata names another server: building an endpoint for each token would lose
    /// its caches.
    fn endpoint(&self, metadata: &Metadata) -> Result<(String, TokenEndpoint), Error> {
        let inner = &*self.0;
        let named = &metadata.authorization_servers;
        if let Some(server) = inner.servers.iter().find(|server| named.contains(&server.issuer)) {
            return Ok((server.issuer.clone(), server.endpoint.clone()));
        }
        let Some(lookup) = &inner.lookup else { return Err(self.untrusted(metadata)) };
        if let Some(known) = &lock(&inner.state).looked_up
            && named.contains(&known.0)
        {
            return Ok(known.clone());
        }
        // The lock is not held while the user's function runs.
        let found = named.iter().find_map(|issuer| Some((issuer, lookup(issuer)?)));
        let Some((issuer, builder)) = found else { return Err(self.untrusted(metadata)) };
        let refused = |found: &str| Error::config(format!("the function that finds authorization servers {found}"), []);
        if builder.issuer_text() != Some(issuer.as_str()) {
            return Err(refused(
                "returned a registration for another issuer; expected the issuer that it was asked for",
            ));
        }
        let endpoint = inner.finished(builder).build().map_err(|error| {
            let message = format!("the function that finds authorization servers returned an unusable one: {error}");
            error.with_context(message)
        })?;
        let known = (issuer.clone(), endpoint);
        lock(&inner.state).looked_up = Some(known.clone());
        Ok(known)
    }

    /// Which servers the metadata names is kept out of the message, because the API may put anything there.
    ///
    /// The issuers are in the server's description, which is shown on request only.
    fn untrusted(&self, metadata: &Metadata) -> Error {
        let inner = &*self.0;
        let named = &metadata.authorization_servers;
        let bare = |issuer: &str| issuer.trim_end_matches('/').to_owned();
        let differs_by_slash =
            inner.servers.iter().any(|server| named.iter().any(|issuer| bare(issuer) == bare(&server.issuer)));
        let what = match differs_by_slash {
            true => "one of them differs by a slash at the end only: write the issuer as the metadata does",
            false => {
                "if you trust one of them, add it with `.authorization_server(..)`, or set it as \
                 `token_endpoint.issuer`; `server_description` has their names"
            }
        };
        let found = format!(
            "names {} authorization server(s), and none is among the {} that are trusted: {what}",
            named.len(),
            inner.servers.len()
        );
        document::wrong(self.owner(), &found).with_server_description(Some(named.join(" ")))
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            role: "resource",
            name: self.0.resource.shown(),
            expected: "(RFC 9728 section 3): check the resource identifier, or set the metadata's URL",
        }
    }
}

impl Inner {
    /// The token endpoint of one registration.
    fn finished(&self, builder: TokenEndpointBuilder) -> TokenEndpointBuilder {
        builder::finished(builder, self.resource.as_str(), self.sends_resource, &self.transport)
    }
}

/// Why there is no metadata.
///
/// Distinguishes "try what you knew" from "do not use what you knew". Metadata that names another resource must stop a
/// client even if older metadata was fine.
enum Failure {
    Outage(Error),
    Nothing(Error),
    /// There is metadata that must not be used, nor may older metadata.
    Final(Error),
}

/// What one fetch asks for: at which authorization server, and with which scope.
struct Plan {
    issuer: String,
    endpoint: TokenEndpoint,
    scope: Option<String>,
}

impl ProtectedResource {
    async fn plan(&self, cx: &FetchContext) -> Result<Plan, Error> {
        let inner = &*self.0;
        let hint = Hint::of(cx.challenges());
        if let Some(scope) = &hint.scope {
            lock(&inner.state).scope = Some(scope.clone());
        }
        let metadata = self.metadata(&hint, cx).await?;
        let (issuer, endpoint) = self.endpoint(&metadata)?;
        let supported = Some(&metadata.scopes_supported).filter(|_| inner.requests_supported_scopes);
        let asked = lock(&inner.state).scope.clone();
        let scope = asked.or_else(|| supported.map(|words| words.join(" ")));
        Ok(Plan { issuer, endpoint, scope })
    }
}

impl TokenSource for ProtectedResource {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let Plan { endpoint, scope, .. } = self.plan(&cx).await?;
        endpoint.fetch_for(&cx, scope.as_deref(), self.0.steps.as_deref()).await
    }

    fn has_changed(&self) -> bool {
        let looked_up = lock(&self.0.state).looked_up.as_ref().map(|(_, endpoint)| endpoint.clone());
        let mut endpoints = self.0.servers.iter().map(|server| &server.endpoint).chain(&looked_up);
        endpoints.any(TokenSource::has_changed)
    }

    /// The origin of the resource.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0.resource.origin())
    }

    fn challenge_test(&self) -> Option<ChallengeTest> {
        self.0.steps.as_ref().map(Steps::test)
    }

    /// The resource, each registration, and what the metadata and the challenges made of them. So the metadata is read
    /// before a shared token is looked up.
    fn identity(&self, identity: &mut Identity) {
        let Inner { resource, servers, lookup, steps, .. } = &*self.0;
        identity.text("protected_resource", resource.as_str());
        for server in servers {
            server.endpoint.identity(identity);
        }
        if lookup.is_some() {
            identity.unknown("authorization_servers");
        }
        if let Some(steps) = steps {
            steps.identity(identity);
        }
        let source = self.clone();
        identity.looked_up("plan", move |cx| {
            let source = source.clone();
            Box::pin(async move {
                let Plan { issuer, endpoint, scope } = source.plan(&cx).await?;
                let mut words: Vec<_> = endpoint.usual_scope(scope.as_deref()).split(' ').collect();
                words.sort_unstable();
                // An issuer is a URL, and has no space.
                Ok(Zeroizing::new(format!("{issuer} {}", words.join(" ")).into_bytes()))
            })
        });
    }
}

impl fmt::Debug for ProtectedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<_> = self.0.servers.iter().map(|server| &server.issuer).collect();
        f.debug_struct("ProtectedResource")
            .field("resource", &self.0.resource.shown())
            .field("authorization_servers", &issuers)
            .finish_non_exhaustive()
    }
}

/// The error for a challenge whose location of the metadata must not be used.
///
/// The URL itself is not repeated: it is the API's word, and may be anything.
fn unusable_challenge(resource: &str, found: &str) -> Error {
    let message = format!("the API at {resource} sent a challenge whose `resource_metadata` {found}");
    Error::new(ErrorKind::Response, message).with_retry(Retry::AfterChange)
}
