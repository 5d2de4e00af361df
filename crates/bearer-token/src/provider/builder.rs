//! Building a provider.
//!
//! The setters only keep what they get. Everything is checked at [`build`](TokenProviderBuilder::build), together, so a
//! user corrects a configuration once and not line by line. Problems are named by the method that was called, with an
//! index where it may be called several times (`allow_origin[1]`).

use std::sync::{Arc, Weak};

use super::{Inner, TokenProvider};
use crate::{
    error::{Error, ProviderName},
    observe::{EventKind, FirstTimes, Observer, Observers, Text},
    platform::Platform,
    problem::{Problem, Problems},
    provider::{
        cache::Cache,
        keyed::{
            Keyed,
            fetch_limit::{FetchLimit, Limited},
        },
        policy::Policy,
        ticket::ProviderId,
    },
    resource::{
        origins::Origins,
        refusals::{RefusalTest, Refusals, ResponseHead},
        sending::{HeaderForm, Sending},
    },
    source::{DynTokenSource, TokenSource, Waits},
    sync::AtomicU64,
};

/// Builds a [`TokenProvider`]. Whatever is wrong is reported at once, by [`build`](Self::build).
///
/// ```
/// use bearer_token::{Policy, StaticToken, TokenProvider};
/// use std::time::Duration;
///
/// let error = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
///     .allow_origin("api.example.com")
///     .allow_origin("http://api.example.com")
///     .policy(Policy::default().fetch_timeout(Duration::ZERO))
///     .build()
///     .unwrap_err();
/// let paths: Vec<&str> = error.problems().iter().map(|problem| problem.path()).collect();
/// assert_eq!(paths, ["allow_origin[0]", "allow_origin[1]", "policy.fetch_timeout"]);
/// ```
///
/// | setting | default |
/// |---|---|
/// | [`allow_origin`](Self::allow_origin) | none: only loopback, and URIs without authority |
/// | [`name`](Self::name) | what the source suggests |
/// | [`policy`](Self::policy) | [`Policy::default`] |
/// | [`sending`](Self::sending) | `Authorization: Bearer`; refusals by 401 and gRPC status 16 |
/// | [`platform`](Self::platform) | the operating system, and the tokio runtime that is current |
/// | [`observer`](Self::observer) | none; with feature `tracing`, events are recorded anyway |
#[must_use]
pub struct TokenProviderBuilder {
    source: Arc<dyn DynTokenSource>,
    policy: Policy,
    platform: Platform,
    allowed: Vec<(String, bool)>,
    any_https: bool,
    refuse_others: bool,
    connection: Option<String>,
    name: Option<String>,
    keyed: Option<Keyed>,
    observers: Vec<Arc<dyn Observer>>,
    sending: Sending,
    refusal_test: Option<RefusalTest>,
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
            name: None,
            keyed: None,
            observers: Vec::new(),
            sending: Sending::new(),
            refusal_test: None,
            problems: Problems::default(),
        }
    }

    /// Allows tokens to be sent to this origin: `https://api.example.com`, with a port if it is not the usual one.
    /// May be called several times. `http` is accepted for loopback only.
    ///
    /// Requests to other https origins go out without a token. So a redirect to a file store, for example, works and
    /// leaks nothing. Without any allowed origin, only loopback and URIs without authority (tonic behind a channel) are
    /// authorized, and all other requests are refused with an error.
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

    /// Allows tokens to be sent to every https origin. A redirect then sends the token to wherever it points.
    pub fn allow_any_https_origin(mut self) -> Self {
        self.any_https = true;
        self
    }

    /// Refuses requests to other than the allowed origins, with an error, instead of sending them without a token.
    pub fn refuse_other_origins(mut self) -> Self {
        self.refuse_others = true;
        self
    }

    /// Declares which origin is behind URIs without authority, which a layer around tonic's channel sees, for example.
    ///
    /// It must be an allowed origin; otherwise [`build`](Self::build) fails. Without this method, and with an allowed
    /// origin, such requests are refused: the provider cannot know where they go. If no origin is allowed at all, they
    /// are authorized.
    pub fn connection_origin(mut self, origin: impl Into<String>) -> Self {
        self.connection = Some(origin.into());
        self
    }

    /// Names the provider in errors, events and [status](TokenProvider::status), to tell several providers apart.
    /// Default: what the source [suggests](TokenSource::name).
    ///
    /// Error messages begin with a name that was given here: `billing: the token endpoint refused ..`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds an observer, which gets the events of the provider and of its source. May be called several times.
    ///
    /// ```
    /// use bearer_token::{StaticToken, TokenProvider, observe::{Event, Observer}};
    /// use std::sync::Arc;
    ///
    /// struct Log;
    ///
    /// impl Observer for Log {
    ///     fn on_event(&self, event: &Event<'_>) {
    ///         println!("{event:?}");
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
    ///     .name("billing")
    ///     .observer(Log)
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Makes the provider one of a map, whose observers get its events too.
    pub(super) fn keyed(mut self, keyed: Keyed, observers: &[Arc<dyn Observer>]) -> Self {
        self.keyed = Some(keyed);
        self.observers.extend_from_slice(observers);
        self
    }

    /// Declares which other responses refuse the bearer, for APIs with refusals of their own. For statuses and error
    /// codes alone, use [`Sending`].
    ///
    /// HTTP 401 and gRPC status 16 refuse it anyway ([details](crate::adapter::is_rejection)). The function is called
    /// for every response to a request that carried a bearer: keep it cheap. It sees the status and the headers, or the
    /// trailers where an adapter watches them. A response that it recognises is treated like a 401: one renewal for
    /// each bearer, subject to the [backoff](Policy::rejection_backoff).
    ///
    /// ```
    /// # use bearer_token::{StaticToken, TokenProvider};
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// // ArcGIS: 498. Salesforce: 403 with a text of its own in a header of the gateway.
    /// let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
    ///     .allow_origin("https://api.example.com")
    ///     .reject_if(|response| {
    ///         response.status().as_u16() == 498
    ///             || response.headers().get("x-error").is_some_and(|code| code == "Bad_OAuth_Token")
    ///     })
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    ///
    /// A refusal that only the body shows must be reported by the caller: the adapters' `expose_ticket` puts the
    /// [`Ticket`](crate::Ticket) into the extensions of the response.
    pub fn reject_if(mut self, refuses: impl Fn(ResponseHead<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.refusal_test = Some(Arc::new(refuses));
        self
    }

    /// Sets how bearers are sent: header, scheme, further headers, and which responses refuse them. Default:
    /// `Authorization: Bearer <token>`.
    pub fn sending(mut self, sending: Sending) -> Self {
        self.sending = sending;
        self
    }

    /// Replaces the numbers behind caching, refreshing and backing off. The defaults fit nearly every service.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Replaces the clock, the randomness or the spawner. For tests, and to run fetches on a runtime of your choice.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Lets fetches wait for their turn.
    pub(super) fn fetch_limit(mut self, limit: FetchLimit) -> Self {
        self.source = Arc::new(Limited { source: self.source, limit });
        self
    }

    /// Reports a problem that was found elsewhere, such as in a configuration file. [`build`](Self::build) fails then,
    /// and lists it among the others.
    pub fn problem(mut self, problem: Problem) -> Self {
        self.problems.add(problem);
        self
    }

    /// Everything that [`build`](Self::build) would report, without building.
    ///
    /// For code that reports it in other names, such as those of a configuration file.
    pub fn problems(&self) -> Vec<Problem> {
        self.check().2.into_vec()
    }

    /// Builds the provider. Fetches nothing.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config), with everything that is wrong in
    /// [`problems`](Error::problems).
    pub fn build(self) -> Result<TokenProvider, Error> {
        let (origins, form, problems) = self.check();
        let name = match &self.name {
            Some(name) => ProviderName::given(name),
            None => ProviderName::suggested(&self.source.name()),
        };
        problems.into_result("the token provider cannot be built").map_err(|error| error.with_provider(&name))?;

        let keyed = self.keyed.as_ref().map(|keyed| keyed.name.clone());
        let observers = Observers::new(name.clone(), self.platform.clone(), keyed, self.observers);
        observers.tell(EventKind::Built { source: Some(&self.source.name()), allowed_origins: Text(&origins) });
        if !origins.is_any_allowed() {
            observers.tell(EventKind::NoOriginAllowed {});
        }
        let challenge_test = self.source.challenge_test();
        let origins = match &self.keyed {
            Some(keyed) => keyed.rules.shared(origins),
            None => Arc::new(origins),
        };
        let (origins, counted) = match observers.counts_reads() {
            true => (Arc::new(Origins::asked_elsewhere()), Some(origins)),
            false => (origins, None),
        };
        let cache = match &self.keyed {
            Some(_) => Cache::of_many(self.policy),
            None => Cache::new(self.policy),
        };
        let inner = Arc::new_cyclic(|weak: &Weak<Inner>| Inner {
            origins,
            form: Arc::new(form),
            clock: self.platform.clock(),
            cache,
            id: ProviderId::enter(weak.clone()),
            counted,
            platform: self.platform,
            source: self.source,
            name,
            observers,
            refusals: Refusals::new(self.refusal_test, &self.sending),
            challenge_test,
            settling_time: self.sending.settling_time(),
            passed: FirstTimes::new(),
            ask_from: AtomicU64::new(0),
            waits: Waits::default(),
        });
        Ok(TokenProvider { inner })
    }

    /// What was set, as it is used, and everything that is wrong with it.
    fn check(&self) -> (Origins, HeaderForm, Problems) {
        let mut problems = self.problems.clone();
        let mut origins = Origins::default();
        let mut calls = [0; 2];
        for (origin, plaintext) in &self.allowed {
            // Each method may be called several times: the first call has the index 0.
            let call = &mut calls[usize::from(*plaintext)];
            let method = if *plaintext { "allow_plaintext_origin" } else { "allow_origin" };
            origins.allow(origin, *plaintext, &format!("{method}[{call}]"), &mut problems);
            *call += 1;
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
        // If an allowed origin could not be read, it may be that of the connection.
        if problems.is_empty() {
            origins.check_connection(&mut problems);
        }
        let form = self.sending.form(&mut problems);
        self.policy.check(&mut problems);
        if let Some(name) = &self.name {
            ProviderName::check(name, &mut problems);
        }
        (origins, form, problems)
    }
}
