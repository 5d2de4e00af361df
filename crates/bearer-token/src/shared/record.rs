//! What replicas share: a token with its remaining life, and the last failure. No time of day is in it.
//!
//! # Time without clocks that agree
//!
//! Clocks of hosts differ, sometimes by hours. So a record has only durations, counted from when it was saved:
//!
//! ```text
//! saved                                    read
//!   |<----------- life (in the record) ------|------------>|
//!   |                                        |<-- left --->|   told by the store, by its own clock
//!   |<--- passed = life - left ------------->|
//!   token's age at the reading = age at the saving + passed
//! ```
//!
//! The store's clock is the only one that must run evenly. If it jumps ahead, a record ends early, which costs a token
//! request. If it jumps back, a token seems younger by the jump. It is renewed at the refresh point of that time, or
//! when the API rejects it.
//!
//! # Compatibility
//!
//! A record of another format counts as none: during a roll-out, old and new replicas then fetch for themselves. New
//! members are added without a new format, because unknown ones are skipped.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    error::{Error, ErrorKind, Retry},
    platform::Moment,
    source::Timing,
    token::{AccessToken, Expiry, Inherited, Recorded},
};

/// The format of records. Another one counts as no record.
const FORMAT: u32 = 1;

/// A record. All times in it count from when it was saved.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// The life with which the record was saved, in milliseconds. What is left of it tells how long ago that was.
    life: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<SharedToken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<SharedFailure>,
}

/// A token that one replica got for all.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SharedToken {
    /// The fence of the lease under which it was fetched.
    pub(super) generation: u64,
    secret: String,
    /// Its age when the record was saved, in milliseconds.
    age: u64,
    /// Its lifetime in milliseconds, or why there is none.
    lifetime: Lifetime,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_in: Option<u64>,
    /// The draw for its refresh, as a share of `u32::MAX`.
    draw: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extras: BTreeMap<String, String>,
}

/// The lifetime of a token, as its source told it. A time of day was turned into a duration before it was saved.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Lifetime {
    Unknown,
    Never,
    Known(u64),
}

/// The last failure of a token request, and the cool-down after it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SharedFailure {
    /// The cool-down, in milliseconds from when the record was saved.
    wait: u64,
    pub(super) in_a_row: u32,
    kind: String,
    is_terminal: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Which credential was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

impl Record {
    /// Reads a record of which this much life is left, or says what is wrong with it.
    pub(super) fn read(plain: &[u8], left: Duration) -> Result<Self, &'static str> {
        let record: Record = serde_json::from_slice(plain).map_err(|_| "its content cannot be read")?;
        if record.format != FORMAT {
            return Err("it has a format that this program does not know");
        }
        Ok(record.aged(left))
    }

    /// The record as if it had been saved now.
    fn aged(mut self, left: Duration) -> Self {
        let passed = self.life.saturating_sub(millis(left));
        self.life = millis(left);
        if let Some(token) = &mut self.token {
            token.age = token.age.saturating_add(passed);
        }
        if let Some(failure) = &mut self.failure {
            failure.wait = failure.wait.saturating_sub(passed);
        }
        self
    }

    /// The record some time after it was read.
    pub(super) fn after(self, passed: Duration) -> Self {
        let left = Duration::from_millis(self.life).saturating_sub(passed);
        self.aged(left)
    }

    /// A record with this life.
    pub(super) fn new(token: Option<SharedToken>, failure: Option<SharedFailure>, life: Duration) -> Self {
        Record { format: FORMAT, life: millis(life), token, failure }
    }

    /// The bytes to seal. They are written once, so that no copy of the token is left in freed memory.
    pub(super) fn plain(&self) -> Zeroizing<Vec<u8>> {
        /// The size of everything that has no size of its own.
        const REST: usize = 1024;
        let of_token = |token: &SharedToken| {
            let extras: usize = token.extras.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
            token.secret.len() + token.scope.as_ref().map_or(0, String::len) + extras
        };
        let of_failure = |failure: &SharedFailure| failure.message.len();
        // A string of JSON takes at most six times its bytes.
        let strings = self.token.as_ref().map_or(0, of_token) + self.failure.as_ref().map_or(0, of_failure);
        let mut bytes = Zeroizing::new(Vec::with_capacity(REST + 6 * strings));
        // Strings and numbers always have a form in JSON, and a `Vec` accepts all bytes.
        drop(serde_json::to_writer(&mut *bytes, self));
        bytes
    }
}

impl SharedToken {
    /// A token that was just fetched. `started` is when its fetch began.
    pub(super) fn new(token: &AccessToken, generation: u64, draw: u32, started: Moment, now: Moment) -> Self {
        let issued = token.issued_moment().unwrap_or(started);
        let lifetime = match token.expiry() {
            Expiry::Unknown => Lifetime::Unknown,
            Expiry::Never => Lifetime::Never,
            Expiry::In(lifetime) => Lifetime::Known(millis(lifetime)),
            Expiry::At(time) => Lifetime::Known(millis(time.duration_since(issued.wall()).unwrap_or_default())),
        };
        let (scope, extras) = token.details();
        SharedToken {
            generation,
            secret: token.secret().to_owned(),
            age: millis(now.monotonic().saturating_sub(issued.monotonic())),
            lifetime,
            refresh_in: token.refresh_hint().map(millis),
            draw,
            scope: scope.map(str::to_owned),
            extras: extras.clone(),
        }
    }

    /// How long the token lives on, and how long it may still be sent.
    pub(super) fn left(&self, timing: &dyn Timing) -> (Duration, Duration) {
        let (life, sendable) = timing.lives(self.expiry());
        let age = Duration::from_millis(self.age);
        (life.saturating_sub(age), sendable.saturating_sub(age))
    }

    /// The token for a provider. `asked` is when the store was asked for it, and `record` the name of its record.
    pub(super) fn to_token(&self, asked: Moment, record: &str) -> AccessToken {
        let token = AccessToken::new(self.secret.as_str()).with_expiry(self.expiry());
        let recorded = Some(Recorded::new(record, self.generation));
        let inherited = Inherited { age: Duration::from_millis(self.age), draw: self.draw, recorded };
        let token = token.issued(asked).with_inherited(inherited);
        let token = match self.refresh_in {
            Some(time) => token.refresh_in(Duration::from_millis(time)),
            None => token,
        };
        let token = match &self.scope {
            Some(scope) => token.scope(scope),
            None => token,
        };
        self.extras.iter().fold(token, |token, (name, value)| token.extra(name, value))
    }

    /// The lifetime as a source tells it to its provider. The provider applies its own policy to it.
    fn expiry(&self) -> Expiry {
        match self.lifetime {
            Lifetime::Unknown => Expiry::Unknown,
            Lifetime::Never => Expiry::Never,
            Lifetime::Known(time) => Expiry::In(Duration::from_millis(time)),
        }
    }
}

impl Drop for SharedToken {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.scope.zeroize();
        self.extras.values_mut().for_each(Zeroize::zeroize);
    }
}

/// The kinds of errors that concern all replicas: the server or the way to it failed. The others are of one process,
/// such as a key file that is missing.
const KINDS: [(ErrorKind, &str); 7] = [
    (ErrorKind::Transport, "transport"),
    (ErrorKind::Timeout, "timeout"),
    (ErrorKind::Unavailable, "unavailable"),
    (ErrorKind::Refused, "refused"),
    (ErrorKind::Response, "response"),
    (ErrorKind::Token, "token"),
    (ErrorKind::Source, "source"),
];

impl SharedFailure {
    /// A failure that concerns all replicas. `None` for others.
    pub(super) fn new(error: &Error, wait: Duration, in_a_row: u32, credential: Option<String>) -> Option<Self> {
        let (_, kind) = KINDS.iter().find(|(kind, _)| *kind == error.kind())?;
        let is_terminal = error.retry() == Retry::AfterChange;
        if is_terminal && error.kind() == ErrorKind::Source {
            // A file or a variable that is missing.
            return None;
        }
        Some(SharedFailure {
            wait: millis(wait),
            in_a_row,
            kind: (*kind).to_owned(),
            is_terminal,
            message: error.to_string(),
            code: error.oauth_code().map(str::to_owned),
            credential,
        })
    }

    /// The rest of the cool-down. `None` if it is over.
    pub(super) fn wait(&self) -> Option<Duration> {
        (self.wait > 0).then(|| Duration::from_millis(self.wait))
    }

    /// Whether the verdict is about another credential than this one.
    pub(super) fn is_of_another(&self, credential: Option<&str>) -> bool {
        self.is_terminal && self.credential.as_deref() != credential
    }

    /// The error for the callers of another replica.
    pub(super) fn error(&self) -> Error {
        let kind = KINDS.iter().find(|(_, word)| *word == self.kind).map_or(ErrorKind::Source, |(kind, _)| *kind);
        let retry = if self.is_terminal { Retry::AfterChange } else { Retry::Later { after: self.wait() } };
        // The message of another replica may be of another version. It still is one of the crate's own.
        let error = Error::new(kind, format!("another replica's token request failed: {}", self.message));
        let error = error.with_retry(retry);
        match &self.code {
            Some(code) => error.with_oauth_code(code.clone()),
            None => error,
        }
    }
}

/// Whole milliseconds, rounded up. So no life of a positive length becomes zero.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
