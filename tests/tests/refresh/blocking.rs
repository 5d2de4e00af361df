//! Callers without `await`, and reqwest's blocking client.

use bearer_token::{AccessToken, Authorized, Destination, ErrorKind, FetchContext};
use bearer_token_testing::Fault;
use http::header::AUTHORIZATION;
use reqwest::blocking;

use super::*;

/// The recipe for clients that follow no redirects: authorizes, sends, and reports a rejection.
fn send(
    provider: &TokenProvider,
    client: &blocking::Client,
    mut request: blocking::Request,
) -> Result<blocking::Response, Box<dyn std::error::Error>> {
    let url = request.url().clone();
    let to = Destination::new(url.scheme(), url.authority());
    let ticket = match provider.authorize_headers(to, request.headers_mut())? {
        Authorized::Inserted(ticket) => Some(ticket),
        Authorized::NotReady => provider.token_blocking()?.attach(request.headers_mut()),
        _ => None,
    };
    let response = client.execute(request)?;
    if let Some(ticket) = ticket
        && provider.is_rejection(response.status(), response.headers())
    {
        ticket.reject(response.headers());
    }
    Ok(response)
}

fn server() -> AuthorizationServer {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::secret("app", "a secret"));
    server
}

fn builder(server: &AuthorizationServer) -> TokenProviderBuilder {
    let source = TokenEndpoint::builder(server.token_url(), bearer_token::oauth::ClientCredentials::new())
        .client_auth(ClientAuth::basic("app", "a secret"))
        .build()
        .unwrap();
    TokenProvider::builder(source).allow_origin(server.issuer())
}

#[test]
fn reqwests_blocking_client_works_with_a_small_runtime() {
    let server = server();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let platform = Platform::system().with_spawn(runtime.handle().clone());
    let provider = builder(&server).platform(platform).build().unwrap();
    let client = blocking::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let status = || {
        let request = client.get(server.api_url()).build().unwrap();
        send(&provider, &client, request).unwrap().status().as_u16()
    };
    assert_eq!([status(), status()], [200, 200]);
    assert_eq!(server.count().token_requests, 1);

    // A refused token is renewed.
    server.revoke_all();
    assert_eq!([status(), status()], [401, 200]);
    assert_eq!(server.count().token_requests, 2);

    // A request to another origin is sent without a token.
    let other = AuthorizationServer::start().unwrap();
    let request = client.get(other.api_url()).build().unwrap();
    assert_eq!(send(&provider, &client, request).unwrap().status(), 401);
    assert!(!other.requests()[0].headers().contains_key(AUTHORIZATION));
}

#[test]
fn threads_that_wait_share_one_fetch() {
    let server = server();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let platform = Platform::system().with_spawn(runtime.handle().clone());
    let provider = builder(&server).platform(platform).build().unwrap();
    let gate = server.token_endpoint().hold();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(|| provider.token_blocking())).collect();
        runtime.block_on(server.wait_for_token_requests(1));
        gate.release();
        let bearers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
        assert!(bearers.windows(2).all(|pair| pair[0].secret() == pair[1].secret()));
    });
    assert_eq!(server.count().token_requests, 1);
}

#[test]
fn the_deadline_ends_a_wait_that_holds_a_thread() {
    let server = server();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let clock = ManualClock::new();
    let platform = Platform::system().with_spawn(runtime.handle().clone()).with_clock(clock.clone());
    let provider = builder(&server).platform(platform).build().unwrap();
    server.token_endpoint().next(Fault::hang());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| provider.token_blocking());
        runtime.block_on(server.wait_for_token_requests(1));
        clock.advance(Duration::from_secs(10));
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    });
}

#[test]
fn without_a_runtime_the_reqwest_transport_names_its_need() {
    let server = server();
    let error = builder(&server).build().unwrap().token_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("Platform::with_spawn"), "{error}");

    let closure = TokenProvider::builder(async |_cx: FetchContext| Ok(AccessToken::new("closure"))).build().unwrap();
    assert_eq!(closure.token_blocking().unwrap().secret(), "closure");
}

#[tokio::test]
async fn a_runtimes_blocking_thread_may_wait_for_a_fetch() {
    let server = server();
    let provider = builder(&server).build().unwrap();
    let waited = provider.clone();
    let bearer = tokio::task::spawn_blocking(move || waited.token_blocking()).await.unwrap().unwrap();
    assert_eq!(provider.cached().unwrap().secret(), bearer.secret());

    // In async code it is an error at once, because the runtime would wait for itself.
    let cold = builder(&server).build().unwrap();
    let error = cold.token_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("spawn_blocking"), "{error}");
}
