//! A service that calls another service on behalf of a thousand tenants, each with credentials of its own.
//!
//! `cargo run --example multi_tenant` needs nothing: the authorization server and the other service's API run inside
//! this process, and so do the callers. What is printed was observed, and the exit status is 0 only if it was as
//! expected.

use std::{error::Error as _, fmt};

use anyhow::{Context, ensure};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use bearer_token::{
    Error, ErrorKind, KeyedProviders, Retry, Select, Selected, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use bearer_token_testing::{AuthorizationServer, Client as RegisteredClient, Fault};
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

const TENANTS: usize = 1_000;

/// The key: everything that changes the token. Handlers leave it among the extensions of their requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Tenant(String);

/// The tenants' providers, by what the requests carry.
fn providers(token_url: String, api: String) -> Result<KeyedProviders<Tenant>, Error> {
    KeyedProviders::builder(move |Tenant(name): &Tenant| {
        // In place of a look-up. What is not known is refused here, and takes no place in the map.
        if !name.starts_with("tenant-") {
            let error = Error::new(ErrorKind::Source, "there is no such tenant").with_source(NoSuchTenant);
            return Err(error.with_retry(Retry::AfterChange));
        }
        let source = TokenEndpoint::builder(token_url.clone(), ClientCredentials::new())
            .client_auth(ClientAuth::basic(name.clone(), format!("the secret of {name}")))
            .build()?;
        Ok(TokenProvider::builder(source).allow_origin(api.clone()))
    })
    .max_providers(2 * TENANTS)
    .max_concurrent_fetches(32)
    .build()
}

type Orders = BearerService<Client<HttpConnector, Empty<Bytes>>, Select<Tenant>>;

/// The state that handlers share. Cheap to clone.
#[derive(Clone)]
struct App {
    orders: Orders,
    orders_url: String,
    tenants: KeyedProviders<Tenant>,
}

fn service(tenants: &KeyedProviders<Tenant>, orders_url: String) -> Router {
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let by_tenant = tenants.select(|head| Ok(Selected::key_or_none(head.extension::<Tenant>())));
    let orders = ServiceBuilder::new().layer(BearerLayer::new(by_tenant)).service(hyper);
    let app = App { orders, orders_url, tenants: tenants.clone() };
    Router::new().route("/{tenant}/report", get(report)).route("/health", get(health)).with_state(app)
}

/// A handler that needs a response of the other service, for one tenant.
async fn report(State(app): State<App>, Path(tenant): Path<String>) -> Result<Json<Value>, Failed> {
    let request = Request::get(&app.orders_url).extension(Tenant(tenant)).body(Empty::new())?;
    let response = app.orders.oneshot(request).await?;
    let status = response.status();
    let orders = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        return Err(Failed(format!("the other service responded with {status}").into()));
    }
    Ok(Json(json!({ "orders": serde_json::from_slice::<Value>(&orders)? })))
}

/// A handler for the state of all providers. It sends no request.
async fn health(State(app): State<App>) -> Json<Value> {
    let status = app.tenants.status(3);
    let failing: Vec<_> = status.failing.iter().map(|(Tenant(name), _)| name.clone()).collect();
    Json(json!({ "fresh": status.fresh, "cooling_down": status.cooling_down, "failing": failing }))
}

struct Failed(BoxError);

impl<E: Into<BoxError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed(error.into())
    }
}

/// The cause of the error for a name that no tenant has. It is the caller's mistake, and not a failure.
#[derive(Debug)]
struct NoSuchTenant;

impl fmt::Display for NoSuchTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such tenant")
    }
}

impl std::error::Error for NoSuchTenant {}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        match self.0.downcast_ref::<Error>() {
            Some(error) if matches!(error.source(), Some(cause) if cause.is::<NoSuchTenant>()) => {
                (StatusCode::NOT_FOUND, NoSuchTenant.to_string()).into_response()
            }
            Some(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Some(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            None => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

/// The name of the tenant with this number.
fn name(number: usize) -> String {
    format!("tenant-{number}")
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // In place of your own.
    let server = AuthorizationServer::start()?;
    for number in 0..TENANTS {
        server.register(RegisteredClient::secret(name(number), format!("the secret of {}", name(number))));
    }

    let tenants = providers(server.token_url(), server.issuer())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = service(&tenants, format!("{}/orders", server.api_url()));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await });
    let caller = reqwest::Client::builder().no_proxy().build()?;

    println!("Every tenant calls, several times.");
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        for number in 0..TENANTS {
            let (caller, url) = (caller.clone(), format!("{url}/{}/report", name(number)));
            calls.spawn(async move {
                let body = caller.get(url).send().await?.error_for_status()?.text().await?;
                anyhow::Ok((number, body))
            });
            // So many at a time as a real client would send.
            while calls.len() >= 64 {
                let (number, body) = calls.join_next().await.context("a call")???;
                ensure!(body.contains(&format!("\"{}\"", name(number))), "{body} for {}", name(number));
            }
        }
    }
    while let Some(call) = calls.join_next().await {
        let (number, body) = call??;
        ensure!(body.contains(&format!("\"{}\"", name(number))), "{body} for {}", name(number));
    }
    let count = server.count();
    println!("{} requests to the other service, {} token requests", count.api_accepted, count.token_requests);
    ensure!((count.api_accepted, count.token_requests) == (3 * TENANTS as u64, TENANTS as u64));

    println!("\nThe authorization server fails for one tenant that is new to this process, and for no other.");
    tenants.remove(&Tenant(name(7)));
    server.token_endpoint().next(Fault::status(503));
    let status = async |number| anyhow::Ok(caller.get(format!("{url}/{}/report", name(number))).send().await?.status());
    ensure!(status(7).await? == StatusCode::SERVICE_UNAVAILABLE);
    ensure!(status(8).await? == StatusCode::OK);
    let health = caller.get(format!("{url}/health")).send().await?.text().await?;
    println!("GET /health: {health}");
    ensure!(health.contains(r#""failing":["tenant-7"]"#));

    println!("\nA client invents a tenant.");
    let response = caller.get(format!("{url}/evil/report")).send().await?;
    let (status, reason) = (response.status(), response.text().await?);
    println!("GET /evil/report: {status}, {reason}");
    ensure!(status == StatusCode::NOT_FOUND && reason == "there is no such tenant" && tenants.len() == TENANTS);
    Ok(())
}
