//! What is known of the token that a fetch is to replace.

use std::{sync::Arc, time::Duration};

use crate::platform::Moment;
#[cfg(feature = "shared")]
use crate::token::{AccessToken, Expiry};

/// The record that replicas share, by its name, and the generation of a token in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    record: Arc<str>,
    generation: u64,
}

/// What a token brings with it from a record.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    /// Its age at its issued moment. Its lifetime and its hint count from before that age.
    pub(crate) age: Duration,
    /// The draw for its refresh, as a share of `u32::MAX`.
    pub(crate) draw: u32,
    /// `None` if the record is certain not to have it.
    pub(crate) recorded: Option<Recorded>,
    /// `None` if it was fetched now.
    pub(crate) adopted: Option<Adopted>,
}

/// What is known of a token for which no token request was made, because another replica had fetched it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Adopted {
    /// How many renewals in a row rejections had forced when it was fetched, this one included.
    pub(crate) forced: u32,
    /// The time since its fetch ended, and it was saved for all.
    pub(crate) since: Duration,
}

/// The last token of a provider: the rejected one, the one in service, or one that has expired.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "shared"), allow(dead_code, reason = "asked by shared sources"))]
pub(crate) struct LastToken {
    recorded: Option<Recorded>,
    /// When its life ends, by the monotonic clock.
    until: Duration,
}

#[cfg(feature = "shared")]
impl Recorded {
    pub(crate) fn new(record: &str, generation: u64) -> Self {
        Recorded { record: record.into(), generation }
    }
}

impl LastToken {
    pub(crate) fn new(recorded: Option<Recorded>, expires: Option<Moment>) -> Self {
        LastToken { recorded, until: expires.map_or(Duration::MAX, Moment::monotonic) }
    }
}

#[cfg(feature = "shared")]
impl LastToken {
    /// What is known of a token. Its lifetime counts from `started`, unless the token has a time of issue. An unknown
    /// lifetime counts as ended.
    pub(crate) fn of(token: &AccessToken, started: Moment) -> Self {
        let issued = token.issued_moment().unwrap_or(started);
        let lifetime = match token.expiry() {
            Expiry::Never => Duration::MAX,
            Expiry::Unknown => Duration::ZERO,
            Expiry::In(lifetime) => lifetime,
            Expiry::At(time) => time.duration_since(issued.wall()).unwrap_or_default(),
        };
        let (age, recorded) = match token.inherited() {
            Some(inherited) => (inherited.age, inherited.recorded.clone()),
            None => (Duration::ZERO, None),
        };
        LastToken { recorded, until: issued.monotonic().saturating_add(lifetime.saturating_sub(age)) }
    }

    /// When its life ends, by the monotonic clock.
    pub(crate) fn until(&self) -> Duration {
        self.until
    }

    /// Its generation, if it is from this record.
    pub(crate) fn generation_in(&self, record: &str) -> Option<u64> {
        self.recorded.as_ref().filter(|recorded| *recorded.record == *record).map(|recorded| recorded.generation)
    }

    /// Whether a token of this record is newer, or lives longer than one that the record does not have.
    pub(crate) fn loses_to(&self, record: &str, generation: u64, until: Duration) -> bool {
        match self.generation_in(record) {
            Some(last) => generation > last || (generation != last && until > self.until),
            None => until > self.until,
        }
    }

    /// Whether a token of this record was issued later. If this one is not from the record, its end tells.
    pub(crate) fn is_older_than(&self, record: &str, generation: u64, until: Duration) -> bool {
        self.generation_in(record).map_or(until > self.until, |last| generation > last)
    }
}
