//! The recorder with feature `tracing`: each event becomes an event of `tracing`.
//!
//! Every event has the target `bearer_token`, in every module. Target, messages and names of fields are stable, so
//! filters can use them. The guide's chapter on observability lists them, and a test compares both.

use std::{fmt, time::Duration};

pub(super) use ::tracing::Span;
use ::tracing::{debug, error, info, trace, warn};

use super::EventKind;
use crate::token::FetchReason;

/// Whether events are recorded without any observer. If not, values that only events need are not computed.
pub(super) const IS_ON: bool = true;

/// The target of all events and spans. One for the whole crate, so that moving code between modules breaks no filter.
const TARGET: &str = "bearer_token";

/// A time as logs show it, without more digits than a reader needs. `None` is a time that does not come.
struct Time(Option<Duration>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // A short one keeps its microseconds: a fetch from memory takes a few.
            Some(time) if time < Duration::from_millis(10) => {
                write!(f, "{:?}", time - Duration::from_nanos(u64::from(time.subsec_nanos() % 1_000)))
            }
            Some(time) => write!(f, "{:?}", time - Duration::from_nanos(u64::from(time.subsec_nanos() % 1_000_000))),
            None => f.write_str("never"),
        }
    }
}

/// Records an event. Without a provider, the span around the event names it.
pub(super) fn record(provider: Option<&str>, kind: &EventKind<'_>) {
    match kind {
        EventKind::Built { source: None, .. } => {
            debug!(target: TARGET, provider, "built a map of providers: each is built when a request first needs it");
        }
        EventKind::Built { source, allowed_origins } => {
            debug!(
                target: TARGET, provider, source, %allowed_origins,
                "built a provider: it fetches its first token when a request needs one"
            );
        }
        EventKind::FetchStarted { .. }
        | EventKind::Fetched { .. }
        | EventKind::TooShortLived { .. }
        | EventKind::FetchFailed { .. }
        | EventKind::FetchAbandoned {}
        | EventKind::FetchTooLate {} => fetch(provider, kind),
        EventKind::GaveUp { .. }
        | EventKind::Waited { .. }
        | EventKind::CallerRefused { .. }
        | EventKind::Rejected { .. }
        | EventKind::Replayed { .. }
        | EventKind::NotReplayed { .. }
        | EventKind::CacheRead { .. }
        | EventKind::NoOriginAllowed {}
        | EventKind::SentWithoutToken { .. }
        | EventKind::RequestRefused { .. } => request(provider, kind),
        EventKind::NoRandomness {} | EventKind::HasChangedPanicked {} | EventKind::WakerPanicked {} => {
            user_code(provider, kind);
        }
        EventKind::TokenRequest { .. }
        | EventKind::NarrowerScope { .. }
        | EventKind::StepRefused { .. }
        | EventKind::ResourceMetadataKept { .. }
        | EventKind::ExpiredOnArrival { .. }
        | EventKind::ClockDiffers { .. }
        | EventKind::ClockCorrected { .. }
        | EventKind::IncompleteAssertion { .. } => token_request(provider, kind),
        EventKind::FellBack { .. }
        | EventKind::CredentialReplaced {}
        | EventKind::CredentialKept { .. }
        | EventKind::FileKept { .. }
        | EventKind::KeyKept { .. }
        | EventKind::KeyPairKept { .. }
        | EventKind::CertificatesChanged {}
        | EventKind::CertificatesKept { .. } => source(provider, kind),
        EventKind::SharedTokenAdopted {}
        | EventKind::SharedRecordIgnored { .. }
        | EventKind::SharedKeysMissing { .. }
        | EventKind::SharedStoreSuspended { .. }
        | EventKind::SharedStoreResumed {} => shared(provider, kind),
        EventKind::StoreCall { .. }
        | EventKind::RefreshTokenSaved {}
        | EventKind::RefreshTokenNotSaved { .. }
        | EventKind::RefreshTokenRecovered {} => store(provider, kind),
    }
}

/// Events of one fetch. Failures are warnings, because each delays or fails requests sooner or later.
fn fetch(provider: Option<&str>, kind: &EventKind<'_>) {
    match kind {
        EventKind::FetchStarted { reason } => {
            debug!(target: TARGET, provider, reason = reason.as_str(), "fetching a token");
        }
        EventKind::Fetched { reason, generation, duration, remaining_life, expires_at: _, refresh_in } => {
            debug!(
                target: TARGET, provider, reason = reason.as_str(), generation, took = %Time(Some(*duration)), expires_in = %Time(*remaining_life),
                refresh_in = %Time(*refresh_in), "fetched a token"
            );
        }
        EventKind::TooShortLived { remaining_life } => {
            warn!(
                target: TARGET, provider, lifetime = %Time(*remaining_life),
                "fetched a token that has expired or is about to; it serves the waiting requests only: check the clocks \
                 and the token's lifetime"
            );
        }
        EventKind::FetchFailed { reason, error, duration, failures_in_a_row, next_attempt_in, next_attempt_at: _ } => {
            warn!(
                target: TARGET, provider, reason = reason.as_str(), kind = ?error.kind(), error = %error.beside(provider), took = %Time(Some(*duration)),
                failures_in_a_row, next_attempt_in = %Time(Some(*next_attempt_in)), "could not fetch a token"
            );
        }
        EventKind::FetchAbandoned {} => {
            warn!(
                target: TARGET, provider,
                "a fetch ended without a result: its task was dropped, or its runtime was shut down or is blocked"
            );
        }
        EventKind::FetchTooLate {} => {
            debug!(target: TARGET, provider, "ignoring the result of a fetch that was given up before");
        }
        _ => {}
    }
}

/// Events of requests. Most are at debug level, because there may be one for each request. What a person must look at
/// is a warning.
fn request(provider: Option<&str>, kind: &EventKind<'_>) {
    match kind {
        EventKind::GaveUp { error } => {
            warn!(target: TARGET, provider, kind = ?error.kind(), error = %error.beside(provider), "a caller gave up waiting for a token");
        }
        EventKind::Waited { outcome, duration } => {
            debug!(target: TARGET, provider, outcome = outcome.as_str(), duration = %Time(Some(*duration)), "a caller waited for a token");
        }
        EventKind::CallerRefused { error } => {
            debug!(
                target: TARGET, provider, kind = ?error.kind(), error = %error.beside(provider),
                "a caller got an error at once: there is no token, the last fetch failed, and the next may not start yet"
            );
        }
        EventKind::Rejected { generation, outcome } => {
            debug!(target: TARGET, provider, generation, outcome = outcome.as_str(), "the API rejected a token");
        }
        EventKind::Replayed { rejection } => {
            debug!(target: TARGET, provider, rejection = rejection.as_str(), "sending a rejected request again");
        }
        EventKind::NotReplayed { rejection } => {
            debug!(
                target: TARGET, provider, rejection = rejection.as_str(),
                "a rejected request was not sent again: usually no replay is set up, or its body cannot be sent twice"
            );
        }
        EventKind::CacheRead { state } => {
            trace!(target: TARGET, provider, state = state.as_str(), "a request looked for a token in the cache");
        }
        EventKind::NoOriginAllowed {} => {
            info!(
                target: TARGET, provider,
                "no origin is allowed: only loopback and requests without a host get a token; if requests use this provider \
                 directly, call .allow_origin(..) on its builder"
            );
        }
        EventKind::SentWithoutToken { origin, is_first: true } => {
            warn!(
                target: TARGET, provider, %origin,
                "a request goes out without a token: its origin is not allowed; if the token is meant for it, call \
                 .allow_origin(..) on the provider's builder (further ones are logged at debug level)"
            );
        }
        EventKind::SentWithoutToken { origin, is_first: false } => {
            debug!(
                target: TARGET, provider, %origin, "a request goes out without a token: its origin is not allowed"
            );
        }
        EventKind::RequestRefused { error } => {
            debug!(target: TARGET, provider, error = %error.beside(provider), "a request was not authorized");
        }
        _ => {}
    }
}

/// Events about user code that failed.
fn user_code(provider: Option<&str>, kind: &EventKind<'_>) {
    match kind {
        EventKind::NoRandomness {} => {
            warn!(
                target: TARGET, provider,
                "the platform gave no randomness; refreshes and retries of this provider are not spread over time"
            );
        }
        EventKind::HasChangedPanicked {} => {
            warn!(
                target: TARGET, provider, "TokenSource::has_changed panicked; assuming that nothing has changed"
            );
        }
        EventKind::WakerPanicked {} => {
            warn!(
                target: TARGET, provider,
                "the waker of a task that waits for a token panicked; the other tasks are woken all the same"
            );
        }
        _ => {}
    }
}

/// Events of token requests. The names of fields with dots are those of OpenTelemetry's semantic conventions.
fn token_request(provider: Option<&str>, kind: &EventKind<'_>) {
    match kind {
        EventKind::TokenRequest { method, server_address, server_port, status, error_type, duration } => {
            debug!(
                target: TARGET, provider, "http.request.method" = method, "server.address" = server_address,
                "server.port" = i64::from(*server_port), "http.response.status_code" = status.map(i64::from),
                "error.type" = error_type, duration = %Time(Some(*duration)), "sent a token request"
            );
        }
        EventKind::NarrowerScope { authorization_server, missing } => {
            warn!(
                target: TARGET, provider, authorization_server, missing,
                "the granted scope is narrower than the requested one"
            );
        }
        EventKind::StepRefused { authorization_server, error } => {
            warn!(
                target: TARGET, provider, authorization_server, kind = ?error.kind(), error = %error.beside(provider),
                "the authorization server refused the wider scope that the API asks for; asking for the previous one \
                 again: give the client more rights, then call refresh_now"
            );
        }
        EventKind::ResourceMetadataKept { resource, error } => {
            warn!(
                target: TARGET, provider, resource, kind = ?error.kind(), error = %error.beside(provider),
                "using the previous metadata of the resource"
            );
        }
        EventKind::ExpiredOnArrival { authorization_server, expired_ago } => {
            warn!(
                target: TARGET, provider, authorization_server, expired_ago = %Time(Some(*expired_ago)),
                "the authorization server sent a token that had already expired: check the token lifetime at the server, \
                 and the clock of this machine"
            );
        }
        EventKind::ClockDiffers { authorization_server, offset } => {
            warn!(
                target: TARGET, provider, authorization_server, %offset,
                "the clock of this machine differs from the authorization server's: set the clock"
            );
        }
        EventKind::ClockCorrected { offset } => {
            warn!(
                target: TARGET, provider, %offset,
                "this machine's clock is off; signing again by the authorization server's clock"
            );
        }
        EventKind::IncompleteAssertion { missing } => {
            warn!(
                target: TARGET, provider, ?missing,
                "the assertion does not have all claims that RFC 7523 section 3 requires; only some servers accept it: set \
                 them on the template"
            );
        }
        _ => {}
    }
}

/// Events about what a source is made of: credentials, files, keys, certificates.
fn source(provider: Option<&str>, kind: &EventKind<'_>) {
    match kind {
        EventKind::FellBack { error } => {
            warn!(
                target: TARGET, provider, kind = ?error.kind(), error = %error.beside(provider),
                "the primary source failed permanently; using the fallback"
            );
        }
        EventKind::CredentialReplaced {} => {
            info!(target: TARGET, provider, "a new credential is in use");
        }
        EventKind::CredentialKept { error } => {
            warn!(
                target: TARGET, provider, kind = ?error.kind(), error = %error.beside(provider),
                "a new credential was refused or is unusable; the previous one stays in use"
            );
        }
        EventKind::FileKept { path, problem } => {
            warn!(
                target: TARGET, provider, file = %path.display(), problem,
                "ignoring the changed file; its previous contents stay in use"
            );
        }
        EventKind::KeyKept { place, problem } => {
            warn!(
                target: TARGET, provider, place, problem, "ignoring the changed key; the previous one stays in use"
            );
        }
        EventKind::KeyPairKept { problem } => {
            warn!(
                target: TARGET, provider, problem, "ignoring a key or its certificate; the previous pair stays in use"
            );
        }
        EventKind::CertificatesChanged {} => {
            info!(target: TARGET, provider, "new connections for token requests use the changed certificates");
        }
        EventKind::CertificatesKept { problems } => {
            warn!(
                target: TARGET, provider, problems,
                "ignoring changed certificates for token requests; the previous ones stay in use until a file changes again"
            );
        }
        _ => {}
    }
}

/// Events of tokens that replicas share.
fn shared(provider: Option<&str>, kind: &EventKind<'_>) {
    match kind {
        EventKind::SharedTokenAdopted {} => {
            debug!(target: TARGET, provider, "using the token that another replica got");
        }
        EventKind::SharedRecordIgnored { problem } => {
            warn!(target: TARGET, provider, problem, "ignoring a record of the shared store");
        }
        EventKind::SharedKeysMissing { error } => {
            warn!(
                target: TARGET, provider, kind = ?error.kind(), error = %error.beside(provider),
                "the sealing keys of the shared store cannot be read; this replica fetches for itself"
            );
        }
        EventKind::SharedStoreSuspended { error, pause } => {
            warn!(
                target: TARGET, provider, kind = ?error.kind(), error = %error.beside(provider), pause = %Time(Some(*pause)),
                "the shared store cannot be used now; each replica fetches for itself until the store is asked again"
            );
        }
        EventKind::SharedStoreResumed {} => {
            info!(target: TARGET, provider, "the shared store answers again");
        }
        _ => {}
    }
}

/// Events of stores. A refresh token that could not be saved is the only error: a restart would lose it.
fn store(provider: Option<&str>, kind: &EventKind<'_>) {
    match kind {
        EventKind::StoreCall { store, operation, outcome, error: None, duration } => {
            debug!(
                target: TARGET, provider, store, operation = operation.as_str(), outcome = outcome.as_str(), duration = %Time(Some(*duration)),
                "called a store"
            );
        }
        EventKind::StoreCall { store, operation, outcome, error: Some(error), duration } => {
            warn!(
                target: TARGET, provider, store, operation = operation.as_str(), outcome = outcome.as_str(),
                kind = ?error.kind(), error = %error.beside(provider), duration = %Time(Some(*duration)), "the call of a store failed"
            );
        }
        EventKind::RefreshTokenSaved {} => {
            debug!(target: TARGET, provider, "saved a new refresh token");
        }
        EventKind::RefreshTokenNotSaved { error } => {
            error!(
                target: TARGET, provider, kind = ?error.kind(), error = %error.beside(provider),
                "could not save a new refresh token; it is kept in memory only"
            );
        }
        EventKind::RefreshTokenRecovered {} => {
            info!(target: TARGET, provider, "recovered a refresh token that a crashed process had written");
        }
        _ => {}
    }
}

/// An observer of the user's panicked. It is no event, because the observers are what failed.
pub(super) fn observer_panicked(provider: &str) {
    warn!(target: TARGET, provider, "an observer panicked; the other observers are told all the same");
}

/// A span that is enabled whenever warnings are, because it explains warnings. So events of a source name the provider.
pub(super) fn fetch_span(provider: &str, reason: FetchReason) -> Span {
    ::tracing::warn_span!(target: TARGET, "fetch", provider, reason = reason.as_str())
}

/// The span of a token request. Its fields are those of OpenTelemetry's semantic conventions for HTTP clients, and
/// those that `tracing-opentelemetry` understands. It has no unsigned numbers, and would write them as strings.
#[cfg(feature = "oauth")]
pub(super) fn request_span(method: &str, address: &str, port: u16) -> Span {
    ::tracing::info_span!(
        target: TARGET,
        "token_request",
        otel.name = method,
        otel.kind = "client",
        "http.request.method" = method,
        "server.address" = address,
        "server.port" = i64::from(port),
        "http.response.status_code" = ::tracing::field::Empty,
        "error.type" = ::tracing::field::Empty,
    )
}

/// Completes the fields of the span of a token request. A failure has `error.type`: the status, or the kind of the
/// error.
#[cfg(feature = "oauth")]
pub(super) fn end_request(span: &Span, status: Option<u16>, error_type: Option<&'static str>) {
    if let Some(status) = status {
        span.record("http.response.status_code", i64::from(status));
    }
    let failed = status.filter(|status| *status >= 400).map(|status| status.to_string());
    if let Some(kind) = error_type.or(failed.as_deref()) {
        span.record("error.type", kind);
    }
}

/// The span around the code that runs now, for a task that is spawned by it.
#[cfg(feature = "oauth")]
pub(super) fn current_span() -> Span {
    Span::current()
}

/// Runs a function inside a span. For futures, once for each poll.
pub(super) fn in_span<T>(span: &Span, run: impl FnOnce() -> T) -> T {
    span.in_scope(run)
}
