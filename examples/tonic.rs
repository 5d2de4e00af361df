//! A generated tonic client whose calls carry bearer tokens, also through failures.
//!
//! `cargo run --example tonic` needs nothing: the authorization server and the gRPC server run inside this process.
//! Every printed line was observed, and the exit status is 0 only if every claim holds.

use std::{error::Error as StdError, fmt::Debug, future::Future, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use bearer_token::{
    Error, ErrorKind, Policy, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    platform::Platform,
};
use bearer_token_testing::{AuthorizationServer, Client, Fault, ManualClock};
use http::{Request, header::AUTHORIZATION};
use tokio::task::JoinSet;
use tonic::{
    Code, Status,
    body::Body,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use tower::{ServiceBuilder, filter::AsyncFilterLayer};
use tower_bearer::{BearerLayer, BoxError, grpc::TrailersService};

const HOUR: Duration = Duration::from_secs(3600);

/// The type of such a client.
type HealthClientWithBearers = HealthClient<TrailersService<Channel>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let missed = play().await?;
    ensure!(missed.is_empty(), "not observed: {}", missed.join("; "));
    Ok(())
}

/// Builds the client as a program would.
fn client(provider: TokenProvider, url: &str) -> anyhow::Result<HealthClientWithBearers> {
    let layer = BearerLayer::new(provider).map_error(as_status).watch_trailers();
    let channel = Channel::from_shared(url.to_owned())?.connect_lazy();
    Ok(HealthClient::new(ServiceBuilder::new().layer(layer).service(channel)))
}

/// The status that callers see when there is no token.
fn as_status(error: Error) -> BoxError {
    let mut status = Status::new(Code::from(error.grpc_code()), error.to_string());
    status.set_source(Arc::new(error));
    status.into()
}

/// The token error behind a status.
fn token_error(status: &Status) -> Option<&Error> {
    status.source()?.downcast_ref()
}

/// The claims that did not hold.
async fn play() -> anyhow::Result<Vec<String>> {
    // A manual clock for the servers and the provider.
    let clock = ManualClock::new();
    let server = AuthorizationServer::builder().clock(clock.clone()).start()?;
    server.register(Client::secret("monitor", "its secret"));

    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let url = format!("http://{}", incoming.local_addr()?);
    let (reporter, health) = tonic_health::server::health_reporter();
    let grpc = Server::builder().layer(AsyncFilterLayer::new(door(&server)?)).add_service(health);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(grpc.serve_with_incoming(incoming).await) });

    let source = TokenEndpoint::builder(server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("monitor", "its secret"))
        .build()?;
    let provider = TokenProvider::builder(source)
        .allow_origin(&url)
        .connection_origin(&url) // behind a channel, no layer sees where calls go
        .policy(Policy::default().jitter(false))
        .platform(Platform::system().with_clock(clock.clone()))
        .build()?;
    let mut client = client(provider, &url)?;
    let check = |client: &HealthClientWithBearers| {
        let mut client = client.clone();
        async move { client.check(HealthCheckRequest::default()).await }
    };
    let mut seen = Transcript::default();
    println!("An authorization server runs at {}, a gRPC server at {url}.", server.issuer());

    println!("\n100 unary calls at once, no token yet");
    let mut calls: JoinSet<_> = (0..100).map(|_| check(&client)).collect();
    let mut replied = 0;
    while let Some(call) = calls.join_next().await {
        replied += usize::from(call?.is_ok());
    }
    seen.claim("calls with a response", replied, 100);
    seen.claim("token requests", server.count().token_requests, 1);

    println!("\nA stream that outlives its token");
    let mut stream = client.watch(HealthCheckRequest::default()).await?.into_inner();
    let first = stream.message().await?.context("the stream has ended")?.status();
    clock.advance(2 * HOUR);
    reporter.set_service_status("", ServingStatus::NotServing).await;
    let second = stream.message().await?.context("the stream has ended")?.status();
    seen.claim(
        "messages, one before and one after",
        (first.as_str_name(), second.as_str_name()),
        ("SERVING", "NOT_SERVING"),
    );
    seen.claim("the next call", code(&check(&client).await), Code::Ok);
    seen.claim("token requests", server.count().token_requests, 2);

    println!("\nThe token is revoked");
    server.revoke_all();
    seen.claim("the first call afterwards", code(&check(&client).await), Code::Unauthenticated);
    seen.claim("the next call", code(&check(&client).await), Code::Ok);
    seen.claim("token requests", server.count().token_requests, 3);

    println!("\nThe authorization server is down");
    server.token_endpoint().always(Fault::status(503));
    clock.advance(HOUR / 2);
    seen.claim("while the token is valid", code(&check(&client).await), Code::Ok);
    clock.advance(HOUR);
    let outage = check(&client).await;
    seen.claim("when it has expired", code(&outage), Code::Unavailable);
    seen.claim("and why", cause(&outage), Some(ErrorKind::Unavailable));
    server.token_endpoint().recover();
    clock.advance(HOUR);
    seen.claim("when the server is back", code(&check(&client).await), Code::Ok);

    println!("\nThe credential is refused");
    server.register(Client::secret("monitor", "another secret"));
    clock.advance(2 * HOUR);
    let refusal = check(&client).await;
    seen.claim("when the token has expired", code(&refusal), Code::Unauthenticated);
    seen.claim("and why", cause(&refusal), Some(ErrorKind::Refused));
    server.register(Client::secret("monitor", "its secret"));
    clock.advance(HOUR);
    seen.claim("when it is accepted again", code(&check(&client).await), Code::Ok);

    println!("\nThe stream was not affected");
    reporter.set_service_status("", ServingStatus::Serving).await;
    let last = stream.message().await?.context("the stream has ended")?.status();
    seen.claim("another message", last.as_str_name(), "SERVING");
    Ok(seen.missed)
}

fn code<T>(result: &Result<T, Status>) -> Code {
    result.as_ref().map_or_else(Status::code, |_| Code::Ok)
}

fn cause<T>(result: &Result<T, Status>) -> Option<ErrorKind> {
    result.as_ref().err().and_then(token_error).map(Error::kind)
}

type Checked = Pin<Box<dyn Future<Output = Result<Request<Body>, Status>> + Send>>;

/// The gRPC server's part: it asks the authorization server to check each token.
fn door(server: &AuthorizationServer) -> anyhow::Result<impl FnMut(Request<Body>) -> Checked + Clone + use<>> {
    let (http, url) = (reqwest::Client::builder().no_proxy().build()?, server.api_url());
    Ok(move |request: Request<Body>| -> Checked {
        let mut question = http.get(&url);
        if let Some(value) = request.headers().get(AUTHORIZATION) {
            question = question.header(AUTHORIZATION, value);
        }
        Box::pin(async move {
            match question.send().await {
                Ok(reply) if reply.status().is_success() => Ok(request),
                Ok(_) => Err(Status::unauthenticated("the token was rejected")),
                Err(_) => Err(Status::unavailable("the token could not be checked")),
            }
        })
    })
}

/// The printed claims, and the observation for each.
#[derive(Default)]
struct Transcript {
    missed: Vec<String>,
}

impl Transcript {
    #[allow(clippy::needless_pass_by_value, reason = "claims read better without references")]
    fn claim<T: Debug + PartialEq>(&mut self, what: &str, observed: T, expected: T) {
        let holds = observed == expected;
        println!("  {}  {what:<38}{observed:?}", if holds { "ok" } else { "NO" });
        if !holds {
            println!("      {:<38}{expected:?}", "expected:");
            self.missed.push(what.to_owned());
        }
    }
}

#[cfg(test)]
#[tokio::test]
async fn everything_that_it_claims_is_observed() {
    assert_eq!(play().await.unwrap(), Vec::<String>::new());
}
