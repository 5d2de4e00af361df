//! What callers ask of the cache, and what they get.
//!
//! | asked by | wants | may get |
//! |---|---|---|
//! | `token`, an adapter without a bearer | `Token` | `Serve`, `Wait`, `Begin`; `Refuse` in a cool-down |
//! | `refresh_now`, a value of another provider that must be fresh | `Renewal` | `Wait`, `Begin` |
//! | `refresh_when_changed` | `Changed` | `Wait`, `Begin` |
//! | a request that was served a stale bearer | `Refresh` | `Begin`, `Nothing` |

use std::{sync::Arc, time::Duration};

use crate::{
    error::Error,
    platform::Moment,
    provider::{bearer::Bearer, flight::Flight},
    source::Challenge,
    token::FetchReason,
};

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Any usable token.
    Token,
    /// A new token, cool-down or not.
    Renewal,
    /// A new token, because what it is made of has changed.
    Changed,
    /// Nothing now, but the bearer in service is stale.
    Refresh,
}

/// What a caller gets.
pub(crate) enum Decision {
    /// This bearer is usable.
    Serve(Bearer),
    /// The last fetch failed with this error, and its cool-down is not over.
    Refuse(Error),
    /// Another caller has begun this flight.
    Wait(Arc<TokenFlight>),
    /// The caller has to start the fetch of this flight.
    Begin(StartFetch),
    /// No refresh is due, or one is in progress.
    Nothing,
}

/// A flight that has begun, and whose fetch is to be started.
pub(crate) struct StartFetch {
    pub(crate) flight: Arc<TokenFlight>,
    pub(crate) timeout: Duration,
    pub(crate) reason: FetchReason,
    pub(crate) challenges: Option<Arc<[Challenge]>>,
    /// The bearer that the fetch is to replace: the suspect, or the last one in service.
    pub(crate) last: Option<Bearer>,
    /// Whether it takes the place of a flight whose driver is not driven any more.
    pub(crate) replaces_overdue: bool,
}

pub(crate) type TokenFlight = Flight<Fetched>;

/// The outcome of a flight, for its waiters.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(super) result: Result<Bearer, Error>,
    pub(super) at: Moment,
}

/// Why the last fetch failed, and from when on the next may start.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) until: u64,
    pub(crate) in_a_row: u32,
}
