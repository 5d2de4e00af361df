//! The provider of a request chosen by its head, under tower and reqwest, with a real server.

use bearer_token::{
    Error, ErrorKind, KeyedProviders, Select, Selected, StaticToken, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use bearer_token_testing::{AuthorizationServer, Client, Fault};
use bytes::Bytes;
use http::{Request, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy, rt::TokioExecutor};
use reqwest_bearer::{BearerMiddleware, redirect_policy, reqwest_middleware::ClientBuilder};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_bearer::{BearerLayer, BoxError};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Tenant(String);

fn tenant(name: &str) -> Tenant {
    Tenant(name.to_owned())
}

/// A server that knows two tenants, and their providers.
fn server() -> (AuthorizationServer, KeyedProviders<Tenant>) {
    let server = AuthorizationServer::start().unwrap();
    for name in ["acme", "globex"] {
        server.register(Client::secret(name, format!("the secret of {name}")));
    }
    let (url, api) = (server.token_url(), server.issuer());
    let tenants = KeyedProviders::builder(move |Tenant(name): &Tenant| {
        let source = TokenEndpoint::builder(url.clone(), ClientCredentials::new())
            .client_auth(ClientAuth::basic(name.clone(), format!("the secret of {name}")))
            .build()?;
        Ok(TokenProvider::builder(source).allow_origin(api.clone()))
    });
    (server, tenants.build().unwrap())
}

fn by_extension(tenants: &KeyedProviders<Tenant>) -> Select<Tenant> {
    tenants.select(|head| Ok(Selected::key_or_none(head.extension::<Tenant>())))
}

#[tokio::test]
async fn tower_requests_carry_the_token_of_their_tenant() {
    let (server, tenants) = server();
    let hyper = legacy::Client::builder(TokioExecutor::new()).build_http();
    let client = ServiceBuilder::new().layer(BearerLayer::new(by_extension(&tenants))).service(hyper);
    let call = async |name: Option<&str>| {
        let mut request = Request::get(format!("{}/orders", server.api_url())).body(Empty::<Bytes>::new()).unwrap();
        request.extensions_mut().extend(
            name.map(tenant)
                .map(|tenant| {
                    let mut extensions = http::Extensions::new();
                    extensions.insert(tenant);
                    extensions
                })
                .unwrap_or_default(),
        );
        let response = client.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    };
    for _ in 0..2 {
        for name in ["acme", "globex"] {
            let (status, body) = call(Some(name)).await;
            assert!(status.is_success() && body.contains(name), "{status} {body}");
        }
    }
    assert_eq!(call(None).await.0, StatusCode::UNAUTHORIZED, "without a tenant there is no token");
    assert_eq!(server.count().token_requests, 2);

    // A rejection reaches the tenant whose token it was.
    server.revoke_all();
    assert_eq!(call(Some("acme")).await.0, StatusCode::UNAUTHORIZED);
    while !call(Some("acme")).await.0.is_success() {}
    assert_eq!(server.count().token_requests, 3);
}

#[tokio::test]
async fn reqwest_requests_carry_the_token_of_their_tenant() {
    let (server, tenants) = server();
    let http = reqwest::Client::builder().redirect(redirect_policy()).no_proxy().build().unwrap();
    let client = ClientBuilder::new(http).with(BearerMiddleware::new(by_extension(&tenants)).replay_once()).build();
    let url = format!("{}/orders", server.api_url());
    for round in 0..3 {
        for name in ["acme", "globex"] {
            let response = client.get(&url).with_extension(tenant(name)).send().await.unwrap();
            let status = response.status();
            let body = response.text().await.unwrap();
            assert!(status.is_success() && body.contains(name), "{round}: {status} {body}");
        }
        if round == 1 {
            // Replayed with a new token of the same tenant.
            server.revoke_all();
        }
    }
    assert_eq!(client.get(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.count().token_requests, 4);
}

/// The selector is called once more for a request that has to wait, and may choose another provider then.
#[tokio::test]
async fn a_selector_that_changes_its_mind_sends_no_token_elsewhere() {
    let server = AuthorizationServer::start().unwrap();
    let api = server.issuer();
    let providers = KeyedProviders::builder(move |key: &u64| {
        // A cold request asks the selector three times: for a token, for a provider, and for one to wait for.
        let (token, origin) = match key % 3 {
            2 => ("the-other-token", "https://elsewhere.example.com".to_owned()),
            _ => ("token", api.clone()),
        };
        let source = move |_cx| std::future::ready(Ok(bearer_token::AccessToken::new(token)));
        Ok(TokenProvider::builder(source).allow_origin(origin))
    });
    let calls = std::sync::atomic::AtomicU64::new(0);
    let select: Select<u64> = providers
        .build()
        .unwrap()
        .select(move |_| Ok(Selected::Owned(calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst))));
    let http = reqwest::Client::builder().redirect(redirect_policy()).no_proxy().build().unwrap();
    let client = ClientBuilder::new(http).with(BearerMiddleware::new(select)).build();
    for _ in 0..4 {
        let _ = client.get(format!("{}/orders", server.api_url())).send().await;
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.header("authorization") != Some("Bearer the-other-token")));
}

#[tokio::test]
async fn an_outage_of_one_tenant_spares_all_others() {
    let (server, tenants) = server();
    let hyper = legacy::Client::builder(TokioExecutor::new()).build_http();
    let client = ServiceBuilder::new().layer(BearerLayer::new(by_extension(&tenants))).service(hyper);
    server.token_endpoint().next(Fault::status(503));
    for (name, works) in [("acme", false), ("globex", true), ("acme", false)] {
        let request = Request::get(format!("{}/orders", server.api_url())).extension(tenant(name));
        let result = client.clone().oneshot(request.body(Empty::<Bytes>::new()).unwrap()).await;
        let kind = result.as_ref().err().and_then(|error| error.downcast_ref::<Error>()).map(Error::kind);
        assert_eq!((result.is_ok(), kind), (works, (!works).then_some(ErrorKind::Unavailable)), "{name}");
    }
}

/// What a service sees of the `Authorization` of a request to this URI under a selector.
async fn sent(select: Select<String, str>, uri: &str) -> Result<Option<String>, BoxError> {
    let service = service_fn(async |request: Request<()>| {
        let value = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default().to_owned());
        Ok::<_, BoxError>(http::Response::new(value))
    });
    let request = Request::get(uri).header("x-audience", "orders").body(()).unwrap();
    let client = ServiceBuilder::new().layer(BearerLayer::new(select)).service(service);
    Ok(client.oneshot(request).await?.into_body())
}

fn echoing() -> KeyedProviders<String> {
    let builder = KeyedProviders::builder(|key: &String| {
        Ok(TokenProvider::builder(StaticToken::new(format!("for-{key}"))).allow_any_https_origin())
    });
    builder.build().unwrap()
}

#[tokio::test]
async fn keys_are_taken_from_any_part_of_the_head() {
    let table: [(Select<String, str>, &str); 4] = [
        (echoing().select(|head| Ok(Selected::key_or_none(head.host()))), "for-api.example.com"),
        (echoing().select(|head| Ok(Selected::key_or_none(head.header("x-audience")))), "for-orders"),
        (echoing().select(|head| Ok(Selected::Key(head.method().as_str()))), "for-GET"),
        (
            echoing().select(|head| {
                let first = head.path().split('/').nth(1).unwrap_or_default();
                Ok(Selected::Owned(format!("{}-{first}", head.scheme().unwrap_or_default())))
            }),
            "for-https-v1",
        ),
    ];
    for (select, expected) in table {
        for _ in 0..2 {
            let value = sent(select.clone(), "https://api.example.com:8443/v1/orders?x=1").await.unwrap();
            assert_eq!(value, Some(format!("Bearer {expected}")));
        }
    }
}

#[tokio::test]
async fn an_error_of_the_selector_is_the_requests() {
    let select = echoing().select(|_| Err(Error::new(ErrorKind::Source, "there is no tenant in the request")));
    let error = sent(select, "https://api.example.com/").await.unwrap_err();
    assert!(error.to_string().contains("there is no tenant in the request"), "{error}");
}

#[tokio::test]
async fn a_hung_tenant_holds_no_request_of_another() {
    let tenants = KeyedProviders::builder(|&tenant: &u64| {
        let source = move |_cx| async move {
            if tenant == 1 {
                std::future::pending::<()>().await;
            }
            Ok(bearer_token::AccessToken::new("token"))
        };
        Ok(TokenProvider::builder(source).allow_any_https_origin())
    })
    .build()
    .unwrap();
    let select = tenants.select(|head| Ok(Selected::key_or_none(head.extension::<u64>())));
    let service = service_fn(async |_: Request<()>| Ok::<_, BoxError>(http::Response::new(())));
    // One permit for all: a request that waits for its token must not hold it.
    let client = ServiceBuilder::new()
        .layer(BearerLayer::new(select))
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(1))
        .service(service);
    let request = |tenant: u64| Request::get("https://api.example.com/").extension(tenant).body(()).unwrap();
    let mut hung = Box::pin(client.clone().oneshot(request(1)));
    assert!(crate::poll_once(&mut hung).is_pending());
    // It is sent although the other still waits.
    client.clone().oneshot(request(2)).await.unwrap();
    assert!(crate::poll_once(&mut hung).is_pending());
}
