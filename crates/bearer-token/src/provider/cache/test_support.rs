//! Bearers and moments made by hand.

use std::time::UNIX_EPOCH;

use super::*;
use crate::{
    provider::ticket::ProviderId,
    resource::{injection::Credential, sending::HeaderForm},
    token::AccessToken,
};

pub(super) const HOUR: u64 = 3_600;

/// The moment this many seconds after the start, on both clocks.
pub(super) fn at(seconds: u64) -> Moment {
    Moment::new(Duration::from_secs(1_000 + seconds), UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds))
}

/// Without jitter, a bearer of one hour is stale from 48 min on, and expired 10 s before the end of the hour.
pub(super) fn cache() -> Cache {
    Cache::new(Policy::default().jitter(false))
}

/// The default.
const SETTLING_TIME: Duration = Duration::ZERO;

pub(super) fn bearer(token: &str, issued: u64, lifetime: u64) -> Bearer {
    let token = AccessToken::new(token).expires_in(Duration::from_secs(lifetime));
    let deadlines = Policy::default().jitter(false).deadlines(at(issued), token.expiry(), Draw::MAX);
    let credential = Credential::new(&HeaderForm::default(), token.secret(), &[]).unwrap();
    Bearer::seal(token, credential, ProviderId::NONE, deadlines, at(issued), SETTLING_TIME)
}

impl Cache {
    /// Begins a flight, or fails the test.
    pub(super) fn begin(&self, want: Want, seconds: u64) -> StartFetch {
        match self.decide(want, at(seconds)) {
            Decision::Begin(start) => start,
            other => panic!("expected a flight, found {other:?}"),
        }
    }

    /// Fetches a bearer in no time.
    pub(super) fn fetch(&self, want: Want, bearer: &Bearer, seconds: u64) {
        let flight = self.begin(want, seconds).flight;
        self.complete(&flight, Ok(bearer.clone()), at(seconds), Draw::MAX);
    }

    /// A cache with this bearer in service from the start.
    pub(super) fn serving(bearer: &Bearer) -> Cache {
        let cache = cache();
        cache.fetch(Want::Token, bearer, 0);
        cache
    }

    /// The row that the cache is in now. An illegal combination fails the test.
    pub(super) fn now_in(&self) -> Row {
        self.row(&lock(&self.state)).expect("an illegal combination")
    }

    pub(super) fn in_service(&self, seconds: u64) -> Option<Generation> {
        self.usable(at(seconds)).map(|bearer| bearer.generation())
    }
}

/// An API that refuses a bearer without a word.
pub(super) fn silence() -> Option<Arc<[Challenge]>> {
    None
}

impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Decision::Serve(_) => "Serve",
            Decision::Refuse(_) => "Refuse",
            Decision::Wait(_) => "Wait",
            Decision::Begin(_) => "Begin",
            Decision::Nothing => "Nothing",
        })
    }
}
