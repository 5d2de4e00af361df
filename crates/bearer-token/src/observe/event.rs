//! What can happen.
//!
//! One enum for all rooms, so a sink is one `match`. The recorder of `tracing` has no last arm, so it cannot forget a
//! new event. Fields are borrowed or `Copy`: an event that no sink reads costs no allocation.
//!
//! An event has what is needed to act on it without the source code. That is the provider, what failed, for how long,
//! and when the next attempt is. Of the strings that a server sent, it has only origins and known error codes.

use std::{
    fmt,
    path::Path,
    time::{Duration, SystemTime},
};

use super::outcome::{CacheRead, StoreOperation, StoreOutcome, WaitOutcome};
use crate::{
    error::Error,
    token::{FetchReason, Rejection},
};

/// One event, and whose it is.
///
/// ```
/// use bearer_token::observe::{Event, EventKind, Observer};
///
/// /// Writes a line for each token that was fetched.
/// struct Fetches;
///
/// impl Observer for Fetches {
///     fn on_event(&self, event: &Event<'_>) {
///         if let EventKind::Fetched { reason, duration, remaining_life, .. } = &event.kind {
///             let name = event.counted_as().unwrap_or("none");
///             println!("{name}: {} token in {duration:?}, lives for {remaining_life:?}", reason.as_str());
///         }
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The name of the provider. `None` if the event happened outside of any provider and any fetch.
    pub provider: Option<&'a str>,
    /// The name of the [map of providers](crate::KeyedProviders) to which the provider belongs, if there is one.
    ///
    /// A map may have thousands of providers. Where each name costs memory, as labels of metrics do, use this one.
    pub keyed: Option<&'a str>,
    /// What happened.
    pub kind: EventKind<'a>,
}

impl<'a> Event<'a> {
    /// The name under which events are to be counted: that of the map, or else that of the provider.
    ///
    /// A label of a metric must have few values. A map may have as many providers as there are tenants.
    pub fn counted_as(&self) -> Option<&'a str> {
        self.keyed.or(self.provider)
    }
}

/// What happened, with everything that is known about it.
///
/// Later versions may add events, and fields of events: match with `..` and a last arm `_`.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// A provider was built, or a [map of providers](crate::KeyedProviders), whose name is both names of the event
    /// then. It is the first event of each, so a sink can begin its counters at zero.
    #[non_exhaustive]
    Built {
        /// The name that the source suggests, such as the authorization server's origin. `None` for a map, whose
        /// sources come with its keys.
        source: Option<&'a str>,
        /// The origins that its tokens may be sent to. For a map, each of its providers tells its own.
        allowed_origins: Text<'a>,
    },

    // The life of a token.
    /// A fetch starts. Its end is `Fetched`, `FetchFailed` or `FetchAbandoned`, unless the provider is dropped
    /// meanwhile.
    #[non_exhaustive]
    FetchStarted {
        /// Why.
        reason: FetchReason,
    },
    /// A fetch brought a token.
    #[non_exhaustive]
    Fetched {
        /// Why it was fetched.
        reason: FetchReason,
        /// The number of the token, by which its rejections and tickets are known.
        generation: u32,
        /// How long the fetch took.
        duration: Duration,
        /// The time until the token expires. `None`: it is used until it is rejected. It is not sent in its last
        /// seconds.
        remaining_life: Option<Duration>,
        /// The end of that time, as a time of day.
        expires_at: Option<SystemTime>,
        /// The time until the token is renewed in the background, if that ever happens.
        refresh_in: Option<Duration>,
    },
    /// The token of the last fetch has expired or is about to. It serves only the requests that waited for it, so each
    /// such token costs another fetch.
    #[non_exhaustive]
    TooShortLived {
        /// What is left of its life.
        remaining_life: Option<Duration>,
    },
    /// A fetch failed.
    #[non_exhaustive]
    FetchFailed {
        /// Why a token was fetched.
        reason: FetchReason,
        /// Why the fetch failed.
        error: &'a Error,
        /// How long the fetch took.
        duration: Duration,
        /// How many fetches have failed in a row, this one included.
        failures_in_a_row: u32,
        /// The cool-down: the time until the next fetch may start.
        next_attempt_in: Duration,
        /// The end of the cool-down, as a time of day.
        next_attempt_at: SystemTime,
    },
    /// A fetch ended without a result: its task was dropped, or its runtime is not driven.
    #[non_exhaustive]
    FetchAbandoned {},
    /// A fetch that was given up before brought a result, which is ignored.
    #[non_exhaustive]
    FetchTooLate {},
    /// A caller gets an error although no fetch failed: each one was abandoned.
    #[non_exhaustive]
    GaveUp {
        /// The error that the caller gets.
        error: &'a Error,
    },
    /// A caller that had to wait for a token waits no longer. Callers that were served at once are not told.
    #[non_exhaustive]
    Waited {
        /// What it got.
        outcome: WaitOutcome,
        /// How long it waited.
        duration: Duration,
    },
    /// A caller got an error at once: there is no token, and no fetch starts before the cool-down has ended. In an
    /// outage there is one for each request.
    #[non_exhaustive]
    CallerRefused {
        /// The error that the caller gets: that of the last fetch.
        error: &'a Error,
    },
    /// The API refused a bearer. There may be many for one bearer: one for each request that was in flight with it.
    #[non_exhaustive]
    Rejected {
        /// The number of the bearer.
        generation: u32,
        /// What became of it.
        outcome: Rejection,
    },
    /// An adapter sends a refused request once more. It has been authorized anew.
    #[non_exhaustive]
    Replayed {
        /// What became of the bearer that was refused.
        rejection: Rejection,
    },
    /// A refused request is not sent once more, although a replay could succeed.
    ///
    /// There are five reasons. No replay is set up; the body cannot be sent again; the request may have been
    /// redirected; or it was sent twice already. The fifth is a replay that got no bearer, or that its caller gave up
    /// before it was sent. In the last case the caller gets an error or nothing, in the others the refusal. Each
    /// refusal whose outcome is `Renewing`, `Superseded` or `Settling` has either this event or `Replayed`, if an
    /// adapter sent the request.
    #[non_exhaustive]
    NotReplayed {
        /// What became of the bearer that was refused.
        rejection: Rejection,
    },
    /// A request looked for a bearer in the cache. Only for observers that [ask for
    /// it](crate::observe::Observer::counts_reads).
    #[non_exhaustive]
    CacheRead {
        /// What it found.
        state: CacheRead,
    },

    // Where a token may go.
    /// A provider was built without an allowed origin.
    #[non_exhaustive]
    NoOriginAllowed {},
    /// A request goes out without a token, because its origin is not allowed.
    #[non_exhaustive]
    SentWithoutToken {
        /// The origin.
        origin: Text<'a>,
        /// Whether it is the first request to this origin. Beyond 64 origins of a provider, none is the first.
        is_first: bool,
    },
    /// A request was refused, because of where it goes. It was not sent.
    #[non_exhaustive]
    RequestRefused {
        /// The error that the caller gets.
        error: &'a Error,
    },

    // User code that failed.
    /// The platform gave no randomness, so refreshes and retries are not spread.
    #[non_exhaustive]
    NoRandomness {},
    /// [`TokenSource::has_changed`](crate::TokenSource::has_changed) panicked.
    #[non_exhaustive]
    HasChangedPanicked {},
    /// The waker of a task that waits for a token panicked.
    #[non_exhaustive]
    WakerPanicked {},

    // Token requests.
    /// A request to the authorization server ended: with a response, an error, or because its fetch was aborted.
    #[non_exhaustive]
    TokenRequest {
        /// The method of the request.
        method: &'a str,
        /// The host of the authorization server.
        server_address: &'a str,
        /// Its port.
        server_port: u16,
        /// The status of the response, if one arrived.
        status: Option<u16>,
        /// Why there is no response: the [kind](crate::ErrorKind::as_str) of the error, or `cancelled` if the fetch was
        /// aborted.
        error_type: Option<&'static str>,
        /// The time from before it was sent until the response was there.
        duration: Duration,
    },
    /// The granted scope lacks words of the requested one.
    #[non_exhaustive]
    NarrowerScope {
        /// The origin of the authorization server.
        authorization_server: &'a str,
        /// The words that were requested and not granted.
        missing: &'a str,
    },
    /// The authorization server refused the wider scope that the API asks for. The previous one is asked for again.
    #[non_exhaustive]
    StepRefused {
        /// The origin of the authorization server.
        authorization_server: &'a str,
        /// The refusal.
        error: &'a Error,
    },
    /// The metadata of a protected resource cannot be read again, so the previous one stays in use.
    #[non_exhaustive]
    ResourceMetadataKept {
        /// The origin of the resource.
        resource: &'a str,
        /// Why it cannot be read.
        error: &'a Error,
    },
    /// A token had already expired when its response arrived.
    #[non_exhaustive]
    ExpiredOnArrival {
        /// The origin of the authorization server.
        authorization_server: &'a str,
        /// For how long it had been expired.
        expired_ago: Duration,
    },
    /// This machine's clock differs from the authorization server's. Lifetimes do not depend on it.
    #[non_exhaustive]
    ClockDiffers {
        /// The origin of the authorization server.
        authorization_server: &'a str,
        /// By how much, and in which direction.
        offset: Text<'a>,
    },
    /// An assertion is signed again by the authorization server's clock.
    #[non_exhaustive]
    ClockCorrected {
        /// By how much this machine's clock is off, and in which direction.
        offset: Text<'a>,
    },
    /// The assertions of a grant lack claims that RFC 7523 section 3 requires.
    #[non_exhaustive]
    IncompleteAssertion {
        /// The names of the claims.
        missing: &'a [&'a str],
    },

    // What a source needs.
    /// The primary source failed permanently, and the fallback is used.
    #[non_exhaustive]
    FellBack {
        /// The error of the primary source.
        error: &'a Error,
    },
    /// A new credential brought its first token, and the previous one is not used any more.
    #[non_exhaustive]
    CredentialReplaced {},
    /// A new credential was refused or is unusable, so the previous one is used.
    #[non_exhaustive]
    CredentialKept {
        /// Why.
        error: &'a Error,
    },
    /// A file that changed is unusable, so its previous content stays in use.
    #[non_exhaustive]
    FileKept {
        /// The file.
        path: &'a Path,
        /// What is wrong with its new content.
        problem: &'a str,
    },
    /// A key that changed is missing or unusable, so the previous one signs.
    #[non_exhaustive]
    KeyKept {
        /// Where the key is.
        place: &'a str,
        /// What is wrong with the new one.
        problem: &'a str,
    },
    /// A key and its certificate do not match, so the last pair that matched stays in use.
    #[non_exhaustive]
    KeyPairKept {
        /// What is wrong.
        problem: &'a str,
    },
    /// New connections for token requests use changed certificates.
    #[non_exhaustive]
    CertificatesChanged {},
    /// A file with certificates or the client's key changed, and its new content is unusable.
    #[non_exhaustive]
    CertificatesKept {
        /// What is wrong.
        problems: &'a str,
    },

    // Stores.
    /// A store was called.
    #[non_exhaustive]
    StoreCall {
        /// The kind of the store: `refresh_token` or `shared`.
        store: &'static str,
        /// What it was asked for.
        operation: StoreOperation,
        /// What came of it.
        outcome: StoreOutcome,
        /// Why it failed, if it did.
        error: Option<&'a Error>,
        /// How long the call took.
        duration: Duration,
    },
    /// The token that another replica got is used.
    #[non_exhaustive]
    SharedTokenAdopted {},
    /// A record in the shared store is not used, or was not saved: it does not open, is larger than 64 KiB, or its lease
    /// lasts for too long.
    #[non_exhaustive]
    SharedRecordIgnored {
        /// What is wrong with it.
        problem: &'a str,
    },
    /// The sealing keys cannot be read, so this replica fetches for itself.
    #[non_exhaustive]
    SharedKeysMissing {
        /// What is wrong with them.
        error: &'a Error,
    },
    /// The shared store gives no answers, or its settings are refused. It is left alone for a while, and each replica
    /// fetches for itself.
    #[non_exhaustive]
    SharedStoreSuspended {
        /// The last error.
        error: &'a Error,
        /// The time until it is asked again.
        pause: Duration,
    },
    /// The shared store answers again.
    #[non_exhaustive]
    SharedStoreResumed {},
    /// A new refresh token is in the store.
    #[non_exhaustive]
    RefreshTokenSaved {},
    /// A new refresh token could not be saved. It is kept in memory, and each fetch tries again. There is one for each
    /// attempt that failed.
    #[non_exhaustive]
    RefreshTokenNotSaved {
        /// The error of the store.
        error: &'a Error,
    },
    /// A refresh token that a crashed process had written was recovered.
    #[non_exhaustive]
    RefreshTokenRecovered {},
}

macro_rules! warnings {
    ($($variant:ident => $word:literal),+ $(,)?) => {
        impl EventKind<'_> {
            /// Every word that [`warning`](Self::warning) may return.
            #[cfg(feature = "metrics")]
            pub(super) const WARNINGS: &'static [&'static str] = &[$($word),+];

            /// The name of an event that a person should look at, in snake case. `None` for events of normal operation,
            /// and for failures of fetches and stores, which are counted by their kind.
            pub fn warning(&self) -> Option<&'static str> {
                Some(match self {
                    $(EventKind::$variant { .. } => $word,)+
                    _ => return None,
                })
            }
        }
    };
}

warnings! {
    TooShortLived => "too_short_lived",
    GaveUp => "gave_up",
    NoRandomness => "no_randomness",
    HasChangedPanicked => "has_changed_panicked",
    WakerPanicked => "waker_panicked",
    NarrowerScope => "narrower_scope",
    ExpiredOnArrival => "expired_on_arrival",
    ClockDiffers => "clock_differs",
    ClockCorrected => "clock_corrected",
    IncompleteAssertion => "incomplete_assertion",
    FellBack => "fell_back",
    FileKept => "file_kept",
    KeyKept => "key_kept",
    KeyPairKept => "key_pair_kept",
    CertificatesKept => "certificates_kept",
    RefreshTokenNotSaved => "refresh_token_not_saved",
}

/// A string that is made when it is displayed, and only then.
///
/// For parts that are costly to write, such as an origin that has to be compared with the tokens first. An observer
/// that does not look at it pays nothing.
#[derive(Clone, Copy)]
pub struct Text<'a>(pub(crate) &'a dyn fmt::Display);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.to_string())
    }
}
