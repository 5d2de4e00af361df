//! How the client says who it is.

use std::{fmt, sync::Arc};

use crate::{
    oauth::ClientSecret,
    problem::{Advice, Problem, Problems},
    secret::{Secret, string},
    source::TokenSource,
};

#[cfg(feature = "jwt")]
mod assertion;
mod assertion_source;
mod credentials;

#[cfg(feature = "jwt")]
use self::assertion::ClientAssertion;
pub(crate) use self::credentials::Credentials;
use self::{
    assertion_source::AssertionSource,
    credentials::{Encoding, Fresh, Place, basic_header, form_encoded},
};

/// How the client says who it is at the token endpoint (RFC 6749 section 2.3).
///
/// Prefer a signed assertion where the server offers it: its secret never travels, and a copied request is worthless
/// (RFC 9700 section 2.5). `Debug` shows no secret.
///
/// | constructor | sends | as registered at the server |
/// |---|---|---|
/// | [`none`](Self::none) | nothing: the grant, or the TLS certificate of the transport, says it all | |
/// | [`public`](Self::public) | `client_id` in the body | `none`, `tls_client_auth` |
/// | [`basic`](Self::basic) | an `Authorization: Basic` header | `client_secret_basic` |
/// | [`basic_raw`](Self::basic_raw) | the same, for servers that do not decode it | `client_secret_basic` |
/// | [`post`](Self::post) | `client_id` and `client_secret` in the body | `client_secret_post` |
/// | `private_key_jwt` | `client_id` and an assertion signed with a private key (feature `jwt`) | `private_key_jwt` |
/// | `client_secret_jwt` | the same, signed with the secret (feature `jwt`) | `client_secret_jwt` |
/// | `assertion` | the same, from a template of your own (feature `jwt`) | one of these two |
/// | [`assertion_from`](Self::assertion_from) | `client_id` and an assertion that somebody else made | a federated credential |
#[derive(Clone)]
pub struct ClientAuth {
    method: Method,
    #[cfg(feature = "jwt")]
    pub(crate) audience: Option<String>,
}

#[derive(Clone)]
pub(crate) enum Method {
    None,
    Public(String),
    Basic {
        client_id: String,
        secret: ClientSecret,
        encoding: Encoding,
    },
    Post {
        client_id: String,
        secret: ClientSecret,
    },
    #[cfg(feature = "jwt")]
    Assertion(ClientAssertion),
    AssertionFrom(AssertionSource),
}

impl ClientAuth {
    /// No client authentication. This is the default.
    pub fn none() -> Self {
        Method::None.into()
    }

    /// Only `client_id`, without any secret: public clients, and clients that are known by their TLS certificate
    /// (RFC 8705), which the transport then has to bring.
    pub fn public(client_id: impl Into<String>) -> Self {
        Method::Public(client_id.into()).into()
    }

    /// HTTP Basic. Id and secret are form-encoded first, as RFC 6749 section 2.3.1 says.
    pub fn basic(client_id: impl Into<String>, client_secret: impl Into<ClientSecret>) -> Self {
        let (client_id, secret) = (client_id.into(), client_secret.into());
        Method::Basic { client_id, secret, encoding: Encoding::Form }.into()
    }

    /// HTTP Basic with id and secret as they are, for servers that do not decode them. It makes a difference only if
    /// they contain other characters than letters, digits, `*`, `-`, `.` and `_`.
    pub fn basic_raw(client_id: impl Into<String>, client_secret: impl Into<ClientSecret>) -> Self {
        let (client_id, secret) = (client_id.into(), client_secret.into());
        Method::Basic { client_id, secret, encoding: Encoding::Raw }.into()
    }

    /// `client_id` and `client_secret` in the body.
    pub fn post(client_id: impl Into<String>, client_secret: impl Into<ClientSecret>) -> Self {
        Method::Post { client_id: client_id.into(), secret: client_secret.into() }.into()
    }

    /// An assertion that somebody else made (RFC 7521 section 4.2, RFC 7523 section 2.2): a federated credential, as
    /// Entra's workload identity has them, where the authorization server trusts the issuer of other tokens.
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
    /// The source is asked for every request, a second try included, and nothing is kept here: let it be a
    /// [`FileToken`](crate::FileToken), a [`TokenProvider`](crate::TokenProvider) where the assertion may be used more
    /// than once, or a source that gets a new one each time. An assertion that has expired is not sent: a JWT by its
    /// `exp` (read, not verified), others by what the source says. Errors of the source are those of the fetch, and its
    /// [`changed`](TokenSource::has_changed) is that of the endpoint.
    pub fn assertion_from(client_id: impl Into<String>, source: impl TokenSource) -> Self {
        Method::AssertionFrom(AssertionSource::new(client_id.into(), source)).into()
    }

    /// Checks everything, and prepares what does not change from request to request.
    pub(crate) fn prepare(&self, audience: Option<&str>, problems: &mut Problems) -> Credentials {
        let mut credentials = Credentials::default();
        #[cfg(not(feature = "jwt"))]
        let _ = audience;
        #[cfg(feature = "jwt")]
        if self.audience.is_some() && !matches!(&self.method, Method::Assertion(_)) {
            problems.push(
                "client_auth.audience",
                "found an audience for a method without an assertion that is signed here: remove it",
            );
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
                match (secret.file(), read) {
                    (Some(file), _) => credentials.fresh = Fresh::Secret(Arc::clone(file), Place::Body),
                    (None, Some(secret)) => credentials.parameters.push("client_secret", secret.expose()),
                    (None, None) => {}
                }
            }
            Method::Basic { client_id, secret, encoding } => {
                check_client_id(client_id, problems);
                if *encoding == Encoding::Raw && client_id.contains(':') {
                    let found = "found a colon, which ends the id in HTTP Basic (RFC 7617)";
                    let problem = Problem::new("client_auth.client_id", found);
                    problems.add(problem.advise(Advice::set("ClientAuth::basic")));
                }
                // With a stand-in, so that another header of this name is a problem in any case.
                let read = read_secret(secret, problems).unwrap_or_else(|| Secret::new(""));
                credentials.header = basic_header(client_id, &read, *encoding);
                credentials.hint = basic_hint(client_id, &read, *encoding);
                if let Some(file) = secret.file() {
                    credentials.fresh = Fresh::Secret(Arc::clone(file), Place::Header(client_id.clone(), *encoding));
                }
            }
            #[cfg(feature = "jwt")]
            Method::Assertion(assertion) => {
                check_client_id(assertion.client_id(), problems);
                credentials.parameters.push("client_id", assertion.client_id());
                credentials.fresh = assertion
                    .template(self.audience.as_deref(), audience, problems)
                    .map_or(Fresh::Nothing, Fresh::Signed);
            }
            Method::AssertionFrom(assertion) => {
                check_client_id(assertion.client_id(), problems);
                credentials.parameters.push("client_id", assertion.client_id());
                credentials.fresh = Fresh::Assertion(assertion.clone());
            }
        }
        credentials
    }
}

impl Default for ClientAuth {
    fn default() -> Self {
        ClientAuth::none()
    }
}

impl From<Method> for ClientAuth {
    fn from(method: Method) -> Self {
        ClientAuth {
            method,
            #[cfg(feature = "jwt")]
            audience: None,
        }
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, client_id) = match &self.method {
            Method::None => return f.write_str("none"),
            Method::Public(client_id) => ("public", client_id.as_str()),
            Method::Basic { client_id, encoding: Encoding::Form, .. } => ("basic", client_id.as_str()),
            Method::Basic { client_id, encoding: Encoding::Raw, .. } => ("basic_raw", client_id.as_str()),
            Method::Post { client_id, .. } => ("post", client_id.as_str()),
            #[cfg(feature = "jwt")]
            Method::Assertion(assertion) => (assertion.name(), assertion.client_id()),
            Method::AssertionFrom(assertion) => ("assertion_from", assertion.client_id()),
        };
        f.debug_struct(name).field("client_id", &client_id).finish_non_exhaustive()
    }
}

fn check_client_id(client_id: &str, problems: &mut Problems) {
    if let Err(problem) = string::check(client_id) {
        problems.push("client_auth.client_id", problem.message());
    }
}

fn read_secret(secret: &ClientSecret, problems: &mut Problems) -> Option<Secret> {
    secret.read().map_err(|problem| problems.push("client_auth.client_secret", problem)).ok()
}

/// Servers disagree about the encoding (seen on running ones), and only where it changes something.
fn basic_hint(client_id: &str, secret: &Secret, encoding: Encoding) -> Option<&'static str> {
    let changes = |text: &str| form_encoded(text).as_str() != text;
    if !changes(client_id) && !changes(secret.expose()) {
        return None;
    }
    Some(match encoding {
        Encoding::Form => {
            "; the client id or secret has characters that are form-encoded for HTTP Basic (RFC 6749 section 2.3.1), \
             and some servers do not decode them: try `ClientAuth::basic_raw`"
        }
        Encoding::Raw => {
            "; the client id or secret has characters that most servers expect form-encoded in HTTP Basic (RFC 6749 \
             section 2.3.1): try `ClientAuth::basic`"
        }
    })
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};

    use super::*;

    fn prepare(auth: &ClientAuth) -> (Credentials, Problems) {
        let mut problems = Problems::default();
        let credentials = auth.prepare(None, &mut problems);
        (credentials, problems)
    }

    #[test]
    fn l26_basic_form_encodes_id_and_secret_before_base64() {
        for (auth, pair) in [
            (ClientAuth::basic("id", "secret"), "id:secret"),
            (ClientAuth::basic("a b", "p:+/=%&~\u{e4}"), "a+b:p%3A%2B%2F%3D%25%26%7E%C3%A4"),
            (ClientAuth::basic("urn:a", "*-._"), "urn%3Aa:*-._"),
            (ClientAuth::basic_raw("a b", "p:+/=%&~\u{e4}"), "a b:p:+/=%&~\u{e4}"),
        ] {
            let (credentials, problems) = prepare(&auth);
            assert!(problems.is_empty(), "{problems:?}");
            let header = credentials.header.unwrap();
            assert!(header.is_sensitive());
            assert_eq!(header, format!("Basic {}", BASE64_STANDARD.encode(pair)), "{pair}");
            assert_eq!(credentials.parameters.names().count(), 0, "never both in the header and in the body");
        }
    }

    #[test]
    fn the_hint_about_the_encoding_comes_only_where_it_makes_a_difference() {
        for (auth, hint) in [
            (ClientAuth::basic("id", "secret-1.2_3*"), None),
            (ClientAuth::basic("id", "se/cret"), Some("basic_raw")),
            (ClientAuth::basic("i d", "secret"), Some("basic_raw")),
            (ClientAuth::basic_raw("id", "se/cret"), Some("`ClientAuth::basic`")),
            (ClientAuth::post("i d", "se/cret"), None),
        ] {
            let found = prepare(&auth).0.hint;
            assert_eq!(found.is_some(), hint.is_some(), "{auth:?}");
            assert!(found.unwrap_or_default().contains(hint.unwrap_or_default()), "{found:?}");
        }
    }

    #[test]
    fn the_body_carries_what_the_method_says() {
        for (auth, body) in [
            (ClientAuth::none(), ""),
            (ClientAuth::public("a b"), "client_id=a+b"),
            (ClientAuth::post("id", "s&s"), "client_id=id&client_secret=s%26s"),
        ] {
            let (credentials, problems) = prepare(&auth);
            assert!(problems.is_empty() && credentials.header.is_none());
            assert_eq!(credentials.parameters.to_body(), body);
        }
    }

    #[test]
    fn empty_and_broken_ids_and_secrets_are_all_named() {
        for (auth, count) in [
            (ClientAuth::public(""), 1),
            (ClientAuth::basic("", ""), 2),
            (ClientAuth::basic_raw("a:b", "marker\n\n"), 2),
            (ClientAuth::post("id\r", ""), 2),
        ] {
            let error = prepare(&auth).1.into_result("no").unwrap_err();
            assert_eq!(error.problems().len(), count, "{error}");
            assert!(!error.to_string().contains("marker"));
        }
    }
}
