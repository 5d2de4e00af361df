//! Client authentication with a signed assertion.

use std::time::Duration;

use crate::{
    jwt::{JwtTemplate, SigningKey},
    oauth::{
        client_auth::{Audience, ClientAuth, Method},
        request::wire,
    },
    problem::{Advice, Problem, Problems},
    secret::string,
    source::Identity,
};

pub(crate) use crate::jwt::JwtTemplate as AssertionTemplate;

/// The `typ` of assertions whose audience is the issuer (draft-ietf-oauth-rfc7523bis).
const TYPE: &str = "client-authentication+jwt";

/// An assertion is sent at once.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// The recipe for the assertions of a client.
#[derive(Clone)]
pub(crate) struct ClientAssertion {
    client_id: String,
    form: AssertionForm,
}

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
    /// # let pem = include_str!("../../jwt/testdata/p256.pem");
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
    /// The assertion lives for 60 seconds. Every request, including retries, has a new one with its own `jti`, `iat`
    /// and `exp`. For anything else use [`assertion`](Self::assertion) with a template of your own.
    pub fn private_key_jwt(client_id: impl Into<String>, key: SigningKey) -> Self {
        Method::Assertion(ClientAssertion { client_id: client_id.into(), form: AssertionForm::PrivateKey(key) }).into()
    }

    /// Sends an assertion that is signed with the client secret, an HMAC key (`client_secret_jwt`, OpenID Connect Core
    /// section 9). Everything else is as for [`private_key_jwt`](Self::private_key_jwt).
    pub fn client_secret_jwt(client_id: impl Into<String>, key: SigningKey) -> Self {
        Method::Assertion(ClientAssertion { client_id: client_id.into(), form: AssertionForm::Secret(key) }).into()
    }

    /// Sends an assertion from a template of your own.
    ///
    /// The template sets everything: issuer, subject, audience, lifetime, other claims and header fields. RFC 7523
    /// section 3 requires the client id as `iss` and `sub`.
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
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(Audience::Other(audience.into()));
        self
    }

    /// Sets the authorization server's issuer as the `aud`, and `client-authentication+jwt` as the `typ`, as
    /// draft-ietf-oauth-rfc7523bis requires. So do FAPI servers, and new versions of Keycloak accept it.
    ///
    /// The issuer is sent byte for byte: Auth0's ends with a slash. Not needed where the endpoint's own
    /// [`issuer`](crate::oauth::TokenEndpointBuilder::issuer) is set.
    #[must_use]
    pub fn audience_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.audience = Some(Audience::Issuer(issuer.into()));
        self
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

    pub(crate) fn template(
        &self,
        audience: Option<&Audience>,
        default_audience: Option<&Audience>,
        problems: &mut Problems,
    ) -> Option<JwtTemplate> {
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
            .lifetime(ASSERTION_LIFETIME);
        let template = match audience {
            Audience::Issuer(_) => template.header("typ", TYPE),
            Audience::Other(_) => template,
        };
        template.build().map_err(|error| problems.absorb("client_auth", &error)).ok()
    }
}
