//! Client authentication.
//!
//! Authentication is prepared once and applied to each request. [`ClientAuth`] is what the user wrote. `prepare` checks
//! it and gives [`Credentials`]: the parameters and the header that never change, and one [`Fresh`] part that does.
//! [`Presented`] remembers which method a request used, so a refusal can say what to try instead.
//!
//! | file | what it has |
//! |---|---|
//! | `assertion.rs` | assertions that are signed here, by a key or by the secret |
//! | `assertion_source.rs` | assertions that come from elsewhere |
//! | `credentials.rs` | what is sent, and its encoding |
//! | `presented.rs` | the advice after a refusal |
//! | `no_assertion.rs` | stand-ins for the first file in a build without the feature `jwt` |

use std::{fmt, time::Duration};

use crate::{
    oauth::{ClientSecret, request::wire},
    problem::{Advice, Problem, Problems},
    secret::{Secret, string},
    source::{Identity, TokenSource},
    value::Value,
};

#[cfg(feature = "jwt")]
mod assertion;
mod assertion_source;
mod credentials;
#[cfg(not(feature = "jwt"))]
mod no_assertion;
mod presented;
#[cfg(test)]
mod tests;

#[cfg(feature = "jwt")]
use self::assertion as signed;
#[cfg(not(feature = "jwt"))]
use self::no_assertion as signed;
use self::{
    assertion_source::AssertionSource,
    credentials::{Fresh, SecretPlace, basic_header, form_encoded},
    presented::BasicEncoding,
};
pub(crate) use self::{credentials::Credentials, presented::Presented};

/// The way in which the client authenticates at the token endpoint (RFC 6749 section 2.3).
///
/// Prefer a signed assertion where the server offers it: its key is never sent, and a copied request is worthless
/// (RFC 9700 section 2.5). `Debug` shows no secret.
///
/// | constructor | sends | as registered at the server |
/// |---|---|---|
/// | [`none`](Self::none) | nothing: the grant, or the TLS certificate of the transport, identifies the client | |
/// | [`public`](Self::public) | `client_id` in the body | `none`, `tls_client_auth` |
/// | [`basic`](Self::basic) | an `Authorization: Basic` header | `client_secret_basic` |
/// | [`basic_raw`](Self::basic_raw) | the same, for servers that do not decode it | `client_secret_basic` |
/// | [`post`](Self::post) | `client_id` and `client_secret` in the body | `client_secret_post` |
/// | `private_key_jwt` | `client_id` and an assertion signed with a private key (feature `jwt`) | `private_key_jwt` |
/// | `client_secret_jwt` | the same, signed with the secret (feature `jwt`) | `client_secret_jwt` |
/// | `assertion` | the same, from a template of your own (feature `jwt`) | one of these two |
/// | [`assertion_from`](Self::assertion_from) | `client_id` and an assertion from another issuer | a federated credential |
/// | [`assertion_value`](Self::assertion_value) | the same, from a file, a variable or another provider | a federated credential |
///
/// # Which one a server expects
///
/// Servers accept exactly one method per client, the one that the client was registered with. A wrong one is refused
/// with `invalid_client` (RFC 6749 section 5.2), which looks the same as a wrong secret. The error of a refusal
/// therefore names the other method that is worth a try.
///
/// | server | usual method |
/// |---|---|
/// | Entra ID with a certificate | `private_key_jwt` with PS256, `x5t#S256` in the header and the token endpoint's URL as the audience |
/// | Entra ID, workload identity | [`assertion_from`](Self::assertion_from) with the file that Kubernetes keeps fresh |
/// | Okta | `private_key_jwt` with the token endpoint's URL as the audience |
/// | Auth0 | `private_key_jwt` with the tenant's URL and a slash at its end as the audience, or [`post`](Self::post) |
/// | Keycloak | [`basic`](Self::basic), [`post`](Self::post), `private_key_jwt` or `client_secret_jwt`, as chosen for the client |
/// | Google and Salesforce, JWT bearer grant | [`none`](Self::none): the grant's assertion identifies the client |
/// | Zoom, PayPal, Databricks | [`basic`](Self::basic) |
/// | a bank under FAPI | [`public`](Self::public) with a TLS certificate in the transport, or `private_key_jwt` |
///
/// # What is checked at `build()`
///
/// - an empty client id
/// - a secret that looks like a path, or has spaces around it
/// - a key that does not fit the method
/// - an audience with control characters
/// - a setting that has no effect with the chosen method, which would otherwise be a mistake without a symptom
#[derive(Clone)]
pub struct ClientAuth {
    method: Method,
    /// In place of the server's own, for assertions that are signed here.
    /// A setting of its own, because it is set after the constructor, and for two of the constructors.
    audience: Option<Audience>,
    /// In place of [`ASSERTION_TYPE`].
    assertion_type: Option<String>,
    changes: Changes,
}

/// What the user changes in an assertion that is signed here.
///
/// `None` is the default of the method. It is kept apart from the default's value: a change beside a template, which
/// has both already, is reported.
#[derive(Clone, Default)]
pub(crate) struct Changes {
    pub(crate) lifetime: Option<Duration>,
    pub(crate) jwt_type: Option<String>,
}

/// The audience of an assertion, which identifies the authorization server.
///
/// The two cases decide about `typ` as well, and about the advice after a refusal. A string alone would lose that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The server's issuer (draft-ietf-oauth-rfc7523bis).
    Issuer(String),
    /// The token endpoint's URL (RFC 7523 section 3), or what the server wants instead.
    Other(String),
}

impl Audience {
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "used by assertions that are signed here"))]
    pub(crate) fn as_str(&self) -> &str {
        let (Audience::Issuer(text) | Audience::Other(text)) = self;
        text
    }
}

/// `client_assertion_type` (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// One variant for each way to authenticate. The erased source of assertions and the template are inside of their own
/// types, so this enum knows no feature.
#[derive(Clone)]
pub(crate) enum Method {
    None,
    Public(String),
    Basic {
        client_id: String,
        secret: ClientSecret,
        encoding: BasicEncoding,
    },
    Post {
        client_id: String,
        secret: ClientSecret,
    },
    #[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "has no value without the feature"))]
    Assertion(signed::ClientAssertion),
    AssertionFrom(AssertionSource),
}

impl ClientAuth {
    /// Sends no client authentication. This is the default.
    ///
    /// It is for grants that identify the client by themselves: the JWT bearer grant at Google and Salesforce, and token
    /// exchange with a platform's identity. If the server wanted authentication, it responds with
    /// `invalid_client` or 401, and the error says that this request had none.
    pub fn none() -> Self {
        Method::None.into()
    }

    /// Sends only `client_id`, without a secret.
    ///
    /// For public clients, and for clients that the server identifies by their TLS certificate (RFC 8705). The
    /// transport needs that certificate.
    ///
    /// ```
    /// use bearer_token::oauth::{ClientAuth, RefreshToken, TokenEndpoint};
    /// use bearer_token::store::MemoryStore;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// // A desktop program cannot keep a secret. It was registered as a public client.
    /// # #[cfg(feature = "http-transport")] {
    /// let grant = RefreshToken::new(MemoryStore::new("refresh token"));
    /// let source = TokenEndpoint::builder("https://as.example.com/token", grant)
    ///     .client_auth(ClientAuth::public("desktop-app"))
    ///     .build()?;
    /// # let _ = source; }
    /// # Ok(()) }
    /// ```
    pub fn public(client_id: impl Into<String>) -> Self {
        Method::Public(client_id.into()).into()
    }

    /// Sends HTTP Basic. The id and the secret are form-encoded first (RFC 6749 section 2.3.1).
    ///
    /// All servers must support it for clients with a secret (RFC 6749 section 2.3.1), so it is the first method to
    /// try. The header is marked sensitive. It is built once, or for each request if the secret is looked up.
    ///
    /// ```
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, ClientSecret, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// // The secret may change while the process runs: it is read again for each token request.
    /// let secret = ClientSecret::from_file("/run/secrets/reports");
    /// let builder = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
    ///     .client_auth(ClientAuth::basic("reports", secret));
    /// # let _ = builder;
    /// # Ok(()) }
    /// ```
    pub fn basic(client_id: impl Into<String>, client_secret: impl Into<ClientSecret>) -> Self {
        let (client_id, secret) = (client_id.into(), client_secret.into());
        Method::Basic { client_id, secret, encoding: BasicEncoding::Form }.into()
    }

    /// Sends HTTP Basic with the id and the secret as they are, for servers that do not decode them.
    ///
    /// The two differ only for characters other than letters, digits, `*`, `-`, `.` and `_`.
    ///
    /// A server that does not decode sees `p%40ss` where it expects `p@ss`, and refuses the client. The error after
    /// such a refusal suggests this constructor if the id or the secret has a character that is affected. A colon in
    /// the id is a problem at `build()`: undecoded, it would end the id (RFC 7617 section 2).
    pub fn basic_raw(client_id: impl Into<String>, client_secret: impl Into<ClientSecret>) -> Self {
        let (client_id, secret) = (client_id.into(), client_secret.into());
        Method::Basic { client_id, secret, encoding: BasicEncoding::Raw }.into()
    }

    /// Sends `client_id` and `client_secret` in the body.
    ///
    /// RFC 6749 section 2.3.1 calls it a way for clients that cannot use HTTP Basic. Some providers document nothing
    /// else: Auth0's and Box's examples are of this kind. With [`BodyFormat::Json`](crate::oauth::BodyFormat) the two
    /// are members of the object, and with [`BodyFormat::Query`](crate::oauth::BodyFormat) they are in the URL. Servers
    /// and proxies log URLs, so use that only where the provider has nothing better.
    pub fn post(client_id: impl Into<String>, client_secret: impl Into<ClientSecret>) -> Self {
        Method::Post { client_id: client_id.into(), secret: client_secret.into() }.into()
    }

    /// Sends an assertion from another issuer (RFC 7521 section 4.2, RFC 7523 section 2.2).
    ///
    /// This is a federated credential, such as Entra's workload identity: a token of another issuer, which the
    /// authorization server trusts, identifies the client.
    ///
    /// ```
    /// use bearer_token::FileToken;
    /// use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// // Kubernetes keeps the file fresh; its path is in AZURE_FEDERATED_TOKEN_FILE.
    /// let file = FileToken::new("/var/run/secrets/azure/tokens/azure-identity-token");
    /// # #[cfg(feature = "http-transport")]
    /// let source = TokenEndpoint::builder("https://login.example.com/tenant/oauth2/v2.0/token", ClientCredentials::new())
    ///     .client_auth(ClientAuth::assertion_from("client-id", file))
    ///     .scope("https://api.example.com/.default")
    ///     .build()?;
    /// # #[cfg(feature = "http-transport")] let _ = source;
    /// # Ok(()) }
    /// ```
    ///
    /// Every request, a retry included, asks the source, and nothing is stored here. So use a
    /// [`FileToken`](crate::FileToken), a source that gets a new assertion each time, or a
    /// [`TokenProvider`](crate::TokenProvider) where an assertion may be used more than once.
    ///
    /// An expired assertion is not sent. The expiry of a JWT is its `exp` (read, not verified); that of other
    /// assertions is set by the source. An error of the source is an error of the fetch. The endpoint [has
    /// changed](TokenSource::has_changed) when the source has.
    pub fn assertion_from(client_id: impl Into<String>, source: impl TokenSource) -> Self {
        Method::AssertionFrom(AssertionSource::new(client_id.into(), source)).into()
    }

    /// Sends an assertion that another program keeps fresh: in a file, in an environment variable, or as the token of
    /// another provider.
    ///
    /// The value is read again for each request, and may be sent more than once. It must not be a literal, because
    /// assertions expire. A JWT that has expired is not sent.
    ///
    /// ```
    /// use bearer_token::Value;
    /// use bearer_token::oauth::ClientAuth;
    ///
    /// // A SPIFFE agent keeps the JWT-SVID fresh.
    /// let auth = ClientAuth::assertion_value("spiffe://example.org/reports", Value::file("/run/spiffe/jwt-svid"))
    ///     .assertion_type("urn:ietf:params:oauth:client-assertion-type:jwt-spiffe");
    /// # let _ = auth;
    /// ```
    pub fn assertion_value(client_id: impl Into<String>, assertion: impl Into<Value>) -> Self {
        Method::AssertionFrom(AssertionSource::of_value(client_id.into(), assertion.into())).into()
    }

    /// Replaces the `client_assertion_type`, which says what the assertion is. Default:
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer` (RFC 7523 section 2.2).
    ///
    /// For a JWT-SVID it is `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`
    /// (draft-ietf-oauth-spiffe-client-auth).
    #[must_use]
    pub fn assertion_type(mut self, assertion_type: impl Into<String>) -> Self {
        self.assertion_type = Some(assertion_type.into());
        self
    }

    /// Checks everything, and prepares the parts that are the same in each request.
    ///
    /// Problems are added under `client_auth`. A placeholder replaces an unusable credential, and the remaining checks
    /// still run. The caller must not use the result after a problem.
    pub(crate) fn prepare(&self, audience: Option<&Audience>, problems: &mut Problems) -> Credentials {
        let mut credentials = Credentials { presented: self.presented(audience), ..Credentials::default() };
        credentials.assertion_type = self.checked_assertion_type(problems);
        for (name, is_set) in self.signed_only().filter(|_| !matches!(&self.method, Method::Assertion(_))) {
            if is_set {
                let found = "found a setting for a method that signs no assertion here";
                problems.add(Problem::new(format!("client_auth.{name}"), found).advise(Advice::text("remove it")));
            }
        }
        match &self.method {
            Method::None => {}
            Method::Public(client_id) => {
                check_client_id(client_id, problems);
                credentials.parameters.push("client_id", client_id);
            }
            Method::Post { client_id, secret } => {
                check_client_id(client_id, problems);
                credentials.parameters.push("client_id", client_id);
                let read = read_secret(secret, problems);
                if secret.is_looked_up() {
                    credentials.fresh = Fresh::Secret(secret.clone(), SecretPlace::Body);
                } else if let Some(secret) = read {
                    credentials.parameters.push_credential("client_secret", secret.expose());
                }
            }
            Method::Basic { client_id, secret, encoding } => {
                check_client_id(client_id, problems);
                if *encoding == BasicEncoding::Raw && client_id.contains(':') {
                    let found = "found a colon, which ends the id in HTTP Basic (RFC 7617)";
                    let problem = Problem::new("client_auth.client_id", found);
                    problems.add(problem.advise(Advice::set("ClientAuth::basic")));
                }
                // An empty secret replaces a bad one, to report a second header of this name as well.
                let read = read_secret(secret, problems).unwrap_or_else(|| Secret::new(""));
                credentials.header = basic_header(client_id, &read, *encoding);
                let changes = |text: &str| form_encoded(text).as_str() != text;
                let special = changes(client_id) || changes(read.expose());
                credentials.presented = Presented::Basic { encoding: *encoding, special };
                if secret.is_looked_up() {
                    let place = SecretPlace::Header(client_id.clone(), *encoding);
                    credentials.fresh = Fresh::Secret(secret.clone(), place);
                }
            }
            Method::Assertion(assertion) => {
                check_client_id(assertion.client_id(), problems);
                credentials.parameters.push("client_id", assertion.client_id());
                credentials.fresh = assertion
                    .template(self.audience.as_ref(), audience, &self.changes, problems)
                    .map_or(Fresh::Nothing, Fresh::Signed);
            }
            Method::AssertionFrom(assertion) => {
                check_client_id(assertion.client_id(), problems);
                credentials.parameters.push("client_id", assertion.client_id());
                if let Some(problem) = assertion.problem("client_auth.assertion") {
                    problems.add(problem);
                }
                credentials.fresh = Fresh::Assertion(assertion.clone());
            }
        }
        credentials
    }

    /// Describes the client. Its credential does not count.
    ///
    /// Two replicas with the same client and different secrets, as during a rotation, get interchangeable tokens. So
    /// the credential has a place of its own in the identity.
    pub(crate) fn identity(&self, identity: &mut Identity) {
        let client_id = match &self.method {
            Method::None => None,
            Method::Public(client_id) => Some(client_id.as_str()),
            Method::Basic { client_id, secret, .. } | Method::Post { client_id, secret } => {
                secret.identity(identity);
                Some(client_id.as_str())
            }
            Method::Assertion(assertion) => {
                assertion.identity(identity);
                Some(assertion.client_id())
            }
            Method::AssertionFrom(assertion) => {
                assertion.identity(identity);
                Some(assertion.client_id())
            }
        };
        identity.set("client_id", client_id);
    }

    /// The settings of assertions that are signed here, and whether they are set.
    fn signed_only(&self) -> impl Iterator<Item = (&'static str, bool)> {
        [
            ("audience", self.audience.is_some()),
            ("assertion_lifetime", self.changes.lifetime.is_some()),
            ("assertion_jwt_type", self.changes.jwt_type.is_some()),
        ]
        .into_iter()
    }

    /// The `client_assertion_type` of the requests, checked. Without a setting it is the default, also for methods that
    /// send no assertion and ignore it.
    fn checked_assertion_type(&self, problems: &mut Problems) -> String {
        const PATH: &str = "client_auth.assertion_type";
        let Some(assertion_type) = &self.assertion_type else { return ASSERTION_TYPE.to_owned() };
        if !matches!(self.method, Method::Assertion(_) | Method::AssertionFrom(_)) {
            let problem = Problem::new(PATH, "found a type for a method that sends no assertion");
            problems.add(problem.advise(Advice::text("remove it")));
        } else if assertion_type.is_empty() {
            problems.add(
                Problem::new(PATH, "found an empty string").expecting(format!("a URN such as `{ASSERTION_TYPE}`")),
            );
        } else {
            wire::check(PATH, assertion_type, problems);
        }
        assertion_type.clone()
    }

    /// How requests identify the client. The audience is kept only where this crate chose it. That of a template may
    /// have been looked up, and is not repeated in errors.
    fn presented(&self, default_audience: Option<&Audience>) -> Presented {
        match &self.method {
            Method::None => Presented::Nothing,
            Method::Public(_) => Presented::Id,
            Method::Basic { encoding, .. } => Presented::Basic { encoding: *encoding, special: false },
            Method::Post { .. } => Presented::Body,
            Method::Assertion(assertion) => {
                let audience = self.audience.as_ref().or(default_audience).cloned();
                match (assertion.has_own_audience(), assertion.is_by_secret()) {
                    (true, _) => Presented::SignedByKey(None),
                    (false, true) => Presented::SignedBySecret(audience),
                    (false, false) => Presented::SignedByKey(audience),
                }
            }
            Method::AssertionFrom(_) => Presented::FromSource,
        }
    }
}

impl Default for ClientAuth {
    fn default() -> Self {
        ClientAuth::none()
    }
}

impl From<Method> for ClientAuth {
    fn from(method: Method) -> Self {
        ClientAuth { method, audience: None, assertion_type: None, changes: Changes::default() }
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, client_id) = match &self.method {
            Method::None => return f.write_str("none"),
            Method::Public(client_id) => ("public", client_id.as_str()),
            Method::Basic { client_id, encoding: BasicEncoding::Form, .. } => ("basic", client_id.as_str()),
            Method::Basic { client_id, encoding: BasicEncoding::Raw, .. } => ("basic_raw", client_id.as_str()),
            Method::Post { client_id, .. } => ("post", client_id.as_str()),
            Method::Assertion(assertion) => (assertion.name(), assertion.client_id()),
            Method::AssertionFrom(assertion) => ("assertion_from", assertion.client_id()),
        };
        f.debug_struct(name).field("client_id", &client_id).finish_non_exhaustive()
    }
}

/// Reports a client id that cannot be sent. The id is public, but it goes into a header or a form. A newline in it is
/// always a mistake of the file that it came from.
fn check_client_id(client_id: &str, problems: &mut Problems) {
    if let Err(problem) = string::check(client_id) {
        problems.push("client_auth.client_id", problem.message());
    }
}

fn read_secret(secret: &ClientSecret, problems: &mut Problems) -> Option<Secret> {
    secret.read().map_err(|problem| problems.push("client_auth.client_secret", problem)).ok()
}
