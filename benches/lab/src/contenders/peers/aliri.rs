//! aliri_tokens: a task renews the token, and a request reads the current one.

use aliri::jwt::Audience;
use aliri_clock::DurationSecs;
use aliri_tokens::{
    ClientId, ClientSecret, TokenLifetimeConfig, TokenStatus, TokenWatcher,
    backoff::ErrorBackoffConfig,
    jitter::RandomEarlyJitter,
    sources::oauth2::{ClientCredentialsTokenSource, dto},
};
use http::Request;

use crate::{
    contenders::{peers::bearer, with_header},
    drive::{Attach, Failed},
    endpoint::Endpoint,
    warm::Reply,
};

#[derive(Clone)]
pub(crate) struct Aliri(TokenWatcher);

pub(crate) async fn new(endpoint: &Endpoint) -> Aliri {
    let credentials = dto::ClientCredentialsWithAudience {
        credentials: dto::ClientCredentials {
            client_id: ClientId::from_static("client-id"),
            client_secret: ClientSecret::from_static("client-secret"),
        }
        .into(),
        audience: Audience::from_static("https://api.example.com"),
    };
    let source = ClientCredentialsTokenSource::new(
        reqwest_12::Client::new(),
        endpoint.url().parse().expect("a URL"),
        credentials,
        // Its default minimum of 30 s would exceed the lifetime of the tokens in the storms.
        TokenLifetimeConfig::new(0.75, DurationSecs(1)),
    );
    let jitter = RandomEarlyJitter::new(DurationSecs(1));
    let watcher = TokenWatcher::spawn_from_token_source(source, jitter, ErrorBackoffConfig::default()).await;
    Aliri(watcher.expect("a first token"))
}

/// The same with its own check of the expiry.
#[derive(Clone)]
pub(crate) struct Checked(pub(crate) Aliri);

impl Attach for Checked {
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        let value = {
            let token = self.0.0.token();
            if matches!(token.token_status(), TokenStatus::Expired) {
                return Err(Failed::new("the token has expired"));
            }
            bearer(token.access_token().as_str())?
        };
        with_header(request, value).await.map_err(Failed::new)
    }
}

impl Attach for Aliri {
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        let value = bearer(self.0.token().access_token().as_str())?;
        with_header(request, value).await.map_err(Failed::new)
    }
}
