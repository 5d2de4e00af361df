//! huskarl.

use std::{convert::Infallible, sync::Arc};

use http::Request;
use huskarl::{
    authorizer::HttpAuthorizer,
    cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache},
    core::{
        client_auth::ClientSecret,
        secrets::{ProvidedSecret, SecretString},
    },
    grant::client_credentials::{ClientCredentialsGrant, ClientCredentialsGrantParameters},
};
use huskarl_reqwest::ReqwestClient;
use tower::Service;

use crate::{
    contenders::{peers::bearer, with_header},
    drive::{Attach, Failed},
    endpoint::Endpoint,
    warm::{Noop, Reply},
};

#[derive(Clone)]
pub(crate) struct Huskarl(Arc<HttpAuthorizer>);

pub(crate) async fn new(endpoint: &Endpoint) -> Huskarl {
    let client = ReqwestClient::builder().build().await.expect("a client");
    let grant = ClientCredentialsGrant::builder()
        .client_id("client-id")
        .client_auth(ClientSecret::new(ProvidedSecret::new(SecretString::new("client-secret"))))
        .token_endpoint(endpoint.url().parse().expect("a URL"))
        .http_client(client)
        .build();
    let source = GrantTokenSource::builder()
        .grant(grant)
        .grant_parameters(ClientCredentialsGrantParameters::builder().build())
        .refresh_store(InMemoryRefreshTokenStore::default())
        .build();
    let cache = InMemoryTokenCache::builder().source(source).build();
    Huskarl(Arc::new(HttpAuthorizer::builder().cache(cache).build()))
}

/// Used without its authorizer, which reads responses and supports other schemes.
#[derive(Clone)]
pub(crate) struct Cached(pub(crate) Huskarl);

impl Attach for Cached {
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        let token = self.0.0.cache().token().await.map_err(Failed::new)?;
        let value = bearer(token.access_token().token().expose_secret())?;
        with_header(request, value).await.map_err(Failed::new)
    }
}

impl Attach for Huskarl {
    #[inline]
    async fn send(&mut self, mut request: Request<()>) -> Result<Reply, Failed> {
        let headers = self.0.get_headers(request.method(), request.uri()).await.map_err(Failed::new)?;
        request.headers_mut().extend(headers);
        // Its documentation asks to pass every response to `process_response`.
        let uri = request.uri().clone();
        let response = Noop::<Infallible>::new().call(request).await.map_err(Failed::new)?;
        self.0.process_response(&uri, response.headers());
        Ok(response)
    }
}
