//! Client authentication with a signed assertion.

use std::time::Duration;

use crate::{
    jwt::{JwtTemplate, SigningKey},
    oauth::client_auth::{ClientAuth, Method},
    problem::{Advice, Problem, Problems},
};

/// It is used at once.
const LIFETIME: Duration = Duration::from_secs(60);

/// What the assertions of a client are made of.
#[derive(Clone)]
pub(crate) struct ClientAssertion {
    client_id: String,
    form: Form,
}

#[derive(Clone)]
enum Form {
    PrivateKey(SigningKey),
    Secret(SigningKey),
    Template(JwtTemplate),
}

impl ClientAuth {
    /// An assertion signed with a private key (`private_key_jwt`, RFC 7523 section 2.2).
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
    /// `iss` and `sub` are the client id; `aud` is the token endpoint's URL (RFC 7523 section 3), byte for byte as it was
    /// configured but without a query, which may hold what is nobody's business, or what [`audience`](Self::audience)
    /// says. It lives for 60 seconds, and every request, a second try included,
    /// carries a new one with its own `jti`, `iat` and `exp`. For anything else make a template of your own and use
    /// [`assertion`](Self::assertion).
    pub fn private_key_jwt(client_id: impl Into<String>, key: SigningKey) -> Self {
        Method::Assertion(ClientAssertion { client_id: client_id.into(), form: Form::PrivateKey(key) }).into()
    }

    /// An assertion signed with the client's secret, an HMAC key (`client_secret_jwt`, OpenID Connect Core section 9);
    /// otherwise as [`private_key_jwt`](Self::private_key_jwt).
    pub fn client_secret_jwt(client_id: impl Into<String>, key: SigningKey) -> Self {
        Method::Assertion(ClientAssertion { client_id: client_id.into(), form: Form::Secret(key) }).into()
    }

    /// An assertion from a template of your own, which says everything: issuer, subject, audience, lifetime, further
    /// claims and header members. RFC 7523 section 3 wants `iss` and `sub` to be the client id.
    pub fn assertion(client_id: impl Into<String>, template: JwtTemplate) -> Self {
        Method::Assertion(ClientAssertion { client_id: client_id.into(), form: Form::Template(template) }).into()
    }

    /// Another `aud` than the token endpoint's URL, for [`private_key_jwt`](Self::private_key_jwt) and
    /// [`client_secret_jwt`](Self::client_secret_jwt).
    ///
    /// The revision of RFC 7523 wants the authorization server's issuer here; so do Auth0 (with a slash at the end),
    /// FAPI servers and new versions of Keycloak. Entra, Okta, `NetSuite` and SMART servers want the token endpoint's
    /// URL. It is sent as one string, byte for byte.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }
}

impl ClientAssertion {
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn name(&self) -> &'static str {
        match &self.form {
            Form::PrivateKey(_) => "private_key_jwt",
            Form::Secret(_) => "client_secret_jwt",
            Form::Template(_) => "assertion",
        }
    }

    pub(crate) fn template(
        &self,
        audience: Option<&str>,
        default_audience: Option<&str>,
        problems: &mut Problems,
    ) -> Option<JwtTemplate> {
        let key = match (&self.form, audience) {
            (Form::Template(template), None) => return Some(template.clone()),
            (Form::Template(_), Some(_)) => {
                let found = "found an audience beside a template, which has its own";
                problems
                    .add(Problem::new("client_auth.audience", found).advise(Advice::text("set it on the template")));
                return None;
            }
            (Form::PrivateKey(key) | Form::Secret(key), _) => key,
        };
        let hmac = key.algorithm().is_hmac();
        match &self.form {
            Form::PrivateKey(_) if hmac => {
                let problem = Problem::new("client_auth.key", "found a secret").expecting("a private key");
                problems.add(problem.advise(Advice::set("ClientAuth::client_secret_jwt")));
            }
            Form::Secret(_) if !hmac => {
                let problem = Problem::new("client_auth.key", "found a private key").expecting("a secret");
                problems.add(problem.advise(Advice::set("ClientAuth::private_key_jwt")));
            }
            _ => {}
        }
        if audience == Some("") {
            problems.push("client_auth.audience", "found an empty text; expected the issuer, or remove the call");
            return None;
        }
        if self.client_id.is_empty() {
            // There is a problem about it already.
            return None;
        }
        // Without a URL there is a problem about it already.
        let audience = audience.or(default_audience)?;
        let template = JwtTemplate::builder(key.clone())
            .issuer(&self.client_id)
            .subject(&self.client_id)
            .audience(audience)
            .lifetime(LIFETIME)
            .build();
        template.map_err(|error| problems.absorb("client_auth", &error)).ok()
    }
}
