//! Clients, and issuers of assertions, as the server knows them.

use std::fmt;

use crate::{
    assertion::AssertionRules,
    key::{Algorithm, VerifyingKey},
};

/// A client of the authorization server, and how it authenticates (RFC 6749 section 2.3).
///
/// ```
/// use bearer_token_testing::{AuthorizationServer, Client, TestKey};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = AuthorizationServer::start()?;
/// server.register(Client::secret("reports", "a secret").scopes(["read", "write"]));
/// server.register(Client::private_key_jwt("billing", TestKey::es256()?.verifying_key()));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) id: String,
    pub(crate) credential: Credential,
    pub(crate) rules: AssertionRules,
    pub(crate) scopes: Scopes,
    pub(crate) raw_basic: bool,
}

#[derive(Clone)]
pub(crate) enum Credential {
    /// `client_secret_basic` or `client_secret_post`.
    Secret(String),
    /// `private_key_jwt` or `client_secret_jwt`.
    Assertion(VerifyingKey),
    /// `none`.
    Public,
}

impl Client {
    /// A client with a secret, sent with HTTP Basic or in the body (RFC 6749 section 2.3.1).
    pub fn secret(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Client::of(id, Credential::Secret(secret.into()))
    }

    /// A client that signs assertions with its private key (RFC 7523 section 2.2). `iss` and `sub` must be its id.
    pub fn private_key_jwt(id: impl Into<String>, key: VerifyingKey) -> Self {
        Client::of(id, Credential::Assertion(key))
    }

    /// A client that signs assertions with its secret, with this `HS` algorithm.
    pub fn client_secret_jwt(id: impl Into<String>, algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Self {
        Client::of(id, Credential::Assertion(VerifyingKey::hmac(algorithm, secret)))
    }

    /// A client that sends its `client_id` and no credential. It may use every grant, so it can also stand for a client
    /// that authenticates with a TLS certificate (RFC 8705 section 2).
    pub fn public(id: impl Into<String>) -> Self {
        Client::of(id, Credential::Public)
    }

    /// Limits the scopes that the client may request. It gets all of them if it requests none. Default: any scope.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Scopes::only(scopes);
        self
    }

    /// Sets how strict the server is about the client's assertions.
    #[must_use]
    pub fn rules(mut self, rules: AssertionRules) -> Self {
        self.rules = rules;
        self
    }

    /// Compares HTTP Basic credentials without form-decoding them first, as some servers do against RFC 6749 section
    /// 2.3.1.
    #[must_use]
    pub fn raw_basic(mut self) -> Self {
        self.raw_basic = true;
        self
    }

    fn of(id: impl Into<String>, credential: Credential) -> Self {
        Client { id: id.into(), credential, rules: AssertionRules::new(), scopes: Scopes::default(), raw_basic: false }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credential = match self.credential {
            Credential::Secret(_) => "secret",
            Credential::Assertion(_) => "assertion",
            Credential::Public => "none",
        };
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("credential", &credential)
            .field("scopes", &self.scopes.0)
            .finish_non_exhaustive()
    }
}

/// An issuer whose assertions are exchanged for tokens (RFC 7523 section 2.1).
///
/// The API can accept its self-signed JWTs as bearer tokens, too.
///
/// ```
/// use bearer_token_testing::{AssertionRules, Issuer, TestKey};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let issuer = Issuer::new("reports@example.com", TestKey::rs256()?.verifying_key())
///     .subject("alice@example.com")
///     .rules(AssertionRules::new().require_jti().max_lifetime(Duration::from_secs(60)))
///     .self_signed_audience("https://api.example.com/");
/// # let _ = issuer; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Issuer {
    pub(crate) name: String,
    pub(crate) key: VerifyingKey,
    pub(crate) subjects: Vec<String>,
    pub(crate) rules: AssertionRules,
    pub(crate) scopes: Scopes,
    pub(crate) self_signed_audiences: Vec<String>,
}

impl Issuer {
    /// The issuer with this `iss`, and the key that verifies its JWTs.
    pub fn new(issuer: impl Into<String>, key: VerifyingKey) -> Self {
        Issuer {
            name: issuer.into(),
            key,
            subjects: Vec::new(),
            rules: AssertionRules::new(),
            scopes: Scopes::default(),
            self_signed_audiences: Vec::new(),
        }
    }

    /// Accepts this `sub`. By default every `sub` is accepted. May be called several times.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subjects.push(subject.into());
        self
    }

    /// Limits the scopes that may be requested. All of them are granted if none is requested. Default: any scope.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Scopes::only(scopes);
        self
    }

    /// Sets how strict the server is about the issuer's assertions, and the API about the times in its self-signed
    /// JWTs.
    /// [`self_signed_audience`](Self::self_signed_audience) describes the other rules for those.
    #[must_use]
    pub fn rules(mut self, rules: AssertionRules) -> Self {
        self.rules = rules;
        self
    }

    /// Lets the API accept a JWT of this issuer as a bearer token if its `aud` is this string, or an array that
    /// contains it. It needs no `sub`, and its `jti` is ignored: such a token is sent many times. May be called several
    /// times.
    #[must_use]
    pub fn self_signed_audience(mut self, audience: impl Into<String>) -> Self {
        self.self_signed_audiences.push(audience.into());
        self
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("issuer", &self.name)
            .field("key", &self.key)
            .field("subjects", &self.subjects)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// The scopes that may be requested: those named, or any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scopes(Option<Vec<String>>);

impl Scopes {
    pub(crate) fn only<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Scopes(Some(scopes.into_iter().map(Into::into).collect()))
    }

    /// The scopes that both allow.
    pub(crate) fn and(&self, other: &Scopes) -> Scopes {
        match (&self.0, &other.0) {
            (Some(these), Some(those)) => Scopes::only(these.iter().filter(|scope| those.contains(scope)).cloned()),
            (these, those) => Scopes(these.clone().or_else(|| those.clone())),
        }
    }

    /// The scope to grant (RFC 6749 section 3.3), or an error if the request exceeds what is allowed.
    pub(crate) fn grant(&self, asked: Option<&str>) -> Result<Option<String>, ()> {
        match (&self.0, asked) {
            (None, asked) => Ok(asked.map(str::to_owned)),
            (Some(allowed), None) => Ok(Some(allowed.join(" ")).filter(|scope| !scope.is_empty())),
            (Some(allowed), Some(asked)) => {
                let mut asked_for = asked.split(' ');
                if asked_for.all(|one| allowed.iter().any(|scope| scope == one)) {
                    Ok(Some(asked.to_owned()))
                } else {
                    Err(())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_stay_within_the_allowed_scopes() {
        let any = Scopes::default();
        assert_eq!(any.grant(None), Ok(None));
        assert_eq!(any.grant(Some("a b")), Ok(Some("a b".to_owned())));
        let two = Scopes::only(["a", "b"]);
        assert_eq!(two.grant(None), Ok(Some("a b".to_owned())));
        assert_eq!(two.grant(Some("b")), Ok(Some("b".to_owned())));
        assert_eq!(two.grant(Some("a c")), Err(()));
        assert_eq!(two.grant(Some("A")), Err(()));
        let one = two.and(&any).and(&Scopes::only(["b", "c"]));
        assert_eq!(one.grant(None), Ok(Some("b".to_owned())));
        assert_eq!(one.grant(Some("c")), Err(()));
    }
}
