//! Building a map of providers.

use std::{hash::Hash, sync::Arc, time::Duration};

use super::{
    Build, Inner, Keyed, KeyedProviders, bounded_map::BoundedMap, build_failures::BuildFailures,
    fetch_limit::FetchLimit,
};
use crate::{
    error::{Error, ProviderName},
    observe::{EventKind, Observer, Observers, Text},
    platform::Platform,
    problem::Problems,
    resource::{
        refusals::{RefusalTest, Refusals, ResponseHead},
        sending::Sending,
    },
    sync::AtomicU64,
};

/// The default of [`KeyedProvidersBuilder::max_providers`].
const MAX_PROVIDERS: usize = 10_000;

/// The largest bound: each entry costs kilobytes.
const LARGEST_BOUND: usize = 100_000_000;

/// Builds [`KeyedProviders`]. Everything that is wrong is reported at once, by [`build`](Self::build).
///
/// ```
/// use bearer_token::{KeyedProviders, StaticToken, TokenProvider};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let tenants = KeyedProviders::builder(|tenant: &String| {
///     Ok(TokenProvider::builder(StaticToken::new(format!("token-of-{tenant}"))).name(tenant.clone()))
/// })
/// .name("tenants")
/// .max_providers(1_000)
/// .max_idle(Duration::from_secs(3600))
/// .max_concurrent_fetches(32)
/// .build()?;
/// assert!(tenants.is_empty(), "a provider is built when its key is first used");
/// # Ok(()) }
/// ```
#[must_use]
pub struct KeyedProvidersBuilder<K> {
    build: Box<Build<K>>,
    max_providers: usize,
    max_idle: Option<Duration>,
    max_concurrent_fetches: Option<usize>,
    platform: Platform,
    sending: Option<Sending>,
    refusal_test: Option<RefusalTest>,
    name: String,
    observers: Vec<Arc<dyn Observer>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> KeyedProvidersBuilder<K> {
    pub(super) fn new(build: Box<Build<K>>) -> Self {
        KeyedProvidersBuilder {
            build,
            max_providers: MAX_PROVIDERS,
            max_idle: None,
            max_concurrent_fetches: None,
            platform: Platform::system(),
            sending: None,
            refusal_test: None,
            name: "keyed".to_owned(),
            observers: Vec::new(),
        }
    }

    /// The bound: the map never holds more providers than this. Default: 10,000.
    pub fn max_providers(mut self, number: usize) -> Self {
        self.max_providers = number;
        self
    }

    /// Evicts providers that were not used for this long. Default: only the bound evicts.
    ///
    /// New keys pay for the search: as they come, each provider is looked at twice in this time, and an unused one goes
    /// within twice this time. While no new keys come, nothing is evicted: call
    /// [`evict_idle`](KeyedProviders::evict_idle) from a timer.
    pub fn max_idle(mut self, time: Duration) -> Self {
        self.max_idle = Some(time);
        self
    }

    /// How many fetches may be in progress at the same time, over all keys. Default: any number.
    ///
    /// The time that a fetch waits counts towards its [deadline](crate::Policy::fetch_timeout). A fetch whose runtime
    /// stopped no longer counts after its deadline.
    ///
    /// A fetch that hangs takes a turn until its deadline. So if as many keys hang as there are turns, the fetches of
    /// all other keys wait, and may time out. Tokens that are in the cache are served meanwhile.
    pub fn max_concurrent_fetches(mut self, number: usize) -> Self {
        self.max_concurrent_fetches = Some(number);
        self
    }

    /// Names the map in [events](crate::observe::Event::keyed), to tell several maps apart. Default: `keyed`.
    ///
    /// Metrics count by this name, because one name for each tenant would be too many.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds an observer, which gets the events of all providers of the map. May be called several times.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Declares further responses that refuse a bearer, for the requests of all keys. An adapter with a
    /// [selector](KeyedProviders::select) uses this, and ignores the
    /// [`reject_if`](crate::TokenProviderBuilder::reject_if) of the providers.
    pub fn reject_if(mut self, refuses: impl Fn(ResponseHead<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.refusal_test = Some(Arc::new(refuses));
        self
    }

    /// Sets how the bearers of all keys are sent. It overrides the [`sending`](crate::TokenProviderBuilder::sending) of
    /// the build function.
    ///
    /// An adapter with a [selector](KeyedProviders::select) judges responses by this setting only, because it does not
    /// look up the provider.
    pub fn sending(mut self, sending: Sending) -> Self {
        self.sending = Some(sending);
        self
    }

    /// Replaces the clock that measures idle times and cool-downs of the build function. The providers have the
    /// platforms that the build function gives them; use the same one.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Builds the map, without building any provider.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config), with everything that is wrong in [`problems`](Error::problems).
    pub fn build(self) -> Result<KeyedProviders<K>, Error> {
        let mut problems = Problems::default();
        if self.max_providers == 0 {
            problems
                .push("max_providers", "found 0; expected at least 1: a map without room has no provider for any key");
        } else if self.max_providers > LARGEST_BOUND {
            let message = format!("found {}; expected at most {LARGEST_BOUND}", self.max_providers);
            problems.push("max_providers", message);
        }
        if self.max_idle == Some(Duration::ZERO) {
            problems.push("max_idle", "found zero; expected a time, or no call of it to let the bound alone evict");
        }
        if self.max_concurrent_fetches == Some(0) {
            problems.push("max_concurrent_fetches", "found 0; expected at least 1, or no call of it for any number");
        }
        if let Some(sending) = &self.sending {
            sending.form(&mut problems);
        }
        ProviderName::check(&self.name, &mut problems);
        problems.into_result("the map of providers cannot be built")?;
        let keyed = Keyed { name: self.name.into(), rules: Arc::default() };
        // Before the first provider, so counters of the map begin at zero.
        let (name, platform) = (ProviderName::given(&keyed.name), self.platform.clone());
        let observers = Observers::new(name, platform, Some(keyed.name.clone()), self.observers.clone());
        observers.tell(EventKind::Built { source: None, allowed_origins: Text(&"those of each provider") });
        let refusals = Refusals::new(self.refusal_test, self.sending.as_ref().unwrap_or(&Sending::new()));
        Ok(KeyedProviders {
            inner: Arc::new(Inner {
                build: self.build,
                map: BoundedMap::new(self.max_providers, self.max_idle),
                build_failures: BuildFailures::new(self.max_providers),
                limit: self.max_concurrent_fetches.map(FetchLimit::new),
                platform: self.platform,
                refusals,
                sending: self.sending,
                keyed,
                observers: self.observers,
                shut_down: AtomicU64::new(0),
                sends_other_headers: AtomicU64::new(0),
            }),
        })
    }
}
