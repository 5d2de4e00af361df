//! Sources of tokens: the trait, the context of a fetch, and the sources that need no protocol.
//!
//! A source is the smallest part that knows where a token comes from. It has one duty, to return a token or an error
//! when it is asked, and four things that it may tell about itself:
//!
//! | method | asked | for |
//! |---|---|---|
//! | [`fetch`](TokenSource::fetch) | once for each fetch | the token |
//! | [`has_changed`](TokenSource::has_changed) | at most once a second, after a permanent failure | ending the cool-down early |
//! | [`name`](TokenSource::name) | once, when a provider is built | errors, events and status |
//! | [`identity`](TokenSource::identity) | once, when a fleet shares it | which replicas may share its tokens |
//! | [`challenge_test`](TokenSource::challenge_test) | once, when a provider is built | responses that a wider token can meet |
//!
//! A source that wraps another one forwards all of them. The default of each is the safe one: nothing has changed,
//! nothing can be shared, no challenge can be met.
//!
//! # Which sources are here
//!
//! | source | its token | ends |
//! |---|---|---|
//! | an `async` closure | wherever you like | as you say |
//! | [`StaticToken`] | one string | when the API rejects it |
//! | `FileToken` | a file that another program writes | after a minute, or at the JWT's `exp` |
//! | [`Fallback`] | that of one source, or of another one | as the source in use says |
//! | `HotSwap` | that of a source whose credential is replaced | as the source in use says |
//!
//! Those with a protocol are in `jwt` and `oauth`.

pub(crate) mod challenge;
mod challenge_test;
mod credential_in_use;
mod fallback;
#[cfg(feature = "_json")]
mod file_token;
#[cfg(feature = "_json")]
mod hot_swap;
mod identity;
mod static_token;
pub(crate) mod timing;
mod tried_elsewhere;
mod waits;

use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};

pub use self::{
    challenge::Challenge, challenge_test::ChallengeTest, credential_in_use::CredentialInUse, fallback::Fallback,
    identity::Identity, static_token::StaticToken,
};
#[cfg(feature = "_json")]
pub use self::{file_token::FileToken, hot_swap::HotSwap};
pub(crate) use self::{timing::Timing, tried_elsewhere::TriedElsewhere, waits::Waits};
use crate::{
    error::Error,
    platform::{BoxFuture, Moment, Platform},
    token::{AccessToken, FetchReason, LastToken},
};

/// Mints a new token each time it is asked.
///
/// The provider calls it once for each refresh, not for each request. It runs one fetch at a time, unless the runtime
/// of an earlier fetch is no longer driven. A source knows nothing about caching, retries or waiting requests: it
/// returns a token or an error.
///
/// The returned future is dropped when the deadline passes, or when its runtime ends. It continues when the provider is
/// dropped. Anything that must survive, such as a rotated refresh token, has to be stored before the next await.
///
/// # What a source may leave to its provider
///
/// - **Retries.** Return the error. The provider waits, with a backoff and `Retry-After`, and asks again when a token
///   is needed. A retry inside the source makes callers wait for a server that is down.
/// - **Caching.** Return a new token each time. If the same token is returned again, the provider notices, and extends
///   its life.
/// - **Timeouts.** The fetch is aborted at its [deadline](FetchContext::deadline). Use
///   [`remaining`](FetchContext::remaining) if the server should know.
/// - **Panics.** A panic is an error of kind [`Panicked`](crate::ErrorKind::Panicked), and ends that fetch only.
///
/// What it must not do is block the thread for long: a blocked fetch cannot be aborted. Use
/// [`Platform::run_blocking`](crate::platform::Platform::run_blocking).
///
/// Any `async` function or closure that takes a [`FetchContext`] is a source:
///
/// ```
/// use bearer_token::{AccessToken, Error, FetchContext, TokenProvider};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Error> {
/// let provider = TokenProvider::builder(async |_cx: FetchContext| {
///     Ok(AccessToken::new("a token from somewhere").expires_in(Duration::from_secs(600)))
/// })
/// .allow_origin("https://api.example.com")
/// .build()?;
/// # Ok(()) }
/// ```
///
/// A closure that captures values clones them for each fetch, because the fetch may outlive the call:
///
/// ```
/// # use bearer_token::{AccessToken, Error, FetchContext, TokenProvider};
/// # #[derive(Clone)] struct Vault;
/// # impl Vault { async fn read(&self) -> Result<String, Error> { Ok("t".into()) } }
/// # fn build(vault: Vault) -> Result<TokenProvider, Error> {
/// TokenProvider::builder(move |_cx: FetchContext| {
///     let vault = vault.clone();
///     async move { Ok(AccessToken::new(vault.read().await?)) }
/// })
/// # .build() }
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// Gets a token.
    ///
    /// # Errors
    ///
    /// Its [retry advice](crate::Error::retry) decides what the provider does. For an error that may pass by itself, it
    /// backs off from 1 s to 60 s. For one that needs a change, it backs off from 5 s to 5 min.
    /// [`Error::other`](crate::Error::other) is of the first kind. Every caller that waits gets a clone of the error,
    /// and logs have its message: keep secrets out of it.
    fn fetch(&self, cx: FetchContext) -> impl Future<Output = Result<AccessToken, Error>> + Send;

    /// Whether the input of the source, such as a key file, has changed since the last fetch read it.
    ///
    /// After a failure that [waits for a change](crate::Retry::AfterChange) the provider asks at most once a second,
    /// and only while a caller wants a token. `true` ends the cool-down. It blocks the caller, so it must return within
    /// microseconds. A source that wraps another one forwards the call.
    fn has_changed(&self) -> bool {
        false
    }

    /// The name of providers of this source that were not [named](crate::TokenProviderBuilder::name), such as the
    /// origin of the authorization server. It ends up in logs: keep secrets out of it.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("token source")
    }

    /// Describes which tokens this source gets, for a source that replicas share (`Fleet`, with the feature `shared`).
    ///
    /// By default the source is unknown, so it is shared only under a name that the application gives it. A source that
    /// wraps another one adds the parts of that one.
    fn identity(&self, identity: &mut Identity) {
        identity.unknown("the token source");
    }

    /// A test for challenges that another token of this source can meet, although they do not refuse the token itself,
    /// such as `insufficient_scope` (RFC 6750 section 3.1).
    ///
    /// If one passes, the provider treats the response as a rejection, and the next fetch gets the
    /// [challenges](FetchContext::challenges). Otherwise the caller gets the response, and nothing is fetched. The
    /// provider asks for the test once, when it is built. A source that wraps another one forwards the call.
    fn challenge_test(&self) -> Option<ChallengeTest> {
        None
    }

    /// Which credential brought the last token, if this source replaces its credential while it is in use: for the
    /// [status](crate::ProviderStatus::credential) of its provider. A source that wraps another one forwards the call.
    fn credential_in_use(&self) -> Option<CredentialInUse> {
        None
    }

    /// Adds a fallback, which is used while this source fails permanently. For example a service account, for the time
    /// after a refresh token is gone. [`Fallback`] says which errors are permanent.
    ///
    /// ```
    /// use bearer_token::{AccessToken, Error, ErrorKind, FetchContext, StaticToken, TokenSource};
    ///
    /// let source = async |_cx: FetchContext| -> Result<AccessToken, Error> {
    ///     Err(Error::new(ErrorKind::Refused, "the account is closed"))
    /// };
    /// let source = source.or_else(StaticToken::new("a token of last resort"));
    /// ```
    fn or_else(self, other: impl TokenSource) -> Fallback
    where
        Self: Sized,
    {
        Fallback::new(self, other)
    }
}

impl<F, Fut> TokenSource for F
where
    F: Fn(FetchContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<AccessToken, Error>> + Send + 'static,
{
    fn fetch(&self, cx: FetchContext) -> impl Future<Output = Result<AccessToken, Error>> + Send {
        self(cx)
    }
}

/// The erased mirror of [`TokenSource`]: providers have no type parameters, and the box is paid once per refresh.
pub(crate) trait DynTokenSource: Send + Sync {
    fn fetch(self: Arc<Self>, cx: FetchContext) -> BoxFuture<Result<AccessToken, Error>>;
    fn has_changed(&self) -> bool;
    fn name(&self) -> Cow<'_, str>;
    fn identity(&self, identity: &mut Identity);
    fn challenge_test(&self) -> Option<ChallengeTest>;
    fn credential_in_use(&self) -> Option<CredentialInUse>;
}

impl<S: TokenSource> DynTokenSource for S {
    fn fetch(self: Arc<Self>, cx: FetchContext) -> BoxFuture<Result<AccessToken, Error>> {
        Box::pin(async move { TokenSource::fetch(&*self, cx).await })
    }

    fn has_changed(&self) -> bool {
        TokenSource::has_changed(self)
    }

    fn name(&self) -> Cow<'_, str> {
        TokenSource::name(self)
    }

    fn identity(&self, identity: &mut Identity) {
        TokenSource::identity(self, identity);
    }

    fn challenge_test(&self) -> Option<ChallengeTest> {
        TokenSource::challenge_test(self)
    }

    fn credential_in_use(&self) -> Option<CredentialInUse> {
        TokenSource::credential_in_use(self)
    }
}

/// What a source may know of the fetch that it serves.
///
/// A provider makes one for each fetch. A test makes one by hand:
///
/// ```
/// use bearer_token::{FetchContext, FetchReason, StaticToken, TokenSource, platform::Platform};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// let source = StaticToken::new("2YotnFZFEjr1zCsicMWpAA");
/// let cx = FetchContext::new(Platform::system(), Duration::from_secs(10), FetchReason::Missing);
/// assert_eq!(source.fetch(cx).await?.secret(), "2YotnFZFEjr1zCsicMWpAA");
/// # Ok(()) }
/// ```
///
/// Clones are cheap, and are about the same fetch. Pass one to each part that needs the clock or the deadline.
#[derive(Clone, Debug)]
pub struct FetchContext {
    platform: Platform,
    started: Moment,
    deadline: Moment,
    reason: FetchReason,
    challenges: Arc<[Challenge]>,
    waits: Waits,
    #[cfg_attr(not(feature = "shared"), allow(dead_code, reason = "asked by shared sources"))]
    timing: Option<Arc<dyn Timing>>,
    #[cfg_attr(not(feature = "shared"), allow(dead_code, reason = "asked by shared sources"))]
    last: Option<LastToken>,
    /// Set by a source that may adopt the outcome of another replica.
    tried_elsewhere: Option<TriedElsewhere>,
}

impl FetchContext {
    /// A context as a provider makes it, for calling a source by hand.
    pub fn new(platform: Platform, timeout: Duration, reason: FetchReason) -> Self {
        let started = platform.now();
        let deadline = started.after(timeout);
        FetchContext {
            platform,
            started,
            deadline,
            reason,
            challenges: Arc::default(),
            waits: Waits::default(),
            timing: None,
            last: None,
            tried_elsewhere: None,
        }
    }

    /// Adds what the API asked for ([`Challenge::read`]), for a fetch that follows a rejection.
    #[must_use]
    pub fn with_challenges(self, challenges: impl Into<Arc<[Challenge]>>) -> Self {
        FetchContext { challenges: challenges.into(), ..self }
    }

    /// Adds the token that the fetch is to replace, for calling a source by hand again.
    ///
    /// A source that [replicas share](crate::shared) never returns a token that was rejected or has expired. It
    /// returns the same token again only while it may be sent. A lifetime without an [issued
    /// moment](AccessToken::issued) counts from the start of this fetch.
    #[cfg(feature = "shared")]
    #[must_use]
    pub fn with_last_token(self, token: &AccessToken) -> Self {
        let last = LastToken::of(token, self.started);
        self.with_last(Some(last))
    }

    /// The same context, with what is known of the token that the fetch is to replace.
    pub(crate) fn with_last(self, last: Option<LastToken>) -> Self {
        FetchContext { last, ..self }
    }

    /// What is known of the token that the fetch is to replace.
    #[cfg(feature = "shared")]
    pub(crate) fn last(&self) -> Option<&LastToken> {
        self.last.as_ref()
    }

    /// The same context, in which sources note what they want to do if another replica has tried their credential.
    #[cfg(feature = "shared")]
    pub(crate) fn with_tried_elsewhere(self, tried_elsewhere: TriedElsewhere) -> Self {
        FetchContext { tried_elsewhere: Some(tried_elsewhere), ..self }
    }

    #[allow(dead_code, reason = "used by `HotSwap`, which is behind a feature")]
    pub(crate) fn tried_elsewhere(&self) -> Option<&TriedElsewhere> {
        self.tried_elsewhere.as_ref()
    }

    /// The same context, whose fetch notes there which provider it waits for.
    pub(crate) fn with_waits(self, waits: Waits) -> Self {
        FetchContext { waits, ..self }
    }

    /// The same context, with the policy of the provider that fetches.
    pub(crate) fn with_timing(self, timing: Arc<dyn Timing>) -> Self {
        FetchContext { timing: Some(timing), ..self }
    }

    /// The policy of the provider that fetches.
    #[cfg(feature = "shared")]
    pub(crate) fn timing(&self) -> Option<&Arc<dyn Timing>> {
        self.timing.as_ref()
    }

    /// The same fetch with this time less to finish.
    #[cfg(feature = "shared")]
    pub(crate) fn shortened_by(&self, time: Duration) -> Self {
        let left = self.remaining().saturating_sub(time);
        FetchContext { deadline: self.platform.now().after(left), ..self.clone() }
    }

    /// Where a fetch notes which provider it waits for.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// The same fetch on another platform.
    #[cfg(feature = "oauth")]
    pub(crate) fn on(&self, platform: Platform) -> Self {
        FetchContext { platform, ..self.clone() }
    }

    /// The clock, randomness and spawner of the provider. Use them in place of the ambient ones: then your source can
    /// be tested with a manual clock, too.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// When the fetch began. Lifetimes count from here unless the token says otherwise.
    pub fn started(&self) -> Moment {
        self.started
    }

    /// When the fetch is aborted. A waiting caller gets an error of kind [`Timeout`](crate::ErrorKind::Timeout) then.
    pub fn deadline(&self) -> Moment {
        self.deadline
    }

    /// How much time is left before the fetch is aborted.
    pub fn remaining(&self) -> Duration {
        // Only the monotonic clock ends a fetch. A step of the time of day does not.
        self.deadline.monotonic().saturating_sub(self.platform.now().monotonic())
    }

    /// Why the token is fetched. A source that keeps tokens itself must not return an old one for
    /// [`Rejected`](FetchReason::Rejected), [`Requested`](FetchReason::Requested) and [`Changed`](FetchReason::Changed).
    pub fn reason(&self) -> FetchReason {
        self.reason
    }

    /// The challenges of the response that refused the last token. They say what the API asks for, such as
    /// `insufficient_claims` with `claims` (Entra's continuous access evaluation) or `insufficient_user_authentication`
    /// with `acr_values` and `max_age` (RFC 9470).
    ///
    /// A source may get a token that meets them. They are untrusted input: use only those that you know, and send them
    /// only to your authorization server.
    ///
    /// ```
    /// use bearer_token::{AccessToken, Challenge, Error, FetchContext, TokenProvider};
    ///
    /// # async fn ask(claims: Option<&str>) -> Result<String, Error> { Ok("t".into()) }
    /// # fn main() -> Result<(), Error> {
    /// let provider = TokenProvider::builder(async |cx: FetchContext| {
    ///     let wanted = cx.challenges().iter().find(|challenge| challenge.is_scheme("Bearer"));
    ///     // With it, the token request says what the API wants to know.
    ///     let claims = wanted.and_then(|challenge| challenge.parameter("claims"));
    ///     Ok(AccessToken::new(ask(claims).await?))
    /// })
    /// .allow_origin("https://api.example.com")
    /// .build()?;
    /// # Ok(()) }
    /// ```
    ///
    /// They are from the rejection that caused this fetch. A source that needs them for later tokens has to remember
    /// them. Only one fetch gets them, or the next one if that fetch was abandoned without a result. After an error
    /// they are forgotten. So an API that asks for something impossible does not block the renewal for all others. It
    /// asks again when it refuses the next token.
    ///
    /// A fetch that was already in progress when the API refused does not get them, so its token may be refused again.
    /// Such a fetch does not count as a renewal: the next rejection starts a fetch without the [pause between
    /// renewals](crate::Policy::rejection_backoff), and that fetch gets the challenges.
    pub fn challenges(&self) -> &[Challenge] {
        &self.challenges
    }
}
