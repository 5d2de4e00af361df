//! The format of a vector file.

use std::time::{Duration, SystemTime};

use bearer_token::{Backoff, Error, ErrorKind, Policy, Retry};
use bearer_token_testing::Outcome;
use schemars::JsonSchema;
use serde::Deserialize;

/// The version of the format. It changes whenever an old runner would misread a new vector.
pub(crate) const VERSION: u32 = 1;

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    version: u32,
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) policy: PolicyFields,
    pub(crate) draw: Draw,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Copy, JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Draw {
    Lowest,
    Highest,
}

#[derive(Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PolicyFields {
    reserve_seconds: Option<f64>,
    refresh_ahead_seconds: Option<f64>,
    jitter: Option<bool>,
    fetch_timeout_seconds: Option<f64>,
    refresh_timeout_seconds: Option<f64>,
    transient_backoff: Option<BackoffFields>,
    terminal_backoff: Option<BackoffFields>,
    rejection_backoff: Option<BackoffFields>,
    retry_after_limit_seconds: Option<f64>,
    default_lifetime_seconds: Option<f64>,
    max_lifetime_seconds: Option<f64>,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackoffFields {
    first_seconds: f64,
    limit_seconds: f64,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    #[serde(default, rename = "note")]
    _note: String,
    #[serde(default)]
    pub(crate) advance: f64,
    #[serde(default)]
    pub(crate) advance_wall: f64,
    #[serde(default)]
    pub(crate) source: Vec<Reply>,
    pub(crate) call: Option<Call>,
    pub(crate) expect: Expect,
}

#[derive(Clone, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    token: Option<String>,
    lifetime: Option<f64>,
    expires_at: Option<f64>,
    #[serde(default)]
    never_expires: bool,
    refresh_in: Option<f64>,
    error: Option<Kind>,
    retry_after: Option<f64>,
    #[serde(default)]
    takes: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Unavailable,
    Refused,
    Source,
    Timeout,
}

#[derive(Clone, JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    Token,
    Request,
    RefreshNow,
    Waiters,
    Reject(String),
}

#[derive(Clone, Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) token: Option<String>,
    pub(crate) error: Option<Kind>,
    #[serde(default)]
    pub(crate) waits: bool,
    pub(crate) rejection: Option<RejectionName>,
    pub(crate) fetches: u64,
    pub(crate) next_attempt: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RejectionName {
    Renewing,
    Superseded,
    Declined,
}

impl Vector {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let vector: Vector = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if vector.version != VERSION {
            return Err(format!("found version {}; expected {VERSION}", vector.version));
        }
        if vector.steps.is_empty() {
            return Err("found no steps; expected at least one".to_owned());
        }
        for (number, step) in vector.steps.iter().enumerate() {
            step.check().map_err(|problem| format!("step {number}: {problem}"))?;
        }
        Ok(vector)
    }
}

impl Step {
    fn check(&self) -> Result<(), String> {
        let Expect { token, error, waits, rejection, .. } = &self.expect;
        let outcomes = usize::from(token.is_some()) + usize::from(error.is_some()) + usize::from(*waits);
        let expected = match &self.call {
            None => (0, false),
            Some(Call::Reject(_)) => (0, true),
            Some(_) => (1, false),
        };
        if (outcomes, rejection.is_some()) != expected {
            return Err("the expectation does not fit the call".to_owned());
        }
        self.source.iter().try_for_each(Reply::check)
    }
}

impl Reply {
    fn check(&self) -> Result<(), String> {
        let expiries = [self.lifetime.is_some(), self.expires_at.is_some(), self.never_expires];
        let expiries = expiries.iter().filter(|given| **given).count();
        let fits = match (&self.token, &self.error) {
            (Some(_), None) => expiries <= 1 && self.retry_after.is_none(),
            (None, Some(_)) => expiries == 0 && self.refresh_in.is_none(),
            _ => false,
        };
        if fits { Ok(()) } else { Err("a source gives either a token with one expiry, or an error".to_owned()) }
    }

    pub(crate) fn outcome(self, start: SystemTime) -> Outcome {
        let takes = seconds(self.takes);
        let outcome = match (self.token, self.error) {
            (Some(token), _) => Outcome::token(token),
            (None, kind) => {
                let kind = match kind.unwrap() {
                    Kind::Unavailable => ErrorKind::Unavailable,
                    Kind::Refused => ErrorKind::Refused,
                    Kind::Source => ErrorKind::Source,
                    Kind::Timeout => ErrorKind::Timeout,
                };
                let error = Error::new(kind, "as the vector says");
                Outcome::error(match self.retry_after {
                    Some(after) => error.with_retry(Retry::Later { after: Some(seconds(after)) }),
                    None => error,
                })
            }
        };
        let outcome = match (self.lifetime, self.expires_at) {
            (Some(lifetime), _) => outcome.expires_in(seconds(lifetime)),
            (None, Some(time)) => outcome.expires_at(start + seconds(time)),
            (None, None) if self.never_expires => outcome.never_expires(),
            (None, None) => outcome,
        };
        let outcome = match self.refresh_in {
            Some(time) => outcome.refresh_in(seconds(time)),
            None => outcome,
        };
        if takes.is_zero() { outcome } else { outcome.after(takes) }
    }
}

impl PolicyFields {
    pub(crate) fn policy(&self) -> Policy {
        fn set<T: Copy>(policy: Policy, value: Option<T>, set: impl FnOnce(Policy, T) -> Policy) -> Policy {
            match value {
                Some(value) => set(policy, value),
                None => policy,
            }
        }
        let backoff = |fields: &Option<BackoffFields>| {
            fields.as_ref().map(|fields| Backoff::new(seconds(fields.first_seconds), seconds(fields.limit_seconds)))
        };
        let time = |value: Option<f64>| value.map(seconds);
        let policy = set(Policy::default(), time(self.reserve_seconds), Policy::reserve);
        let policy = set(policy, time(self.refresh_ahead_seconds), Policy::refresh_ahead);
        let policy = set(policy, self.jitter, Policy::jitter);
        let policy = set(policy, time(self.fetch_timeout_seconds), Policy::fetch_timeout);
        let policy = set(policy, time(self.refresh_timeout_seconds), Policy::refresh_timeout);
        let policy = set(policy, backoff(&self.transient_backoff), Policy::transient_backoff);
        let policy = set(policy, backoff(&self.terminal_backoff), Policy::terminal_backoff);
        let policy = set(policy, backoff(&self.rejection_backoff), Policy::rejection_backoff);
        let policy = set(policy, time(self.retry_after_limit_seconds), Policy::retry_after_limit);
        let policy = set(policy, time(self.default_lifetime_seconds), Policy::default_lifetime);
        set(policy, time(self.max_lifetime_seconds), Policy::max_lifetime)
    }
}

pub(crate) fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap()
}
