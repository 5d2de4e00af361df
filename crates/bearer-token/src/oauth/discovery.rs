//! Finding the token endpoint of an authorization server: by its issuer, in the server's metadata.
//!
//! An issuer is a name, and the token endpoint is an address. Discovery turns the one into the other, with a document
//! at a place that the name determines:
//!
//! ```text
//! issuer  https://as.example.com/realms/reports
//!         ├─ https://as.example.com/.well-known/oauth-authorization-server/realms/reports     RFC 8414
//!         └─ https://as.example.com/realms/reports/.well-known/openid-configuration           OpenID Connect
//!
//! checks  issuer in it == issuer, byte for byte
//!         token_endpoint (or its alias for mutual TLS): https, absolute, without a query
//! ```
//!
//! The result is cached by a [`TokenProvider`] whose "token" is the URL. All that a token's life needs (one fetch for
//! all callers, refresh in the background, cool-down after a failure) is done by model-checked code.
//!
//! | age of the metadata | a token request |
//! |---|---|
//! | up to an hour | uses the URL |
//! | an hour to a day | uses the URL, and has the metadata read in the background |
//! | more than a day | waits for the metadata |
//! | any, after a 404, 405, 410 or a broken connection | reads the metadata again, and follows the endpoint if it has moved |

use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{StatusCode, Uri};

use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
    provider::{Backoff, Policy, TokenProvider},
    source::{FetchContext, TokenSource},
    token::AccessToken,
    transport::DynTransport,
};

pub(crate) mod document;
mod issuer;
mod metadata;

pub(crate) use self::issuer::{Issuer, WELL_KNOWN};
use self::{
    document::{Absent, Owner},
    metadata::{Unusable, token_endpoint},
};

/// The age at which metadata is read again, in the background of a token request.
pub(crate) const READ_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// The age at which metadata is no longer used. Until then, token requests do not depend on its server.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The token endpoint of an issuer, from the issuer's metadata (RFC 8414, OpenID Connect Discovery 1.0).
///
/// The URL is kept by a separate provider. So it is read once for all callers, refreshed before it is too old, and read
/// at most once per cool-down while the server fails.
///
/// One per token endpoint. Endpoints of the same issuer do not share it: they may have different transports, and a
/// request per hour is not worth a registry.
pub(crate) struct Discovery {
    source: MetadataSource,
    /// Created with the platform of the first fetch.
    /// A builder has no platform yet, and the first fetch brings one.
    provider: OnceLock<TokenProvider>,
}

impl Discovery {
    pub(crate) fn new(issuer: Issuer, use_mtls_alias: bool, transport: Arc<dyn DynTransport>) -> Self {
        let known_form = Arc::new(AtomicUsize::new(0));
        let source = MetadataSource { issuer: Arc::new(issuer), use_mtls_alias, transport, known_form };
        Discovery { source, provider: OnceLock::new() }
    }

    /// Whether the endpoint for clients with a TLS certificate is preferred.
    pub(crate) fn uses_mtls_alias(&self) -> bool {
        self.source.use_mtls_alias
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.source.issuer
    }

    /// The URL of the token endpoint.
    ///
    /// If the application called `refresh_now`, or a credential has changed, the cool-down of the metadata is ignored as
    /// well.
    pub(crate) async fn url(&self, cx: &FetchContext) -> Result<Uri, Error> {
        let provider = self.provider(cx.platform())?;
        let found = match provider.token().await {
            Err(_) if cx.reason().begins_anew() => provider.refresh_now().await,
            found => found,
        };
        self.parsed(found?.secret())
    }

    /// Reads the metadata now, and returns the URL of the token endpoint.
    ///
    /// The provider's own cool-down limits how often a moved endpoint can cause this.
    pub(crate) async fn url_now(&self, cx: &FetchContext) -> Result<Uri, Error> {
        let found = self.provider(cx.platform())?.refresh_now().await?;
        self.parsed(found.secret())
    }

    /// The provider of the URL, which the first call builds. Two first fetches at the same time may both build one; the
    /// first to store it wins, and the other one is dropped unused.
    fn provider(&self, platform: &Platform) -> Result<&TokenProvider, Error> {
        if let Some(provider) = self.provider.get() {
            return Ok(provider);
        }
        // Shorter than the cool-downs of the calling provider. Otherwise that provider could get an error that is
        // already outdated.
        let policy =
            Policy::default().transient_backoff(Backoff::new(Duration::from_millis(500), Duration::from_secs(30)));
        let builder = TokenProvider::builder(self.source.clone()).policy(policy).platform(platform.clone());
        // The URL is never sent as a token. The origin only prevents the event about a provider without allowed
        // origins.
        let issuer = self.issuer();
        let builder = match issuer.is_plaintext() {
            true => builder.allow_plaintext_origin(issuer.origin()),
            false => builder.allow_origin(issuer.origin()),
        };
        let provider = builder.build()?;
        Ok(self.provider.get_or_init(|| provider))
    }

    /// The URL was checked when the metadata was read; this only turns it into a type.
    fn parsed(&self, url: &str) -> Result<Uri, Error> {
        url.parse().map_err(|_| self.source.wrong("has a token endpoint that is not a URL"))
    }
}

/// Whether a failed token request may mean that the endpoint has moved.
///
/// Refusals do not count: a server that responds with `invalid_client` is at the right address.
pub(crate) fn may_have_moved(error: &Error, status: Option<StatusCode>) -> bool {
    match status {
        Some(status) => matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE),
        None => error.kind() == ErrorKind::Transport,
    }
}

/// Reads metadata. Its token is the URL of the token endpoint.
///
/// The source behind the provider of the URL.
#[derive(Clone)]
struct MetadataSource {
    issuer: Arc<Issuer>,
    use_mtls_alias: bool,
    transport: Arc<dyn DynTransport>,
    /// The index of the form that had the metadata last.
    /// Most servers have one of the two only. Remembering which one saves a request that ends with a 404, each hour.
    known_form: Arc<AtomicUsize>,
}

impl TokenSource for MetadataSource {
    /// Tries the places in turn. An outage ends the search: a server in trouble must not decide that there is no
    /// document at its first place.
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let locations = self.issuer.metadata_locations();
        let first = self.known_form.load(Ordering::Relaxed);
        let mut nothing = None;
        let mut unusable = None;
        for index in (0..locations.len()).map(|index| (index + first) % locations.len()) {
            let Some(location) = locations.get(index) else { continue };
            let body = match document::read(&self.transport, location, self.owner(), &cx).await {
                Ok(body) => body,
                Err(Absent::Outage(error)) => return Err(error),
                Err(Absent::Nothing(error)) => {
                    nothing = nothing.or(Some(error));
                    continue;
                }
            };
            match token_endpoint(&body, &self.issuer, self.use_mtls_alias) {
                Ok(url) => {
                    self.known_form.store(index, Ordering::Relaxed);
                    return Ok(AccessToken::new(url).expires_in(LIFETIME).refresh_in(READ_AGAIN_AFTER));
                }
                Err(Unusable::Other(found)) => nothing = nothing.or(Some(self.wrong(&found))),
                Err(Unusable::Metadata(found)) => unusable = unusable.or(Some(self.wrong(&found))),
            }
        }
        // One of the two URLs often returns a page or an error. If the other returns wrong metadata, its error is
        // reported.
        Err(unusable.or(nothing).unwrap_or_else(|| self.wrong("has no location")))
    }

    fn name(&self) -> Cow<'_, str> {
        format!("metadata of {}", self.issuer.as_str()).into()
    }
}

impl MetadataSource {
    fn owner(&self) -> Owner<'_> {
        Owner {
            role: "issuer",
            name: self.issuer.as_str(),
            expected: "(RFC 8414 section 3, OpenID Connect Discovery section 4): check the issuer, or set the token \
                       endpoint's URL",
        }
    }

    fn wrong(&self, found: &str) -> Error {
        document::wrong(self.owner(), found)
    }
}
