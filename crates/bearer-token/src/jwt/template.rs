//! Templates of JWTs, and the JWTs that are signed from them.
//!
//! A template is built once and signs many times. All that can be wrong with it is found at `build()`, by a rehearsal
//! with a time of 1970 and zeros in place of randomness. What is left for each JWT:
//!
//! | step | where |
//! |---|---|
//! | read the key, its certificate and looked-up strings again | `look_up`; twice if something changed in between |
//! | times: back-dated `iat`, `exp`, perhaps `nbf` | `sign_times.rs` |
//! | header, from the memory unless it has computed members | `header.rs` |
//! | claims: fixed, looked up, generated, computed, the caller's own | `layout.rs`, `computed.rs` |
//! | signature over both, in Base64url | the key |

use std::{
    cell::LazyCell,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub(crate) mod base64url;
pub(crate) mod builder;
mod claims;
pub(crate) mod computed;
pub(crate) mod context;
mod header;
mod layout;
mod looked_up_claims;
mod sign_times;
mod strings;
#[cfg(test)]
mod value_tests;
mod values;

use self::{
    builder::JwtTemplateBuilder,
    claims::Claims,
    context::{CertificateState, SignContext},
    header::JoseHeader,
    layout::{ClaimsLayout, Ingredients},
    sign_times::SignTimes,
};
use super::{
    algorithm::Algorithm,
    key::{SigningKey, certified::CertifiedKey},
};
use crate::{
    error::Error,
    platform::{Moment, Platform},
    problem::{Advice, Problem, Problems},
    source::Identity,
};

/// The default lifetime of an assertion: the strictest servers allow no more (Box: 60 s).
pub(crate) const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// The default back-date of `iat`.
pub(crate) const BACKDATE: Duration = Duration::from_secs(10);

/// Signs JWTs that differ only in `iat`, `exp`, `jti`, and what is [computed](JwtTemplateBuilder::computed).
///
/// A clone shares everything. `Debug` shows the header and the names of the claims, never the key.
///
/// ```
/// use bearer_token::{jwt::{Algorithm, JwtTemplate, SigningKey}, platform::Platform};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// # let secret = [7; 32];
/// let template = JwtTemplate::builder(SigningKey::hmac(Algorithm::HS256, secret)?)
///     .issuer("client-id")
///     .subject("client-id")
///     .audience("https://auth.example.com/token")
///     .build()?;
/// let first = template.sign(&Platform::system()).await?;
/// let second = template.sign(&Platform::system()).await?;
/// assert_ne!(first.secret(), second.secret());
/// # Ok(()) }
/// ```
///
/// # The claims of each JWT
///
/// | claim | value | changed by |
/// |---|---|---|
/// | `iat` | the time of the signature less 10 s | [`backdate`](JwtTemplateBuilder::backdate), [`issued_at`](JwtTemplateBuilder::issued_at) |
/// | `exp` | `iat` and the lifetime | [`lifetime`](JwtTemplateBuilder::lifetime), [`expiration_time`](JwtTemplateBuilder::expiration_time) |
/// | `jti` | a random UUID | [`jwt_id`](JwtTemplateBuilder::jwt_id) |
/// | `nbf` | left out | [`not_before`](JwtTemplateBuilder::not_before), [`not_before_backdate`](JwtTemplateBuilder::not_before_backdate) |
/// | all others | as they were set | [`claim`](JwtTemplateBuilder::claim), [`computed`](JwtTemplateBuilder::computed) and the methods of their names |
///
/// Members are written in the order of their names, so two JWTs of one template differ only where they should.
#[derive(Clone)]
pub struct JwtTemplate(Arc<Template>);

/// The parts of a template. Shared by all clones, and unchanged after `build()`.
pub(crate) struct Template {
    pub(crate) key: SigningKey,
    pub(crate) certified: Option<CertifiedKey>,
    pub(crate) header: JoseHeader,
    pub(crate) claims: Claims,
    pub(crate) layout: ClaimsLayout,
    /// `None` is the default, which differs between assertions and bearers.
    pub(crate) lifetime: Option<Duration>,
}

impl JwtTemplate {
    /// Starts a template of JWTs that are signed with this key.
    pub fn builder(key: SigningKey) -> JwtTemplateBuilder {
        JwtTemplateBuilder::new(key)
    }

    pub(crate) fn new(template: Template) -> Self {
        JwtTemplate(Arc::new(template))
    }

    /// Describes JWTs that are exchanged for tokens. The key is the credential: a new one gets the same tokens.
    #[allow(dead_code, reason = "used with the feature `oauth`")]
    pub(crate) fn identity(&self, identity: &mut Identity) {
        self.describe_claims(identity);
        self.0.header.identity(identity);
        self.0.key.credential(identity);
    }

    /// Describes JWTs that are the token themselves. The key counts, because it may be what decides their rights.
    ///
    /// App Store Connect has a role for each key, and `iss` is the same for all of them. Stream's JWTs of two
    /// applications differ in nothing but the secret. To sign another one costs no request.
    pub(crate) fn identity_with_key(&self, identity: &mut Identity) {
        self.describe_claims(identity);
        for name in self.0.header.computed_names() {
            identity.unknown(format!("header.{name}"));
        }
        let template = self.clone();
        identity.looked_up("signed", move |cx| {
            let template = template.clone();
            Box::pin(async move {
                let key = template.0.key.now(cx.platform()).await?;
                // JSON has no such byte.
                let mut bytes = Zeroizing::new(template.0.header.fixed_text(&key).into_bytes());
                bytes.push(0);
                bytes.extend_from_slice(&key.known(cx.platform()).await?);
                Ok(bytes)
            })
        });
    }

    /// Describes the claims that are the same in each JWT.
    fn describe_claims(&self, identity: &mut Identity) {
        let Claims { fixed, looked_up, computed, .. } = &self.0.claims;
        identity.text("claims", Value::from(fixed.clone()).to_string());
        identity.set("claims looked up", looked_up.names());
        if looked_up.names().next().is_some() {
            let template = self.clone();
            identity.looked_up("claims found", move |cx| {
                let template = template.clone();
                Box::pin(async move {
                    let found = template.0.claims.looked_up.read(cx.platform()).await?;
                    Ok(Zeroizing::new(Value::from(found).to_string().into_bytes()))
                })
            });
        }
        for name in computed.names() {
            identity.unknown(format!("claim.{name}"));
        }
    }

    /// Signs a JWT with its own `iat`, `exp` and `jti`. Nothing is cached, because an assertion is used once
    /// (RFC 7523 section 3).
    ///
    /// Its default lifetime is that of an assertion, 60 s.
    ///
    /// # Errors
    ///
    /// Of kind [`Signing`](crate::ErrorKind::Signing) if the key does not sign. Also the error of a remote
    /// [`Signer`](super::Signer), and that of the platform if there is no randomness for `jti` or the runtime shuts
    /// down.
    ///
    /// For a protocol of your own. Grants, client authentication and [`SelfSigned`](super::SelfSigned) call it for you.
    /// A JWT with RSA, ES512 or ML-DSA is signed on a blocking thread, all others in place, because they take less than
    /// 100 µs.
    pub async fn sign(&self, platform: &Platform) -> Result<SignedJwt, Error> {
        self.sign_for(platform, ASSERTION_LIFETIME).await
    }

    /// Signs a JWT with additional claims, for a browser or another service. This crate does not send it.
    ///
    /// The claims are a JSON object, or whatever serializes as one. They never replace those of the template, so it is
    /// safe to take them from a request. `exp`, `iat`, `nbf` or `jti` can be among them only if the template leaves it
    /// out.
    ///
    /// ```
    /// use bearer_token::{jwt::{Algorithm, JwtTemplate, SigningKey}, platform::Platform};
    /// use serde_json::json;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem"));
    /// // A custom token of Firebase, with which a user's app signs in.
    /// let account = "service-account@example.iam.gserviceaccount.com";
    /// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::RS256, pem)?)
    ///     .issuer(account)
    ///     .subject(account)
    ///     .audience("https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit")
    ///     .lifetime(Duration::from_secs(3600))
    ///     .build()?;
    ///
    /// let claims = json!({ "uid": "user-7", "claims": { "admin": false } });
    /// let token = template.sign_with(&Platform::system(), claims).await?;
    /// println!("{} bytes for the app", token.secret().len());
    ///
    /// let forged = template.sign_with(&Platform::system(), json!({ "sub": "someone else" })).await;
    /// assert!(forged.unwrap_err().to_string().contains("claims.sub: found a claim that the template has"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign), and of kind [`Config`](crate::ErrorKind::Config) if the claims are not an object or one
    /// of them is the template's.
    pub async fn sign_with(&self, platform: &Platform, claims: impl Serialize) -> Result<SignedJwt, Error> {
        let own = self.own_claims(claims)?;
        self.sign_claims(platform, ASSERTION_LIFETIME, own).await
    }

    /// Signs as [`sign`](Self::sign) does, with another default lifetime.
    pub(crate) async fn sign_for(&self, platform: &Platform, or_else: Duration) -> Result<SignedJwt, Error> {
        self.sign_claims(platform, or_else, Map::new()).await
    }

    /// Signs one JWT with further claims of the caller. The caller's own claims come last among those that are looked
    /// up, and were checked not to replace any. `exp` decides what the JWT says about its end; the lifetime decides how
    /// long [`SelfSigned`](super::SelfSigned) uses it.
    async fn sign_claims(
        &self,
        platform: &Platform,
        or_else: Duration,
        own: Map<String, Value>,
    ) -> Result<SignedJwt, Error> {
        let Template { header, claims, layout, lifetime, .. } = &*self.0;
        let issued = platform.now();
        let times = SignTimes::new(issued, claims.backdate, lifetime.unwrap_or(or_else));
        // In a box, because few templates look anything up, and the future of a signature is part of many others.
        let found = if self.looks_up() { Some(Box::pin(self.look_up_unchanged(platform)).await?) } else { None };
        let LookedUp { key, certificate, key_id, claims: mut further } = found.unwrap_or_default();
        let key = key.as_ref().unwrap_or(&self.0.key);
        let expires = match own.get("exp").and_then(Value::as_u64) {
            Some(own) => UNIX_EPOCH.checked_add(Duration::from_secs(own)),
            None => claims.has_expiration_time().then(|| times.expires()),
        };
        further.extend(own);
        let input = {
            let with_further;
            let layout = if further.is_empty() {
                layout
            } else {
                with_further = ClaimsLayout::new(claims, &further);
                &with_further
            };
            let cx = LazyCell::new(|| SignContext::new(times, key.clone(), certificate, platform.clone()));
            let header = header.encoded(key, key_id, &cx)?;
            // One allocation for the whole JWT, unless claims are computed.
            let bytes = header.len() + 1 + encoded_bytes(layout.bytes());
            let mut input = String::with_capacity(bytes + 1 + encoded_bytes(key.signature_bytes()));
            input.push_str(&header);
            input.push('.');
            layout.append(
                &claims.computed,
                &Ingredients { times, platform: Some(platform), context: &cx },
                &mut input,
            )?;
            input
        };
        let token = key.sign(platform, input).await?;
        Ok(SignedJwt { token, issued, usable_until: times.expires(), expires })
    }

    /// Whether anything is looked up for each JWT.
    fn looks_up(&self) -> bool {
        let Template { key, certified, header, claims, .. } = &*self.0;
        key.is_looked_up() || certified.is_some() || header.looks_up() || !claims.looked_up.is_empty()
    }

    /// Everything that is looked up for one JWT, from files that did not change in between.
    ///
    /// It looks twice at most: a file that changes all the time must not keep a JWT from being signed.
    async fn look_up_unchanged(&self, platform: &Platform) -> Result<LookedUp, Error> {
        let found = self.look_up(platform).await?;
        // A file that contains several of them may have been replaced in between. Later changes are used for the next
        // JWT.
        if self.has_changed() { self.look_up(platform).await } else { Ok(found) }
    }

    /// The order does not matter, since a change in between is noticed by the caller.
    async fn look_up(&self, platform: &Platform) -> Result<LookedUp, Error> {
        let Template { key, certified, header, claims, .. } = &*self.0;
        let (key, certificate) = match certified {
            None => (key.now(platform).await?, CertificateState::None),
            Some(certified) => {
                let (key, chain) = certified.now(key, platform).await?;
                (key, CertificateState::Usable(chain))
            }
        };
        let key_id = header.look_up_key_id(platform).await?;
        Ok(LookedUp { key: Some(key), certificate, key_id, claims: claims.looked_up.read(platform).await? })
    }

    /// Claims for one JWT, if they go together with the template.
    ///
    /// The claims may come from a request by a user, so their names and strings are checked as those of the builder
    /// are.
    fn own_claims(&self, claims: impl Serialize) -> Result<Map<String, Value>, Error> {
        const MESSAGE: &str = "the JWT cannot be signed with these claims";
        let Ok(Value::Object(own)) = serde_json::to_value(claims) else {
            let problem = Problem::new("claims", "found something else than a JSON object").expecting("an object");
            return Err(Error::config(MESSAGE, [problem]));
        };
        let mut problems = Problems::default();
        for name in self.claim_names().filter(|name| own.contains_key(*name)) {
            let problem = Problem::new(format!("claims.{name}"), "found a claim that the template has");
            problems.add(problem.advise(Advice::text("leave it out here")).advise(Advice::text("leave it out there")));
        }
        for (name, value) in &own {
            values::name_problem("claims", name).into_iter().for_each(|problem| problems.add(problem));
            let found = values::claim_problems(&format!("claims.{name}"), name, value);
            found.into_iter().for_each(|problem| problems.add(problem));
        }
        problems.into_result(MESSAGE)?;
        Ok(own)
    }

    /// Whether something else is available than at the last signature: a key, a certificate, a string.
    pub(crate) fn has_changed(&self) -> bool {
        let Template { key, certified, header, claims, .. } = &*self.0;
        key.has_changed()
            || certified.as_ref().is_some_and(CertifiedKey::has_changed)
            || header.has_changed()
            || claims.looked_up.have_changed()
    }

    /// The algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        self.0.key.algorithm()
    }

    /// The lifetime that was set, if any: from the back-dated `iat` to `exp`.
    pub fn lifetime(&self) -> Option<Duration> {
        self.0.lifetime
    }

    /// The names of all claims, including those that differ in each JWT.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let key = SigningKey::hmac(Algorithm::HS256, [7; 32])?;
    /// let template = JwtTemplate::builder(key).issuer("app").jwt_id(false).build()?;
    /// let mut names: Vec<_> = template.claim_names().collect();
    /// names.sort();
    /// assert_eq!(names, ["exp", "iat", "iss"]);
    /// # Ok(()) }
    /// ```
    pub fn claim_names(&self) -> impl Iterator<Item = &str> {
        self.0.claims.fixed.keys().map(String::as_str).chain(self.0.claims.own_names())
    }
}

impl fmt::Debug for JwtTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtTemplate")
            .field("key", &self.0.key)
            .field("header", &self.0.header.fixed_text(&self.0.key))
            .field("computed_header", &self.0.header.computed_names().collect::<Vec<_>>())
            .field("claims", &self.claim_names().collect::<Vec<_>>())
            .field("lifetime", &self.0.lifetime)
            .field("backdate", &self.0.claims.backdate)
            .finish()
    }
}

/// What was looked up for one JWT.
///
/// All of it is read before any of it is used, so a JWT never mixes two generations of a file.
#[derive(Default)]
struct LookedUp {
    /// `None`: the template's.
    key: Option<SigningKey>,
    certificate: CertificateState,
    key_id: Option<String>,
    claims: Map<String, Value>,
}

/// A newly signed JWT, and its times. `Debug` never shows the JWT.
///
/// The string is wiped when it is dropped. To keep a JWT for longer, use a [`TokenProvider`](crate::TokenProvider) with
/// [`SelfSigned`](super::SelfSigned) in place of a copy.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use bearer_token::{jwt::{Algorithm, JwtTemplate, SigningKey}, platform::Platform};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bearer_token::Error> {
/// # let key = SigningKey::hmac(Algorithm::HS256, [7; 32])?;
/// let template = JwtTemplate::builder(key).issuer("videos").lifetime(Duration::from_secs(300)).build()?;
/// let jwt = template.sign(&Platform::system()).await?;
/// // A URL for a player, which is valid for as long as the JWT.
/// let url = format!("https://stream.example.com/v1/play?token={}", jwt.secret());
/// assert!(jwt.expires().is_some_and(|end| end > SystemTime::now()));
/// assert!(!format!("{jwt:?}").contains(jwt.secret()));
/// # let _ = url; Ok(()) }
/// ```
pub struct SignedJwt {
    token: Zeroizing<String>,
    issued: Moment,
    usable_until: SystemTime,
    expires: Option<SystemTime>,
}

impl SignedJwt {
    /// The JWT in its compact form (RFC 7515 section 7.1). Handle with care.
    pub fn secret(&self) -> &str {
        &self.token
    }

    /// The time in its `exp`, if it has one.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// The time of the signature. Its `iat` is earlier, by the back-date.
    pub fn issued(&self) -> Moment {
        self.issued
    }

    /// The end of its lifetime, with or without an `exp`.
    pub(crate) fn usable_until(&self) -> SystemTime {
        self.usable_until
    }
}

impl fmt::Debug for SignedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedJwt")
            .field("token", &"[redacted]")
            .field("issued", &self.issued)
            .field("expires", &self.expires())
            .finish()
    }
}

fn encode(part: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part)
}

/// The length of so many bytes in base64 without padding.
fn encoded_bytes(bytes: usize) -> usize {
    base64::encoded_len(bytes, false).unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
