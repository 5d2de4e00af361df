//! The state of a provider.
//!
//! There are three views of the same facts. [`ProviderState`] is what a request would meet. [`Readiness`] is what a
//! probe responds. [`ProviderStatus`] has all of it, with a sentence for people.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::StatusCode;

use crate::{
    error::{Error, ProviderName},
    platform::Moment,
    provider::{bearer::Bearer, cache::Cache, schedule::Freshness},
    source::CredentialInUse,
};

/// The state of a provider at one moment: for health checks, dashboards and support.
///
/// Made by [`TokenProvider::status`](crate::TokenProvider::status) and [`probe`](crate::TokenProvider::probe). It has
/// no secret: put its `Display` into the body of a probe.
///
/// ```
/// use bearer_token::{AccessToken, Error, ErrorKind, FetchContext, Readiness, TokenProvider};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let provider = TokenProvider::builder(async |_cx: FetchContext| -> Result<AccessToken, Error> {
///     Err(Error::new(ErrorKind::Unavailable, "the vault is sealed"))
/// })
/// .name("orders")
/// .build()?;
/// provider.token().await.unwrap_err();
///
/// let status = provider.status();
/// assert_eq!(status.readiness(), Readiness::NotReady);
/// assert_eq!(status.failures_in_a_row, 1);
/// assert!(status.to_string().starts_with("orders: not ready; there is no token; 1 failure in a row"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderStatus {
    /// The name of the provider.
    pub name: String,
    /// The state that a request would meet now.
    pub state: ProviderState,
    /// The number of the bearer in service, if there is one: see [`EventKind::Fetched`](crate::observe::EventKind).
    pub generation: Option<u32>,
    /// The time of day at which the bearer in service expires, if there is one and it expires.
    pub expires_at: Option<SystemTime>,
    /// The time for which the bearer in service can still be sent, if there is one and it expires. It is not sent in
    /// its last seconds, so this is less than the time until `expires_at`.
    pub remaining_life: Option<Duration>,
    /// Whether a fetch is in progress.
    pub is_fetching: bool,
    /// The error of the last fetch that failed, if none has succeeded since.
    pub last_error: Option<Error>,
    /// The number of fetches that have failed in a row.
    pub failures_in_a_row: u32,
    /// The time until a fetch may start, after a failure; zero if one may start now.
    pub cool_down: Duration,
    /// The end of the cool-down as a time of day, after a failure.
    pub next_attempt_at: Option<SystemTime>,
    /// The credential that fetched the last token, if the source replaces its credential while it is in use
    /// ([`HotSwap`](crate::HotSwap), or `keep_previous_credential` of a configuration). `None` if another replica of a
    /// fleet had fetched that token.
    pub credential: Option<CredentialInUse>,
}

/// What a readiness probe responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Readiness {
    /// Requests get a bearer at once.
    Ready,
    /// Requests get a bearer at once, but the last fetch failed. If that continues until the bearer expires, they fail.
    Degraded,
    /// Requests wait for a token, or are refused.
    NotReady,
}

impl Readiness {
    /// The status of the response: 200, or 503 for [`NotReady`](Self::NotReady).
    ///
    /// A degraded service still works, so it responds with 200. To take it out of service would make an outage of the
    /// authorization server an outage of every service at once.
    pub fn http_status(self) -> StatusCode {
        match self {
            Readiness::Ready | Readiness::Degraded => StatusCode::OK,
            Readiness::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word for logs and bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Readiness::Ready => "ready",
            Readiness::Degraded => "degraded",
            Readiness::NotReady => "not ready",
        }
    }
}

/// What a request would meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProviderState {
    /// There is no bearer: none was fetched yet, or the last one expired. A request would wait for a fetch.
    Empty,
    /// A bearer is in service.
    Fresh,
    /// A bearer is in service, and due to be renewed in the background.
    Stale,
    /// There is no usable bearer. After a failure, requests are refused until the cool-down ends.
    CoolingDown,
}

impl ProviderStatus {
    /// Looks at a cache. The slot and the failure are read one after the other, so a fetch that ends in between may be
    /// half seen. That is harmless: a status is for people, and decides nothing.
    pub(super) fn of(cache: &Cache, name: &ProviderName, credential: Option<CredentialInUse>, now: Moment) -> Self {
        // An expired one is kept, but not in service.
        let bearer = cache.usable(now);
        let deadlines = bearer.as_ref().map(Bearer::deadlines);
        let freshness = deadlines.map(|deadlines| deadlines.freshness(now));
        let failure = cache.failure();
        let cool_down = failure.as_ref().map_or(Duration::ZERO, |failure| {
            Duration::from_nanos(failure.until.saturating_sub(now.monotonic_nanos()))
        });
        let state = match freshness {
            Some(Freshness::Fresh) => ProviderState::Fresh,
            Some(Freshness::Stale) => ProviderState::Stale,
            _ if cool_down.is_zero() => ProviderState::Empty,
            _ => ProviderState::CoolingDown,
        };
        ProviderStatus {
            name: name.to_string(),
            state,
            generation: bearer.as_ref().map(|bearer| bearer.generation().get()),
            expires_at: deadlines.and_then(|deadlines| deadlines.expires).map(Moment::wall),
            remaining_life: deadlines.filter(|one| one.expires.is_some()).map(|one| one.reserve.remaining(now)),
            is_fetching: cache.is_fetching(now),
            next_attempt_at: failure.as_ref().map(|_| now.after(cool_down).wall()),
            last_error: failure.as_ref().map(|failure| failure.error.clone()),
            failures_in_a_row: failure.map_or(0, |failure| failure.in_a_row),
            cool_down,
            credential,
        }
    }

    /// Whether a request would be served now.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, ProviderState::Fresh | ProviderState::Stale)
    }

    /// What a readiness probe responds: see [`TokenProvider::probe`](crate::TokenProvider::probe).
    pub fn readiness(&self) -> Readiness {
        match (self.is_ready(), &self.last_error) {
            (true, None) => Readiness::Ready,
            (true, Some(_)) => Readiness::Degraded,
            (false, _) => Readiness::NotReady,
        }
    }
}

/// One line for people: `billing: degraded; the token serves for 4m 10s; 3 failures in a row, the last: ..; the next
/// attempt is in 12s`.
impl fmt::Display for ProviderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.readiness().as_str())?;
        match (self.is_ready(), self.remaining_life) {
            (true, Some(time)) => write!(f, "; the token serves for {}", Readable(time))?,
            (true, None) => f.write_str("; the token serves until it is rejected")?,
            (false, _) => f.write_str("; there is no token")?,
        }
        if let Some(error) = &self.last_error {
            let number = self.failures_in_a_row;
            write!(f, "; {number} {} in a row", if number == 1 { "failure" } else { "failures" })?;
            write!(f, ", the last: {}; the next attempt ", error.beside(self.name.as_str()))?;
            match self.cool_down.is_zero() {
                true => f.write_str("may start now")?,
                false => write!(f, "is in {}", Readable(self.cool_down))?,
            }
        }
        match &self.credential {
            Some(CredentialInUse::Previous(error)) => {
                let error = error.beside(self.name.as_str());
                write!(
                    f,
                    "; the previous credential is in use, because the latest one was refused or is unusable: {error}"
                )?;
            }
            Some(CredentialInUse::Pending) => f.write_str("; the latest credential has brought no token yet")?,
            Some(CredentialInUse::Latest) | None => {}
        }
        if self.is_fetching { f.write_str("; a fetch is in progress") } else { Ok(()) }
    }
}

/// A time in its two largest units.
struct Readable(Duration);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
            (0, 0, 0, seconds) => write!(f, "{seconds}s"),
            (0, 0, minutes, seconds) => write!(f, "{minutes}m {seconds}s"),
            (0, hours, minutes, _) => write!(f, "{hours}h {minutes}m"),
            (days, hours, ..) => write!(f, "{days}d {hours}h"),
        }
    }
}
