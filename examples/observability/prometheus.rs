//! The run in a real Prometheus, which `PROMETHEUS` names the directory of: `.ci/prometheus` prints one.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{dashboard, run::Run};

/// What Grafana puts in place of its variables, with a scrape every 30 s.
const VARIABLES: [(&str, &str); 2] = [("$provider", ".*"), ("$__rate_interval", "2m")];

struct Prometheus {
    process: Child,
    url: String,
    http: reqwest::Client,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// A server that has the scrapes of the run, and that scrapes a service with what `/metrics` showed last.
    async fn start(directory: &Path, run: &Run) -> anyhow::Result<Self> {
        let programs =
            std::env::var("PROMETHEUS").context("PROMETHEUS names the directory of Prometheus and promtool")?;
        let program = |name: &str| {
            let mut command = Command::new(Path::new(&programs).join(name));
            command.current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        fs::write(directory.join("scrapes.txt"), open_metrics(run)?)?;
        let backfill = ["tsdb", "create-blocks-from", "openmetrics", "scrapes.txt", "data"];
        let status = program("promtool").args(backfill).status()?;
        ensure!(status.success(), "promtool refuses what was scraped: {status}");

        let service = serve(run.scrapes.last().context("a scrape")?.text.clone()).await?;
        let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability/alerts.yml");
        let config = format!(
            "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\nrule_files: ['{}']\nscrape_configs:\n  \
             - {{ job_name: service, static_configs: [{{ targets: ['{service}'] }}] }}\n",
            alerts.display()
        );
        fs::write(directory.join("prometheus.yml"), config)?;
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let process = program("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=99y"])
            .arg(format!("--web.listen-address={address}"))
            .spawn()?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let server = Prometheus { process, url: format!("http://{address}"), http };
        for _ in 0..150 {
            if server.get("query", &[("query", "up == 1")]).await.is_ok_and(|found| found["result"][0].is_object()) {
                return Ok(server);
            }
            #[allow(clippy::disallowed_methods, reason = "another process starts in real time")]
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        anyhow::bail!("Prometheus does not scrape the service")
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), parameters)?;
        let found: Value = self.http.get(url).send().await?.json().await?;
        ensure!(found["status"] == "success", "{path} {parameters:?}: {found}");
        Ok(found["data"].clone())
    }

    /// The lines of a query over the run.
    async fn lines(&self, query: &str, run: &Run) -> anyhow::Result<Vec<Value>> {
        let (first, last) = (run.scrapes.first(), run.scrapes.last());
        let (start, end) = first.zip(last).context("scrapes")?;
        let (start, end) = (start.unix.to_string(), end.unix.to_string());
        let range = [("query", query), ("start", &start), ("end", &end), ("step", "30")];
        let found = self.get("query_range", &range).await?;
        Ok(found["result"].as_array().context("lines")?.clone())
    }

    /// The names that a label has had.
    async fn values(&self, label: &str, series: &str) -> anyhow::Result<BTreeSet<String>> {
        let found = self.get(&format!("label/{label}/values"), &[("match[]", series), ("start", "0")]).await?;
        Ok(found.as_array().context("names")?.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect())
    }
}

/// All scrapes with their times, in the form that promtool reads.
fn open_metrics(run: &Run) -> anyhow::Result<String> {
    let mut text = String::new();
    for scrape in &run.scrapes {
        for line in scrape.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (series, value) = line.rsplit_once("} ").context("a series with labels")?;
            writeln!(text, "{series},instance=\"127.0.0.1:8080\"}} {value} {:.3}", scrape.unix)?;
        }
    }
    text.push_str("# EOF\n");
    Ok(text)
}

/// A service whose `/metrics` shows this, and its address.
async fn serve(text: String) -> anyhow::Result<String> {
    let metrics = axum::routing::get(move || std::future::ready(text.clone()));
    let app = axum::Router::new().route("/metrics", metrics);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    #[allow(clippy::disallowed_methods, reason = "ends with the runtime of the test")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// Whether a line has a value above zero.
fn is_drawn(line: &Value) -> bool {
    let values = line["values"].as_array().into_iter().flatten();
    values.filter_map(|value| value[1].as_str()?.parse::<f64>().ok()).any(|value| value > 0.0)
}

/// The names of metrics in a query.
fn metrics(query: &str) -> impl Iterator<Item = &str> {
    query
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("bearer_token_"))
}

#[tokio::test]
#[ignore = "needs Prometheus"]
async fn shows_each_panel_and_alert_of_the_run() -> anyhow::Result<()> {
    let run = Run::play().await?;
    let directory = tempfile::tempdir()?;
    let prometheus = Prometheus::start(directory.path(), &run).await?;

    // What it scraped by itself has the same metrics as the run.
    let known = prometheus.values("__name__", "{instance=\"127.0.0.1:8080\"}").await?;
    let scraped =
        prometheus.values("__name__", "{job=\"service\", __name__=~\"(bearer_token|http_client)_.*\"}").await?;
    ensure!(known == scraped && known.len() > 20, "{:?}", known.symmetric_difference(&scraped));
    // The variable of the dashboard.
    let providers = prometheus.values("provider", "bearer_token_fetches_total").await?;
    ensure!(providers.iter().eq(["mail", "orders"]), "{providers:?}");

    let mut wrong = Vec::new();
    for panel in dashboard::panels()? {
        for (query, _) in &panel.targets {
            wrong.extend(metrics(query).filter(|name| !known.contains(*name)).map(str::to_owned));
            let query = VARIABLES.iter().fold(query.clone(), |query, (name, value)| query.replace(name, value));
            let lines = prometheus.lines(&query, &run).await?;
            if !lines.iter().any(is_drawn) {
                wrong.push(format!("the panel `{}` shows nothing: {query}", panel.title));
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");

    let rules = prometheus.get("rules", &[]).await?;
    let rules = rules["groups"][0]["rules"].as_array().context("rules")?.clone();
    let mut firing = BTreeSet::new();
    for rule in &rules {
        let query = rule["query"].as_str().context("a query")?;
        if prometheus.lines(query, &run).await?.iter().any(is_drawn) {
            firing.insert(rule["name"].as_str().context("a name")?.to_owned());
        }
    }
    println!("{} alerts, and those whose condition was met in the run: {firing:?}", rules.len());
    let outage = ["TokenMissing", "TokenExpiresSoon", "TokenFetchesFail", "RefreshTokenInMemory", "TokenWarning"];
    ensure!(outage.iter().all(|name| firing.contains(*name)), "{firing:?}");
    Ok(())
}
