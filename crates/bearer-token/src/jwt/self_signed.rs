//! A JWT used directly as the bearer token.

use std::{borrow::Cow, time::Duration};

use super::template::JwtTemplate;
use crate::{
    error::Error,
    source::{FetchContext, Identity, TokenSource},
    token::AccessToken,
};

/// The default lifetime: the longest that most APIs accept. Unlike assertions, bearers are used many times.
const SELF_SIGNED_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Signs JWTs that are the bearer tokens themselves: no token request is made.
///
/// The provider keeps each until its `exp`, and renews it early. The default
/// [`lifetime`](super::JwtTemplateBuilder::lifetime) is 1 h from the back-dated `iat`. Set a shorter one for APIs with
/// a lower limit (GitHub: 10 min, App Store Connect: 20 min). JWTs
/// [without `exp`](super::JwtTemplateBuilder::expiration_time) are used for the same time.
///
/// ```
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let secret = [7; 32];
/// let key = SigningKey::hmac(Algorithm::HS256, secret)?;
/// let template = JwtTemplate::builder(key).issuer("app-id").lifetime(Duration::from_secs(600)).build()?;
/// let source = SelfSigned::new(template);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SelfSigned {
    template: JwtTemplate,
}

impl SelfSigned {
    /// Creates a source of JWTs from this template.
    pub fn new(template: JwtTemplate) -> Self {
        SelfSigned { template }
    }
}

impl TokenSource for SelfSigned {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let jwt = self.template.sign_for(cx.platform(), SELF_SIGNED_LIFETIME).await?;
        Ok(AccessToken::new(jwt.secret()).expires_at(jwt.usable_until()).issued(jwt.issued()))
    }

    fn has_changed(&self) -> bool {
        self.template.has_changed()
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("self-signed JWT")
    }

    fn identity(&self, identity: &mut Identity) {
        identity.text("source", "self-signed");
        self.template.identity(identity);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        jwt::{Algorithm, JwtTemplateBuilder, SigningKey},
        test_support::{ManualClock, first_fetch},
        token::Expiry,
    };

    async fn fetch(change: impl FnOnce(JwtTemplateBuilder) -> JwtTemplateBuilder) -> (Value, AccessToken) {
        let key = SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap();
        let source = SelfSigned::new(change(JwtTemplate::builder(key)).build().unwrap());
        let clock = ManualClock::at(Duration::from_millis(100_000_900));
        let platform = clock.platform();
        let now = platform.now();
        let token = source.fetch(first_fetch(platform)).await.unwrap();
        assert_eq!(token.issued_moment(), Some(now));
        let claims = token.secret().split('.').nth(1).unwrap();
        (serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap(), token)
    }

    fn at(seconds: u64) -> Expiry {
        Expiry::At(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn the_bearer_expires_when_its_exp_says_so() {
        let (claims, token) = fetch(|template| template.lifetime(Duration::from_secs(600))).await;
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(99_990), &json!(100_590)));
        assert_eq!(token.expiry(), at(100_590));
    }

    #[tokio::test]
    async fn without_a_lifetime_a_bearer_lives_for_an_hour() {
        let (claims, token) = fetch(|template| template).await;
        assert_eq!(claims["exp"], 103_590);
        assert_eq!(token.expiry(), at(103_590));
    }

    #[tokio::test]
    async fn a_bearer_without_exp_is_used_for_its_lifetime() {
        let (claims, token) = fetch(|template| {
            template.issuer("TEAM").expiration_time(false).jwt_id(false).lifetime(Duration::from_secs(2_400))
        })
        .await;
        assert_eq!(claims, json!({ "iss": "TEAM", "iat": 99_990 }));
        assert_eq!(token.expiry(), at(102_390));
    }
}
