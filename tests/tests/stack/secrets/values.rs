//! Public values, and the request that is passed to the client.

use bearer_token::{
    AccessToken, Challenge, FetchContext, FetchReason, StaticToken, TokenProvider, TokenSource,
    jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey},
    oauth::{ClientAuth, ClientCredentials, JwtBearer, Parameters, TokenEndpoint},
    transport,
};
use bearer_token_testing::TestKey;
use http::{
    HeaderValue, Request, Response,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use reqwest_bearer::{BearerMiddleware, ClientTransport, MiddlewareTransport};
use tower::Service;
use tower_bearer::{BearerLayer, BearerService, BoxError};

use super::{CLAIM, CLIENT_SECRET, HEADER, HMAC_SECRET, PARAMETER, QUERY, SERVER_TEXT, STATIC, USER, shown::Shown};
use crate::support::{CLIENT, SECOND};

/// Everything with a hand-written `Debug` or `Display`.
pub(super) async fn values(shown: &mut Shown, rsa: &TestKey, ec: &TestKey) {
    let key = SigningKey::from_pem(Algorithm::RS256, rsa.private_pem()).unwrap().with_key_id("2026");
    let hmac = SigningKey::hmac(Algorithm::HS512, HMAC_SECRET).unwrap();
    let builder = JwtTemplate::builder(key.clone()).issuer("app").audience("api").claim("planted", CLAIM);
    shown.value("JwtTemplateBuilder", &builder);
    let template = builder.build().unwrap();
    for auth in [
        ClientAuth::none(),
        ClientAuth::public(CLIENT),
        ClientAuth::basic(CLIENT, CLIENT_SECRET),
        ClientAuth::basic_raw(CLIENT, CLIENT_SECRET),
        ClientAuth::post(CLIENT, CLIENT_SECRET),
        ClientAuth::client_secret_jwt(CLIENT, hmac.clone()),
        ClientAuth::private_key_jwt(CLIENT, key.clone()),
        ClientAuth::assertion(CLIENT, template.clone()),
    ] {
        shown.value("ClientAuth", &auth);
        let url = format!("https://as.example.com/token?account={QUERY}");
        let builder = TokenEndpoint::builder(url, ClientCredentials::new())
            .client_auth(auth)
            .parameter("login_hint", PARAMETER)
            .header("x-api-key", HEADER);
        shown.value("TokenEndpointBuilder", &builder);
        shown.result("TokenEndpoint", builder.build());
    }
    shown.value("SigningKey", &(&key, &hmac, SigningKey::from_pem(Algorithm::ES256, ec.private_pem()).unwrap()));
    shown.value("JwtTemplate", &template);
    shown.value("JwtBearer", &JwtBearer::new(template.clone()));
    shown.value("SelfSigned", &SelfSigned::new(template.clone()));
    let platform = bearer_token::platform::Platform::system();
    shown.value("SignedJwt", &template.sign(&platform).await.unwrap());
    shown.value("Parameters", &Parameters::new("custom").with("password", PARAMETER));
    shown.value("StaticToken", &StaticToken::new(STATIC));
    shown.value("AccessToken", &AccessToken::new(STATIC).scope(SERVER_TEXT).extra("instance", SERVER_TEXT));
    let line = format!(r#"Bearer realm="{SERVER_TEXT}", {SERVER_TEXT}="x", {SERVER_TEXT} x"#);
    let reply = [(WWW_AUTHENTICATE, HeaderValue::try_from(line).unwrap())].into_iter().collect();
    let challenges = Challenge::read(&reply);
    let context = FetchContext::new(platform, SECOND, FetchReason::Rejected).with_challenges(challenges);
    shown.value("FetchContext", &context);

    let builder = TokenProvider::builder(StaticToken::new(STATIC)).allow_origin("https://api.example.com");
    let provider = builder.build().unwrap();
    let waiting = provider.token();
    shown.value("TokenFuture", &waiting);
    let bearer = waiting.await.unwrap();
    shown.value("Bearer", &bearer);
    shown.value("its header value", bearer.header_value());
    shown.value("Ticket", &bearer.ticket());
    shown.value("TokenProvider", &provider);
    shown.value("ProviderStatus", &provider.status());
    shown.value("a provider's own token", &TokenSource::fetch(&provider, context).await.unwrap());
    shown.value("BearerLayer", &BearerLayer::new(provider.clone()));
    shown.value("BearerMiddleware", &BearerMiddleware::new(provider.clone()));
    let mut headers = http::HeaderMap::new();
    headers.insert("x-api-key", HEADER.parse().unwrap());
    let client = crate::support::reqwest_builder().default_headers(headers).build().unwrap();
    let proxied = transport::HttpTransport::builder().proxy(format!("http://{USER}:{USER}@proxy.example.com:3128"));
    shown.value("HttpTransportBuilder", &proxied);
    shown.value("HttpTransport", &proxied.build().unwrap());
    shown.value("ClientTransport", &ClientTransport::new(client.clone()));
    shown.value("MiddlewareTransport", &MiddlewareTransport::new(client.into()));

    // The request that is passed to the client.
    let inner = tower::service_fn(|request: Request<()>| async move {
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        Ok::<_, BoxError>(Response::new(format!("{request:?}")))
    });
    let mut service = BearerService::new(inner, provider.clone());
    let call = service.call(Request::get("https://api.example.com/").body(()).unwrap());
    shown.value("ResponseFuture", &call);
    shown.text("the request", call.await.unwrap().body());
    let strange = Request::get(format!("https://{USER}:{USER}@x.example.com:80808/?{QUERY}")).body(());
    if let Ok(strange) = strange {
        shown.error("a strange URI", &*service.call(strange).await.unwrap_err());
    }
    for uri in [
        format!("http://{USER}:{USER}@api.example.com/{QUERY}?{QUERY}"),
        format!("ftp://{USER}@api.example.com/{QUERY}"),
        format!("http://{USER}@203.0.113.7/?q={QUERY}"),
    ] {
        shown
            .error("an origin that is refused", &*service.call(Request::get(uri).body(()).unwrap()).await.unwrap_err());
    }
}
