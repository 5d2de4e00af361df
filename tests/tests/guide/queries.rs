//! The queries of the guide, the alerts and the dashboard: metrics, labels and values of labels that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use bearer_token::{
    AccessToken, Error, ErrorKind, FetchContext, FetchReason, Rejection, TokenProvider,
    adapter::{tell_of_no_replay, tell_of_replay},
    oauth::{ClientAuth, RefreshToken, TokenEndpoint},
    observe::{CacheRead, Metrics, StoreOperation, StoreOutcome, WaitOutcome},
    store::MemoryStore,
};
use bearer_token_testing::{AuthorizationServer, Client, Consent, RefreshTokens};
use http::{HeaderMap, Request};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use super::{blocks, chapter, observability::metrics, source};

/// A file of the repository.
fn file(path: &str) -> String {
    fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)).unwrap()
}

/// The labels of each metric in Prometheus, from the guide's table.
fn labels() -> BTreeMap<String, BTreeSet<String>> {
    let of_row = |row: Vec<String>| {
        let own = row[3].split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty());
        let own: BTreeSet<String> = if row[0] == "http.client.request.duration" {
            let text = chapter("observability");
            let (_, told) = text.split_once("**`http.client.request.duration`**").unwrap();
            let (told, _) = told.split_once("\n\n").unwrap();
            let words = told.split('`').skip(1).step_by(2).filter(|word| word.contains('.'));
            words.map(|word| word.replace('.', "_")).collect()
        } else {
            own.collect()
        };
        (row[1].clone(), own.into_iter().chain(["provider".to_owned()]).collect())
    };
    metrics().into_iter().map(of_row).collect()
}

/// The values that a label of a metric may have, if they are few.
fn values(metric: &str, label: &str) -> Option<Vec<String>> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let kinds = || {
        let errors = source("error/kind.rs");
        let (_, names) = errors.split_once("pub fn as_str(self)").unwrap();
        let literals = names.split("\n}").next().unwrap().split('"').skip(1).step_by(2);
        literals.map(str::to_owned).collect::<Vec<_>>()
    };
    let reasons =
        [FetchReason::Missing, FetchReason::Stale, FetchReason::Rejected, FetchReason::Requested, FetchReason::Changed];
    let rejections = [Rejection::Renewing, Rejection::Superseded, Rejection::Settling, Rejection::Declined];
    let waits = [WaitOutcome::Served, WaitOutcome::Failed, WaitOutcome::Dropped];
    let reads = [CacheRead::Fresh, CacheRead::Stale, CacheRead::Missing];
    let operations = [
        StoreOperation::Load,
        StoreOperation::Save,
        StoreOperation::Lease,
        StoreOperation::Release,
        StoreOperation::Remove,
    ];
    let stores = [StoreOutcome::Ok, StoreOutcome::Absent, StoreOutcome::Conflict, StoreOutcome::Failed];
    match (metric, label) {
        ("bearer_token_fetches_total", "reason") => {
            words(&[&reasons.map(FetchReason::as_str)[..], &["unknown"]].concat())
        }
        ("bearer_token_fetches_total" | "bearer_token_fetch_duration_seconds", "outcome") => {
            let mut all = kinds();
            assert!(all.len() > 8, "{all:?}");
            all.extend(["fetched".to_owned(), "abandoned".to_owned()]);
            Some(all)
        }
        ("bearer_token_wait_duration_seconds", "outcome") => words(&waits.map(WaitOutcome::as_str)),
        ("bearer_token_unserved_total", "outcome") => words(&["failed", "refused", "dropped"]),
        ("bearer_token_cache_reads_total", "state") => words(&reads.map(CacheRead::as_str)),
        (
            "bearer_token_rejections_total" | "bearer_token_replays_total" | "bearer_token_not_replayed_total",
            "outcome",
        ) => words(&rejections.map(Rejection::as_str)),
        ("bearer_token_requests_without_token_total", "outcome") => words(&["passed", "refused"]),
        (_, "store") => words(&["refresh_token", "shared"]),
        (_, "operation") => words(&operations.map(StoreOperation::as_str)),
        ("bearer_token_store_calls_total", "outcome") => words(&stores.map(StoreOutcome::as_str)),
        ("bearer_token_warnings_total", "warning") => {
            let events = source("observe/event.rs");
            let (_, table) = events.split_once("\nwarnings! {\n").unwrap();
            Some(table.split("\n}").next().unwrap().split('"').skip(1).step_by(2).map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// What is wrong with a query, and the metrics that it uses.
fn check(query: &str) -> (Vec<String>, BTreeSet<String>) {
    let labels = labels();
    let (mut problems, mut used, mut known) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    known.extend(["instance", "job"].map(str::to_owned));
    let mut rest = query;
    while let Some(at) = rest.find("bearer_token_").into_iter().chain(rest.find("http_client_")).min() {
        let name: String = rest[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        rest = &rest[at + name.len()..];
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
        let Some(its_labels) = labels.get(base) else {
            problems.push(format!("the metric {name}"));
            continue;
        };
        used.insert(base.to_owned());
        known.extend(its_labels.iter().cloned());
        known.extend(name.ends_with("_bucket").then(|| "le".to_owned()));
        let Some(selectors) = rest.strip_prefix('{').and_then(|inside| inside.split('}').next()) else { continue };
        for selector in selectors.split(',').map(str::trim) {
            let Some((label, value)) = selector.split_once(['=', '!']) else {
                problems.push(format!("the selector {selector}"));
                continue;
            };
            let value = value.trim_start_matches(['=', '~']).replace("\\\"", "\"");
            let value = value.trim_matches('"');
            if !its_labels.contains(label) {
                problems.push(format!("the label {label} of {name}"));
            } else if let Some(values) = values(base, label) {
                let unknown = value.split('|').filter(|word| !values.iter().any(|value| value == word));
                problems.extend(unknown.map(|word| format!("the value {word} of {label} of {name}")));
            }
        }
    }
    for grouping in query.split(" by (").chain(query.split(" on (")).filter(|part| !query.starts_with(*part)) {
        let labels = grouping.split(')').next().unwrap().split(',').map(str::trim);
        problems.extend(labels.filter(|label| !known.contains(*label)).map(|label| format!("the group {label}")));
    }
    (problems, used)
}

/// The queries of the dashboard, each with its legend.
fn dashboard() -> Vec<(String, String)> {
    let dashboard: serde_json::Value = serde_json::from_str(&file("examples/observability/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| ["expr", "legendFormat"].map(|name| target[name].as_str().unwrap().to_owned()).into())
        .collect()
}

/// The expressions of the alerts, each with its name.
fn alerts() -> Vec<(String, String)> {
    let rules = file("examples/observability/alerts.yml");
    let named = rules.split("- alert: ").skip(1).map(|rule| {
        let name = rule.split_whitespace().next().unwrap();
        let (_, expression) = rule.split_once("expr: ").unwrap();
        let end = ["\n        for: ", "\n        labels: "].iter().filter_map(|key| expression.find(key)).min();
        (name.to_owned(), expression[..end.unwrap()].trim_start_matches('|').to_owned())
    });
    named.collect()
}

#[test]
fn every_query_asks_for_what_there_is() {
    let of_guide = blocks(&chapter("observability"), "promql");
    let of_dashboard = dashboard().into_iter().map(|(query, _)| query);
    let queries: Vec<_> =
        of_guide.into_iter().chain(alerts().into_iter().map(|(_, e)| e)).chain(of_dashboard).collect();
    assert!(queries.len() > 25, "{}", queries.len());
    let mut used = BTreeSet::new();
    for query in queries {
        let (problems, metrics) = check(&query);
        assert!(problems.is_empty(), "{problems:?} in {query}");
        assert!(!metrics.is_empty(), "{query}");
        used.extend(metrics);
    }
    assert!(used.len() > 12, "{used:?}");
}

#[test]
fn a_query_for_what_does_not_exist_is_found() {
    for (query, expected) in [
        ("rate(bearer_token_fetched_total[5m])", "the metric bearer_token_fetched_total"),
        ("bearer_token_replays_total{state=\"renewing\"}", "the label state of bearer_token_replays_total"),
        (
            "bearer_token_replays_total{provider=\"a\", outcome=~\"renewing|done\"}",
            "the value done of outcome of bearer_token_replays_total",
        ),
        ("sum by (provider, state) (bearer_token_replays_total)", "the group state"),
        ("bearer_token_expires_at_seconds unless on (tenant) bearer_token_lifetime_seconds", "the group tenant"),
    ] {
        let (problems, _) = check(query);
        assert_eq!(problems.first().map(String::as_str), Some(expected), "{query}");
    }
}

#[test]
fn the_guide_shows_the_file_of_alerts() {
    let shown = blocks(&chapter("observability"), "yaml").concat();
    let rules = file("examples/observability/alerts.yml");
    assert_eq!(shown.trim(), rules.trim());
    let (pages, chapter) = (file("docs/OBSERVABILITY.md"), chapter("observability"));
    let tests = file("examples/observability/alerts_test.yml");
    for (name, _) in alerts() {
        assert!(pages.contains(&format!("`{name}`")), "docs/OBSERVABILITY.md lacks {name}");
        assert!(chapter.contains(&format!("**`{name}`**")), "{name} has no paragraph");
        let fires = |line: &str| line.contains(&format!("alertname: {name}")) && line.contains("exp_alerts");
        let fires_below = tests.contains(&format!("alertname: {name}\n        exp_alerts"));
        assert!(tests.lines().any(fires) || fires_below, "no test shows that {name} fires");
    }
}

#[tokio::test]
async fn every_metric_has_the_labels_of_the_table() {
    let builder = PrometheusBuilder::new().with_recommended_naming(true);
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("duration".to_owned()), &[1.0]).unwrap();
    let recorder = builder.build_recorder();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::secret("app", "a secret"));
    server.refresh_tokens(RefreshTokens::rotating());
    let store = MemoryStore::new(server.consent(Consent::new("app", "alice")).unwrap());
    let endpoint = TokenEndpoint::builder(server.token_url(), RefreshToken::new(store));
    let endpoint = endpoint.client_auth(ClientAuth::basic("app", "a secret")).build().unwrap();
    let provider = TokenProvider::builder(endpoint).allow_origin("https://api.example.com");
    let provider = provider.observer(Metrics::new().count_reads()).name("orders").build().unwrap();
    let ticket = provider.token().await.unwrap().ticket();
    for uri in ["https://api.example.com/", "https://files.example.com/"] {
        let _ = provider.authorize(&mut Request::get(uri).body(()).unwrap());
    }
    let rejection = ticket.reject(&HeaderMap::new());
    tell_of_replay(ticket, rejection);
    tell_of_no_replay(ticket, rejection);
    server.token_endpoint().always(bearer_token_testing::Fault::status(503));
    provider.refresh_now().await.unwrap_err();
    let failing = |_cx: FetchContext| std::future::ready(Err::<AccessToken, _>(Error::new(ErrorKind::Source, "no")));
    let failing = TokenProvider::builder(failing).observer(Metrics::new()).name("other").build().unwrap();
    failing.token().await.unwrap_err();

    let shown = recorder.handle().render();
    for (metric, expected) in labels() {
        let prefixes = ["", "_bucket", "_sum", "_count"].map(|suffix| format!("{metric}{suffix}{{"));
        let series = shown.lines().filter_map(|line| prefixes.iter().find_map(|prefix| line.strip_prefix(prefix)));
        let found: BTreeSet<String> = series
            .flat_map(|line| line.split('}').next().unwrap().split(',').filter_map(|label| label.split_once('=')))
            .map(|(label, _)| label.to_owned())
            .filter(|label| label != "le")
            .collect();
        assert_eq!(found, expected, "{metric} in\n{shown}");
    }
}

#[test]
fn the_exporter_of_the_guide_has_our_version_of_the_facade() {
    let lock: toml::Value = file("Cargo.lock").parse::<toml::Table>().unwrap().into();
    let versions = |name: &str| -> Vec<&str> {
        let packages = lock["package"].as_array().unwrap().iter();
        packages
            .filter(|package| package["name"].as_str() == Some(name))
            .map(|p| p["version"].as_str().unwrap())
            .collect()
    };
    let [facade, exporter] = ["metrics", "metrics-exporter-prometheus"].map(|name| {
        let all = versions(name);
        assert_eq!(all.len(), 1, "one version of {name}: an exporter of another one shows nothing: {all:?}");
        all[0].rsplit_once('.').unwrap().0
    });
    for page in [chapter("observability"), file("docs/OBSERVABILITY.md").replace("\n   ", "\n")] {
        let shown = blocks(&page, "toml").into_iter().find(|block| block.contains("exporter")).unwrap();
        let shown = shown.parse::<toml::Table>().unwrap();
        let dependencies = &shown["dependencies"];
        assert_eq!(dependencies["metrics-exporter-prometheus"]["version"].as_str(), Some(exporter));
        assert_eq!(dependencies["bearer-token"]["features"].as_array().unwrap(), &["metrics".into()]);
        assert!(page.contains(&format!(" {facade}")), "the version of the facade, {facade}");
    }
}
