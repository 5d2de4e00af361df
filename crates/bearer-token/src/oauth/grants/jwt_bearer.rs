//! The JWT bearer grant.
//!
//! The assertion is the whole grant: it names the issuer, the subject and the audience, and its signature is the proof.
//! So most of what users configure is in a [`JwtTemplate`], and this file adds the parameter. RFC 7521 is the frame,
//! and RFC 7523 its profile for JWTs.

use std::{borrow::Cow, fmt};

use zeroize::Zeroizing;

use crate::{
    error::Error,
    jwt::JwtTemplate,
    oauth::{
        Grant, Parameters,
        request::{missing, wire},
    },
    observe::{self, EventKind},
    problem::{Problem, Problems},
    source::{FetchContext, Identity},
    value::Value,
};

/// A token for a signed assertion: `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523 section 2.1).
///
/// Every request, a retry included, has a new assertion from the template, with its own `jti`, `iat` and `exp`. The
/// server's documentation says what `aud` must be: often the token endpoint's URL, sometimes the issuer, a host name or
/// a constant. Client authentication is independent of the grant, and many servers require none.
///
/// ```
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
/// use bearer_token::oauth::JwtBearer;
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem"));
/// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::ES256, pem)?)
///     .issuer("service@project.example.com")
///     .subject("service@project.example.com")
///     .audience("https://as.example.com/token")
///     .claim("scope", "read write")
///     .build()?;
/// let grant = JwtBearer::new(template);
/// # let _ = grant;
/// # Ok(()) }
/// ```
///
/// # What providers expect
///
/// | provider | `iss` | `sub` | `aud` | longest life |
/// |---|---|---|---|---|
/// | Google service account | the account's e-mail | a user, for domain-wide delegation only | `https://oauth2.googleapis.com/token`, whatever the URL is | 1 h |
/// | Salesforce | the consumer key | the user name | `https://login.salesforce.com` or `https://test.salesforce.com` | 3 min is safe |
/// | DocuSign | the integration key | the user's GUID | the bare host, `account.docusign.com` | 1 h |
/// | Box | the client id | an enterprise or a user | the token endpoint's URL | 60 s |
///
/// Google puts the scopes into the claim `scope`, and Box needs `box_sub_type`. Salesforce sends no `expires_in`, so
/// set [`Policy::default_lifetime`](crate::Policy::default_lifetime) to its session timeout. A refusal is
/// `invalid_grant` for nearly every mistake: the error names the clock's offset if it is off, and `server_description`
/// often names the claim.
///
/// At the first use for a user, DocuSign responds with `consent_required`: a person has to consent once, in a browser.
/// No retry helps, and the error's advice says so.
///
/// # Recipes
///
/// Google, with domain-wide delegation: the subject is the user for whom the service account acts.
///
/// ```
/// use std::time::Duration;
/// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
/// use bearer_token::oauth::{JwtBearer, TokenEndpoint};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem"));
/// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::RS256, pem)?)
///     .issuer("sync@project.iam.gserviceaccount.example.com")
///     .subject("user@example.com")
///     .audience("https://oauth2.googleapis.com/token")
///     .claim("scope", "https://www.googleapis.com/auth/calendar.readonly")
///     .lifetime(Duration::from_secs(3600))
///     .build()?;
/// let builder = TokenEndpoint::builder("https://oauth2.googleapis.com/token", JwtBearer::new(template));
/// # let _ = builder; Ok(()) }
/// ```
///
/// Salesforce. Its response has no lifetime, so the provider needs one, and `instance_url` says where the API is:
///
/// ```
/// use std::time::Duration;
/// use bearer_token::{Policy, TokenProvider, jwt::{Algorithm, JwtTemplate, SigningKey}};
/// use bearer_token::oauth::{JwtBearer, TokenEndpoint};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/rsa2048.pem"));
/// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::RS256, pem)?)
///     .issuer("the consumer key")
///     .subject("user@example.com")
///     .audience("https://login.salesforce.com")
///     .lifetime(Duration::from_secs(180))
///     .build()?;
/// # #[cfg(feature = "http-transport")] {
/// let url = "https://login.salesforce.com/services/oauth2/token";
/// let source = TokenEndpoint::builder(url, JwtBearer::new(template)).keep("instance_url").build()?;
/// let provider = TokenProvider::builder(source)
///     // Shorter than the session timeout of the organization.
///     .policy(Policy::default().default_lifetime(Duration::from_secs(15 * 60)))
///     .allow_origin("https://acme.my.salesforce.com")
///     .build()?;
/// # let _ = provider; }
/// # Ok(()) }
/// ```
///
/// Box: an encrypted key, a subject type, and at most a minute. The client authenticates in the body as well.
///
/// ```
/// use bearer_token::jwt::{JwtTemplate, SigningKey};
/// use bearer_token::oauth::{ClientAuth, JwtBearer, TokenEndpoint};
///
/// # fn example(key: SigningKey) -> Result<(), bearer_token::Error> {
/// // `key` is from `KeyReader::new().algorithm(Algorithm::RS512).passphrase(..)`, with the feature `encrypted-keys`.
/// let template = JwtTemplate::builder(key.with_key_id("publicKeyID"))
///     .issuer("client-id")
///     .subject("enterprise-id")
///     .audience("https://api.box.com/oauth2/token")
///     .claim("box_sub_type", "enterprise")
///     .build()?;
/// let builder = TokenEndpoint::builder("https://api.box.com/oauth2/token", JwtBearer::new(template))
///     .client_auth(ClientAuth::post("client-id", "client-secret"));
/// # let _ = builder; Ok(()) }
/// ```
#[derive(Clone)]
pub struct JwtBearer {
    assertion: Assertion,
    parameter: Cow<'static, str>,
}

/// The usual name of the parameter (RFC 7521 section 4.1).
///
/// Also the path of problems about the value, where no builder's method has that name.
const ASSERTION: &str = "assertion";

/// Where the assertions come from. A template signs for each request. A value is only read, so nothing in it depends on
/// our clock.
#[derive(Clone)]
enum Assertion {
    Signed(JwtTemplate),
    Found(Value),
}

impl JwtBearer {
    /// Creates the grant with the template of its assertions.
    ///
    /// If [claims are missing](Self::missing_claims), an event says so: many servers refuse such assertions.
    pub fn new(template: JwtTemplate) -> Self {
        let grant = JwtBearer { assertion: Assertion::Signed(template), parameter: ASSERTION.into() };
        let missing = grant.missing_claims();
        if !missing.is_empty() {
            observe::tell(EventKind::IncompleteAssertion { missing: &missing });
        }
        grant
    }

    /// The claims that RFC 7523 section 3 requires and the template does not have. Only some servers accept assertions
    /// without them.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, JwtTemplate, SigningKey};
    /// use bearer_token::oauth::JwtBearer;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem"));
    /// let template = JwtTemplate::builder(SigningKey::from_pem(Algorithm::ES256, pem)?).issuer("service").build()?;
    /// assert_eq!(JwtBearer::new(template).missing_claims(), ["sub", "aud"]);
    /// # Ok(()) }
    /// ```
    pub fn missing_claims(&self) -> Vec<&'static str> {
        let Assertion::Signed(template) = &self.assertion else { return Vec::new() };
        let names: Vec<&str> = template.claim_names().collect();
        ["iss", "sub", "aud", "exp"].into_iter().filter(|required| !names.contains(required)).collect()
    }

    /// Exchanges assertions that another party made: from a file, or from another provider such as a
    /// [token exchange](crate::oauth::TokenExchange) for an ID-JAG.
    ///
    /// The value is read again for each request. It must not be a literal: an assertion expires.
    ///
    /// ```
    /// use bearer_token::{Value, oauth::{ClientAuth, JwtBearer, TokenEndpoint}};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # #[cfg(feature = "http-transport")]
    /// // An ID token of the platform, exchanged at another authorization server.
    /// let source = TokenEndpoint::builder(
    ///     "https://tenant.accounts.example.com/oauth2/token",
    ///     JwtBearer::from_value(Value::env("WORKLOAD_ID_TOKEN")),
    /// )
    /// .client_auth(ClientAuth::basic("client-id", "client-secret"))
    /// .build();
    /// # Ok(()) }
    /// ```
    ///
    /// The lifetime of what comes back is usually bounded by that of the assertion, so the file behind it should be
    /// fresh.
    pub fn from_value(assertion: impl Into<Value>) -> Self {
        JwtBearer { assertion: Assertion::Found(assertion.into()), parameter: ASSERTION.into() }
    }

    /// Sends the assertion under another name, for servers that do not call it `assertion`.
    ///
    /// Adobe's former service called it `jwt_token`. The `grant_type` is a setting of the
    /// [endpoint](crate::oauth::TokenEndpointBuilder::grant_type).
    #[must_use]
    pub fn parameter_name(mut self, name: impl Into<String>) -> Self {
        self.parameter = name.into().into();
        self
    }
}

impl Grant for JwtBearer {
    async fn parameters(&self, cx: &FetchContext) -> Result<Parameters, Error> {
        let assertion = match &self.assertion {
            Assertion::Signed(template) => Zeroizing::new(template.sign(cx.platform()).await?.secret().to_owned()),
            Assertion::Found(value) => {
                value.read(cx).await.map_err(|error| missing("parameter", &self.parameter, error))?
            }
        };
        let parameters = Parameters::new("urn:ietf:params:oauth:grant-type:jwt-bearer");
        Ok(parameters.with_credential(self.parameter.clone(), assertion.as_str()))
    }

    fn identity(&self, identity: &mut Identity) {
        identity.text("grant", "jwt-bearer");
        identity.text("assertion as", &self.parameter);
        match &self.assertion {
            Assertion::Signed(template) => template.identity(identity),
            Assertion::Found(_) => identity.unknown("assertion"),
        }
    }

    fn has_changed(&self) -> bool {
        match &self.assertion {
            Assertion::Signed(template) => template.has_changed(),
            Assertion::Found(value) => value.has_changed(),
        }
    }

    fn parameter_names(&self) -> Vec<&str> {
        vec![&self.parameter]
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        match &self.assertion {
            Assertion::Signed(_) => {}
            Assertion::Found(value) => {
                value.assertion_problem(ASSERTION).into_iter().for_each(|problem| problems.add(problem));
            }
        }
        if self.parameter.is_empty() || self.parameter == "grant_type" {
            let found = "found an empty string or `grant_type`";
            problems.add(Problem::new("parameter_name", found).expecting("a name such as `assertion`"));
        } else {
            wire::check("parameter_name", &self.parameter, &mut problems);
        }
        problems.into_vec()
    }

    fn is_time_bound(&self) -> bool {
        matches!(self.assertion, Assertion::Signed(_))
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("JwtBearer");
        match &self.assertion {
            Assertion::Signed(template) => shown.field("template", template),
            Assertion::Found(value) => shown.field("assertion", value),
        };
        shown.finish()
    }
}
