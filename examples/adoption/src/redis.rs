//! redis 1.x: a streaming credentials provider, which authenticates open connections again when the token was renewed.

use std::{pin::Pin, time::Duration};

use bearer_token::{Bearer, TokenProvider, platform::Platform};
use futures_util::{Stream, stream};
use redis::{
    ErrorKind, RedisError, RedisResult,
    auth::{BasicAuth, StreamingCredentialsProvider},
};

/// The provider's tokens as passwords: `AsyncConnectionConfig::new().set_credentials_provider(..)`.
pub struct RedisCredentials {
    /// The user, as the server knows it; for Azure, the object id of the identity.
    pub username: String,
    /// Where the tokens come from.
    pub provider: TokenProvider,
    /// The clock.
    pub platform: Platform,
    /// How often to look for a renewed token. A look is a read of the cache. It also starts the refresh in the
    /// background when that is due, so it should be shorter than `Policy::refresh_ahead`; half a minute usually is.
    pub interval: Duration,
}

impl StreamingCredentialsProvider for RedisCredentials {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send + 'static>> {
        let state = State {
            username: self.username.clone(),
            provider: self.provider.clone(),
            platform: self.platform.clone(),
            interval: self.interval,
            last: None,
        };
        Box::pin(stream::unfold(state, |mut state| async move {
            let item = state.next().await;
            Some((item, state))
        }))
    }
}

struct State {
    username: String,
    provider: TokenProvider,
    platform: Platform,
    interval: Duration,
    /// The last token, or that there was none.
    last: Option<Result<Bearer, ()>>,
}

impl State {
    /// Waits until there is another token than before, or none for the first time.
    async fn next(&mut self) -> RedisResult<BasicAuth> {
        loop {
            if self.last.is_some() {
                let next = self.platform.now().after(self.interval);
                self.platform.sleep_until(next.monotonic()).await;
            }
            let found = self.provider.token().await;
            let is_known = match (&self.last, &found) {
                (Some(Ok(last)), Ok(found)) => last.secret() == found.secret(),
                (Some(Err(())), Err(_)) => true,
                _ => false,
            };
            if is_known {
                continue;
            }
            self.last = Some(found.clone().map_err(drop));
            return match found {
                Ok(bearer) => Ok(BasicAuth::new(self.username.clone(), bearer.secret().to_owned())),
                // Errors of the provider contain no secret.
                Err(error) => {
                    Err(RedisError::from((ErrorKind::AuthenticationFailed, "there is no token", error.to_string())))
                }
            };
        }
    }
}
