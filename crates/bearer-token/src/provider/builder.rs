//! Building a provider.

use std::sync::{Arc, Weak};

use super::{Inner, TokenProvider};
use crate::{
    error::Error,
    platform::Platform,
    problem::Problems,
    provider::{
        cache::Cache,
        keyed::fetch_limit::{FetchLimit, Limited},
        policy::Policy,
        ticket::ProviderId,
    },
    resource::origin::Origins,
    source::{DynTokenSource, TokenSource},
    sync::AtomicU64,
};

/// Builds a [`TokenProvider`]. Whatever is wrong is reported at once, by [`build`](Self::build).
#[must_use]
pub struct TokenProviderBuilder {
    source: Arc<dyn DynTokenSource>,
    policy: Policy,
    platform: Platform,
    allowed: Vec<(String, bool)>,
    any_https: bool,
    refuse_others: bool,
    connection: Option<String>,
    problems: Problems,
}

impl TokenProviderBuilder {
    pub(super) fn new(source: impl TokenSource) -> Self {
        TokenProviderBuilder {
            source: Arc::new(source),
            policy: Policy::default(),
            platform: Platform::system(),
            allowed: Vec::new(),
            any_https: false,
            refuse_others: false,
            connection: None,
            problems: Problems::default(),
        }
    }

    /// Allows tokens to be sent to this origin: `https://api.example.com`, with a port if it is not the usual one.
    /// May be called several times. `http` is accepted for loopback only.
    ///
    /// Requests to other https origins go out without a token, so that a redirect to a file store, say, works and
    /// leaks nothing. Without any allowed origin, only loopback and URIs without authority (tonic behind a channel)
    /// are authorized, and all other requests are refused with an error.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed.push((origin.into(), false));
        self
    }

    /// Allows tokens to be sent to this origin in the clear. RFC 6750 section 5.3 forbids it: for networks that you
    /// trust with your tokens, such as the one between a service and its sidecar.
    pub fn allow_plaintext_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed.push((origin.into(), true));
        self
    }

    /// Allows tokens to be sent anywhere under https. Then a redirect takes the token along wherever it leads.
    pub fn allow_any_https_origin(mut self) -> Self {
        self.any_https = true;
        self
    }

    /// Refuses requests to other than the allowed origins, with an error, instead of sending them without a token.
    pub fn refuse_other_origins(mut self) -> Self {
        self.refuse_others = true;
        self
    }

    /// Declares which origin is behind URIs without authority, as tonic's channel has them where a layer sees them.
    /// It must be an allowed one, and [`build`](Self::build) says so if it is not; undeclared, such requests are
    /// authorized.
    pub fn connection_origin(mut self, origin: impl Into<String>) -> Self {
        self.connection = Some(origin.into());
        self
    }

    /// Replaces the numbers behind caching, refreshing and backing off.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Replaces the clock, the randomness or the spawner.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Lets fetches wait for their turn.
    pub(super) fn fetch_limit(mut self, limit: Arc<FetchLimit>) -> Self {
        self.source = Arc::new(Limited { source: self.source, limit });
        self
    }

    /// What is wrong already; reported together with the rest.
    #[cfg(feature = "config")]
    pub(crate) fn problems(mut self, problems: Problems) -> Self {
        self.problems = problems;
        self
    }

    /// Builds the provider. Fetches nothing.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config), with everything that is wrong in
    /// [`problems`](Error::problems).
    pub fn build(self) -> Result<TokenProvider, Error> {
        let mut problems = self.problems;
        let mut origins = Origins::default();
        for (origin, plaintext) in &self.allowed {
            let method = if *plaintext { "allow_plaintext_origin" } else { "allow_origin" };
            origins.allow(origin, *plaintext, method, &mut problems);
        }
        if self.any_https {
            origins.allow_any_https();
        }
        if self.refuse_others {
            origins.refuse_others();
        }
        if let Some(connection) = &self.connection {
            origins.connection(connection, &mut problems);
        }
        // Not where an allowed origin could not be read: then it may be the very one.
        if problems.is_empty() {
            origins.check_connection(&mut problems);
        }
        self.policy.check(&mut problems);
        problems.into_result("the token provider cannot be built")?;

        let inner = Arc::new_cyclic(|weak: &Weak<Inner>| Inner {
            id: ProviderId::enter(weak.clone()),
            cache: Cache::new(self.policy),
            origins,
            platform: self.platform,
            source: self.source,
            ask_from: AtomicU64::new(0),
        });
        Ok(TokenProvider { inner })
    }
}
