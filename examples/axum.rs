//! A service that calls another service with its own bearer tokens.
//!
//! `cargo run --example axum` needs nothing: the authorization server and the other service's API run inside this
//! process, and so does the caller. What is printed was observed, and the exit status is 0 only if it was as expected.

use std::time::Duration;

use anyhow::ensure;
use axum::{
    Json, Router,
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    platform::Platform,
};
use bearer_token_testing::{AuthorizationServer, Client as RegisteredClient, Fault, ManualClock};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tower::{ServiceBuilder, ServiceExt};
use tower_bearer::{BearerLayer, BearerService, BoxError};

/// The state that handlers share. Cheap to clone.
#[derive(Clone)]
struct App {
    orders: BearerService<Client<HttpConnector, Empty<Bytes>>>,
    orders_url: String,
    provider: TokenProvider,
}

fn service(provider: TokenProvider, orders_url: String) -> Router {
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let orders = ServiceBuilder::new().layer(BearerLayer::new(provider.clone())).service(hyper);
    let app = App { orders, orders_url, provider };
    Router::new().route("/report", get(report)).route("/health", get(health)).with_state(app)
}

/// A handler that needs a response of the other service.
async fn report(State(app): State<App>) -> Result<Json<Value>, Failed> {
    let request = Request::get(&app.orders_url).body(Empty::new())?;
    let response = app.orders.oneshot(request).await?;
    let status = response.status();
    let orders = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        return Err(Failed(format!("the other service responded with {status}").into()));
    }
    Ok(Json(json!({ "orders": serde_json::from_slice::<Value>(&orders)? })))
}

/// A handler for the state of the provider. It sends no request.
async fn health(State(app): State<App>) -> String {
    let status = app.provider.status();
    format!("{:?}, {} failures in a row", status.state, status.failures_in_a_row)
}

struct Failed(BoxError);

impl<E: Into<BoxError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        // Callers may retry if waiting can help, and cannot fix the problem otherwise. The reason is
        // only for the log: it holds no secret, but callers need not know it.
        eprintln!("log: {}", self.0);
        match self.0.downcast_ref::<bearer_token::Error>() {
            Some(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Some(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            None => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // In place of your own.
    let clock = ManualClock::new();
    let server = AuthorizationServer::builder().clock(clock.clone()).start()?;
    server.register(RegisteredClient::secret("reports", "its secret"));

    let source = TokenEndpoint::builder(server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("reports", "its secret"))
        .build()?;
    let provider = TokenProvider::builder(source)
        .allow_origin(server.issuer())
        .platform(Platform::system().with_clock(clock.clone())) // only because time is played here: leave it out
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = service(provider, format!("{}/orders", server.api_url()));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await });

    let caller = reqwest::Client::builder().no_proxy().build()?;
    let call = async |path: &str| {
        let response = caller.get(format!("{url}{path}")).send().await?;
        let (status, body) = (response.status(), response.text().await?);
        println!("GET {path}: {status} {body}");
        anyhow::Ok((status, body))
    };

    println!("The authorization server is down.");
    server.token_endpoint().next(Fault::status(503));
    ensure!(call("/report").await?.0 == StatusCode::SERVICE_UNAVAILABLE);
    ensure!(call("/health").await?.1.contains("1 failures"));

    println!("\nIt is back, a few seconds later.");
    clock.advance(Duration::from_secs(5));
    ensure!(call("/report").await?.0 == StatusCode::OK);
    ensure!(call("/health").await?.1.contains("Fresh"));
    ensure!(call("/report").await?.1.contains("reports"));

    let count = server.count();
    println!("\ntoken requests: {}, requests to the other service: {}", count.token_requests, count.api_requests);
    ensure!((count.token_requests, count.api_accepted) == (2, 2));
    Ok(())
}
