//! Tenants whose API asks for a wider scope, under tower and reqwest, with a real server.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bearer_token::{
    Error, KeyedProviders, Select, Selected, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, ProtectedResource, StepUp, TokenEndpoint, TokenEndpointBuilder},
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo},
};
use reqwest_bearer::{BearerMiddleware, reqwest_middleware::ClientBuilder};
use tokio::{net::TcpListener, task::JoinSet};
use tower::{ServiceBuilder, ServiceExt};
use tower_bearer::{BearerLayer, Replay};

/// An API, the metadata about it, and its authorization server. A token is its client and its scope, so `acme:read`.
#[derive(Clone)]
struct Site {
    url: String,
    token_requests: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = Site { url, token_requests: Arc::default() };
        let served = site.clone();
        #[allow(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let site = served.clone();
                let respond = service_fn(move |request| {
                    let site = site.clone();
                    async move { Ok::<_, Infallible>(site.respond(request).await) }
                });
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), respond));
            }
        });
        site
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let challenge = |status: StatusCode, parameters: &str| {
            let metadata = format!(r#"resource_metadata="{}/.well-known/oauth-protected-resource/api""#, self.url);
            let response = Response::builder().status(status);
            let response = response.header(header::WWW_AUTHENTICATE, format!("Bearer {parameters}, {metadata}"));
            response.body(Full::default()).unwrap()
        };
        match parts.uri.path() {
            "/token" => {
                let body = body.collect().await.unwrap().to_bytes();
                let scope = form_urlencoded::parse(&body).find(|(name, _)| name == "scope").unwrap().1.into_owned();
                let token = format!("{}:{}", client(&parts.headers), scope.replace(' ', "+"));
                self.token_requests.lock().unwrap().push(token.clone());
                let json = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":600}}"#);
                Response::new(json.into())
            }
            "/.well-known/oauth-protected-resource/api" => {
                let json = format!(r#"{{"resource":"{0}/api","authorization_servers":["{0}"]}}"#, self.url);
                Response::new(json.into())
            }
            path => match parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap()) {
                None => challenge(StatusCode::UNAUTHORIZED, r#"scope="read""#),
                Some(token) if path == "/api/write" && !token.contains("write") => {
                    challenge(StatusCode::FORBIDDEN, r#"error="insufficient_scope", scope="write""#)
                }
                Some(token) => Response::new(Bytes::copy_from_slice(token.as_bytes()).into()),
            },
        }
    }

    fn endpoint(&self, tenant: &str) -> TokenEndpointBuilder {
        TokenEndpoint::builder(format!("{}/token", self.url), ClientCredentials::new())
            .client_auth(ClientAuth::basic(tenant, "secret"))
    }

    /// A provider for each tenant, which the header `tenant` names.
    fn tenants(&self, is_discovered: bool) -> Select<String> {
        let site = self.clone();
        let tenants = KeyedProviders::builder(move |tenant: &String| -> Result<_, Error> {
            let (endpoint, steps) = (site.endpoint(tenant), StepUp::at_most(2));
            let builder = match is_discovered {
                false => TokenProvider::builder(endpoint.scope("read").step_up(steps).build()?),
                true => {
                    let source = ProtectedResource::builder(format!("{}/api", site.url));
                    let source = source.authorization_server(endpoint.issuer(site.url.clone()));
                    TokenProvider::builder(source.step_up(steps).build()?)
                }
            };
            Ok(builder.allow_origin(site.url.clone()))
        });
        let name = |head: bearer_token::RequestHead<'_>| {
            head.headers().get("tenant").map(|value| value.to_str().unwrap().to_owned())
        };
        tenants.build().unwrap().select(move |head| Ok(name(head).map_or(Selected::NoToken, Selected::Owned)))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.token_requests.lock().unwrap())
    }
}

fn client(headers: &HeaderMap) -> String {
    let basic = headers[header::AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap();
    let pair = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
    pair.split(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn reqwest_widens_the_scope_of_one_tenant_only() {
    for is_discovered in [false, true] {
        let site = Site::start().await;
        let middleware = BearerMiddleware::new(site.tenants(is_discovered)).replay_once();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let client = ClientBuilder::new(http).with(middleware).build();
        for (tenant, path, expected) in STEPS {
            let url = format!("{}/api/{path}", site.url);
            let response = client.get(url).header("tenant", tenant).send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), format!("Bearer {expected}"), "{is_discovered}");
        }
        assert_eq!(site.take(), TOKEN_REQUESTS, "{is_discovered}");
    }
}

#[tokio::test]
async fn tower_widens_the_scope_of_one_tenant_only() {
    for is_discovered in [false, true] {
        let site = Site::start().await;
        let hyper = legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let client = ServiceBuilder::new()
            .retry(Replay::cloning())
            .layer(BearerLayer::new(site.tenants(is_discovered)))
            .service(hyper);
        for (tenant, path, expected) in STEPS {
            let request = Request::get(format!("{}/api/{path}", site.url)).header("tenant", tenant);
            let response = client.clone().oneshot(request.body(Full::default()).unwrap()).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, format!("Bearer {expected}"), "{is_discovered}");
        }
        assert_eq!(site.take(), TOKEN_REQUESTS, "{is_discovered}");
    }
}

/// A tenant, what it asks the API for, and the token that gets it.
const STEPS: [(&str, &str, &str); 5] = [
    ("acme", "read", "acme:read"),
    ("acme", "write", "acme:read+write"),
    ("globex", "read", "globex:read"),
    ("acme", "read", "acme:read+write"),
    ("globex", "read", "globex:read"),
];
const TOKEN_REQUESTS: [&str; 3] = ["acme:read", "acme:read+write", "globex:read"];
