//! The state of a provider.

use std::time::{Duration, SystemTime};

use crate::{
    error::{Error, ProviderName},
    platform::Moment,
    provider::{cache::Cache, schedule::Freshness},
};

/// The state of a provider at one moment: for health checks, dashboards and support.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderStatus {
    /// The name of the provider.
    pub name: String,
    /// What would happen to a request now.
    pub state: ProviderState,
    /// The time of day at which the bearer in service expires, if there is one and it expires.
    pub expires_at: Option<SystemTime>,
    /// Why the last fetch failed, if none has succeeded since.
    pub last_error: Option<Error>,
    /// How many fetches have failed in a row.
    pub failures_in_a_row: u32,
    /// The time until a fetch may start, after a failure; zero if one may start now.
    pub cool_down: Duration,
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
    pub(super) fn of(cache: &Cache, name: &ProviderName, now: Moment) -> Self {
        let (freshness, expires_at) = cache
            .read(|bearer| {
                let deadlines = &bearer?.deadlines;
                let freshness = deadlines.freshness(now);
                // An expired one is kept, but not in service.
                (freshness != Freshness::Expired).then(|| (freshness, deadlines.expires.map(Moment::wall)))
            })
            .unzip();
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
            expires_at: expires_at.flatten(),
            last_error: failure.as_ref().map(|failure| failure.error.clone()),
            failures_in_a_row: failure.map_or(0, |failure| failure.in_a_row),
            cool_down,
        }
    }

    /// Whether a request would be served now.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, ProviderState::Fresh | ProviderState::Stale)
    }
}
