//! The service: what you would write, without the run around it.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, ClientCredentials, RefreshToken, TokenEndpoint},
    observe::Metrics,
    platform::Platform,
    store::RefreshTokenStore,
    transport::Transport,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

/// Installs the recorder. Call it before the first provider is built.
pub(crate) fn metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        // Names end in their unit, and counters in `_total`, as Prometheus recommends.
        .with_recommended_naming(true)
        .set_buckets_for_metric(Matcher::Suffix("duration".to_owned()), &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0])?
        .install_recorder()
}

/// The provider of the tokens for the orders' API. The transport and the platform are arguments only for the run.
pub(crate) fn provider(
    token_url: &str,
    api_origin: &str,
    transport: impl Transport,
    platform: Platform,
) -> Result<TokenProvider, bearer_token::Error> {
    let source = TokenEndpoint::builder(token_url, ClientCredentials::new())
        .client_auth(ClientAuth::basic("reports", "its secret"))
        .transport(transport)
        .build()?;
    TokenProvider::builder(source)
        .name("orders")
        .allow_origin(api_origin)
        .observer(Metrics::new().count_reads())
        .platform(platform)
        .build()
}

/// The provider of the tokens for the mailboxes of a person, who has consented once.
pub(crate) fn mail(
    token_url: &str,
    store: impl RefreshTokenStore,
    transport: impl Transport,
    platform: Platform,
) -> Result<TokenProvider, bearer_token::Error> {
    let source = TokenEndpoint::builder(token_url, RefreshToken::new(store))
        .client_auth(ClientAuth::basic("mail", "its own secret"))
        .transport(transport)
        .build()?;
    TokenProvider::builder(source)
        .name("mail")
        .allow_origin("https://mail.example.com")
        .observer(Metrics::new())
        .platform(platform)
        .build()
}

#[derive(Clone)]
struct App {
    provider: TokenProvider,
    orders: ClientWithMiddleware,
    orders_url: String,
    metrics: PrometheusHandle,
}

/// The routes of the service.
pub(crate) fn app(
    provider: TokenProvider,
    http: reqwest::Client,
    orders_url: String,
    metrics: PrometheusHandle,
) -> Router {
    let bearer = BearerMiddleware::new(provider.clone()).replay_once();
    let orders = ClientBuilder::new(http).with(bearer).build();
    Router::new()
        .route("/report", get(report))
        .route("/healthz", get(healthz))
        .route("/metrics", get(scrape))
        .with_state(App { provider, orders, orders_url, metrics })
}

/// The work of the service, which needs the orders' API.
async fn report(State(app): State<App>) -> Response {
    match app.orders.get(&app.orders_url).send().await {
        Ok(response) if response.status().is_success() => "the report".into_response(),
        Ok(_) => StatusCode::BAD_GATEWAY.into_response(),
        // The reason is in the log and in the metrics.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The readiness probe. It also makes an idle service ready, and lets it recover.
async fn healthz(State(app): State<App>) -> (StatusCode, String) {
    let status = app.provider.probe();
    (status.readiness().http_status(), status.to_string())
}

async fn scrape(State(app): State<App>) -> String {
    app.metrics.render()
}
