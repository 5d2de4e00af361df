//! Two HTTP clients that use a provider.

use anyhow::Context;
use bearer_token::{Error, TokenProvider};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use reqwest_bearer::{BearerMiddleware, token_error};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower::{ServiceBuilder, ServiceExt};
use tower_bearer::{BearerLayer, BearerService, BoxError};

type HyperClient = BearerService<Client<HttpConnector, Empty<Bytes>>>;

/// A client of the API. Clones share connections.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
pub(crate) enum ApiClient {
    Hyper(HyperClient),
    Reqwest(ClientWithMiddleware),
}

/// Builds a client around a provider.
type Make = fn(TokenProvider) -> anyhow::Result<ApiClient>;

pub(crate) const BOTH: [(&str, Make); 2] = [("hyper", ApiClient::hyper), ("reqwest", ApiClient::reqwest)];

/// The outcome of a request.
pub(crate) enum Outcome {
    Replied(StatusCode),
    /// Not sent, because there was no token.
    NoToken(Error),
}

impl ApiClient {
    /// A hyper client, wrapped in the tower layer.
    pub(crate) fn hyper(provider: TokenProvider) -> anyhow::Result<Self> {
        // With HTTP/2, a thousand requests do not need a thousand sockets.
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Ok(ApiClient::Hyper(ServiceBuilder::new().layer(BearerLayer::new(provider)).service(client)))
    }

    /// A reqwest client with the middleware.
    pub(crate) fn reqwest(provider: TokenProvider) -> anyhow::Result<Self> {
        // The API is on this machine, without a proxy or TLS.
        let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().tls_certs_only([]).build()?;
        Ok(ApiClient::Reqwest(ClientBuilder::new(client).with(BearerMiddleware::new(provider)).build()))
    }

    /// Sends one request and reads the whole response.
    pub(crate) async fn get(self, url: String) -> anyhow::Result<Outcome> {
        let replied = match self {
            ApiClient::Hyper(client) => get_with_hyper(client, &url).await,
            ApiClient::Reqwest(client) => get_with_reqwest(client, &url).await,
        };
        match replied {
            Ok(status) => Ok(Outcome::Replied(status)),
            // Finds the token error behind any number of wrappers.
            Err(error) => match token_error(&*error) {
                Some(error) => Ok(Outcome::NoToken(error.clone())),
                None => Err(anyhow::Error::from_boxed(error)).context("the API could not be called"),
            },
        }
    }
}

async fn get_with_hyper(client: HyperClient, url: &str) -> Result<StatusCode, BoxError> {
    let response = client.oneshot(Request::get(url).body(Empty::new())?).await?;
    let status = response.status();
    response.into_body().collect().await?;
    Ok(status)
}

async fn get_with_reqwest(client: ClientWithMiddleware, url: &str) -> Result<StatusCode, BoxError> {
    let response = client.get(url).send().await?;
    let status = response.status();
    response.bytes().await?;
    Ok(status)
}
