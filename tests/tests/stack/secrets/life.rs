//! The life of a provider whose token endpoint and API work.

use bearer_token::{
    TokenProvider,
    jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey},
    oauth::{ClientAuth, ClientCredentials, JwtBearer, TokenEndpoint},
    transport,
};
use bearer_token_testing::{Algorithm as Verified, Client as Registered, Fault, Issuer, TestKey, Tokens};
use http::{Extensions, header::AUTHORIZATION};
use reqwest_bearer::{BearerMiddleware, MiddlewareTransport};
use reqwest_middleware::{Middleware, Next};
use tower_bearer::BearerService;

use super::{CLAIM, CLIENT_SECRET, HEADER, HMAC_SECRET, PARAMETER, QUERY, SERVER_TEXT, markers::Markers, shown::Shown};
use crate::support::{Adapter, CLIENT, Client, SECOND, Setup, hyper, hyper_http2, reqwest, within};

/// Every way to a token, used, rejected and renewed.
pub(super) async fn successes(
    shown: &mut Shown,
    secrets: &mut Markers,
    adapter: Adapter,
    http2: bool,
    rsa: &TestKey,
    ec: &TestKey,
) {
    let hmac = || SigningKey::hmac(Algorithm::HS512, HMAC_SECRET).unwrap();
    let rs256 = || SigningKey::from_pem(Algorithm::RS256, rsa.private_pem()).unwrap();
    let es256 = || SigningKey::from_pem(Algorithm::ES256, ec.private_pem()).unwrap();
    let hmac_jwt = || Registered::client_secret_jwt(CLIENT, Verified::HS512, HMAC_SECRET);
    let ways: [(ClientAuth, Registered); 5] = [
        (ClientAuth::public(CLIENT), Registered::public(CLIENT)),
        (ClientAuth::basic(CLIENT, CLIENT_SECRET), Registered::secret(CLIENT, CLIENT_SECRET)),
        (ClientAuth::post(CLIENT, CLIENT_SECRET), Registered::secret(CLIENT, CLIENT_SECRET)),
        (ClientAuth::client_secret_jwt(CLIENT, hmac()), hmac_jwt()),
        (ClientAuth::private_key_jwt(CLIENT, es256()), Registered::private_key_jwt(CLIENT, ec.verifying_key())),
    ];
    for (index, (auth, registered)) in ways.into_iter().enumerate() {
        let setup = Setup::start();
        setup.server.register(registered);
        let tokens = if index % 2 == 0 { Tokens::opaque() } else { Tokens::jwt() };
        // Other members of the response are server text too.
        setup
            .server
            .issue(tokens.member("scope", SERVER_TEXT).member("instance_url", SERVER_TEXT).expires_in(SERVER_TEXT));
        let token_url = setup.server.token_url();
        let auth = if index < 3 { auth } else { auth.audience(&token_url) };
        let endpoint = TokenEndpoint::builder(format!("{token_url}?account={QUERY}"), ClientCredentials::new())
            .client_auth(auth)
            .parameter("login_hint", PARAMETER)
            .header("x-api-key", HEADER)
            .keep("instance_url");
        let endpoint = match adapter {
            Adapter::Tower => endpoint.transport(transport::service(if http2 { hyper_http2() } else { hyper() })),
            Adapter::Reqwest if index % 2 == 0 => endpoint.transport(MiddlewareTransport::new(reqwest().into())),
            Adapter::Reqwest => endpoint,
        };
        let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
        life(shown, &setup, &provider, &client(adapter, &provider, http2)).await;
        assert_eq!(provider.cached().unwrap().extra("instance_url"), Some(SERVER_TEXT));
        plant_what_was_sent(secrets, &setup);
    }

    let setup = Setup::start();
    setup.server.trust(Issuer::new("app", rsa.verifying_key()).self_signed_audience("api"));
    let template = |audience: &str| {
        JwtTemplate::builder(rs256()).issuer("app").subject("app").audience(audience).claim("planted", CLAIM).build()
    };
    let grant = JwtBearer::new(template(&setup.server.token_url()).unwrap());
    let exchanged = TokenEndpoint::builder(setup.server.token_url(), grant).build().unwrap();
    let provider = setup.builder(exchanged).build().unwrap();
    life(shown, &setup, &provider, &client(adapter, &provider, http2)).await;
    let provider = setup.builder(SelfSigned::new(template("api").unwrap())).build().unwrap();
    life(shown, &setup, &provider, &client(adapter, &provider, http2)).await;
    plant_what_was_sent(secrets, &setup);
}

/// A provider that is cold, warm, rejected, renewed, refreshed in the background and by hand.
async fn life(shown: &mut Shown, setup: &Setup, provider: &TokenProvider, client: &Client) {
    let url = setup.api(&format!("orders?q={QUERY}"));
    within(async {
        client.succeed(&url).await;
        client.succeed(&url).await;
        let challenge =
            format!(r#"Bearer realm="{SERVER_TEXT}", error="invalid_token", error_description="{SERVER_TEXT}""#);
        setup.server.api().next(Fault::status(401).header("www-authenticate", challenge).body(SERVER_TEXT));
        assert_eq!(client.get(&url).await.unwrap().status, 401);
        shown.value("a provider whose bearer was rejected", provider);
        client.succeed(&url).await;
        setup.clock.advance(200 * SECOND);
        client.succeed(&url).await;
        provider.refresh_now().await.unwrap();
        client.succeed(&url).await;
    })
    .await;
    let bearer = provider.cached().unwrap();
    shown.value("a bearer", &bearer);
    shown.value("its header", bearer.header_value());
    shown.value("a provider", provider);
    shown.value("its status", &provider.status());
    if let Client::Tower(service) = client {
        shown.value("BearerService", service);
    }
}

/// A client over the adapter's transport, which prints nothing itself.
pub(super) fn client(adapter: Adapter, provider: &TokenProvider, http2: bool) -> Client {
    match (adapter, http2) {
        (Adapter::Tower, false) => Client::Tower(BearerService::new(hyper(), provider.clone())),
        (Adapter::Tower, true) => Client::Tower(BearerService::new(hyper_http2(), provider.clone())),
        (Adapter::Reqwest, _) => {
            let client = if http2 { crate::support::reqwest_http2() } else { reqwest() };
            let middlewares =
                reqwest_middleware::ClientBuilder::new(client).with(BearerMiddleware::new(provider.clone()));
            Client::Reqwest(middlewares.with(Sensitive).build())
        }
    }
}

/// The tokens, assertions and credentials that the server received, which no output may contain.
pub(super) fn plant_what_was_sent(secrets: &mut Markers, setup: &Setup) {
    for request in setup.server.requests() {
        if let Some(value) = request.header("authorization") {
            secrets.plant(value.split_once(' ').unwrap().1);
        }
        for name in ["assertion", "client_assertion", "client_secret"] {
            if let Some(value) = request.parameter(name) {
                // The header of a JWT is not secret; a leaked JWT shows its signature too.
                secrets.plant(value.rsplit('.').next().unwrap());
            }
        }
    }
}

/// Whether the bearer is marked as sensitive in the request that is passed on.
#[derive(Clone, Copy)]
struct Sensitive;

#[async_trait::async_trait]
impl Middleware for Sensitive {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        next.run(request, extensions).await
    }
}
