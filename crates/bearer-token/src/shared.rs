//! One token for all replicas of a program: a source around a source, with a store that the replicas share.
//!
//! Each replica of a service fetches a token of its own, and each fetch counts against one quota. A [`Fleet`] lets them
//! share: one replica fetches, and the others find the token in a [store](crate::store::SharedStore).
//!
//! ```
//! use bearer_token::{AccessToken, FetchContext, TokenProvider};
//! use bearer_token::{shared::{Fleet, SealingKeys}, store::MemorySharedStore};
//! use std::{sync::{Arc, atomic::{AtomicUsize, Ordering}}, time::Duration};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In production: Redis, Valkey or a database, and a file with keys of your own.
//! let store = MemorySharedStore::new();
//! let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
//!
//! let requests = Arc::new(AtomicUsize::new(0));
//! let replica = || -> Result<TokenProvider, bearer_token::Error> {
//!     let fleet = Fleet::builder(store.clone(), keys.clone()).build()?;
//!     let requests = requests.clone();
//!     let source = move |_cx: FetchContext| {
//!         requests.fetch_add(1, Ordering::Relaxed);
//!         async { Ok(AccessToken::new("2YotnFZFEjr1zCsicMWpAA").expires_in(Duration::from_secs(3600))) }
//!     };
//!     // A closure cannot say which tokens it gets, so it gets a name. A token endpoint needs none: `share`.
//!     TokenProvider::builder(fleet.share_as("orders", source)).allow_origin("https://api.example.com").build()
//! };
//! let (one, other) = (replica()?, replica()?);
//! assert_eq!(one.token().await?.secret(), other.token().await?.secret());
//! assert_eq!(requests.load(Ordering::Relaxed), 1);
//! # Ok(()) }
//! ```
//!
//! # How the parts play together
//!
//! ```text
//! TokenProvider --fetch--> Shared ----> turn: one fetch of this replica
//!                                        |  link: calls with a deadline, a circuit that opens after failures
//!                                        |     `--> SharedStore: Redis, Valkey, PostgreSQL, yours
//!                                        |  ring: seals and opens, makes the names of records
//!                                        |  record: what is in one: a token with its age, the last failure
//!                                        `--> your source, if this replica is the one that fetches
//! ```
//!
//! A replica that needs a token *reads* the record. If it has a usable token, that is adopted. Otherwise it asks for
//! the *lease*. The holder fetches and *saves*; the others wait for the record to change. Each lease has a number, its
//! *fence*, which only grows. A save under an earlier fence is refused, so a holder that slept through its lease cannot
//! replace the token of its successor.
//!
//! The guide's chapter on fleets says when it pays, and what to look at in operation.
//!
//! # What is shared
//!
//! - **The token**, with its remaining life by the store's clock. The clocks of the replicas may differ by any time.
//! - **The time of its refresh.** It is drawn once, so all replicas refresh at the same time. One of them fetches, and
//!   the others go on with the token that they have.
//! - **A failure**, as a cool-down. So the fleet makes one attempt for each step of the backoff. A refusal of a
//!   credential does not concern replicas that have another one. A replica that had no connection waits alone, until
//!   another one has none either. Its own name server, proxy or certificates may be broken. These two let the others go
//!   first after that.
//! - **A rejection.** A replica whose token was rejected looks for a newer one first. So one revocation costs one
//!   fetch. The [pause](crate::Policy::rejection_backoff) after it is one of all replicas, so an API that refuses every
//!   token costs one fetch for each pause.
//!
//! A request that has a token in memory never waits for the store. A replica without a token waits while another one
//! fetches, and takes over when that one's lease ends. It fails if that takes longer than four fifths of its timeout.
//!
//! # What is promised
//!
//! Fewer token requests, not exactly one: a store may lose what it acknowledged, and a server may be slow. **A store
//! that is gone costs token requests and no failures.** Each call of the store may take 95 ms. After one failure that
//! took half of that time, or two quick ones in a row, the store is left alone. Each replica fetches for itself then.
//! The pause is 1 s at first, and doubles up to 30 s.
//!
//! Records are sealed ([`SealingKeys`]). The names of records are keyed hashes. A reader of the store learns neither
//! a token nor whose it is.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    error::Error,
    problem::{Advice, Problem, Problems},
    source::{ChallengeTest, CredentialInUse, DynTokenSource, FetchContext, Identity, TokenSource},
    store::{SharedStore, StoreKey, Version},
    sync::Mutex,
    token::AccessToken,
};

mod circuit;
mod failure;
mod holder;
mod link;
mod marked;
mod record;
mod refresh_token;
mod ring;
#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests;
mod turn;

use self::link::Link;
pub use self::{refresh_token::SharedRefreshToken, ring::SealingKeys};

/// The replicas of a program, with the store that they share. Clones share the store and its circuit.
///
/// Use one for all sources of a process, also for those of [keyed providers](crate::KeyedProviders): each source has a
/// record of its own. [The module](self) has an example.
///
/// One circuit for all sources, because they share the store. After a slow failure of any of them, or two quick ones,
/// none asks the store until the pause is over.
///
/// ```
/// use bearer_token::{Error, StaticToken, shared::{Fleet, SealingKeys}, store::MemorySharedStore};
///
/// # fn main() -> Result<(), Error> {
/// let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
/// let fleet = Fleet::builder(MemorySharedStore::new(), keys).namespace("staging").build()?;
/// // A source that cannot describe its tokens has to be named.
/// let error = fleet.share(StaticToken::new("t")).unwrap_err();
/// assert_eq!(error.problems().len(), 1);
/// let shared = fleet.share_as("the token of the console", StaticToken::new("t"));
/// # let _ = shared; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Fleet(Arc<FleetInner>);

struct FleetInner {
    link: Arc<Link>,
    keys: SealingKeys,
    namespace: String,
    /// The number of this replica in records. Drawn when it is first needed.
    replica: OnceLock<u64>,
}

impl Fleet {
    /// Starts a fleet with its store, and the keys that seal its records.
    pub fn builder(store: impl SharedStore, keys: SealingKeys) -> FleetBuilder {
        FleetBuilder { link: Link::new(store), keys, namespace: String::new() }
    }

    /// Shares the tokens of a source that [describes](TokenSource::identity) them, such as a
    /// [token endpoint](crate::oauth::TokenEndpoint).
    ///
    /// Replicas share a token if the source's requests are the same in all that reaches the server. The secret of the
    /// client does not count, so replicas that start with a new one adopt the token that is there. Those that notice one
    /// while they run ([`refresh_when_changed`](crate::TokenProvider::refresh_when_changed)) share the first token that it
    /// brings: a roll-out costs one token request, and one more if a refresh falls into it.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config), with a problem for each part that the source cannot describe. Use
    /// [`share_as`](Self::share_as) then.
    pub fn share(&self, source: impl TokenSource) -> Result<Shared, Error> {
        let shared = self.with(None, source);
        let mut problems = Problems::default();
        for what in shared.0.identity.unknown_parts() {
            let found = "found a part of the token request that other replicas cannot be compared with";
            let advice = Advice::text("name the token: `Fleet::share_as`");
            problems.add(Problem::new(what.clone(), found).advise(advice));
        }
        problems.into_result("the source cannot be shared")?;
        Ok(shared)
    }

    /// Shares the tokens of any source under a name.
    ///
    /// The name stands for everything that the source cannot describe: the user or the tenant for which it gets tokens,
    /// and what it asks for. **Two sources whose tokens must not be mixed up need two names.** What the source
    /// describes counts as well.
    ///
    /// In the function that makes the sources of [keyed providers](crate::KeyedProviders), a name has to contain the
    /// key. One constant name gives the token of one user to all others, and nothing can notice that:
    ///
    /// ```
    /// # use bearer_token::{AccessToken, FetchContext, KeyedProviders, TokenProvider};
    /// # use bearer_token::{shared::{Fleet, SealingKeys}, store::MemorySharedStore};
    /// # fn tokens_of(_user: &str) -> impl bearer_token::TokenSource + use<> {
    /// #     |_cx: FetchContext| async { Ok(AccessToken::new("token")) }
    /// # }
    /// # let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
    /// # let fleet = Fleet::builder(MemorySharedStore::new(), keys).build()?;
    /// let users = KeyedProviders::builder(move |user: &String| {
    ///     // Not "mail" alone.
    ///     Ok(TokenProvider::builder(fleet.share_as(format!("mail of {user}"), tokens_of(user))))
    /// });
    /// # let _ = users; Ok::<(), bearer_token::Error>(())
    /// ```
    pub fn share_as(&self, name: impl Into<String>, source: impl TokenSource) -> Shared {
        self.with(Some(name.into()), source)
    }

    /// The identity is collected here, once. Parts that may change, such as those of a file, are looked up at each
    /// fetch.
    fn with(&self, name: Option<String>, source: impl TokenSource) -> Shared {
        let source: Arc<dyn DynTokenSource> = Arc::new(source);
        let mut identity = Identity::default();
        identity.set("name", name);
        source.identity(&mut identity);
        Shared(Arc::new(SharedInner {
            fleet: self.clone(),
            source,
            identity,
            had_no_connection: AtomicBool::new(false),
            is_adopted: AtomicBool::new(false),
            own_time: Mutex::default(),
            doubted: Mutex::default(),
        }))
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FleetInner { link, keys, namespace, .. } = &*self.0;
        f.debug_struct("Fleet")
            .field("store", link)
            .field("keys", keys)
            .field("namespace", namespace)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Fleet`]; made by [`Fleet::builder`].
///
/// There is little to set, because the provider's own [`Policy`](crate::Policy) decides when a token is refreshed and
/// how long a failure is waited for. The fixed numbers of the store's side are in the [module docs](self).
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct FleetBuilder {
    link: Arc<Link>,
    keys: SealingKeys,
    namespace: String,
}

impl FleetBuilder {
    /// Keeps the records apart from those of other fleets in the same store with the same keys, such as another stage
    /// of the deployment. Default: an empty string.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Builds the fleet. Asks the store nothing.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config), if the keys are unusable. A missing file is not an error: it
    /// may appear later.
    pub fn build(self) -> Result<Fleet, Error> {
        let mut problems = Problems::default();
        self.keys.problem().into_iter().for_each(|problem| problems.add(problem));
        problems.into_result("the fleet cannot be built")?;
        let FleetBuilder { link, keys, namespace } = self;
        Ok(Fleet(Arc::new(FleetInner { link, keys, namespace, replica: OnceLock::new() })))
    }
}

/// A source whose tokens the replicas of a [`Fleet`] share. Made by [`Fleet::share`] and [`Fleet::share_as`].
///
/// It is a source like any other: give it to a provider, which caches its tokens in this process. A clone is the same
/// source, with the same knowledge of the server and the store. The source inside answers everything else that a
/// provider asks of it: its name, whether it has changed, which challenges it can meet.
#[derive(Clone)]
pub struct Shared(Arc<SharedInner>);

struct SharedInner {
    fleet: Fleet,
    source: Arc<dyn DynTokenSource>,
    identity: Identity,
    /// Whether the last token request of this replica had no connection.
    had_no_connection: AtomicBool,
    /// Whether another replica had fetched the last token.
    is_adopted: AtomicBool,
    /// When this replica fetches for itself, because of a lease that lasts for too long; and for which token.
    own_time: Mutex<Option<(u64, Duration)>>,
    /// The record that was there when the store's clock was found to have been set back.
    doubted: Mutex<Option<(StoreKey, Version)>>,
}

impl TokenSource for Shared {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        self.0.fetch(cx).await
    }

    fn has_changed(&self) -> bool {
        self.0.source.has_changed()
    }

    fn name(&self) -> Cow<'_, str> {
        self.0.source.name()
    }

    fn challenge_test(&self) -> Option<ChallengeTest> {
        self.0.source.challenge_test()
    }

    /// `None` if another replica had fetched the last token. Which credential that one has is not known.
    fn credential_in_use(&self) -> Option<CredentialInUse> {
        if self.0.is_adopted.load(Ordering::Relaxed) { None } else { self.0.source.credential_in_use() }
    }

    fn identity(&self, identity: &mut Identity) {
        identity.clone_from(&self.0.identity);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("fleet", &self.0.fleet)
            .field("identity", &self.0.identity)
            .finish_non_exhaustive()
    }
}
