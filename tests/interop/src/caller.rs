//! The two kinds of client that call the API with the library's adapters.

use std::time::Duration;

use anyhow::{Result, anyhow};
use bearer_token::{Error, TokenProvider};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use reqwest_bearer::{BearerMiddleware, redirect_policy, reqwest_middleware::ClientBuilder, token_error};
use reqwest_middleware::ClientWithMiddleware;
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt, retry::Retry, util::BoxCloneSyncService};
use tower_bearer::{BearerLayer, BoxError, Replay};

type Body = Empty<Bytes>;

/// A client whose requests carry the bearers of a provider.
#[derive(Clone)]
pub(crate) enum Caller {
    Tower(BoxCloneSyncService<Request<Body>, Response<hyper::body::Incoming>, BoxError>),
    Reqwest(ClientWithMiddleware),
}

/// The names of the callers, which are also the paths that they call.
pub(crate) const NAMES: [&str; 2] = ["tower", "reqwest"];

/// A response of the API, or the error of a request that got no token.
pub(crate) type Called = Result<(StatusCode, Value), Error>;

impl Caller {
    /// hyper-util's client in `BearerLayer`, with tower's `Retry` and `Replay` around it; or reqwest with
    /// `BearerMiddleware`, which replays once.
    pub(crate) fn new(name: &str, provider: TokenProvider) -> Result<Self> {
        if name == "tower" {
            let hyper: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
            let stack = ServiceBuilder::new().layer(BearerLayer::new(provider)).service(hyper);
            return Ok(Caller::Tower(BoxCloneSyncService::new(Retry::new(Replay::cloning(), stack))));
        }
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect_policy())
            .timeout(Duration::from_secs(20))
            .build()?;
        let middleware = BearerMiddleware::new(provider).replay_once();
        Ok(Caller::Reqwest(ClientBuilder::new(client).with(middleware).build()))
    }

    /// Calls the API. The outer error is one of the connection to the API.
    pub(crate) async fn get(&self, url: &str) -> Result<Called> {
        let (status, body) = match self {
            Caller::Tower(service) => match service.clone().oneshot(Request::get(url).body(Empty::new())?).await {
                Ok(response) => {
                    let status = response.status();
                    (status, response.into_body().collect().await?.to_bytes())
                }
                Err(error) => return Error::find(&*error).cloned().map(Err).ok_or_else(|| anyhow!(error)),
            },
            Caller::Reqwest(client) => match client.get(url).send().await {
                Ok(response) => (response.status(), response.bytes().await?),
                Err(error) => return token_error(&error).cloned().map(Err).ok_or_else(|| anyhow!(error)),
            },
        };
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        Ok(Ok((status, serde_json::from_slice(&body).unwrap_or_else(|_| text()))))
    }
}
