//! Ninety minutes of the service, in virtual time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use bearer_token::{
    Error, TokenProvider,
    platform::Platform,
    transport::{HttpTransport, Transport},
};
use bearer_token_testing::{AuthorizationServer, Client, Consent, Disk, Fault, ManualClock, RefreshTokens, Tokens};
use bytes::Bytes;
use http::{Request, Response};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::ClientBuilder;
use tokio::{net::TcpListener, task::JoinSet};

use crate::service;

/// How often Prometheus would scrape.
pub(crate) const INTERVAL: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(90 * 60);
/// The outage of the authorization server.
pub(crate) const OUTAGE: std::ops::Range<Duration> = Duration::from_secs(30 * 60)..Duration::from_secs(46 * 60);
/// When the disk with the refresh token is full.
pub(crate) const FULL: std::ops::Range<Duration> = Duration::from_secs(52 * 60)..Duration::from_secs(66 * 60);
/// When all tokens are revoked.
pub(crate) const REVOCATION: Duration = Duration::from_secs(70 * 60);
/// When all tokens are revoked again, just before a request that is not replayed.
const UNREPLAYED: Duration = Duration::from_secs(80 * 60);
const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Requests to the service between two scrapes.
const REQUESTS: u32 = 4;

/// What Prometheus and the readiness probe saw.
pub(crate) struct Run {
    pub(crate) scrapes: Vec<Scrape>,
}

/// One scrape of `/metrics`, with the response of `/healthz`.
pub(crate) struct Scrape {
    /// Since the start of the run.
    pub(crate) at: Duration,
    /// As Unix time.
    pub(crate) unix: f64,
    pub(crate) text: String,
    pub(crate) health_status: u16,
    pub(crate) health: String,
}

impl Scrape {
    /// The sum of all series of a metric that have this label, or that are there for an empty one.
    pub(crate) fn sum(&self, name: &str, label: &str) -> f64 {
        let values = self.text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?.strip_prefix('{')?;
            labels.contains(label).then(|| value.parse::<f64>().ok())?
        });
        values.sum()
    }
}

impl Run {
    pub(crate) async fn play() -> anyhow::Result<Run> {
        let clock = ManualClock::new();
        let server = AuthorizationServer::builder().clock(clock.clone()).start()?;
        server.register(Client::secret("reports", "its secret"));
        server.register(Client::secret("mail", "its own secret"));
        server.refresh_tokens(RefreshTokens::rotating());
        server.issue(Tokens::opaque().lifetime(LIFETIME));
        let consent = server.consent(Consent::new("mail", "alice"))?;
        let disk = Disk::new(consent);

        // One recorder for the process: tests play it more than once.
        static METRICS: tokio::sync::OnceCell<metrics_exporter_prometheus::PrometheusHandle> =
            tokio::sync::OnceCell::const_new();
        let metrics = METRICS.get_or_try_init(async || service::metrics()).await?.clone();
        let is_slow = Arc::new(AtomicBool::new(false));
        let transport =
            || TakesTime { http: HttpTransport::new(), clock: clock.clone(), is_slow: Arc::clone(&is_slow) };
        let platform = Platform::system().with_clock(clock.clone());
        let provider = service::provider(&server.token_url(), &server.issuer(), transport(), platform.clone())?;
        let mail = service::mail(&server.token_url(), disk.clone(), transport(), platform)?;
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest_bearer::redirect_policy()).build()?;
        let bearer = BearerMiddleware::new(provider.clone());
        let without_replay = ClientBuilder::new(http.clone()).with(bearer).build();
        let app = service::app(provider.clone(), http.clone(), format!("{}/orders", server.api_url()), metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await });

        let get = async |path: &str| {
            let response = http.get(format!("{url}{path}")).send().await?;
            anyhow::Ok((response.status().as_u16(), response.text().await?))
        };
        let mut scrapes = Vec::new();
        let (mut revoked, mut revoked_again) = (false, false);
        let start = clock.unix();
        while clock.unix() - start < END.as_secs_f64() {
            let at = Duration::from_secs_f64(clock.unix() - start);
            let is_down = OUTAGE.contains(&at);
            if is_down != is_slow.swap(is_down, Ordering::Relaxed) {
                match is_down {
                    true => server.token_endpoint().always(Fault::status(503)),
                    false => server.token_endpoint().recover(),
                }
            }
            if FULL.contains(&at) {
                disk.fill();
            } else {
                disk.make_room();
            }
            if !revoked && at >= REVOCATION {
                revoked = true;
                revoke_fresh(&server, &provider).await?;
            }
            if !revoked_again && at >= UNREPLAYED {
                revoked_again = true;
                revoke_fresh(&server, &provider).await?;
                let response = without_replay.get(format!("{}/orders", server.api_url())).send().await?;
                ensure!(response.status() == 401, "a revoked token was accepted: {}", response.status());
                drop(response);
                settled(&provider).await?;
            }
            for _ in 0..REQUESTS {
                get("/report").await?;
                settled(&provider).await?;
                clock.advance(INTERVAL / (REQUESTS + 1));
            }
            // It fails in the outage, and while the disk is full.
            drop(mail.token().await);
            settled(&mail).await?;
            if at.as_secs() % 600 < INTERVAL.as_secs() {
                // As after a redirect to another host.
                let _ = mail.authorize(&mut Request::get("https://files.example.com/").body(())?)?;
            }
            let (health_status, health) = get("/healthz").await?;
            settled(&provider).await?;
            let (status, text) = get("/metrics").await?;
            ensure!(status == 200, "/metrics responded with {status}");
            scrapes.push(Scrape { at, unix: clock.unix(), text, health_status, health });
            clock.advance(INTERVAL / (REQUESTS + 1));
        }
        Ok(Run { scrapes })
    }
}

/// Revokes all tokens when none is due for a refresh, which would replace it before anybody met the refusal.
async fn revoke_fresh(server: &AuthorizationServer, provider: &TokenProvider) -> anyhow::Result<()> {
    provider.token().await?;
    settled(provider).await?;
    server.revoke_all();
    Ok(())
}

/// Waits until no fetch is in progress, because virtual time must not pass during a real request.
async fn settled(provider: &TokenProvider) -> anyhow::Result<()> {
    let settled = async {
        while provider.status().is_fetching {
            tokio::task::yield_now().await;
        }
    };
    #[allow(clippy::disallowed_methods, reason = "a limit in real time: the clock of the run stands still meanwhile")]
    tokio::time::timeout(Duration::from_secs(20), settled).await.context("a fetch does not end")
}

/// Real requests that take virtual time.
struct TakesTime {
    http: HttpTransport,
    clock: ManualClock,
    is_slow: Arc<AtomicBool>,
}

impl Transport for TakesTime {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let response = self.http.send(request).await;
        let time = if self.is_slow.load(Ordering::Relaxed) { 2_000 } else { 80 };
        self.clock.advance(Duration::from_millis(time));
        response
    }
}

trait Unix {
    /// The time of day, in seconds since 1970.
    fn unix(&self) -> f64;
}

impl Unix for ManualClock {
    fn unix(&self) -> f64 {
        let now = bearer_token::platform::Clock::now(self).wall();
        now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}
