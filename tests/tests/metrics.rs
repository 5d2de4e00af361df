//! What Prometheus sees of a provider over several scrapes: an alert can fire at the first event only if the scrape
//! before it had a zero.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what helpers of tests find wrong must end the test"
)]

use std::{collections::BTreeMap, time::Duration};

use bearer_token::{
    AccessToken, Error, ErrorKind, FetchContext, KeyedProviders, Retry, StaticToken, TokenProvider,
    TokenProviderBuilder, TokenSource,
    oauth::{ClientAuth, RefreshToken, TokenEndpoint},
    observe::Metrics,
    platform::Platform,
};
use bearer_token_testing::{AuthorizationServer, Client, Consent, Disk, ManualClock, RefreshTokens};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// One scrape: each series with its value.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn of(handle: &PrometheusHandle) -> Self {
        let text = handle.render();
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Scrape(samples.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect())
    }

    fn value(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// As `increase` of Prometheus: a series that only the later scrape has did not increase.
    fn increase(&self, later: &Scrape, series: &str) -> f64 {
        self.value(series).zip(later.value(series)).map_or(0.0, |(before, after)| after - before)
    }
}

/// A recorder for this thread.
fn scraped() -> (impl Fn() -> Scrape, impl Drop) {
    let recorder = Box::leak(Box::new(PrometheusBuilder::new().with_recommended_naming(true).build_recorder()));
    let handle = recorder.handle();
    (move || Scrape::of(&handle), metrics::set_default_local_recorder(recorder))
}

fn builder(source: impl TokenSource, clock: &ManualClock) -> TokenProviderBuilder {
    let platform = Platform::system().with_clock(clock.clone());
    TokenProvider::builder(source).name("orders").platform(platform).observer(Metrics::new())
}

const NOT_SAVED: &str = r#"bearer_token_warnings_total{provider="orders",warning="refresh_token_not_saved"}"#;

#[tokio::test]
async fn the_first_lost_refresh_token_is_an_increase() {
    let (scrape, _guard) = scraped();
    let clock = ManualClock::new();
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::secret("app", "a secret"));
    server.refresh_tokens(RefreshTokens::rotating());
    let consent = server.consent(Consent::new("app", "alice")).unwrap();
    let disk = Disk::new(consent);
    let endpoint = TokenEndpoint::builder(server.token_url(), RefreshToken::new(disk.clone()))
        .client_auth(ClientAuth::basic("app", "a secret"));
    let provider = builder(endpoint.build().unwrap(), &clock).build().unwrap();

    let built = scrape();
    assert_eq!(built.value(NOT_SAVED), Some(0.0));
    provider.token().await.unwrap();
    let fetched = scrape();
    assert_eq!(built.increase(&fetched, NOT_SAVED), 0.0);

    disk.fill();
    provider.refresh_now().await.unwrap_err();
    let lost = scrape();
    assert_eq!(fetched.increase(&lost, NOT_SAVED), 1.0);

    // A fetch saves the pending token first, and tells that it cannot. The server is not asked.
    let requests = server.requests().len();
    clock.advance(provider.status().cool_down);
    provider.refresh_now().await.unwrap_err();
    let still = scrape();
    assert_eq!((lost.increase(&still, NOT_SAVED), server.requests().len()), (1.0, requests));

    disk.make_room();
    provider.refresh_now().await.unwrap();
    assert_eq!(still.increase(&scrape(), NOT_SAVED), 0.0);
}

#[tokio::test]
async fn a_map_has_its_zeros_before_its_first_tenant() {
    let (scrape, _guard) = scraped();
    let build = |tenant: &u32| Ok(TokenProvider::builder(StaticToken::new("token")).name(format!("tenant {tenant}")));
    let tenants = KeyedProviders::builder(build).name("tenants").observer(Metrics::new().count_reads());
    let tenants = tenants.build().unwrap();
    let built = scrape();
    let fetched = r#"bearer_token_fetches_total{provider="tenants",reason="missing",outcome="fetched"}"#;
    assert_eq!(built.value(fetched), Some(0.0));
    let counters: Vec<_> = built.0.iter().filter(|(series, _)| series.contains("_total{")).collect();
    assert!(counters.len() > 35, "{counters:?}");
    assert!(counters.iter().all(|(series, value)| series.contains(r#"provider="tenants""#) && **value == 0.0));
    assert!(!built.0.keys().any(|series| series.contains("failures_in_a_row")), "a map has no gauges");

    tenants.token(&1).unwrap().await.unwrap();
    tenants.token(&2).unwrap().await.unwrap();
    let later = scrape();
    assert_eq!(built.increase(&later, fetched), 2.0);
    assert!(!later.0.keys().any(|series| series.contains("tenant 1")));
}

#[tokio::test]
async fn each_request_of_an_outage_is_counted() {
    let (scrape, _guard) = scraped();
    let clock = ManualClock::new();
    let refused = || Error::new(ErrorKind::Refused, "the client is unknown").with_retry(Retry::AfterChange);
    let provider = builder(move |_cx: FetchContext| std::future::ready(Err(refused())), &clock).build().unwrap();
    let failed = r#"bearer_token_unserved_total{provider="orders",outcome="failed"}"#;
    let refused = r#"bearer_token_unserved_total{provider="orders",outcome="refused"}"#;
    let built = scrape();
    assert_eq!((built.value(failed), built.value(refused)), (Some(0.0), Some(0.0)));
    assert_eq!(built.value(r#"bearer_token_failures_in_a_row{provider="orders"}"#), Some(0.0));
    for _ in 0..10 {
        provider.token().await.unwrap_err();
        clock.advance(Duration::from_millis(1));
    }
    let later = scrape();
    assert_eq!((built.increase(&later, failed), built.increase(&later, refused)), (1.0, 9.0));
    assert_eq!(later.value(r#"bearer_token_expires_at_seconds{provider="orders"}"#), None, "there was never a token");
}

#[tokio::test]
async fn the_lifetime_of_the_last_token_is_known() {
    let (scrape, _guard) = scraped();
    let clock = ManualClock::new();
    let source =
        |_cx: FetchContext| std::future::ready(Ok(AccessToken::new("token").expires_in(Duration::from_secs(300))));
    let provider = builder(source, &clock).build().unwrap();
    provider.token().await.unwrap();
    let scrape = scrape();
    assert_eq!(scrape.value(r#"bearer_token_lifetime_seconds{provider="orders"}"#), Some(300.0));
}
