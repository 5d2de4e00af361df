//! Token exchange.
//!
//! The grant is a list of parameters with one subtlety: which `token_type` and `issued_token_type` a response may have
//! depends on what was requested. An access token comes as `Bearer`. A token for another server, such as an ID-JAG or a
//! SAML assertion, comes as `N_A`, and must not be sent to an API.

use std::fmt;

use crate::{
    error::{Error, ErrorKind, Retry},
    oauth::{Grant, Parameters, ResponseFields, request::missing},
    problem::Problem,
    source::{FetchContext, Identity},
    value::Value,
};

/// The type of the token in a response (RFC 8693 section 2.2.1).
const ISSUED: &str = "issued_token_type";

/// The grant type of token exchange (RFC 8693 section 2.1).
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A token type identifier (RFC 8693 section 3).
///
/// The constants are the registered ones. Any other URI can be given as a string.
///
/// ```
/// use bearer_token::oauth::TokenType;
///
/// assert_eq!(TokenType::JWT.as_str(), "urn:ietf:params:oauth:token-type:jwt");
/// // AWS credentials for Google's exchange, which is not a registered type.
/// let aws = TokenType::from("urn:ietf:params:aws:token-type:aws4_request");
/// assert_ne!(aws, TokenType::JWT);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenType(std::borrow::Cow<'static, str>);

impl TokenType {
    /// An OAuth 2.0 access token.
    /// The default of what servers issue. It may or may not be a JWT.
    pub const ACCESS_TOKEN: TokenType = TokenType::registered("urn:ietf:params:oauth:token-type:access_token");
    /// An OAuth 2.0 refresh token.
    pub const REFRESH_TOKEN: TokenType = TokenType::registered("urn:ietf:params:oauth:token-type:refresh_token");
    /// An OpenID Connect ID token.
    pub const ID_TOKEN: TokenType = TokenType::registered("urn:ietf:params:oauth:token-type:id_token");
    /// A JWT.
    /// The usual type of a platform's identity: of Kubernetes, a CI, SPIFFE.
    pub const JWT: TokenType = TokenType::registered("urn:ietf:params:oauth:token-type:jwt");
    /// A SAML 1.1 assertion, encoded in Base64url.
    pub const SAML1: TokenType = TokenType::registered("urn:ietf:params:oauth:token-type:saml1");
    /// A SAML 2.0 assertion, encoded in Base64url.
    pub const SAML2: TokenType = TokenType::registered("urn:ietf:params:oauth:token-type:saml2");
    /// An identity assertion authorization grant, for the authorization server of another domain
    /// (draft-ietf-oauth-identity-assertion-authz-grant).
    pub const ID_JAG: TokenType = TokenType::registered("urn:ietf:params:oauth:token-type:id-jag");

    const fn registered(urn: &'static str) -> Self {
        TokenType(std::borrow::Cow::Borrowed(urn))
    }

    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether tokens of this type are sent to APIs.
    ///
    /// Decides whether `N_A` is accepted and how strictly `issued_token_type` is compared.
    fn is_for_an_api(&self) -> bool {
        [TokenType::ACCESS_TOKEN, TokenType::JWT].contains(self)
    }

    /// The registered type with this identifier.
    ///
    /// For error messages, which repeat only identifiers from the list.
    fn registered_as(identifier: &str) -> Option<Self> {
        let all = [
            TokenType::ACCESS_TOKEN,
            TokenType::REFRESH_TOKEN,
            TokenType::ID_TOKEN,
            TokenType::JWT,
            TokenType::SAML1,
            TokenType::SAML2,
            TokenType::ID_JAG,
        ];
        all.into_iter().find(|registered| registered.as_str() == identifier)
    }
}

impl From<&str> for TokenType {
    fn from(identifier: &str) -> Self {
        TokenType(identifier.to_owned().into())
    }
}

impl From<String> for TokenType {
    fn from(identifier: String) -> Self {
        TokenType(identifier.into())
    }
}

/// Exchanges a token of the client for another one: a narrower one, one for another domain, or one that acts for a user
/// (RFC 8693).
///
/// The subject and the actor can come from [any value](Value): a file that the platform writes, an environment
/// variable, or another provider.
///
/// ```
/// use bearer_token::{Value, oauth::{TokenExchange, TokenType}};
///
/// // The platform keeps a token in a file, and replaces it before it expires.
/// let grant = TokenExchange::new(Value::file("/var/run/secrets/tokens/identity"), TokenType::JWT)
///     .audience("//iam.example.com/pools/reports")
///     .requested_token_type(TokenType::ACCESS_TOKEN);
/// # let _ = grant;
/// ```
///
/// # Identity chaining
///
/// A token for another domain takes two requests, each cached on its own. The first exchanges the identity for an
/// [ID-JAG](TokenType::ID_JAG) at the domain's own server. The second presents it at the other server, by
/// [`JwtBearer::from_value`](crate::oauth::JwtBearer::from_value):
///
/// ```
/// # #[cfg(all(feature = "http-transport", feature = "jwt"))]
/// # fn example(identity: bearer_token::TokenProvider) -> Result<(), bearer_token::Error> {
/// use bearer_token::{TokenProvider, Value, oauth::{JwtBearer, TokenEndpoint, TokenExchange, TokenType}};
///
/// let exchange = TokenExchange::new(identity, TokenType::ID_TOKEN)
///     .requested_token_type(TokenType::ID_JAG)
///     .audience("https://as.other.example.com/");
/// let at_home = TokenProvider::builder(TokenEndpoint::builder("https://as.example.com/token", exchange).build()?).build()?;
/// let grant = JwtBearer::from_value(Value::token_of(at_home));
/// let abroad = TokenEndpoint::builder("https://as.other.example.com/token", grant).build()?;
/// let provider = TokenProvider::builder(abroad).allow_origin("https://api.other.example.com").build()?;
/// # let _ = provider; Ok(()) }
/// ```
///
/// # What providers expect
///
/// | provider | parameters | note |
/// |---|---|---|
/// | Google workload identity federation | `audience` with the provider's full name, a scope, [`ACCESS_TOKEN`](TokenType::ACCESS_TOKEN) as the requested type | send no `Authorization` header, so no client authentication by Basic |
/// | Databricks token federation | the scope `all-apis`; `client_id` for the policy of a service principal | the new token lives only as long as the subject token |
/// | Keycloak | `audience` with a client id | the client authenticates as usual |
///
/// If a server accepts each subject token only once, use [`Value::fresh`] with the provider that mints it. If the new
/// token lives only as long as the subject token, refresh the subject token more often.
///
/// # Errors
///
/// `invalid_target` means an unknown `resource` or `audience`, or one that this client may not use (RFC 8693 section
/// 2.2.2). `invalid_request` or `invalid_grant` means that the subject token is expired, has another audience, or is
/// from an issuer that the server does not trust.
#[derive(Clone)]
pub struct TokenExchange {
    subject: (Value, TokenType),
    actor: Option<(Value, TokenType)>,
    requested: Option<TokenType>,
    audiences: Vec<Value>,
    resources: Vec<Value>,
}

impl TokenExchange {
    /// Exchanges this token (`subject_token`), which is of this type (`subject_token_type`).
    ///
    /// Neither is checked further than that it is there: an exchange may accept types that this crate has never heard
    /// of.
    pub fn new(subject: impl Into<Value>, subject_type: impl Into<TokenType>) -> Self {
        TokenExchange {
            subject: (subject.into(), subject_type.into()),
            actor: None,
            requested: None,
            audiences: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// The party that acts for the subject (`actor_token`), and the type of its token.
    ///
    /// With an actor, the new token says that the actor acts on behalf of the subject (the claim `act`, RFC 8693
    /// section 4.1). Without one, the server may issue a token that looks like the subject's own.
    ///
    /// ```
    /// use bearer_token::{TokenProvider, Value, oauth::{TokenExchange, TokenType}};
    ///
    /// # fn example(user: TokenProvider, service: TokenProvider) {
    /// let grant = TokenExchange::new(Value::token_of(user), TokenType::ACCESS_TOKEN)
    ///     .actor(Value::token_of(service), TokenType::ACCESS_TOKEN)
    ///     .resource("https://orders.example.com/");
    /// # let _ = grant; }
    /// ```
    #[must_use]
    pub fn actor(mut self, actor: impl Into<Value>, actor_type: impl Into<TokenType>) -> Self {
        self.actor = Some((actor.into(), actor_type.into()));
        self
    }

    /// The type of the token to issue. By default the server decides.
    ///
    /// A response with another `issued_token_type` is an error. If an access token or a JWT is requested, the other one
    /// is accepted too, and so is a type that is not registered.
    /// [`Bearer::extra`](crate::Bearer::extra) returns the `issued_token_type`.
    ///
    /// For any other type than an access token or a JWT, the server says `N_A` in place of `Bearer` (section 2.2.1).
    /// Such a token is accepted, because it is for another token request and not for an API.
    #[must_use]
    pub fn requested_token_type(mut self, requested: impl Into<TokenType>) -> Self {
        self.requested = Some(requested.into());
        self
    }

    /// The logical name of the service that the token is for. May be called several times.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Value>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// The URI of the service that the token is for (RFC 8707). May be called several times.
    ///
    /// An absolute URI without a fragment. A literal of another form is a problem at `build()`. A name that is not a
    /// URI is an [`audience`](Self::audience).
    #[must_use]
    pub fn resource(mut self, resource: impl Into<Value>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Everything that is looked up, for `has_changed`.
    fn values(&self) -> impl Iterator<Item = &Value> {
        let actor = self.actor.iter().map(|(actor, _)| actor);
        [&self.subject.0].into_iter().chain(actor).chain(&self.audiences).chain(&self.resources)
    }
}

impl Grant for TokenExchange {
    /// In the order of the specification's table (RFC 8693 section 2.1). Values are looked up one after the other, so
    /// an error names the first that is missing.
    async fn parameters(&self, cx: &FetchContext) -> Result<Parameters, Error> {
        let mut parameters = Parameters::new(GRANT_TYPE);
        let named = async |name: &'static str, value: &Value| {
            value.read(cx).await.map_err(|error| missing("parameter", name, error))
        };
        for resource in &self.resources {
            parameters.push("resource", named("resource", resource).await?.as_str());
        }
        for audience in &self.audiences {
            parameters.push("audience", named("audience", audience).await?.as_str());
        }
        if let Some(TokenType(requested)) = &self.requested {
            parameters.push("requested_token_type", requested.as_ref());
        }
        let (subject, TokenType(subject_type)) = &self.subject;
        parameters.push_credential("subject_token", named("subject_token", subject).await?.as_str());
        parameters.push("subject_token_type", subject_type.as_ref());
        if let Some((actor, TokenType(actor_type))) = &self.actor {
            parameters.push_credential("actor_token", named("actor_token", actor).await?.as_str());
            parameters.push("actor_token_type", actor_type.as_ref());
        }
        Ok(parameters)
    }

    fn identity(&self, identity: &mut Identity) {
        identity.text("grant", "token-exchange");
        identity.text("subject_token_type", self.subject.1.as_str());
        identity.set("actor_token_type", self.actor.iter().map(|(_, kind)| kind.as_str()));
        identity.set("requested_token_type", self.requested.iter().map(TokenType::as_str));
        self.audiences.iter().for_each(|value| value.identity("audience", identity));
        self.resources.iter().for_each(|value| value.identity("resource", identity));
        // Whose tokens they are does not show.
        identity.unknown("subject_token");
        if self.actor.is_some() {
            identity.unknown("actor_token");
        }
    }

    fn has_changed(&self) -> bool {
        self.values().any(Value::has_changed)
    }

    fn parameter_names(&self) -> Vec<&str> {
        let subject = ["subject_token", "subject_token_type"];
        let actor = ["actor_token", "actor_token_type"].into_iter().filter(|_| self.actor.is_some());
        let requested = self.requested.is_some().then_some("requested_token_type");
        subject.into_iter().chain(actor).chain(requested).collect()
    }

    fn problems(&self) -> Vec<Problem> {
        let actor = self.actor.iter().map(|(actor, _)| ("actor_token", actor));
        let audiences = self.audiences.iter().map(|audience| ("audience", audience));
        let resources = self.resources.iter().map(|resource| ("resource", resource));
        let all = [("subject_token", &self.subject.0)].into_iter().chain(actor).chain(audiences).chain(resources);
        let values = all.filter_map(|(name, value)| value.problem(name));
        values.chain(self.resources.iter().filter_map(|resource| resource_problem(resource.literal()?))).collect()
    }

    fn token_types(&self) -> &[&str] {
        // RFC 8693 section 2.2.1: `N_A` means that the token is not used at an API.
        if self.requested.as_ref().is_none_or(TokenType::is_for_an_api) { &[] } else { &["N_A"] }
    }

    fn response_fields(&self) -> &[&str] {
        &[ISSUED]
    }

    fn kept_fields(&self) -> &[&str] {
        &[ISSUED]
    }

    /// Compares `issued_token_type` with what was requested. A token of another type would be refused by the API, or
    /// worse, would be accepted for something else.
    async fn on_response(
        &self,
        _cx: &FetchContext,
        _sent: &Parameters,
        response: &ResponseFields,
    ) -> Result<(), Error> {
        // RFC 8693 section 2.2.1 requires the field, but several servers leave it out.
        let (Some(requested), Some(issued)) = (&self.requested, response.text(ISSUED)) else { return Ok(()) };
        let known = TokenType::registered_as(issued);
        let fits = match requested.is_for_an_api() {
            // Some servers have their own names for access tokens.
            true => known.as_ref().is_none_or(TokenType::is_for_an_api),
            false => requested.as_str() == issued,
        };
        if fits {
            return Ok(());
        }
        // Others are not repeated, because a response may contain anything.
        let found = known.map_or_else(
            || format!("a type of {} bytes that is not a registered one", issued.len()),
            |known| format!("`{}`", known.as_str()),
        );
        let expected = requested.as_str();
        let message = format!(
            "the authorization server issued a token of another type (`issued_token_type`): found {found}; expected \
             `{expected}`, as requested: check which types the server issues"
        );
        Err(Error::new(ErrorKind::Response, message).with_retry(Retry::AfterChange))
    }
}

/// A resource that is not an absolute URI without a fragment (RFC 8693 section 2.1, RFC 8707 section 2).
///
/// Not a full parser of URIs: a scheme, a colon and something after it, which tells `https://..` and `urn:..` from a
/// bare name.
fn resource_problem(resource: &str) -> Option<Problem> {
    let is_scheme = |scheme: &str| {
        let mut bytes = scheme.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let found = match resource.split_once(':') {
        _ if resource.contains('#') => "found a fragment (`#`), which a resource cannot have (RFC 8707 section 2)",
        Some((scheme, rest)) if is_scheme(scheme) && !rest.is_empty() => return None,
        _ => "found a string that is not an absolute URI (RFC 8707 section 2)",
    };
    let expected = "a URI such as `https://api.example.com/`: a name of another kind is an `audience`";
    Some(Problem::new("resource", found).expecting(expected))
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("subject", &self.subject)
            .field("actor", &self.actor)
            .field("requested_token_type", &self.requested)
            .finish_non_exhaustive()
    }
}
