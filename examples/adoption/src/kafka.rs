//! Kafka with SASL/OAUTHBEARER: the callback of rdkafka, which is synchronous.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use bearer_token::{Bearer, TokenProvider};
use rdkafka::{ClientContext, client::OAuthToken, consumer::ConsumerContext};

/// A context for `ClientConfig::create_with_context`, with `security.protocol=SASL_SSL` and
/// `sasl.mechanism=OAUTHBEARER`.
///
/// librdkafka asks at four fifths of the token's remaining lifetime, and rdkafka answers on the thread that polls the
/// client. A client that is not polled has no token. Token requests need a runtime, so give the provider one with
/// `Platform::with_spawn`.
pub struct OAuthBearer {
    provider: TokenProvider,
    principal: String,
    /// The token that librdkafka has.
    last: Mutex<Option<Bearer>>,
}

impl OAuthBearer {
    /// Brokers usually take the principal from the token, and ignore this one.
    pub fn new(provider: TokenProvider, principal: impl Into<String>) -> Self {
        OAuthBearer { provider, principal: principal.into(), last: Mutex::new(None) }
    }
}

impl ClientContext for OAuthBearer {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bearer = self.provider.token_blocking()?;
        if last.as_ref().is_some_and(|last| last.secret() == bearer.secret()) {
            // librdkafka wants the next token, while the provider would still use this one. Without a new one it goes on.
            bearer = self.provider.refresh_now().wait().unwrap_or(bearer);
        }
        *last = Some(bearer.clone());
        let expiry = bearer.expires_at().ok_or("the token has no expiry, which librdkafka demands")?;
        let lifetime_ms = expiry.duration_since(SystemTime::UNIX_EPOCH)?.as_millis().try_into()?;
        Ok(OAuthToken { token: bearer.secret().to_owned(), principal_name: self.principal.clone(), lifetime_ms })
    }
}

impl ConsumerContext for OAuthBearer {}
