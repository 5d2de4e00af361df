//! A provider for each key: tenants, audiences, users or hosts that each need a token of their own.
//!
//! ```text
//! request --> selector: which key? --> bounded map --- found ---> provider --> header
//!                                          |
//!                                          | not found
//!                                          v
//!                       failed build? --------- yes ---> its error, until its cool-down ends
//!                                          | no
//!                                          v
//!                       build function (user code, outside of any lock)
//!                                          |
//!                       a place in the map, perhaps by evicting one that was not used lately
//! ```
//!
//! | part | has |
//! |---|---|
//! | `select` | the choice by a request's head, and the trait that adapters are written for |
//! | `bounded_map` | a map that is read without waiting, never exceeds its bound, and evicts nothing in use |
//! | `first_use` | what a key without a provider costs: the build function, and a place in the map |
//! | `build_failures`, `forgotten` | errors of the build function; what outlives an entry |
//! | `fetch_limit` | a limit on fetches of all keys together |
//! | `warm_up`, `status` | operating all of it |

use std::{
    borrow::Borrow,
    fmt,
    hash::Hash,
    sync::{Arc, Weak},
};

use http::{HeaderMap, Request};

use self::{
    bounded_map::{BoundedMap, Entry, Missed},
    build_failures::BuildFailures,
    fetch_limit::FetchLimit,
    first_use::last_words,
};
use crate::{
    PassThrough,
    error::Error,
    observe::Observer,
    platform::{Moment, Platform},
    provider::{
        Authorized, ProviderStatus, TokenFuture, TokenProvider, TokenProviderBuilder,
        cache::{Copied, Copies, Failure},
    },
    resource::{origins::SharedOrigins, refusals::Refusals, sending::Sending},
    sync::{AtomicU64, Ordering},
    token::Rejection,
};

mod bounded_map;
mod build_failures;
mod builder;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod copies_tests;
pub(super) mod fetch_limit;
mod first_use;
mod forgotten;
#[cfg(test)]
#[cfg(bearer_loom)]
mod model_tests;
mod select;
mod status;
mod warm_up;

pub use self::{
    builder::KeyedProvidersBuilder,
    select::{Authorize, ClientRequest, Select, Selected},
    status::KeyedStatus,
};

/// A bounded map of providers: one for each key, built on first use. A clone shares everything.
///
/// Each key has a provider of its own, with its own cache, its own flight and its own cool-down. A hung or failing
/// authorization server of one key delays no other key, unless fetches are [capped](
/// KeyedProvidersBuilder::max_concurrent_fetches) and hung ones take all turns. The map is bounded. When it is full, a
/// new key takes the place of one that was not used lately.
///
/// ```
/// use bearer_token::{AccessToken, FetchContext, KeyedProviders, TokenProvider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// let tenants = KeyedProviders::builder(|tenant: &String| {
///     let tenant = tenant.clone();
///     let source = move |_cx: FetchContext| {
///         let token = format!("token-of-{tenant}");
///         async move { Ok(AccessToken::new(token)) }
///     };
///     Ok(TokenProvider::builder(source).allow_origin("https://api.example.com"))
/// })
/// .max_providers(10_000)
/// .build()?;
///
/// let bearer = tenants.get("acme")?.token().await?;
/// assert_eq!(bearer.secret(), "token-of-acme");
/// # Ok(()) }
/// ```
///
/// # The key
///
/// The key must hold everything that changes the token: tenant, user, audience, resource, scope. If something is
/// missing from it, callers share a token by mistake: all of them get the first caller's. Use a struct or a tuple, not
/// a formatted string.
///
/// # What is evicted, and what is not
///
/// - A provider with a fetch in progress, or of which a clone exists outside of the map, is never evicted.
/// - The cool-down of a failing key survives its eviction. So failing tenants cause no more token requests than their
///   cool-downs allow. They are remembered for up to twice the bound of keys; failed builds are not counted among these.
/// - If every provider of a full map is in use, a new key gets an error that says so.
///
/// # A hostile client that invents keys
///
/// Each unknown key costs one call of the build function and, until it is evicted, one provider. Check a key before
/// it gets here: look the tenant up, or return an error from the build function. An error is remembered for as long as
/// a failed fetch would be, and takes no place in the map. The errors of the latest keys are remembered, of up to twice
/// the bound.
pub struct KeyedProviders<K> {
    inner: Arc<Inner<K>>,
}

type Build<K> = dyn Fn(&K) -> Result<TokenProviderBuilder, Error> + Send + Sync;

struct Inner<K> {
    build: Box<Build<K>>,
    /// With the cool-downs of providers that were evicted.
    map: BoundedMap<K, TokenProvider, Arc<Failure>>,
    build_failures: BuildFailures<K>,
    limit: Option<FetchLimit>,
    platform: Platform,
    refusals: Refusals,
    sending: Option<Sending>,
    keyed: Keyed,
    observers: Vec<Arc<dyn Observer>>,
    /// 1 once the map was shut down.
    shut_down: AtomicU64,
    /// 1 once a provider was built that sends other headers than `Authorization`.
    sends_other_headers: AtomicU64,
}

/// What the providers of a map have in common.
#[derive(Clone)]
pub(super) struct Keyed {
    pub(super) name: Arc<str>,
    /// The rules about origins, of which there are usually fewer than providers.
    pub(super) rules: Arc<SharedOrigins>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> KeyedProviders<K> {
    /// Starts building a map. The function builds the provider of a key when the key is first used.
    ///
    /// It is called outside of any lock and may use this map for other keys. It may be called by several callers for
    /// the same key at the same time: the first provider is kept, and the others are dropped before they fetch
    /// anything.
    pub fn builder(
        build: impl Fn(&K) -> Result<TokenProviderBuilder, Error> + Send + Sync + 'static,
    ) -> KeyedProvidersBuilder<K> {
        KeyedProvidersBuilder::new(Box::new(build))
    }

    /// The provider of a key, built now if there is none. While you hold it, it is not evicted.
    ///
    /// # Errors
    ///
    /// The error of the build function, or the one remembered from its last call for this key, or that the map is
    /// [full](KeyedProvidersBuilder::max_providers), or that it was [shut down](Self::shut_down).
    pub fn get<Q>(&self, key: &Q) -> Result<TokenProvider, Error>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.inner.map.get(key) {
            Some(provider) => Ok(provider),
            None => self.inner.build(key),
        }
    }

    /// Puts the bearer of a key into a request, like [`TokenProvider::authorize`], but without counting a reference to
    /// its provider. Use it for requests that are sent at a high rate.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get) and of [`TokenProvider::authorize`].
    #[inline]
    pub fn authorize<Q, B>(&self, key: &Q, request: &mut Request<B>) -> Result<Authorized, Error>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if request.extensions().get::<PassThrough>().is_some() {
            return Ok(Authorized::Passed);
        }
        let map = &self.inner.map;
        let hash = map.hash(key);
        let mut front = map.front(hash, key);
        if let Ok(front) = &mut front
            && let Some((entry, copied)) = front.parts()
        {
            return authorize_in_place(entry, |provider| provider.authorize_only(request, Some(copied)));
        }
        let table = map.load(hash);
        let Some(entry) = table.find(key) else { return self.get(key)?.authorize(request) };
        if matches!(front, Err(Missed::Often)) {
            map.admit(entry);
        }
        let mut copied = entry.copied();
        authorize_in_place(entry, |provider| provider.authorize_only(request, copied.as_deref_mut()))
    }

    /// Waits for a usable bearer of a key, like [`TokenProvider::token`].
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get); the future's are those of [`TokenProvider::token`].
    pub fn token<Q>(&self, key: &Q) -> Result<TokenFuture, Error>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        Ok(self.get(key)?.token())
    }

    /// How many providers there are.
    pub fn len(&self) -> usize {
        self.inner.map.len()
    }

    /// Whether there are no providers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rejects the bearer in service of every key, for example after a leak. Returns how many are being renewed.
    ///
    /// Each rejection starts a fetch: see [`max_concurrent_fetches`](KeyedProvidersBuilder::max_concurrent_fetches).
    pub fn reject_all(&self) -> usize {
        let mut renewing = 0;
        self.inner.map.for_each(|_, provider| {
            let rejection = provider.cached().map(|bearer| bearer.ticket().reject(&HeaderMap::new()));
            renewing += usize::from(rejection == Some(Rejection::Renewing));
        });
        renewing
    }

    /// Keeps only the providers for which `keep` returns true.
    ///
    /// Clones outside of the map continue to work. A key that is used again gets a new provider, which continues the
    /// cool-down of the old one.
    pub fn retain(&self, mut keep: impl FnMut(&K, &ProviderStatus) -> bool) {
        let now = self.inner.platform.now();
        let last_words = |provider: &TokenProvider| last_words(provider, now);
        self.inner.map.retain(|key, provider| keep(key, &provider.status()), last_words);
    }

    /// Removes the provider of a key, and what is remembered of its failures: for a tenant that left, or one whose
    /// credential was replaced. Returns whether there was a provider.
    ///
    /// A provider of this key that is being built at the same time may be made from the old credential. It is dropped,
    /// and the build function is called again. If the key is removed during eight calls in a row, the provider of the
    /// last one is kept.
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let provider = self.inner.map.remove(key);
        self.inner.build_failures.forget(self.inner.map.hash(key), key);
        provider.is_some()
    }

    /// Evicts the providers that were not used for the [idle time](KeyedProvidersBuilder::max_idle).
    ///
    /// A provider does not note when it was used, only that it was. Its idle time begins with the first call of this
    /// after its last use, and the first call after the idle time evicts it. New keys do the same work for a part of
    /// the map. Where they are rare, call this from a timer: twice in the idle time is enough.
    pub fn evict_idle(&self) {
        let now = self.inner.platform.now();
        self.inner.map.sweep_all(now, |provider| last_words(provider, now));
    }

    /// Removes all providers, and refuses every key from now on. Clones outside of the map continue to work.
    pub fn shut_down(&self) {
        self.inner.shut_down.store(1, Ordering::Relaxed);
        self.inner.map.clear();
        self.inner.build_failures.clear();
    }
}

/// Authorizes by a provider that stays in the map: no reference to it is counted, unless a refresh is due.
#[inline]
fn authorize_in_place<K>(
    entry: &Entry<K, TokenProvider>,
    authorize: impl FnOnce(&TokenProvider) -> Result<(Authorized, Option<Moment>), Error>,
) -> Result<Authorized, Error> {
    let (authorized, stale_at) = authorize(entry.value())?;
    // Pinned, because it could be evicted before its flight begins.
    if let Some(now) = stale_at
        && let Some(provider) = entry.pin()
    {
        provider.inner.refresh(now);
    }
    Ok(authorized)
}

impl bounded_map::Pinned for TokenProvider {
    type Copied = Copied;

    fn copied_by(&self, copies: Weak<dyn Copies>) {
        self.inner.cache.copied_by(copies);
    }

    fn is_in_use(&self, now: Moment) -> bool {
        Arc::strong_count(&self.inner) > 1 || self.inner.cache.is_fetching(now)
    }

    fn retire(&self, now: Moment) -> bool {
        Arc::strong_count(&self.inner) == 1 && self.inner.cache.retire(now)
    }
}

impl<K> Clone for KeyedProviders<K> {
    fn clone(&self) -> Self {
        KeyedProviders { inner: self.inner.clone() }
    }
}

impl<K> fmt::Debug for KeyedProviders<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No key: it may be a user's name.
        f.debug_struct("KeyedProviders").field("bound", &self.inner.map.bound()).finish_non_exhaustive()
    }
}
