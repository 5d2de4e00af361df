//! What each kind of event becomes in `tracing`, and what it counts in `metrics`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    fmt::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use ::metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata as MetricMetadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use ::tracing::{
    Event as Recorded, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{Event, EventKind, Metrics, Observer, StoreOperation, StoreOutcome, Text, WaitOutcome, outcome::CacheRead};
use crate::{
    error::{Error, ErrorKind},
    token::{FetchReason, Rejection},
};

/// Names every kind. A kind that is missing here does not compile.
macro_rules! kinds {
    ($($kind:ident)+) => {
        const KINDS: &[&str] = &[$(stringify!($kind)),+];

        fn name(kind: &EventKind<'_>) -> &'static str {
            match kind { $(EventKind::$kind { .. } => stringify!($kind)),+ }
        }
    };
}

kinds! {
    Built FetchStarted Fetched TooShortLived FetchFailed FetchAbandoned FetchTooLate GaveUp Waited CallerRefused Rejected Replayed NotReplayed CacheRead
    NoOriginAllowed SentWithoutToken RequestRefused NoRandomness HasChangedPanicked WakerPanicked TokenRequest
    NarrowerScope StepRefused ResourceMetadataKept ExpiredOnArrival ClockDiffers ClockCorrected IncompleteAssertion FellBack
    CredentialReplaced CredentialKept FileKept KeyKept KeyPairKept CertificatesChanged CertificatesKept StoreCall
    SharedTokenAdopted SharedRecordIgnored SharedKeysMissing SharedStoreSuspended SharedStoreResumed RefreshTokenSaved
    RefreshTokenNotSaved RefreshTokenRecovered
}

/// An event, its level and the beginning of its message in `tracing`, a field, and what it counts in `metrics`.
type Row<'a> = (EventKind<'a>, &'static str, &'static str, &'static [&'static str]);

const SECOND: Duration = Duration::from_secs(1);

fn rows<'a>(error: &'a Error, text: &'a dyn fmt::Display) -> Vec<Row<'a>> {
    let mut rows = of_fetches(error);
    rows.extend(of_requests(error, text));
    rows.extend(of_token_requests(error, text));
    rows.extend(of_sources(error));
    rows.extend(of_stores(error));
    rows
}

fn of_fetches(error: &Error) -> Vec<Row<'_>> {
    use EventKind as Kind;
    let (reason, duration) = (FetchReason::Stale, SECOND);
    vec![
        (
            Kind::Built { source: Some("https://as.example.com"), allowed_origins: Text(&"none") },
            "DEBUG built a provider: ",
            "source=https://as.example.com allowed_origins=none",
            &["bearer_token.failures_in_a_row{}"],
        ),
        (
            Kind::Built { source: None, allowed_origins: Text(&"") },
            "DEBUG built a map of providers",
            "provider=billing ",
            &["bearer_token.failures_in_a_row{}"],
        ),
        (Kind::FetchStarted { reason }, "DEBUG fetching a token", "reason=stale", &[]),
        (
            Kind::Fetched {
                reason,
                generation: 7,
                duration,
                remaining_life: Some(SECOND),
                expires_at: Some(UNIX_EPOCH),
                refresh_in: None,
            },
            "DEBUG fetched a token",
            "generation=7 took=1s expires_in=1s refresh_in=never",
            &[
                "bearer_token.fetches{reason=stale,outcome=fetched}",
                "bearer_token.fetch.duration{outcome=fetched}",
                "bearer_token.failures_in_a_row{}",
                "bearer_token.next_attempt_at{}",
                "bearer_token.expires_at{}",
                "bearer_token.lifetime{}",
            ],
        ),
        (
            Kind::TooShortLived { remaining_life: None },
            "WARN fetched a token that has expired",
            "lifetime=never",
            &["bearer_token.warnings{warning=too_short_lived}"],
        ),
        (
            Kind::FetchFailed {
                reason,
                error,
                duration,
                failures_in_a_row: 3,
                next_attempt_in: SECOND,
                next_attempt_at: UNIX_EPOCH,
            },
            "WARN could not fetch a token",
            "failures_in_a_row=3",
            &[
                "bearer_token.fetches{reason=stale,outcome=transport}",
                "bearer_token.fetch.duration{outcome=transport}",
                "bearer_token.failures_in_a_row{}",
                "bearer_token.next_attempt_at{}",
            ],
        ),
        (
            Kind::FetchAbandoned {},
            "WARN a fetch ended without a result",
            "",
            &["bearer_token.fetches{reason=unknown,outcome=abandoned}"],
        ),
        (Kind::FetchTooLate {}, "DEBUG ignoring the result of a fetch", "", &[]),
        (
            Kind::GaveUp { error },
            "WARN a caller gave up",
            "kind=Transport",
            &["bearer_token.warnings{warning=gave_up}"],
        ),
        (
            Kind::Waited { outcome: WaitOutcome::Dropped, duration },
            "DEBUG a caller waited",
            "outcome=dropped",
            &["bearer_token.wait.duration{outcome=dropped}", "bearer_token.unserved{outcome=dropped}"],
        ),
        (
            Kind::Waited { outcome: WaitOutcome::Failed, duration },
            "DEBUG a caller waited",
            "outcome=failed",
            &["bearer_token.wait.duration{outcome=failed}", "bearer_token.unserved{outcome=failed}"],
        ),
        (
            Kind::CallerRefused { error },
            "DEBUG a caller got an error at once",
            "kind=Transport",
            &["bearer_token.unserved{outcome=refused}"],
        ),
    ]
}

fn of_requests<'a>(error: &'a Error, text: &'a dyn fmt::Display) -> Vec<Row<'a>> {
    use EventKind as Kind;
    vec![
        (
            Kind::Rejected { generation: 7, outcome: Rejection::Renewing },
            "DEBUG the API rejected a token",
            "outcome=renewing",
            &["bearer_token.rejections{outcome=renewing}"],
        ),
        (
            Kind::Replayed { rejection: Rejection::Superseded },
            "DEBUG sending a rejected request again",
            "rejection=superseded",
            &["bearer_token.replays{outcome=superseded}"],
        ),
        (
            Kind::NotReplayed { rejection: Rejection::Renewing },
            "DEBUG a rejected request was not sent again",
            "rejection=renewing",
            &["bearer_token.not_replayed{outcome=renewing}"],
        ),
        (
            Kind::CacheRead { state: CacheRead::Missing },
            "TRACE a request looked for a token",
            "state=missing",
            &["bearer_token.cache.reads{state=missing}"],
        ),
        (Kind::NoOriginAllowed {}, "INFO no origin is allowed", "", &[]),
        (
            Kind::SentWithoutToken { origin: Text(text), is_first: true },
            "WARN a request goes out without a token",
            "origin=a text",
            &["bearer_token.requests_without_token{outcome=passed}"],
        ),
        (
            Kind::SentWithoutToken { origin: Text(text), is_first: false },
            "DEBUG a request goes out without a token",
            "origin=a text",
            &["bearer_token.requests_without_token{outcome=passed}"],
        ),
        (
            Kind::RequestRefused { error },
            "DEBUG a request was not authorized",
            "error=gone",
            &["bearer_token.requests_without_token{outcome=refused}"],
        ),
        (
            Kind::NoRandomness {},
            "WARN the platform gave no randomness",
            "",
            &["bearer_token.warnings{warning=no_randomness}"],
        ),
        (
            Kind::HasChangedPanicked {},
            "WARN TokenSource::has_changed panicked",
            "",
            &["bearer_token.warnings{warning=has_changed_panicked}"],
        ),
        (Kind::WakerPanicked {}, "WARN the waker of a task", "", &["bearer_token.warnings{warning=waker_panicked}"]),
    ]
}

fn of_token_requests<'a>(error: &'a Error, text: &'a dyn fmt::Display) -> Vec<Row<'a>> {
    use EventKind as Kind;
    let authorization_server = "https://as.example.com";
    vec![
        (
            Kind::TokenRequest {
                method: "POST",
                server_address: "as.example.com",
                server_port: 443,
                status: Some(503),
                error_type: None,
                duration: SECOND,
            },
            "DEBUG sent a token request",
            "http.response.status_code=503",
            &["http.client.request.duration{http.request.method=POST,server.address=as.example.com,server.port=443,\
               http.response.status_code=503,error.type=503}"],
        ),
        (
            Kind::NarrowerScope { authorization_server, missing: "write" },
            "WARN the granted scope is narrower",
            "missing=write",
            &["bearer_token.warnings{warning=narrower_scope}"],
        ),
        (
            Kind::StepRefused { authorization_server, error },
            "WARN the authorization server refused the wider scope",
            "error=gone",
            &[],
        ),
        (
            Kind::ResourceMetadataKept { resource: "https://api.example.com", error },
            "WARN using the previous metadata",
            "resource=https://api.example.com",
            &[],
        ),
        (
            Kind::ExpiredOnArrival { authorization_server, expired_ago: SECOND },
            "WARN the authorization server sent a token that had already expired",
            "expired_ago=1s",
            &["bearer_token.warnings{warning=expired_on_arrival}"],
        ),
        (
            Kind::ClockDiffers { authorization_server, offset: Text(text) },
            "WARN the clock of this machine differs",
            "offset=a text",
            &["bearer_token.warnings{warning=clock_differs}"],
        ),
        (
            Kind::ClockCorrected { offset: Text(text) },
            "WARN this machine's clock is off",
            "offset=a text",
            &["bearer_token.warnings{warning=clock_corrected}"],
        ),
        (
            Kind::IncompleteAssertion { missing: &["aud"] },
            "WARN the assertion does not have all claims",
            "missing=[\"aud\"]",
            &["bearer_token.warnings{warning=incomplete_assertion}"],
        ),
    ]
}

fn of_sources(error: &Error) -> Vec<Row<'_>> {
    use EventKind as Kind;
    vec![
        (
            Kind::FellBack { error },
            "WARN the primary source failed permanently",
            "error=gone",
            &["bearer_token.warnings{warning=fell_back}"],
        ),
        (Kind::CredentialReplaced {}, "INFO a new credential is in use", "", &[]),
        (Kind::CredentialKept { error }, "WARN a new credential was refused", "error=gone", &[]),
        (
            Kind::FileKept { path: Path::new("key.pem"), problem: "empty" },
            "WARN ignoring the changed file",
            "file=key.pem",
            &["bearer_token.warnings{warning=file_kept}"],
        ),
        (
            Kind::KeyKept { place: "a file", problem: "empty" },
            "WARN ignoring the changed key",
            "place=a file",
            &["bearer_token.warnings{warning=key_kept}"],
        ),
        (
            Kind::KeyPairKept { problem: "other" },
            "WARN ignoring a key or its certificate",
            "problem=other",
            &["bearer_token.warnings{warning=key_pair_kept}"],
        ),
        (Kind::CertificatesChanged {}, "INFO new connections for token requests", "", &[]),
        (
            Kind::CertificatesKept { problems: "empty" },
            "WARN ignoring changed certificates",
            "problems=empty",
            &["bearer_token.warnings{warning=certificates_kept}"],
        ),
    ]
}

fn of_stores(error: &Error) -> Vec<Row<'_>> {
    use EventKind as Kind;
    let call =
        |operation, outcome, error| Kind::StoreCall { store: "shared", operation, outcome, error, duration: SECOND };
    vec![
        (
            call(StoreOperation::Lease, StoreOutcome::Conflict, None),
            "DEBUG called a store",
            "outcome=conflict",
            &[
                "bearer_token.store.calls{store=shared,operation=lease,outcome=conflict}",
                "bearer_token.store.call.duration{store=shared,operation=lease}",
            ],
        ),
        (
            call(StoreOperation::Save, StoreOutcome::Failed, Some(error)),
            "WARN the call of a store failed",
            "error=gone",
            &[
                "bearer_token.store.calls{store=shared,operation=save,outcome=failed}",
                "bearer_token.store.call.duration{store=shared,operation=save}",
            ],
        ),
        (Kind::SharedTokenAdopted {}, "DEBUG using the token that another replica got", "", &[]),
        (Kind::SharedRecordIgnored { problem: "short" }, "WARN ignoring a record", "problem=short", &[]),
        (Kind::SharedKeysMissing { error }, "WARN the sealing keys", "error=gone", &[]),
        (
            Kind::SharedStoreSuspended { error, pause: SECOND },
            "WARN the shared store cannot be used now",
            "pause=1s",
            &[],
        ),
        (Kind::SharedStoreResumed {}, "INFO the shared store answers again", "", &[]),
        (Kind::RefreshTokenSaved {}, "DEBUG saved a new refresh token", "", &[]),
        (
            Kind::RefreshTokenNotSaved { error },
            "ERROR could not save a new refresh token",
            "kind=Transport",
            &["bearer_token.warnings{warning=refresh_token_not_saved}"],
        ),
        (Kind::RefreshTokenRecovered {}, "INFO recovered a refresh token", "", &[]),
    ]
}

#[test]
fn each_kind_has_its_event_and_its_metrics() {
    let error = Error::new(ErrorKind::Transport, "gone");
    let mut seen = Vec::new();
    for (kind, message, field, series) in rows(&error, &"a text") {
        seen.push(name(&kind));
        let lines = Lines::default();
        ::tracing::subscriber::with_default(lines.clone(), || super::tracing::record(Some("billing"), &kind));
        let line = lines.take();
        assert!(line.starts_with(message), "{kind:?}: {line}");
        assert!(line.contains("provider=billing ") && line.contains(field), "{kind:?}: {line}");
        let counted = Counted::default();
        let event = Event { provider: Some("billing"), keyed: None, kind };
        with_local_recorder(&counted, || Metrics::new().count_reads().on_event(&event));
        assert_eq!(counted.take(), series, "{:?}", event.kind);
        for series in series.iter() {
            assert!(counted.is_described(series), "{series} has no description");
        }
        let begun = counted.zeros.lock().unwrap();
        for series in series.iter().filter(|series| counted.is_counter(series)) {
            let too_many = ["bearer_token.fetches{reason=stale,outcome=transport}", "bearer_token.store.calls{"];
            let is_expected = !too_many.iter().any(|prefix| series.starts_with(prefix));
            assert_eq!(begun.iter().any(|zero| zero == series), is_expected, "{series} begins at zero");
        }
    }
    seen.dedup();
    let missing: Vec<_> = KINDS.iter().filter(|kind| !seen.contains(kind)).collect();
    assert!(missing.is_empty(), "kinds without a row: {missing:?}");
}

/// A subscriber that keeps each event as a line: its level, its message, its fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Lines {
    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "bearer_token"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Recorded<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = self.0.lock().unwrap();
        write!(line, "{} {} {} ", event.metadata().level(), fields.message, fields.others).unwrap();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            write!(self.others, "{}={value:?} ", field.name()).unwrap();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.others, "{}={value} ", field.name()).unwrap();
    }
}

/// A recorder that keeps the names of what is recorded, with the labels beside `provider`. Counters that are recorded
/// as zero are kept apart.
#[derive(Default)]
struct Counted {
    values: Arc<Mutex<Vec<String>>>,
    zeros: Arc<Mutex<Vec<String>>>,
    described: Mutex<Vec<String>>,
}

/// One counter.
struct Counting {
    series: String,
    values: Arc<Mutex<Vec<String>>>,
    zeros: Arc<Mutex<Vec<String>>>,
}

impl CounterFn for Counting {
    fn increment(&self, value: u64) {
        let kept = if value == 0 { &self.zeros } else { &self.values };
        kept.lock().unwrap().push(self.series.clone());
    }

    fn absolute(&self, _: u64) {}
}

impl Counted {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.values.lock().unwrap())
    }

    fn is_described(&self, series: &str) -> bool {
        let name = series.split('{').next().unwrap();
        let kind = if self.is_counter(series) {
            "counter"
        } else if name.ends_with("duration") {
            "histogram"
        } else {
            "gauge"
        };
        self.described.lock().unwrap().contains(&format!("{name}: {kind}"))
    }

    fn is_counter(&self, series: &str) -> bool {
        let name = series.split('{').next().unwrap();
        !name.ends_with("duration")
            && !name.ends_with("_at")
            && !["failures_in_a_row", "lifetime"].iter().any(|gauge| name.ends_with(gauge))
    }

    fn keep(&self, key: &Key) {
        self.values.lock().unwrap().push(self.series(key));
    }

    fn series(&self, key: &Key) -> String {
        let labels = key.labels().filter(|label| label.key() != "provider");
        let labels: Vec<_> = labels.map(|label| format!("{}={}", label.key(), label.value())).collect();
        assert_eq!(key.labels().find(|label| label.key() == "provider").unwrap().value(), "billing");
        format!("{}{{{}}}", key.name(), labels.join(","))
    }
}

impl Recorder for Counted {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(format!("{}: counter", name.as_str()));
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(format!("{}: gauge", name.as_str()));
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().push(format!("{}: histogram", name.as_str()));
    }

    fn register_counter(&self, key: &Key, _: &MetricMetadata<'_>) -> Counter {
        let (values, zeros) = (Arc::clone(&self.values), Arc::clone(&self.zeros));
        Counter::from_arc(Arc::new(Counting { series: self.series(key), values, zeros }))
    }

    fn register_gauge(&self, key: &Key, _: &MetricMetadata<'_>) -> Gauge {
        self.keep(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &MetricMetadata<'_>) -> Histogram {
        self.keep(key);
        Histogram::noop()
    }
}
