//! The sink for the `metrics` facade.
//!
//! Rules for what is here, so that a dashboard survives an update:
//!
//! - Names, units and labels are part of the public API. The guide lists them, and a test compares the list.
//! - A label has a fixed set of values, or is bounded by [`Metrics::max_providers`]. No label has a tenant, a URL or an
//!   error's message.
//! - A time is a point in time (`expires_at`), and not a remainder, because a gauge is not updated while nothing
//!   happens.
//! - What OpenTelemetry has a name for has that name.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ::metrics::{Label, histogram};

use self::series::{Known, Names};
use super::{Event, EventKind, Observer, WaitOutcome};

mod descriptions;
mod series;

/// The outcome of a caller that got an error without a wait.
const REFUSED: &str = "refused";

/// Counts events in the recorder of the [`metrics`](https://docs.rs/metrics) facade.
///
/// ```
/// use bearer_token::{StaticToken, TokenProvider, observe::Metrics};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// // Install the recorder before, such as that of `metrics-exporter-prometheus`.
/// let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
///     .allow_origin("https://api.example.com")
///     .name("billing")
///     .observer(Metrics::new())
///     .build()?;
/// # Ok(()) }
/// ```
///
/// # What is counted
///
/// Names, units and labels are stable. Prometheus writes dots as underscores.
///
/// | metric | kind, unit | labels beside `provider` |
/// |---|---|---|
/// | `bearer_token.fetches` | counter | `reason`: `missing`, `stale`, `rejected`, `requested`, `changed`, or `unknown` if abandoned; `outcome`: `fetched`, `abandoned`, or the kind of the error |
/// | `bearer_token.fetch.duration` | histogram, seconds | `outcome` |
/// | `bearer_token.failures_in_a_row` | gauge | |
/// | `bearer_token.expires_at` | gauge, Unix time in seconds | |
/// | `bearer_token.lifetime` | gauge, seconds | |
/// | `bearer_token.next_attempt_at` | gauge, Unix time in seconds; 0 after a success | |
/// | `bearer_token.wait.duration` | histogram, seconds | `outcome`: `served`, `failed`, `dropped` |
/// | `bearer_token.unserved` | counter | `outcome`: `failed` after a wait, `refused` at once, `dropped` |
/// | `bearer_token.cache.reads` | counter, if [asked for](Self::count_reads) | `state`: `fresh`, `stale`, `missing` |
/// | `bearer_token.rejections` | counter | `outcome`: `renewing`, `superseded`, `declined`, `settling` |
/// | `bearer_token.replays` | counter | `outcome`: what became of the refused bearer |
/// | `bearer_token.not_replayed` | counter | `outcome`: what became of the refused bearer |
/// | `bearer_token.requests_without_token` | counter | `outcome`: `passed`, `refused` |
/// | `bearer_token.store.calls` | counter | `store`, `operation`, `outcome` |
/// | `bearer_token.store.call.duration` | histogram, seconds | `store`, `operation` |
/// | `bearer_token.warnings` | counter | `warning`: the event in snake case, such as `key_kept` |
/// | `http.client.request.duration` | histogram, seconds | those of OpenTelemetry's semantic conventions: `http.request.method`, `server.address`, `server.port`, `http.response.status_code`, `error.type` |
///
/// The remaining life of a token is `expires_at` minus the current time, and the cool-down is `next_attempt_at` minus
/// the current time. As points in time they stay right without being updated, also while nothing happens.
///
/// # Zero before one
///
/// A counter that appears with the value 1 has not increased, as far as Prometheus can tell. So the counters of a
/// provider are recorded as 0 when it is built, for all values of their labels. These are `unserved`, `rejections`,
/// `replays`, `not_replayed`, `requests_without_token` and `warnings`. Of `fetches` these are the ones with outcome
/// `fetched` or `abandoned`. Those of failed fetches and of `store.calls` would be too many.
///
/// # How many series there are
///
/// `provider` is the name of the provider; for providers of a [map](crate::KeyedProviders), the name of the map. Each
/// `Metrics` tells up to [100](Self::max_providers) names apart, and as many servers. All others are counted together
/// as `_other`. The gauges of a map's providers are not recorded, because they would overwrite each other. Every other
/// label has a fixed set of values. So the number of series is bounded, however many tenants there are.
pub struct Metrics {
    counts_reads: bool,
    limit: usize,
    providers: Names,
    servers: Names,
}

impl Metrics {
    /// Creates a sink for the installed recorder, and describes each metric to it. Install the recorder first.
    pub fn new() -> Self {
        descriptions::describe();
        Metrics { counts_reads: false, limit: 100, providers: Names::new(), servers: Names::new() }
    }

    /// Counts each look at the cache too, which costs every warm request some time.
    #[must_use]
    pub fn count_reads(mut self) -> Self {
        self.counts_reads = true;
        self
    }

    /// How many names of providers, and of servers, are told apart. Default: 100 of each.
    #[must_use]
    pub fn max_providers(mut self, number: usize) -> Self {
        self.limit = number;
        self
    }

    /// The name under which a provider is counted.
    fn provider(&self, event: &Event<'_>) -> Known {
        let (provider, is_new) = self.providers.get(event.counted_as().unwrap_or("none"), self.limit);
        if is_new {
            provider.begin(self.counts_reads);
        }
        provider
    }

    /// Metrics of fetches. The gauges are those of single providers: the ones of a map would overwrite each other.
    fn fetched(&self, event: &Event<'_>, provider: &Known) {
        match event.kind {
            EventKind::Built { .. } if event.keyed.is_none() => provider.set("bearer_token.failures_in_a_row", 0.0),
            EventKind::Fetched { reason, duration, expires_at, remaining_life, .. } => {
                provider.count("bearer_token.fetches", &[("reason", reason.as_str()), ("outcome", "fetched")]);
                provider.measure("bearer_token.fetch.duration", &[("outcome", "fetched")], duration);
                if event.keyed.is_none() {
                    provider.set("bearer_token.failures_in_a_row", 0.0);
                    provider.set("bearer_token.next_attempt_at", 0.0);
                    provider.set("bearer_token.expires_at", expires_at.map_or(f64::INFINITY, unix));
                    let lifetime = remaining_life.map_or(f64::INFINITY, |life| life.as_secs_f64());
                    provider.set("bearer_token.lifetime", lifetime);
                }
            }
            EventKind::FetchFailed { reason, error, duration, failures_in_a_row, next_attempt_at, .. } => {
                let outcome = error.kind().as_str();
                provider.count("bearer_token.fetches", &[("reason", reason.as_str()), ("outcome", outcome)]);
                provider.measure("bearer_token.fetch.duration", &[("outcome", outcome)], duration);
                if event.keyed.is_none() {
                    provider.set("bearer_token.failures_in_a_row", f64::from(failures_in_a_row));
                    provider.set("bearer_token.next_attempt_at", unix(next_attempt_at));
                }
            }
            EventKind::FetchAbandoned {} => {
                provider.count("bearer_token.fetches", &[("reason", "unknown"), ("outcome", "abandoned")]);
            }
            _ => {}
        }
    }

    /// Metrics of requests, token requests and stores.
    fn request(&self, event: &Event<'_>, provider: &Known) {
        match event.kind {
            EventKind::CacheRead { state } => provider.count_read(state),
            EventKind::Waited { outcome, duration } => {
                provider.measure("bearer_token.wait.duration", &[("outcome", outcome.as_str())], duration);
                if outcome != WaitOutcome::Served {
                    provider.count("bearer_token.unserved", &[("outcome", outcome.as_str())]);
                }
            }
            EventKind::CallerRefused { .. } => {
                provider.count("bearer_token.unserved", &[("outcome", REFUSED)]);
            }
            EventKind::Rejected { outcome, .. } => {
                provider.count("bearer_token.rejections", &[("outcome", outcome.as_str())]);
            }
            EventKind::Replayed { rejection } => {
                provider.count("bearer_token.replays", &[("outcome", rejection.as_str())]);
            }
            EventKind::NotReplayed { rejection } => {
                provider.count("bearer_token.not_replayed", &[("outcome", rejection.as_str())]);
            }
            EventKind::SentWithoutToken { .. } => {
                provider.count("bearer_token.requests_without_token", &[("outcome", "passed")]);
            }
            EventKind::RequestRefused { .. } => {
                provider.count("bearer_token.requests_without_token", &[("outcome", "refused")]);
            }
            EventKind::TokenRequest { method, server_address, server_port, status, error_type, duration } => {
                self.token_request(provider, method, (server_address, server_port), (status, error_type), duration);
            }
            EventKind::StoreCall { store, operation, outcome, duration, .. } => {
                let labels = [("store", store), ("operation", operation.as_str()), ("outcome", outcome.as_str())];
                provider.count("bearer_token.store.calls", &labels);
                provider.measure("bearer_token.store.call.duration", &labels[..2], duration);
            }
            _ => {}
        }
    }

    /// The names are those of OpenTelemetry's semantic conventions for HTTP clients.
    fn token_request(
        &self,
        provider: &Known,
        method: &str,
        (address, port): (&str, u16),
        (status, error_type): (Option<u16>, Option<&'static str>),
        duration: Duration,
    ) {
        let mut labels = vec![
            provider.label(),
            // Users choose among the few methods that a token request may have.
            Label::new("http.request.method", method.to_owned()),
            Label::new("server.address", self.servers.get(address, self.limit).0.name),
            Label::new("server.port", port.to_string()),
        ];
        if let Some(status) = status {
            labels.push(Label::new("http.response.status_code", status.to_string()));
        }
        let failed = status.filter(|status| *status >= 400).map(|status| status.to_string());
        if let Some(kind) = error_type.map(str::to_owned).or(failed) {
            labels.push(Label::new("error.type", kind));
        }
        histogram!("http.client.request.duration", labels).record(duration.as_secs_f64());
    }
}

impl Observer for Metrics {
    fn on_event(&self, event: &Event<'_>) {
        let provider = self.provider(event);
        if let Some(warning) = event.kind.warning() {
            provider.count("bearer_token.warnings", &[("warning", warning)]);
        }
        self.fetched(event, &provider);
        self.request(event, &provider);
    }

    fn counts_reads(&self) -> bool {
        self.counts_reads
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Metrics { counts_reads, limit, .. } = self;
        f.debug_struct("Metrics")
            .field("counts_reads", counts_reads)
            .field("max_providers", limit)
            .finish_non_exhaustive()
    }
}

/// Seconds since 1970, as Prometheus' `time()` has it. Earlier times are zero.
fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
