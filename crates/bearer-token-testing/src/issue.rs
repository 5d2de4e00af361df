//! The tokens that the server issues, and their validation.

use std::time::Duration;

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bearer_token::Error;
use serde_json::{Map, Value, json};

use crate::{
    assertion::{AssertionRules, Claims, Jwt, Refusal},
    key::VerifyingKey,
    recent::{LIMIT, Recent},
    registration::Issuer,
    test_key::TestKey,
};

/// The kind of tokens that the server issues, and how its responses describe them.
///
/// ```
/// use bearer_token_testing::{AuthorizationServer, Tokens};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let server = AuthorizationServer::start()?;
/// // As some servers do: an opaque token for an hour, and the lifetime as a string.
/// server.issue(Tokens::opaque().lifetime(Duration::from_secs(3600)).expires_in("3600"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Tokens {
    jwt: bool,
    lifetime: Duration,
    says_lifetime: bool,
    token_type: Value,
    members: Map<String, Value>,
}

impl Tokens {
    /// JWTs that the server signs with its own key (RFC 9068). The default.
    pub fn jwt() -> Self {
        Tokens {
            jwt: true,
            lifetime: Duration::from_secs(3600),
            says_lifetime: true,
            token_type: Value::from("Bearer"),
            members: Map::new(),
        }
    }

    /// Random strings that mean something to the server only.
    pub fn opaque() -> Self {
        Tokens { jwt: false, ..Tokens::jwt() }
    }

    /// Sets how long the API accepts them, by the server's clock. Default: one hour.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets `expires_in` in the response to any JSON value, true or not. Default: the lifetime in whole seconds.
    #[must_use]
    pub fn expires_in(self, value: impl Into<Value>) -> Self {
        self.member("expires_in", value)
    }

    /// Omits `expires_in` from the response.
    #[must_use]
    pub fn without_expires_in(mut self) -> Self {
        self.says_lifetime = false;
        self.members.remove("expires_in");
        self
    }

    /// Sets `token_type` in the response. Default: `Bearer`.
    #[must_use]
    pub fn token_type(mut self, value: impl Into<Value>) -> Self {
        self.token_type = value.into();
        self
    }

    /// Adds a member to the response, such as `instance_url`, or replaces one of the usual members.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// How long the tokens live.
    pub(crate) fn lives(&self) -> Duration {
        self.lifetime
    }

    /// The body of a successful response (RFC 6749 section 5.1).
    pub(crate) fn response(&self, token: &str, scope: Option<&str>) -> Value {
        let mut response = Map::new();
        response.insert("access_token".to_owned(), Value::from(token));
        response.insert("token_type".to_owned(), self.token_type.clone());
        if self.says_lifetime {
            response.insert("expires_in".to_owned(), Value::from(self.lifetime.as_secs()));
        }
        if let Some(scope) = scope {
            response.insert("scope".to_owned(), Value::from(scope));
        }
        response.extend(self.members.clone());
        Value::Object(response)
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens::jwt()
    }
}

/// The subject and client of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) subject: String,
    pub(crate) client: Option<String>,
    pub(crate) scope: Option<String>,
    /// The `claims` parameter of the token request, unchanged.
    pub(crate) claims: Option<String>,
}

/// Issues and validates tokens.
pub(crate) struct IssuedTokens {
    key: TestKey,
    issuer: String,
    audience: String,
    /// The number of tokens issued. Each JWT has its number at the start of its `jti`.
    count: u64,
    /// All tokens up to this number are revoked.
    revoked_through: u64,
    opaque: Recent<String, (Identity, Duration)>,
    /// Self-signed tokens that the API has accepted, so `revoke_all` can revoke them.
    self_signed: Recent<String, ()>,
    revoked: Recent<String, ()>,
}

impl IssuedTokens {
    pub(crate) fn new(key: TestKey, issuer: String, audience: String) -> Self {
        IssuedTokens {
            key,
            issuer,
            audience,
            count: 0,
            revoked_through: 0,
            opaque: Recent::new(LIMIT),
            self_signed: Recent::new(LIMIT),
            revoked: Recent::new(LIMIT),
        }
    }

    /// Issues a token. `now` is the time since 1970.
    pub(crate) fn issue(&mut self, tokens: &Tokens, identity: Identity, now: Duration) -> Result<String, Error> {
        let id = random()?;
        let expiry = now.saturating_add(tokens.lifetime);
        self.count += 1;
        if !tokens.jwt {
            self.opaque.insert(id.clone(), (identity, expiry));
            return Ok(id);
        }
        let mut claims = json!({
            "iss": self.issuer,
            "aud": self.audience,
            "sub": identity.subject,
            "iat": now.as_secs(),
            "exp": numeric_date(expiry, tokens.lifetime),
            "jti": format!("{}.{id}", self.count),
        });
        if let Value::Object(members) = &mut claims {
            members.extend(identity.client.map(|client| ("client_id".to_owned(), client.into())));
            members.extend(identity.scope.map(|scope| ("scope".to_owned(), scope.into())));
            members.extend(identity.claims.map(|claims| ("requested_claims".to_owned(), claims.into())));
        }
        self.key.sign(&claims)
    }

    /// Issues an assertion for another server, an ID-JAG. `now` is the time since 1970.
    ///
    /// The claims are those of draft-ietf-oauth-identity-assertion-authz-grant section 3.1.
    pub(crate) fn assert(
        &self,
        lifetime: Duration,
        audience: &str,
        identity: &Identity,
        now: Duration,
    ) -> Result<String, Error> {
        self.key.sign_as(
            "oauth-id-jag+jwt",
            &json!({
                "iss": self.issuer,
                "aud": audience,
                "sub": identity.subject,
                "client_id": identity.client,
                "scope": identity.scope,
                "iat": now.as_secs(),
                // No later than promised: the other server limits the lifetime of assertions.
                "exp": now.as_secs().saturating_add(lifetime.as_secs()),
                "jti": random()?,
            }),
        )
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// The identity of a token that is valid now. `issuer` finds the issuers of self-signed JWTs.
    pub(crate) fn recognise<'a>(
        &mut self,
        token: &str,
        issuer: impl FnOnce(&str) -> Option<&'a Issuer>,
        now: Duration,
    ) -> Result<Identity, Refusal> {
        if self.revoked.get(token).is_some() {
            return Err(REVOKED);
        }
        let Ok(jwt) = Jwt::parse(token) else { return self.recognise_opaque(token, now) };
        if jwt.issuer() == Some(&self.issuer) {
            return self.recognise_own(jwt, now);
        }
        let issuer = jwt.issuer().and_then(issuer).ok_or(Refusal("its issuer is not trusted"))?;
        if issuer.self_signed_audiences.is_empty() {
            return Err(Refusal("its issuer is trusted for token requests only"));
        }
        let claims = jwt.verify(&issuer.key)?;
        let rules = issuer
            .self_signed_audiences
            .iter()
            .fold(issuer.rules.clone().without_audiences().allow_audience_array(), |rules, audience| {
                rules.audience(audience)
            });
        claims.check(&rules, &[], now)?;
        self.self_signed.insert(token.to_owned(), ());
        Ok(identity(&claims, &issuer.name))
    }

    pub(crate) fn revoke(&mut self, token: &str) {
        self.revoked.insert(token.to_owned(), ());
    }

    pub(crate) fn revoke_all(&mut self) {
        self.revoked_through = self.count;
        // Tokens that are forgotten are not accepted.
        drop(self.opaque.drain());
        for token in self.self_signed.drain() {
            self.revoked.insert(token, ());
        }
    }

    fn recognise_opaque(&self, token: &str, now: Duration) -> Result<Identity, Refusal> {
        match self.opaque.get(token) {
            None => Err(Refusal("it is unknown, or was revoked")),
            Some((_, expiry)) if *expiry <= now => Err(Refusal("it has expired")),
            Some((identity, _)) => Ok(identity.clone()),
        }
    }

    fn recognise_own(&self, jwt: Jwt<'_>, now: Duration) -> Result<Identity, Refusal> {
        let claims = jwt.verify(&self.key.verifying_key())?;
        claims.check(&AssertionRules::new().max_lifetime(Duration::MAX), &[&self.audience], now)?;
        let number = claims.text("jti").and_then(|id| id.split_once('.')?.0.parse::<u64>().ok());
        if number.is_none_or(|number| number <= self.revoked_through) {
            return Err(REVOKED);
        }
        Ok(identity(&claims, &self.issuer))
    }
}

const REVOKED: Refusal = Refusal("it was revoked");

fn identity(claims: &Claims, issuer: &str) -> Identity {
    let text = |name| claims.text(name).map(str::to_owned);
    // A self-signed JWT without a subject stands for its issuer.
    let subject = text("sub").unwrap_or_else(|| issuer.to_owned());
    Identity { subject, client: text("client_id"), scope: text("scope"), claims: text("requested_claims") }
}

/// Whole seconds, as servers write them, rounded up: a token must live as long as the response says. A
/// lifetime with a fraction is kept exactly.
fn numeric_date(expiry: Duration, lifetime: Duration) -> Value {
    match (lifetime.subsec_nanos(), expiry.subsec_nanos()) {
        (0, 0) => Value::from(expiry.as_secs()),
        (0, _) => Value::from(expiry.as_secs().saturating_add(1)),
        _ => Value::from(expiry.as_secs_f64()),
    }
}

/// A string that cannot be guessed.
pub(crate) fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| {
        Error::new(bearer_token::ErrorKind::Source, "the operating system could not provide random bytes")
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    const NOW: Duration = Duration::from_secs(1_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn issued() -> IssuedTokens {
        IssuedTokens::new(TestKey::es256().unwrap(), "https://as.example.com".into(), "https://api.example.com".into())
    }

    fn alice() -> Identity {
        Identity { subject: "alice".into(), client: Some("reports".into()), scope: None, claims: Some("{}".into()) }
    }

    #[test]
    fn tokens_are_valid_until_they_expire_or_are_revoked() {
        for tokens in [Tokens::jwt(), Tokens::opaque()] {
            let tokens = tokens.lifetime(SECOND * 3 / 2);
            let mut issued = issued();
            let mut make = || issued.issue(&tokens, alice(), NOW).unwrap();
            let (first, second) = (make(), make());
            assert_ne!(first, second);
            let mut good = |token: &str, now| issued.recognise(token, |_| None, now).ok();
            assert_eq!(good(&first, NOW), Some(alice()));
            assert_eq!(good(&first, NOW + SECOND), Some(alice()));
            assert_eq!(good(&first, NOW + SECOND * 3 / 2), None);
            assert_eq!(good(&format!("{first}x"), NOW), None);
            issued.revoke(&first);
            let mut good = |token: &str| issued.recognise(token, |_| None, NOW).is_ok();
            assert!(!good(&first) && good(&second));
            issued.revoke_all();
            let third = issued.issue(&tokens, alice(), NOW).unwrap();
            let mut good = |token: &str| issued.recognise(token, |_| None, NOW).is_ok();
            assert!(!good(&second) && good(&third));
        }
    }

    #[test]
    fn self_signed_jwts_need_an_issuer_that_may_sign() {
        let key = TestKey::generate(Algorithm::ES256).unwrap();
        let trusted = Issuer::new("app", key.verifying_key());
        let may = trusted.clone().self_signed_audience("https://api.example.com/");
        let sign = |audience: Value| {
            let exp = (NOW + 60 * SECOND).as_secs();
            key.sign(&json!({ "iss": "app", "aud": audience, "iat": NOW.as_secs(), "exp": exp })).unwrap()
        };
        let good = |issued: &mut IssuedTokens, token: &str, issuer: &Issuer| {
            issued.recognise(token, |name| (name == "app").then_some(issuer), NOW).map(|identity| identity.subject)
        };
        let mut issued = issued();
        let token = sign(json!("https://api.example.com/"));
        assert_eq!(good(&mut issued, &token, &may), Ok("app".to_owned()));
        assert_eq!(good(&mut issued, &token, &may), Ok("app".to_owned()), "again and again");
        assert!(good(&mut issued, &sign(json!(["https://api.example.com/", "x"])), &may).is_ok());
        assert!(good(&mut issued, &sign(json!("https://api.example.com")), &may).is_err());
        assert!(good(&mut issued, &token, &trusted).is_err());
        let other = Issuer::new("app", TestKey::generate(Algorithm::ES256).unwrap().verifying_key());
        assert!(good(&mut issued, &token, &other.self_signed_audience("https://api.example.com/")).is_err());
        issued.revoke_all();
        assert_eq!(good(&mut issued, &token, &may), Err(REVOKED));
        // A new JWT of the same second is another token.
        let later = key.sign(&json!({
            "iss": "app", "aud": "https://api.example.com/", "iat": NOW.as_secs(),
            "exp": (NOW + 60 * SECOND).as_secs(), "jti": "2",
        }));
        assert!(good(&mut issued, &later.unwrap(), &may).is_ok());
    }

    #[test]
    fn tokens_for_other_audiences_or_servers_are_refused() {
        let mut elsewhere = IssuedTokens::new(
            TestKey::es256().unwrap(),
            "https://as.example.com".into(),
            "https://other.example.com".into(),
        );
        let mut other_server = IssuedTokens::new(
            TestKey::generate(Algorithm::ES256).unwrap(),
            "https://as.example.com".into(),
            "https://api.example.com".into(),
        );
        let mut here = issued();
        for other in [&mut elsewhere, &mut other_server] {
            let token = other.issue(&Tokens::jwt(), alice(), NOW).unwrap();
            assert!(here.recognise(&token, |_| None, NOW).is_err());
        }
    }

    #[test]
    fn expires_in_is_what_the_test_set() {
        let said = |tokens: Tokens| tokens.response("t", None).get("expires_in").cloned();
        assert_eq!(said(Tokens::jwt()), Some(json!(3600)));
        assert_eq!(said(Tokens::opaque().lifetime(SECOND * 5)), Some(json!(5)));
        assert_eq!(said(Tokens::jwt().without_expires_in()), None);
        for value in [json!("3599"), json!(3599.9), Value::Null, json!(-1), json!(1_u64 << 40)] {
            assert_eq!(said(Tokens::jwt().expires_in(value.clone())), Some(value));
        }
        let response = Tokens::jwt().token_type("bearer").member("instance_url", "https://eu.example.com");
        let response = response.response("t", Some("read"));
        assert_eq!(response["token_type"], "bearer");
        assert_eq!(response["instance_url"], "https://eu.example.com");
        assert_eq!(response["scope"], "read");
    }
}
