//! A JWT used directly as the bearer token.
//!
//! Some APIs accept a JWT that the client signs as the bearer token itself, so there is no authorization server and no
//! token request. Reuse is wanted here, unlike for assertions: Apple's push service refuses
//! clients that renew more often than every 20 minutes.

use std::{borrow::Cow, time::Duration};

use super::template::JwtTemplate;
use crate::{
    error::Error,
    source::{FetchContext, Identity, TokenSource},
    token::AccessToken,
};

/// The default lifetime: the longest that most APIs accept. Unlike assertions, bearers are used many times.
///
/// Google and Snowflake refuse more than an hour.
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
///
/// # What providers expect
///
/// | API | claims | longest life | note |
/// |---|---|---|---|
/// | GitHub App | `iss` is the client id | 10 min | buys an installation token in a second stage |
/// | App Store Connect | `iss` is the issuer's UUID, `aud` is `appstoreconnect-v1` | 20 min | stay below: a clock that is ahead fails at exactly 20 |
/// | Apple push notifications | `iss` is the team id, no `exp` | 1 h after `iat` | renew between 20 and 60 min, else 429 |
/// | Snowflake | `iss` is `ACCOUNT.USER.SHA256:` and the key's fingerprint | 1 h | computed by [`public_key_sha256`](super::SignContext::public_key_sha256) |
/// | Google APIs | `iss` = `sub` = the account's e-mail; `aud` is the API's URL with a slash, or `scope` | 1 h | no domain-wide delegation |
/// | Vonage | `application_id` | 15 min is usual | no `iss` |
///
/// ```
/// use std::time::Duration;
/// use bearer_token::{Policy, TokenProvider};
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem"));
/// // Apple push notifications: no `exp`, and a token between 20 and 60 minutes old.
/// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::ES256, pem)?.with_key_id("ABC123DEFG"))
///     .issuer("DEF123GHIJ")
///     .expiration_time(false)
///     .jwt_id(false)
///     .lifetime(Duration::from_secs(55 * 60))
///     .build()?;
/// let provider = TokenProvider::builder(SelfSigned::new(template))
///     .policy(Policy::default().refresh_ahead(Duration::from_secs(5 * 60)))
///     .allow_origin("https://api.push.apple.com")
///     .build()?;
/// # let _ = provider; Ok(()) }
/// ```
///
/// # Errors
///
/// Of kind [`Signing`](crate::ErrorKind::Signing) if the key does not sign, which is retried after a change; with a
/// remote signer, the signer's. A JWT that the API refuses is a rejection, and the next one is signed at once.
///
/// # Recipes
///
/// A GitHub App. Its JWT is usually exchanged for an installation token: pass the provider to
/// [`Value::token_of`](crate::Value::token_of).
///
/// ```
/// use std::time::Duration;
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem");
/// // The file as it is downloaded: PKCS#1, `RSA PRIVATE KEY`.
/// let template = JwtTemplate::builder(SigningKey::from_file(Algorithm::RS256, path)?)
///     .issuer("Iv23liAbCdEfGh1jKlMn")
///     // GitHub advises a minute, and refuses more than ten minutes from its own time on.
///     .backdate(Duration::from_secs(60))
///     .lifetime(Duration::from_secs(600))
///     .jwt_id(false)
///     .build()?;
/// let source = SelfSigned::new(template);
/// # let _ = source; Ok(()) }
/// ```
///
/// App Store Connect. Two minutes of margin keep a clock that is ahead from exceeding the limit of twenty:
///
/// ```
/// use std::time::Duration;
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem");
/// // The file is called AuthKey_2X9R4HXF34.p8, after the key's id.
/// let key = SigningKey::from_file(Algorithm::ES256, path)?.with_key_id("2X9R4HXF34");
/// let template = JwtTemplate::builder(key)
///     .issuer("57246542-96fe-1a63-e053-0824d011072a")
///     .audience("appstoreconnect-v1")
///     .lifetime(Duration::from_secs(18 * 60))
///     .build()?;
/// let source = SelfSigned::new(template);
/// # let _ = source; Ok(()) }
/// ```
///
/// A service account of Google, for one API and without a token request. The audience is the API's host with a slash:
///
/// ```
/// use bearer_token::{TokenProvider, Value, jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey}};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("account.json");
/// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem")).replace('\n', "\\n");
/// # let members = r#""private_key_id": "1", "client_email": "sync@project.example.com""#;
/// # std::fs::write(&path, format!(r#"{{"private_key": "{pem}", {members}}}"#)).unwrap();
/// let account = |member| Value::file(&path).member(member);
/// let key = SigningKey::from_value(Algorithm::RS256, account("/private_key"))?;
/// let template = JwtTemplate::builder(key)
///     .key_id(account("/private_key_id"))
///     .issuer(account("/client_email"))
///     .subject(account("/client_email"))
///     .audience("https://pubsub.googleapis.com/")
///     .build()?;
/// let provider =
///     TokenProvider::builder(SelfSigned::new(template)).allow_origin("https://pubsub.googleapis.com").build()?;
/// # let _ = provider; Ok(()) }
/// ```
///
/// Ghost's Admin API: a secret in hex, behind an id, and a scheme of its own in the header:
///
/// ```
/// use std::time::Duration;
/// use bearer_token::{Encoding, Sending, TokenProvider, Value};
/// use bearer_token::jwt::{Algorithm, JwtTemplate, KeyReader, SelfSigned};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let admin_key = format!("{}:{}", "1".repeat(24), "5e".repeat(32));
/// // As the admin page shows it, usually in a variable: `Value::env("GHOST_ADMIN_KEY")`.
/// let admin_key = Value::from(admin_key);
/// let secret = admin_key.clone().after(":").encoding(Encoding::Hex);
/// let key = KeyReader::new().algorithm(Algorithm::HS256).read_value(secret)?;
/// let template = JwtTemplate::builder(key)
///     .key_id(admin_key.before(":"))
///     .audience("/admin/")
///     .lifetime(Duration::from_secs(300))
///     .build()?;
/// let provider = TokenProvider::builder(SelfSigned::new(template))
///     .sending(Sending::new().scheme("Ghost"))
///     .allow_origin("https://blog.example.com")
///     .build()?;
/// # let _ = provider; Ok(()) }
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
    /// The end of its lifetime is a time of day. The JWT says so to the API, so a clock that is set changes both alike.
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
        self.template.identity_with_key(identity);
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
