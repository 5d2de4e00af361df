//! The section `policy`: the times of caching, refreshing and backing off.

use std::time::Duration;

use bearer_token::{Backoff, Policy, Problem};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    names::{Names, name},
    report::Report,
    values::{Seconds, table},
};

const NAMES: Names = Names {
    section: "",
    names: &[
        name("policy.default_lifetime", "policy.default_lifetime_seconds"),
        name("policy.fetch_timeout", "policy.fetch_timeout_seconds"),
        name("policy.max_lifetime", "policy.max_lifetime_seconds"),
        name("policy.refresh_timeout", "policy.refresh_timeout_seconds"),
    ],
};

/// Whether a problem of a provider's builder is about its policy.
pub(super) fn is_about(problem: &Problem) -> bool {
    problem.path().starts_with("policy")
}

/// Reports the problems of a provider's builder that are about its policy.
pub(super) fn report(problems: &[Problem], report: &mut Report) {
    problems.iter().filter(|problem| is_about(problem)).for_each(|problem| report.add(NAMES.translate(problem)));
}

/// Times in seconds.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PolicyFields {
    /// How long before its expiry a token is no longer sent, but at most a tenth of its lifetime. Default: 10.
    reserve_seconds: Option<Seconds>,
    /// How long before its expiry a token is refreshed in the background, but at most a fifth of its lifetime. Default:
    /// 900.
    refresh_ahead_seconds: Option<Seconds>,
    /// Whether each token is refreshed a random time earlier, so that the requests of a fleet spread out. Default:
    /// true.
    jitter: Option<bool>,
    /// How long a fetch may take while callers wait for it. Default: 10.
    fetch_timeout_seconds: Option<Seconds>,
    /// How long a refresh in the background may take. Default: 10.
    refresh_timeout_seconds: Option<Seconds>,
    /// The cool-down after failures that may pass by themselves. Default: 1 to 60 s.
    #[serde(deserialize_with = "table::optional")]
    transient_backoff: Option<BackoffFields>,
    /// The cool-down after failures that need a change of key, permission or configuration. Default: 5 s to 5 min.
    #[serde(deserialize_with = "table::optional")]
    terminal_backoff: Option<BackoffFields>,
    /// The shortest time between renewals that the API causes by rejecting tokens. Default: 5 s to 5 min.
    #[serde(deserialize_with = "table::optional")]
    rejection_backoff: Option<BackoffFields>,
    /// The longest `Retry-After` that is respected. Default: 3600.
    retry_after_limit_seconds: Option<Seconds>,
    /// The assumed lifetime of tokens whose source does not know it. Default: 300.
    default_lifetime_seconds: Option<Seconds>,
    /// The longest lifetime of a token. One that claims more is renewed after this time. Default: 30 days.
    max_lifetime_seconds: Option<Seconds>,
}

/// A wait that doubles with each failure in a row.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct BackoffFields {
    /// The wait after one failure.
    first_seconds: Seconds,
    /// The longest wait.
    limit_seconds: Seconds,
}

impl From<BackoffFields> for Backoff {
    fn from(fields: BackoffFields) -> Self {
        Backoff::new(fields.first_seconds.0, fields.limit_seconds.0)
    }
}

impl PolicyFields {
    pub(super) fn policy(&self) -> Policy {
        let fields = self;
        let mut policy = Policy::default();
        for (time, set) in [
            (fields.reserve_seconds, Policy::reserve as fn(Policy, Duration) -> Policy),
            (fields.refresh_ahead_seconds, Policy::refresh_ahead),
            (fields.fetch_timeout_seconds, Policy::fetch_timeout),
            (fields.refresh_timeout_seconds, Policy::refresh_timeout),
            (fields.retry_after_limit_seconds, Policy::retry_after_limit),
            (fields.default_lifetime_seconds, Policy::default_lifetime),
            (fields.max_lifetime_seconds, Policy::max_lifetime),
        ] {
            policy = time.into_iter().fold(policy, |policy, time| set(policy, time.0));
        }
        for (backoff, set) in [
            (fields.transient_backoff, Policy::transient_backoff as fn(Policy, Backoff) -> Policy),
            (fields.terminal_backoff, Policy::terminal_backoff),
            (fields.rejection_backoff, Policy::rejection_backoff),
        ] {
            policy = backoff.into_iter().fold(policy, |policy, backoff| set(policy, backoff.into()));
        }
        fields.jitter.into_iter().fold(policy, Policy::jitter)
    }
}
