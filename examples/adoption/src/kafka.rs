//! Kafka with SASL/OAUTHBEARER: the callback of rdkafka, which is synchronous.

use std::{error::Error, time::SystemTime};

use bearer_token::TokenProvider;
use rdkafka::{ClientContext, client::OAuthToken, consumer::ConsumerContext};

/// A context for `ClientConfig::create_with_context`, with `security.protocol=SASL_SSL` and
/// `sasl.mechanism=OAUTHBEARER`.
///
/// librdkafka calls it on a thread of its own at four fifths of the token's remaining lifetime. So give the provider a
/// runtime for its token requests (`Platform::with_spawn`), and let `Policy::refresh_ahead` be longer than a fifth of
/// the lifetime: then the callback finds a renewed token.
pub struct OAuthBearer {
    /// Where the tokens come from.
    pub provider: TokenProvider,
    /// The name of the principal. Brokers usually take it from the token and ignore this.
    pub principal: String,
}

impl ClientContext for OAuthBearer {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let bearer = self.provider.token_blocking()?;
        let expiry = bearer.expires_at().ok_or("the token has no expiry, which librdkafka demands")?;
        let lifetime_ms = expiry.duration_since(SystemTime::UNIX_EPOCH)?.as_millis().try_into()?;
        Ok(OAuthToken { token: bearer.secret().to_owned(), principal_name: self.principal.clone(), lifetime_ms })
    }
}

impl ConsumerContext for OAuthBearer {}
