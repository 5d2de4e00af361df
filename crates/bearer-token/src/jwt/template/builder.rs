//! Builds templates, and reports all their problems at once.
//!
//! Methods only collect. The order of the checks in `build` follows their dependencies. Times are first, because the
//! rehearsal needs a lifetime. Names are next, then the certificate, which computed members may ask for, and then the
//! computed members. The header is last, because it may contain all of them.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    ASSERTION_LIFETIME, BACKDATE, JwtTemplate, Template,
    claims::{Claims, NotBefore},
    computed::{Computed, NO_JSON},
    context::SignContext,
    header::JoseHeader,
    layout::ClaimsLayout,
    looked_up_claims::LookedUpClaims,
    strings::Strings,
};
use crate::{error::Error, jwt::key::SigningKey, problem::Problems, value};

mod checks;

/// Builds a [`JwtTemplate`]. A later call of a method replaces an earlier one.
///
/// ```
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let key = SigningKey::hmac(Algorithm::HS256, [7; 32])?;
/// let error = JwtTemplate::builder(key)
///     .issuer("app ")
///     .claim("exp", 1_893_456_000)
///     .certificate_chain()
///     .build()
///     .unwrap_err();
/// let paths: Vec<_> = error.problems().iter().map(|problem| problem.path()).collect();
/// assert!(["issuer", "claims.exp", "certificate_chain"].iter().all(|path| paths.contains(path)));
/// # Ok(()) }
/// ```
///
/// # Which setting a provider needs
///
/// | provider | setting |
/// |---|---|
/// | Entra ID | [`certificate`](Self::certificate) with [`x5t_s256`](Self::x5t_s256) |
/// | WeatherKit | [`header("id", "TEAM.SERVICE")`](Self::header) |
/// | Apple push notifications, Stream | [`expiration_time(false)`](Self::expiration_time) |
/// | Keycloak, SMART, NHS | `jti` is required, which is the default |
/// | Box | [`claim("box_sub_type", ..)`](Self::claim), a lifetime of 60 s, which is the default for assertions |
/// | Zhipu | [`computed`](Self::computed) times in milliseconds, and `header("sign_type", "SIGN")` |
/// | Coinbase CDP | [`computed_header("nonce", ..)`](Self::computed_header) |
/// | Ping | no `nbf`, which is the default: Ping refuses one that its clock has not reached |
#[derive(Clone)]
pub struct JwtTemplateBuilder {
    key: SigningKey,
    certificate: Option<value::Value>,
    has_chain: bool,
    key_id: Option<value::Value>,
    /// Kept apart from other claims until `build()`, because they may have to be looked up.
    strings: Strings,
    lifetime: Option<Duration>,
    claims: Claims,
    header: Map<String, Value>,
    computed_header: Computed,
    /// Those that methods found. `build()` adds the others and reports all of them.
    problems: Problems,
}

impl JwtTemplateBuilder {
    pub(crate) fn new(key: SigningKey) -> Self {
        JwtTemplateBuilder {
            key,
            certificate: None,
            has_chain: false,
            key_id: None,
            strings: Strings::default(),
            lifetime: None,
            claims: Claims {
                fixed: Map::new(),
                looked_up: LookedUpClaims::default(),
                computed: Computed::default(),
                backdate: BACKDATE,
                issued_at: true,
                not_before: None,
                expiration_time: true,
                jwt_id: true,
            },
            header: Map::new(),
            computed_header: Computed::default(),
            problems: Problems::default(),
        }
    }

    /// Replaces the key. For a template that is made again when a key changes: clone this builder, and replace the
    /// key of the clone, as a [`HotSwap`](crate::HotSwap::following_key) does.
    pub fn key(mut self, key: SigningKey) -> Self {
        self.key = key;
        self
    }

    /// The `iss` claim: the party that signs.
    ///
    /// A string, or a [`Value`](value::Value) that is looked up for each JWT: a member of an account file, a variable.
    /// [`build`](Self::build) looks it up too, and reports a missing one. The same holds for the subject, the audience
    /// and the key id.
    ///
    /// ```
    /// use bearer_token::{Value, jwt::{Algorithm, JwtTemplate, SigningKey}};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("account.json");
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem")).replace('\n', "\\n");
    /// # let members = r#""private_key_id": "1", "client_email": "me@example.com""#;
    /// # let account = format!(r#"{{"private_key": "{pem}", {members}}}"#);
    /// # std::fs::write(&path, account).unwrap();
    /// // A service account of Google, from its file as it is downloaded.
    /// let account = |member| Value::file(&path).member(member);
    /// let key = SigningKey::from_value(Algorithm::RS256, account("/private_key"))?;
    /// let template = JwtTemplate::builder(key)
    ///     .key_id(account("/private_key_id"))
    ///     .issuer(account("/client_email"))
    ///     .audience("https://oauth2.googleapis.com/token")
    ///     .build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<value::Value>) -> Self {
        self.strings.issuer = Some(issuer.into());
        self
    }

    /// The `sub` claim: the party that the JWT is about.
    ///
    /// For client authentication it is the client id (RFC 7523 section 3). For a JWT bearer grant it is the user or the
    /// service account whose token is wanted. App Store Connect and GitHub want none.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<value::Value>) -> Self {
        self.strings.subject = Some(subject.into());
        self
    }

    /// The `aud` claim as one string, which is sent byte for byte. Servers differ in what they expect (the token
    /// endpoint, the issuer, a bare host), and a trailing slash matters.
    ///
    /// | provider | audience |
    /// |---|---|
    /// | Google | `https://oauth2.googleapis.com/token`, whatever the token endpoint's URL is |
    /// | Salesforce | `https://login.salesforce.com` or `https://test.salesforce.com` |
    /// | DocuSign | `account.docusign.com`, without a scheme |
    /// | Apple | `appstoreconnect-v1` |
    /// | Ghost | `/admin/` |
    /// | Auth0 | `https://TENANT/`, with the slash |
    ///
    /// It is never derived from a URL, and never parsed as one: parsers add slashes.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<value::Value>) -> Self {
        self.strings.audience = Some(audience.into());
        self
    }

    /// The `aud` claim as a list, even of one. Many servers refuse lists: prefer [`audience`](Self::audience).
    ///
    /// For Coinbase and Oracle, which document a list.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let key = SigningKey::hmac(Algorithm::HS256, [7; 32])?;
    /// let template = JwtTemplate::builder(key).issuer("cdp").audiences(["cdp_service"]).build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    #[must_use]
    pub fn audiences(mut self, audiences: impl IntoIterator<Item = impl Into<value::Value>>) -> Self {
        self.strings.audiences = Some(audiences.into_iter().map(Into::into).collect());
        self
    }

    /// How long each JWT lives: `exp` is `iat` plus this. The lifetime includes the [`backdate`](Self::backdate) of
    /// `iat`. So a value within the server's limit is accepted. Fractions of a second are dropped.
    ///
    /// Default: 60 s for assertions; 1 h for [`SelfSigned`](crate::jwt::SelfSigned).
    ///
    /// A lifetime that is too long is refused like a wrong signature at most servers. It must be longer than the
    /// back-date, and at most 100 years.
    ///
    /// | provider | at most |
    /// |---|---|
    /// | Box | 60 s |
    /// | Salesforce | 3 min is safe |
    /// | Auth0, SMART, Ghost | 5 min |
    /// | GitHub | 10 min |
    /// | App Store Connect | 20 min, and better a little less |
    /// | Google, DocuSign, Okta, Snowflake, Yandex Cloud | 1 h |
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How far `iat` is back-dated, for servers whose clocks are slow. Default: 10 s.
    ///
    /// GitHub advises a minute. Keycloak refuses an `iat` that is too old, so do not exceed what is needed. If the
    /// clock of this machine is off by more, the token endpoint signs again with the server's time after a refusal.
    #[must_use]
    pub fn backdate(mut self, backdate: Duration) -> Self {
        self.claims.backdate = backdate;
        self
    }

    /// A further claim: any name, any JSON.
    ///
    /// `iss`, `sub` and `aud` can be set here too, but must agree with their methods. `iat`, `nbf`, `exp` and `jti`
    /// cannot be set: each JWT gets its own.
    ///
    /// A value that cannot be written as JSON, such as a map with keys that are not strings, is a problem at `build()`.
    /// A second call with the same name replaces the first.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        match serde_json::to_value(value) {
            Ok(value) => drop(self.claims.fixed.insert(name, value)),
            Err(_) => self.problems.push(format!("claims.{name}"), NO_JSON),
        }
        self
    }

    /// Several further claims, or none, as [`claim`](Self::claim) sets one. An `Option` is such a list, too.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let (key, tenant) = (SigningKey::hmac(Algorithm::HS256, [7; 32])?, Some("7"));
    /// let template = JwtTemplate::builder(key).claims(tenant.map(|tenant| ("tenant", tenant))).build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    #[must_use]
    pub fn claims<N: Into<String>, V: Serialize>(self, claims: impl IntoIterator<Item = (N, V)>) -> Self {
        claims.into_iter().fold(self, |builder, (name, value)| builder.claim(name, value))
    }

    /// A claim that is computed for each JWT: from its times, from fingerprints of its key or certificate, from
    /// randomness.
    ///
    /// A computed `iat`, `nbf`, `exp` or `jti` replaces the usual one, for servers that expect it in another form. The
    /// JWT is still used until its usual `exp`, so base yours on [`expires_at`](SignContext::expires_at).
    ///
    /// [`build`](Self::build) calls the function once with times of 1970 and zeros as randomness, to report its error
    /// as a problem. The function must not block.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let key = SigningKey::hmac(Algorithm::HS256, [7; 32])?;
    /// // Zhipu expects milliseconds.
    /// let template = JwtTemplate::builder(key)
    ///     .claim("api_key", "key-id")
    ///     .computed("exp", |cx| Ok(cx.expires_at().as_millis()))
    ///     .computed("timestamp", |cx| Ok(cx.issued_at().as_millis()))
    ///     .build()?;
    /// # let _ = template;
    ///
    /// // Snowflake: the fingerprint is that of the key that signs this JWT, also after the key was replaced.
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem"));
    /// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::RS256, pem)?)
    ///     .subject("ACCOUNT.USER")
    ///     .computed("iss", |cx| Ok(format!("ACCOUNT.USER.SHA256:{}", cx.public_key_sha256()?.base64())))
    ///     .build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    #[must_use]
    pub fn computed<V: Serialize>(
        mut self,
        name: impl Into<String>,
        compute: impl Fn(&SignContext) -> Result<V, Error> + Send + Sync + 'static,
    ) -> Self {
        self.claims.computed.insert(name.into(), compute);
        self
    }

    /// A member of the JOSE header that is computed for each JWT, as a [claim](Self::computed) is. `null` leaves it
    /// out.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem"));
    /// // Coinbase wants a random nonce in the header of each JWT.
    /// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::ES256, pem)?)
    ///     .issuer("cdp")
    ///     .computed_header("nonce", |cx| {
    ///         let bytes = cx.random::<8>()?;
    ///         Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    ///     })
    ///     .build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    ///
    /// A header with computed members is encoded anew for each JWT. Without them it is encoded once.
    #[must_use]
    pub fn computed_header<V: Serialize>(
        mut self,
        name: impl Into<String>,
        compute: impl Fn(&SignContext) -> Result<V, Error> + Send + Sync + 'static,
    ) -> Self {
        self.computed_header.insert(name.into(), compute);
        self
    }

    /// A member of the JOSE header: `typ`, `cty`, `x5t`, `x5t#S256`, `x5c` (RFC 7515 section 4.1), or any other.
    ///
    /// `typ` is `JWT` unless it is set here. `null` leaves out a member, including `typ` and `kid`.
    ///
    /// `alg` is the key's and cannot be set. `crit` is checked against the header (RFC 7515 section 4.1.11). A `jwk`
    /// must be a public key. `b64` cannot be turned off (RFC 7797), because JWTs have an encoded payload.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        match serde_json::to_value(value) {
            Ok(value) => drop(self.header.insert(name, value)),
            Err(_) => self.problems.push(format!("header.{name}"), NO_JSON),
        }
        self
    }

    /// Several members of the JOSE header, or none, as [`header`](Self::header) sets one. An `Option` is such a list,
    /// too.
    #[must_use]
    pub fn headers<N: Into<String>, V: Serialize>(self, members: impl IntoIterator<Item = (N, V)>) -> Self {
        members.into_iter().fold(self, |builder, (name, value)| builder.header(name, value))
    }

    /// The `kid` in the header (RFC 7515 section 4.1.4), unless the key was given one already. It overrides the name
    /// that a JWK or a remote signer has.
    ///
    /// ```
    /// use bearer_token::{Value, jwt::{Algorithm, JwtTemplate, SigningKey}};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let key = SigningKey::hmac(Algorithm::HS256, [7; 32])?;
    /// // A key that was handed out as `id:secret`, as by Ghost. Usually it is in a variable.
    /// let admin_key = "6489e3:0a1b2c3d";
    /// let key_id = Value::from(admin_key).before(":");
    /// let template = JwtTemplate::builder(key).key_id(key_id).audience("/admin/").build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<value::Value>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// The certificate of the key, as PEM, DER, or the base64 of one. It is read again for each JWT, and may be in the
    /// same file as the key. Other certificates in it are ignored, unless they are sent as
    /// [a chain](Self::certificate_chain).
    ///
    /// It is not sent by itself: see [`x5t_s256`](Self::x5t_s256), [`x5t`](Self::x5t),
    /// [`certificate_chain`](Self::certificate_chain), and [`SignContext`].
    ///
    /// The certificate must belong to the key. While only one of the two has been replaced, the previous pair signs,
    /// and an event reports it.
    ///
    /// ```
    /// use bearer_token::{Value, jwt::{Algorithm, JwtTemplate, SigningKey}};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata")).unwrap();
    /// // As Entra ID expects it.
    /// let key = SigningKey::from_file(Algorithm::PS256, "rsa2048.pem")?;
    /// let template = JwtTemplate::builder(key).certificate(Value::file("certificate.pem")).x5t_s256().build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    #[must_use]
    pub fn certificate(mut self, certificate: impl Into<value::Value>) -> Self {
        self.certificate = Some(certificate.into());
        self
    }

    /// Sends the [certificate](Self::certificate) with its chain in the header, as `x5c` (RFC 7515 section
    /// 4.1.6). The certificate of the key is the first, wherever it is in the file.
    ///
    /// Needed by few servers; most know the certificate by its digest. Each certificate adds one to two kilobytes to
    /// the header. At most ten are sent, and a certificate in the file that is not part of the chain is a problem.
    #[must_use]
    pub fn certificate_chain(mut self) -> Self {
        self.has_chain = true;
        self
    }

    /// Names the [certificate](Self::certificate) in the header by its SHA-256, as `x5t#S256` (RFC 7515 section 4.1.8).
    ///
    /// ```
    /// use bearer_token::{Value, jwt::{Algorithm, JwtTemplate, SigningKey}};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata");
    /// let key = SigningKey::from_file(Algorithm::PS256, format!("{directory}/rsa2048.pem"))?;
    /// // Without the certificate it is a problem, and not a header without the member.
    /// let error = JwtTemplate::builder(key.clone()).issuer("client-id").x5t_s256().build().unwrap_err();
    /// assert!(error.to_string().contains("found no certificate"));
    /// let certificate = Value::file(format!("{directory}/certificate.pem"));
    /// let template = JwtTemplate::builder(key).issuer("client-id").certificate(certificate).x5t_s256().build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    #[must_use]
    pub fn x5t_s256(self) -> Self {
        self.computed_header("x5t#S256", |cx| Ok(cx.certificate_sha256()?.base64url()))
    }

    /// Names the [certificate](Self::certificate) in the header by its SHA-1, as `x5t` (RFC 7515 section 4.1.7), for
    /// servers that do not know `x5t#S256`.
    #[must_use]
    pub fn x5t(self) -> Self {
        self.computed_header("x5t", |cx| Ok(cx.certificate_sha1()?.base64url()))
    }

    /// Whether each JWT has a `jti` claim: a fresh random UUID. Default: yes.
    ///
    /// Keycloak, SMART servers and the NHS require it, and Box wants 16 to 128 characters, which a UUID has. Leave it
    /// out only for servers that refuse unknown claims.
    #[must_use]
    pub fn jwt_id(mut self, on: bool) -> Self {
        self.claims.jwt_id = on;
        self
    }

    /// Whether each JWT has an `nbf` claim, the same as `iat`. Default: no, because some servers refuse it when
    /// their clock is a little slow. [`not_before_backdate`](Self::not_before_backdate) is apart from `iat`.
    ///
    /// PingOne refuses an `nbf` that its clock has not reached. Entra ID's page lists the claim, but does not require
    /// it.
    #[must_use]
    pub fn not_before(mut self, on: bool) -> Self {
        self.claims.not_before = on.then_some(NotBefore::IssuedAt);
        self
    }

    /// Gives each JWT an `nbf` claim (RFC 7519 section 4.1.5) with a back-date of its own: this long before the
    /// signature, whatever the [`backdate`](Self::backdate) of `iat`. It replaces [`not_before`](Self::not_before).
    ///
    /// Zero is the time of the signature. A longer one is for servers whose clocks are slow, and which accept no old
    /// `iat`. The lifetime does not change: `exp` counts from `iat`. Fractions of a second are rounded up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let key = SigningKey::hmac(Algorithm::HS256, [7; 32])?;
    /// // `iat` is the time of the signature, and `nbf` a minute earlier.
    /// let template = JwtTemplate::builder(key)
    ///     .issuer("app")
    ///     .backdate(Duration::ZERO)
    ///     .not_before_backdate(Duration::from_secs(60))
    ///     .build()?;
    /// # let _ = template; Ok(()) }
    /// ```
    #[must_use]
    pub fn not_before_backdate(mut self, backdate: Duration) -> Self {
        self.claims.not_before = Some(NotBefore::Backdated(backdate));
        self
    }

    /// Whether each JWT has an `iat` claim. Default: yes. `exp` does not change without it.
    ///
    /// Leave it out only for a server that refuses it. Apple's push service and Keycloak judge the age of a JWT by it.
    #[must_use]
    pub fn issued_at(mut self, on: bool) -> Self {
        self.claims.issued_at = on;
        self
    }

    /// Whether each JWT has an `exp` claim. Default: yes. Without it, [`lifetime`](Self::lifetime) is how long
    /// [`SelfSigned`](crate::jwt::SelfSigned) uses a JWT, also counted from `iat`.
    ///
    /// A JWT without `exp` is valid for as long as the server likes, and a copy of it as well. Few APIs accept one:
    /// Apple's push service, which judges by `iat`, and Stream.
    #[must_use]
    pub fn expiration_time(mut self, on: bool) -> Self {
        self.claims.expiration_time = on;
        self
    }

    /// Checks everything. The error lists every problem under the method that caused it, or under `claims.NAME`,
    /// `computed.NAME`, `header.NAME` or `computed_header.NAME`.
    ///
    /// An issuer, a subject, an audience or a key id must not be empty, or contain a newline or another control
    /// character. Spaces or quotes around one are a problem too.
    ///
    /// # Errors
    ///
    /// One error of kind [`Config`](crate::ErrorKind::Config). Everything that is looked up is read once, so a missing
    /// file or variable is found here. It blocks for that.
    pub fn build(mut self) -> Result<JwtTemplate, Error> {
        self.check_times();
        self.check_names();
        let lifetime = self.lifetime.unwrap_or(ASSERTION_LIFETIME);
        let (certified, state) = self.certified();
        let cx = SignContext::rehearsal(self.claims.backdate, lifetime, self.key.clone(), state);
        self.check_computed(&cx);
        let problems = &mut self.problems;
        let header = JoseHeader::new(&cx, self.key_id.as_ref(), self.header, self.computed_header, problems);
        self.problems.into_result("the JWT template cannot be built")?;
        Ok(JwtTemplate::new(Template {
            key: self.key,
            certified,
            header,
            layout: ClaimsLayout::new(&self.claims, &Map::new()),
            claims: self.claims,
            lifetime: self.lifetime,
        }))
    }
}

impl fmt::Debug for JwtTemplateBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtTemplateBuilder")
            .field("key", &self.key)
            .field("claims", &self.claims.fixed.keys().collect::<Vec<_>>())
            .field("computed", &self.claims.computed.names().collect::<Vec<_>>())
            .field("header", &self.header.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
