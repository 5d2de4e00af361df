//! Client authentication with a signed assertion.
//!
//! An assertion is a JWT that says "I am the client with this id", for one server and one minute. It is signed for each
//! request, because many servers remember the `jti` and refuse a second use (Auth0, Keycloak, SMART). So a transport
//! must not resend a request by itself, and a retry here starts from scratch.
//!
//! | claim | value |
//! |---|---|
//! | `iss`, `sub` | the client id (RFC 7523 section 3) |
//! | `aud` | the issuer if it is known, otherwise the token endpoint's URL |
//! | `iat` | ten seconds ago, for a server whose clock is behind |
//! | `exp` | `iat` and the lifetime, a minute by default |
//! | `jti` | a random UUID |

use std::time::Duration;

use crate::{
    jwt::{BACKDATE, JwtTemplate, SigningKey},
    oauth::{
        client_auth::{Audience, Changes, ClientAuth, Method},
        request::wire,
    },
    problem::{Advice, Problem, Problems},
    secret::string,
    source::Identity,
};

pub(crate) use crate::jwt::JwtTemplate as AssertionTemplate;

/// The `typ` of assertions whose audience is the issuer (draft-ietf-oauth-rfc7523bis).
///
/// A `typ` of its own keeps an assertion for one purpose from being accepted for another, such as a JWT bearer grant.
const TYPE: &str = "client-authentication+jwt";

/// The default lifetime of an assertion, which is sent at once.
///
/// Box and Keycloak accept at most a minute, Auth0 and SMART five. So the default works at each of them.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// The longest lifetime that can be set. A copied assertion is usable for as long, so servers allow minutes.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const LIFETIME_PATH: &str = "client_auth.assertion_lifetime";

const JWT_TYPE_PATH: &str = "client_auth.assertion_jwt_type";

/// The recipe for the assertions of a client.
#[derive(Clone)]
pub(crate) struct ClientAssertion {
    client_id: String,
    form: AssertionForm,
}

/// The recipe for the assertions. The first two differ in the algorithms that they allow and in the advice after a
/// refusal. The last one has its own claims, so nothing may be changed beside it.
#[derive(Clone)]
enum AssertionForm {
    PrivateKey(SigningKey),
    Secret(SigningKey),
    Template(JwtTemplate),
}

impl ClientAuth {
    /// Sends an assertion that is signed with a private key (`private_key_jwt`, RFC 7523 section 2.2).
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, SigningKey};
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem"));
    /// let key = SigningKey::from_pem(Algorithm::ES256, pem)?.with_key_id("2026-01");
    /// # #[cfg(feature = "http-transport")]
    /// let source = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
    ///     .client_auth(ClientAuth::private_key_jwt("client-id", key).audience("https://as.example.com"))
    ///     .build()?;
    /// # #[cfg(feature = "http-transport")] let _ = source;
    /// # Ok(()) }
    /// ```
    ///
    /// `iss` and `sub` are the client id. `aud` depends on what is known about the server:
    ///
    /// | | `aud` | `typ` |
    /// |---|---|---|
    /// | its issuer ([`issuer`](crate::oauth::TokenEndpointBuilder::issuer), [`discover`](crate::oauth::TokenEndpoint::discover), or [`audience_issuer`](Self::audience_issuer)) | the issuer | `client-authentication+jwt` |
    /// | only the token endpoint's URL | the URL, byte for byte, but without a query, which may hold a key | `JWT` |
    /// | [`audience`](Self::audience) | what it says | `JWT` |
    ///
    /// The first row is recommended (draft-ietf-oauth-rfc7523bis): no other server accepts the assertion, even if the
    /// URL of the token endpoint is false. The second row is the rule of RFC 7523 section 3.
    ///
    /// The assertion lives for 60 seconds, unless [`assertion_lifetime`](Self::assertion_lifetime) says otherwise.
    /// Every request, including retries, has a new one with its own `jti`, `iat` and `exp`. For other claims and header
    /// fields use [`assertion`](Self::assertion) with a template of your own.
    ///
    /// # Recipes
    ///
    /// Okta, whose audience is the URL of the token endpoint, as it is by default:
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, SigningKey};
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem"));
    /// let key = SigningKey::from_pem(Algorithm::RS256, pem)?.with_key_id("the id in Okta's list of keys");
    /// let builder = TokenEndpoint::builder("https://dev-1.okta.example.com/oauth2/v1/token", ClientCredentials::new())
    ///     .client_auth(ClientAuth::private_key_jwt("0oa1b2c3", key))
    ///     .scope("okta.users.read");
    /// # let _ = builder; Ok(()) }
    /// ```
    ///
    /// Auth0, whose audience is the tenant with a slash:
    ///
    /// ```
    /// # use bearer_token::jwt::{Algorithm, SigningKey};
    /// # use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    /// # fn example(key: SigningKey) {
    /// let auth = ClientAuth::private_key_jwt("client-id", key).audience("https://tenant.eu.auth0.example.com/");
    /// let url = "https://tenant.eu.auth0.example.com/oauth/token";
    /// let builder = TokenEndpoint::builder(url, ClientCredentials::new())
    ///     .client_auth(auth)
    ///     // The identifier of the API, which is another audience.
    ///     .parameter("audience", "https://api.example.com/");
    /// # let _ = builder; }
    /// ```
    pub fn private_key_jwt(client_id: impl Into<String>, key: SigningKey) -> Self {
        Method::Assertion(ClientAssertion { client_id: client_id.into(), form: AssertionForm::PrivateKey(key) }).into()
    }

    /// Sends an assertion that is signed with the client secret, an HMAC key (`client_secret_jwt`, OpenID Connect Core
    /// section 9). Everything else is as for [`private_key_jwt`](Self::private_key_jwt).
    ///
    /// The secret never travels, but the server has to store it in the clear. Prefer a private key where the server
    /// offers both (RFC 9700 section 2.5).
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, SigningKey};
    /// use bearer_token::oauth::ClientAuth;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// // HS256 needs a secret of at least 32 bytes (RFC 7518 section 3.2).
    /// let key = SigningKey::hmac(Algorithm::HS256, "q3bHyVd7mTzP1xWfLk9sRu2cNe8aGj5o")?;
    /// let auth = ClientAuth::client_secret_jwt("reports", key).audience("https://as.example.com/realms/main");
    /// assert!(!format!("{auth:?}").contains("q3bHyVd7"));
    /// # Ok(()) }
    /// ```
    pub fn client_secret_jwt(client_id: impl Into<String>, key: SigningKey) -> Self {
        Method::Assertion(ClientAssertion { client_id: client_id.into(), form: AssertionForm::Secret(key) }).into()
    }

    /// Sends an assertion from a template of your own.
    ///
    /// The template sets everything: issuer, subject, audience, lifetime, other claims and header fields. RFC 7523
    /// section 3 requires the client id as `iss` and `sub`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    /// use bearer_token::oauth::ClientAuth;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem"));
    /// // NetSuite wants the scope inside of the assertion, and the id of the certificate as the key id.
    /// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::ES256, pem)?.with_key_id("cert-id"))
    ///     .issuer("client-id")
    ///     .subject("client-id")
    ///     .audience("https://1234567.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token")
    ///     .claim("scope", "rest_webservices")
    ///     .lifetime(Duration::from_secs(300))
    ///     .build()?;
    /// let auth = ClientAuth::assertion("client-id", template);
    /// # let _ = auth; Ok(()) }
    /// ```
    ///
    /// [`audience`](Self::audience), [`assertion_lifetime`](Self::assertion_lifetime) and
    /// [`assertion_jwt_type`](Self::assertion_jwt_type) are problems beside a template: set them there.
    ///
    /// Entra ID with a certificate: PS256, the certificate's digest in the header, and the token endpoint's URL as the
    /// audience.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bearer_token::{Value, jwt::{Algorithm, JwtTemplate, SigningKey}};
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata");
    /// # let (key, certificate) = (format!("{directory}/rsa2048.pem"), format!("{directory}/certificate.pem"));
    /// const URL: &str = "https://login.microsoftonline.com/contoso.example.com/oauth2/v2.0/token";
    ///
    /// // Both files are read again for each assertion, so a renewed certificate needs no restart.
    /// let template = JwtTemplate::builder(SigningKey::from_file(Algorithm::PS256, key)?)
    ///     .certificate(Value::file(certificate))
    ///     .x5t_s256()
    ///     .issuer("client-id")
    ///     .subject("client-id")
    ///     .audience(URL)
    ///     .not_before(true)
    ///     .lifetime(Duration::from_secs(600))
    ///     .build()?;
    /// let builder = TokenEndpoint::builder(URL, ClientCredentials::new())
    ///     .client_auth(ClientAuth::assertion("client-id", template))
    ///     .scope("https://graph.microsoft.com/.default");
    /// # let _ = builder; Ok(()) }
    /// ```
    pub fn assertion(client_id: impl Into<String>, template: JwtTemplate) -> Self {
        Method::Assertion(ClientAssertion { client_id: client_id.into(), form: AssertionForm::Template(template) })
            .into()
    }

    /// Replaces the token endpoint's URL as the `aud` of [`private_key_jwt`](Self::private_key_jwt) and
    /// [`client_secret_jwt`](Self::client_secret_jwt).
    ///
    /// Entra, Okta, `NetSuite` and SMART servers require the token endpoint's URL, also if their issuer is known. The
    /// audience is sent as one string, byte for byte. Where the server wants its issuer, prefer
    /// [`audience_issuer`](Self::audience_issuer).
    ///
    /// A wrong audience is the commonest reason for `invalid_client` with a valid key. The error of such a refusal
    /// shows the audience that was sent, without its query.
    ///
    /// | server | audience |
    /// |---|---|
    /// | Entra ID, Okta, NetSuite, NHS England, SMART servers | the URL of the token endpoint |
    /// | Auth0 | `https://TENANT/`, with the slash |
    /// | PingOne | the token endpoint's URL or the issuer |
    /// | banks under UK Open Banking | the issuer at most of them, the URL at others: ask each one |
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(Audience::Other(audience.into()));
        self
    }

    /// Sets the authorization server's issuer as the `aud`, and `client-authentication+jwt` as the `typ`, as
    /// draft-ietf-oauth-rfc7523bis requires. FAPI 2 and SPIFFE insist on it.
    ///
    /// The issuer is sent byte for byte: Auth0's ends with a slash. Not needed where the endpoint's own
    /// [`issuer`](crate::oauth::TokenEndpointBuilder::issuer) is set.
    #[must_use]
    pub fn audience_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.audience = Some(Audience::Issuer(issuer.into()));
        self
    }

    /// Sets how long the assertions of [`private_key_jwt`](Self::private_key_jwt) and
    /// [`client_secret_jwt`](Self::client_secret_jwt) live: from their `iat`, which is 10 s in the past, to their
    /// `exp`. Default: 60 s. At most 24 h.
    ///
    /// ```
    /// use bearer_token::{jwt::SigningKey, oauth::ClientAuth};
    /// use std::time::Duration;
    ///
    /// fn auth(key: SigningKey) -> ClientAuth {
    ///     let auth = ClientAuth::private_key_jwt("client-id", key).audience("https://as.example.com/token");
    ///     auth.assertion_lifetime(Duration::from_secs(300)).assertion_jwt_type("client-authentication+jwt")
    /// }
    /// ```
    ///
    /// | server | longest lifetime |
    /// |---|---|
    /// | Box, Keycloak | 60 s |
    /// | Auth0, SMART servers | 5 min |
    /// | Okta, PingOne | 1 h |
    ///
    /// A longer lifetime gains nothing, because an assertion is never reused. Raise it only for a server whose clock is
    /// far ahead.
    #[must_use]
    pub fn assertion_lifetime(mut self, lifetime: Duration) -> Self {
        self.changes.lifetime = Some(lifetime);
        self
    }

    /// Sets the `typ` in the header of the assertions of [`private_key_jwt`](Self::private_key_jwt) and
    /// [`client_secret_jwt`](Self::client_secret_jwt) (RFC 7519 section 5.1), in place of the one in the table there.
    ///
    /// What the request says of the assertion, its `client_assertion_type`, is [another](Self::assertion_type).
    #[must_use]
    pub fn assertion_jwt_type(mut self, jwt_type: impl Into<String>) -> Self {
        self.changes.jwt_type = Some(jwt_type.into());
        self
    }
}

impl Changes {
    fn are_none(&self) -> bool {
        self.lifetime.is_none() && self.jwt_type.is_none()
    }

    /// The path of what is changed first.
    fn path(&self) -> &'static str {
        if self.lifetime.is_some() { LIFETIME_PATH } else { JWT_TYPE_PATH }
    }

    /// The lifetime, if it is a usable one.
    fn lifetime(&self, problems: &mut Problems) -> Option<Duration> {
        let lifetime = self.lifetime.unwrap_or(ASSERTION_LIFETIME);
        if lifetime.as_secs() <= BACKDATE.as_secs() || lifetime > LONGEST_LIFETIME {
            let expected = format!("more than {BACKDATE:?}, by which `iat` is back-dated, and at most 24 h");
            problems.add(Problem::new(LIFETIME_PATH, format!("found {lifetime:?}")).expecting(expected));
            return None;
        }
        Some(lifetime)
    }

    /// The `typ`, if there is a usable one.
    ///
    /// An empty `typ` is not left out of the header, and an empty string is not a media type.
    fn jwt_type(&self, problems: &mut Problems) -> Option<&str> {
        let jwt_type = self.jwt_type.as_deref()?;
        if jwt_type.is_empty() {
            let problem = Problem::new(JWT_TYPE_PATH, "found an empty string").expecting("a media type such as `JWT`");
            problems.add(problem.advise(Advice::text("remove it")));
            return None;
        }
        wire::check(JWT_TYPE_PATH, jwt_type, problems).then_some(jwt_type)
    }
}

impl ClientAssertion {
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Adds the key as the credential. The claims of a template reach the server, and may name a tenant.
    pub(crate) fn identity(&self, identity: &mut Identity) {
        match &self.form {
            AssertionForm::PrivateKey(key) | AssertionForm::Secret(key) => key.credential(identity),
            AssertionForm::Template(template) => template.identity(identity),
        }
    }

    /// Whether the client secret signs it.
    pub(crate) fn is_by_secret(&self) -> bool {
        matches!(self.form, AssertionForm::Secret(_))
    }

    /// Whether its audience is that of a template.
    pub(crate) fn has_own_audience(&self) -> bool {
        matches!(self.form, AssertionForm::Template(_))
    }

    pub(crate) fn name(&self) -> &'static str {
        match &self.form {
            AssertionForm::PrivateKey(_) => "private_key_jwt",
            AssertionForm::Secret(_) => "client_secret_jwt",
            AssertionForm::Template(_) => "assertion",
        }
    }

    /// Builds the template for all assertions of one endpoint. `None` means that there is a problem already, either
    /// here or about the URL or the client id.
    ///
    /// It runs at `build()` and never again. Then a request only needs times, a `jti` and a signature.
    pub(crate) fn template(
        &self,
        audience: Option<&Audience>,
        default_audience: Option<&Audience>,
        changes: &Changes,
        problems: &mut Problems,
    ) -> Option<JwtTemplate> {
        if matches!(self.form, AssertionForm::Template(_)) && !changes.are_none() {
            let found = "found a change beside a template, which has its own lifetime and header";
            problems.add(Problem::new(changes.path(), found).advise(Advice::text("set it on the template")));
            return None;
        }
        let key = match (&self.form, audience) {
            (AssertionForm::Template(template), None) => return Some(template.clone()),
            (AssertionForm::Template(_), Some(_)) => {
                let found = "found an audience beside a template, which has its own";
                problems
                    .add(Problem::new("client_auth.audience", found).advise(Advice::text("set it on the template")));
                return None;
            }
            (AssertionForm::PrivateKey(key) | AssertionForm::Secret(key), _) => key,
        };
        let hmac = key.algorithm().is_hmac();
        match &self.form {
            AssertionForm::PrivateKey(_) if hmac => {
                let problem = Problem::new("client_auth.key", "found a secret").expecting("a private key");
                problems.add(problem.advise(Advice::set("ClientAuth::client_secret_jwt")));
            }
            AssertionForm::Secret(_) if !hmac => {
                let problem = Problem::new("client_auth.key", "found a private key").expecting("a secret");
                problems.add(problem.advise(Advice::set("ClientAuth::private_key_jwt")));
            }
            _ => {}
        }
        let jwt_type = changes.jwt_type(problems);
        let lifetime = changes.lifetime(problems)?;
        let own = audience.map(Audience::as_str);
        if own == Some("") {
            let problem = Problem::new("client_auth.audience", "found an empty string");
            problems.add(problem.expecting("the issuer").advise(Advice::text("remove it")));
            return None;
        }
        if own.is_some_and(|audience| !wire::check("client_auth.audience", audience, problems)) {
            return None;
        }
        if string::check(&self.client_id).is_err() {
            // There is a problem about it already.
            return None;
        }
        // Without a URL there is a problem about it already.
        let audience = audience.or(default_audience)?;
        let template = JwtTemplate::builder(key.clone())
            .issuer(self.client_id.as_str())
            .subject(self.client_id.as_str())
            .audience(audience.as_str())
            .lifetime(lifetime);
        let default_type = matches!(audience, Audience::Issuer(_)).then_some(TYPE);
        let template = template.headers(jwt_type.or(default_type).map(|jwt_type| ("typ", jwt_type)));
        template.build().map_err(|error| problems.absorb("client_auth", &error)).ok()
    }
}
