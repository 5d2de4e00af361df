//! The rules for accepting a JWT (RFC 7519 section 7.2, RFC 7523 section 3).

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{
    key::VerifyingKey,
    recent::{LIMIT, Recent},
};

/// How strict the server is about the claims of an assertion.
///
/// The default is as strict as the strictest real servers. Each setting is a difference that was seen between servers.
/// In every case `iss`, `sub`, `aud` and `exp` are required, `exp` must be in the future, and `nbf` must not be. A
/// `jti` is accepted once, unless [reuse](Self::allow_reuse) is allowed.
#[derive(Clone, Debug)]
pub struct AssertionRules {
    audiences: Vec<String>,
    audience_array: bool,
    leeway: Duration,
    max_lifetime: Duration,
    require_jti: bool,
    reuse: bool,
}

impl AssertionRules {
    /// The default rules.
    pub fn new() -> Self {
        AssertionRules::default()
    }

    /// Accepts this `aud`, compared byte for byte. It replaces the default, which is the URL of the token endpoint or
    /// the issuer. May be called several times.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts an `aud` that is an array with an accepted audience in it. By default only a string is accepted.
    #[must_use]
    pub fn allow_audience_array(mut self) -> Self {
        self.audience_array = true;
        self
    }

    /// Sets how much the clocks may differ, for `exp`, `iat` and `nbf`. Default: zero.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Limits how far `exp` may be after now and, if there is one, after `iat`. Default: one hour.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// Refuses assertions without a `jti`.
    #[must_use]
    pub fn require_jti(mut self) -> Self {
        self.require_jti = true;
        self
    }

    /// Accepts an assertion any number of times until it expires.
    #[must_use]
    pub fn allow_reuse(mut self) -> Self {
        self.reuse = true;
        self
    }

    pub(crate) fn without_audiences(mut self) -> Self {
        self.audiences.clear();
        self
    }
}

impl Default for AssertionRules {
    fn default() -> Self {
        AssertionRules {
            audiences: Vec::new(),
            audience_array: false,
            leeway: Duration::ZERO,
            max_lifetime: Duration::from_secs(3600),
            require_jti: false,
            reuse: false,
        }
    }
}

/// Why a JWT is not accepted: an `error_description` that says what is wrong and quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) &'static str);

/// A JWT that was parsed, and not yet verified.
pub(crate) struct Jwt<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// The claims of a JWT whose signature was verified.
pub(crate) struct Claims(Map<String, Value>);

impl<'a> Jwt<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        const SHAPE: Refusal = Refusal("it is not a JWT: expected three parts of base64url joined by dots");
        let (signed, signature) = text.rsplit_once('.').ok_or(SHAPE)?;
        let (header, claims) = signed.split_once('.').ok_or(SHAPE)?;
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| SHAPE);
        let object = |text: &str| match serde_json::from_slice(&part(text)?) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(Refusal("it is not a JWT: its header and claims are not both JSON objects")),
        };
        Ok(Jwt { signed, signature: part(signature)?, header: object(header)?, claims: object(claims)? })
    }

    /// The claim that names the key's owner. It is not trusted before the signature is verified.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    pub(crate) fn verify(self, key: &VerifyingKey) -> Result<Claims, Refusal> {
        if self.header.get("alg").and_then(Value::as_str) != Some(key.algorithm().name()) {
            return Err(Refusal("its alg is not the registered one"));
        }
        // RFC 7515 section 4.1.11: extensions that are critical and not understood; here none is.
        if self.header.contains_key("crit") {
            return Err(Refusal("its header has crit members that are not understood"));
        }
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(Refusal("its signature is wrong"));
        }
        Ok(Claims(self.claims))
    }
}

impl Claims {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The checks that every JWT must pass, assertion or bearer. `now` is the time since 1970.
    pub(crate) fn check(&self, rules: &AssertionRules, audiences: &[&str], now: Duration) -> Result<(), Refusal> {
        self.check_audience(rules, audiences)?;
        self.check_times(rules, now)
    }

    /// The `sub`, which must be one of those expected, if any are named (RFC 7523 section 3).
    pub(crate) fn subject(&self, expected: &[String]) -> Result<&str, Refusal> {
        match self.text("sub") {
            None | Some("") => Err(Refusal("its sub is missing or not a string")),
            Some(subject) if expected.is_empty() || expected.iter().any(|one| one == subject) => Ok(subject),
            Some(_) => Err(Refusal("its sub is not one that the issuer may speak for")),
        }
    }

    fn check_audience(&self, rules: &AssertionRules, defaults: &[&str]) -> Result<(), Refusal> {
        let fits = |audience: &Value| {
            audience.as_str().is_some_and(|audience| {
                if rules.audiences.is_empty() {
                    defaults.contains(&audience)
                } else {
                    rules.audiences.iter().any(|one| one == audience)
                }
            })
        };
        let fit = match self.0.get("aud") {
            None => return Err(Refusal("its aud is missing")),
            Some(Value::Array(_)) if !rules.audience_array => return Err(Refusal("its aud is an array")),
            Some(Value::Array(audiences)) => audiences.iter().any(fits),
            Some(audience) => fits(audience),
        };
        if fit { Ok(()) } else { Err(Refusal("its aud does not name this server")) }
    }

    fn check_times(&self, rules: &AssertionRules, now: Duration) -> Result<(), Refusal> {
        let (now, leeway, cap) = (now.as_secs_f64(), rules.leeway.as_secs_f64(), rules.max_lifetime.as_secs_f64());
        let time = |name| match self.0.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(time) if time.is_finite() => Ok(Some(time)),
                _ => Err(Refusal("one of its exp, iat and nbf is not a number")),
            },
        };
        let (expiry, issued, not_before) = (time("exp")?, time("iat")?, time("nbf")?);
        let expiry = expiry.ok_or(Refusal("its exp is missing"))?;
        if expiry + leeway <= now {
            return Err(Refusal("its exp is in the past"));
        }
        if issued.is_some_and(|issued| issued - leeway > now) {
            return Err(Refusal("its iat is in the future"));
        }
        if not_before.is_some_and(|not_before| not_before - leeway > now) {
            return Err(Refusal("its nbf is in the future"));
        }
        if expiry - leeway > now + cap || issued.is_some_and(|issued| expiry - issued > cap) {
            return Err(Refusal("its exp is too far in the future"));
        }
        Ok(())
    }
}

/// The `jti` of assertions that were used already.
pub(crate) struct UsedAssertions(Recent<[u8; 32], ()>);

impl UsedAssertions {
    /// Accepts each `jti` of an issuer once (RFC 7523 section 3, point 7). Called last: an assertion that is refused
    /// for another reason is not used up.
    pub(crate) fn accept(&mut self, claims: &Claims, rules: &AssertionRules) -> Result<(), Refusal> {
        let id = match claims.0.get("jti") {
            None if rules.require_jti => return Err(Refusal("its jti is missing")),
            None => return Ok(()),
            Some(Value::String(id)) => id,
            Some(_) => return Err(Refusal("its jti is not a string")),
        };
        // A digest, because the sender chooses the length of a claim.
        let mut context = digest::Context::new(&digest::SHA256);
        for text in [claims.text("iss").unwrap_or_default(), id] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        if self.0.get(&key).is_some() && !rules.reuse {
            return Err(Refusal("its jti was used before"));
        }
        self.0.insert(key, ());
        Ok(())
    }
}

impl Default for UsedAssertions {
    fn default() -> Self {
        UsedAssertions(Recent::new(LIMIT))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Algorithm, TestKey, TestSecret};

    const NOW: u64 = 1_000_000;
    const HERE: [&str; 2] = ["https://as.example.com/token", "https://as.example.com"];

    fn claims(change: impl FnOnce(&mut Map<String, Value>)) -> Claims {
        let claims = json!({
            "iss": "app", "sub": "user", "aud": HERE[0], "iat": NOW - 10, "exp": NOW + 50, "jti": "one",
        });
        let mut members = claims.as_object().cloned().unwrap();
        change(&mut members);
        Claims(members)
    }

    fn check(claims: &Claims, rules: &AssertionRules) -> Result<(), &'static str> {
        claims.check(rules, &HERE, Duration::from_secs(NOW)).map_err(|Refusal(text)| text)
    }

    #[test]
    fn each_claim_is_checked() {
        let ok = Ok(());
        let hour = 3600;
        let cases = [
            ("aud", json!(HERE[1]), ok),
            ("aud", json!("https://as.example.com/"), Err("its aud does not name this server")),
            ("aud", json!([HERE[0]]), Err("its aud is an array")),
            ("aud", json!(7), Err("its aud does not name this server")),
            ("aud", Value::Null, Err("its aud does not name this server")),
            ("exp", json!(NOW + 1), ok),
            ("exp", json!(NOW), Err("its exp is in the past")),
            ("exp", json!(NOW - 1), Err("its exp is in the past")),
            ("exp", json!(NOW as f64 + 0.5), ok),
            ("exp", json!(NOW - 10 + hour), ok),
            ("exp", json!(NOW - 9 + hour), Err("its exp is too far in the future")),
            ("exp", json!(1e300), Err("its exp is too far in the future")),
            ("exp", json!("1000050"), Err("one of its exp, iat and nbf is not a number")),
            ("iat", json!(NOW), ok),
            ("iat", json!(NOW + 1), Err("its iat is in the future")),
            ("iat", json!(-1e300), Err("its exp is too far in the future")),
            ("nbf", json!(NOW), ok),
            ("nbf", json!(NOW + 1), Err("its nbf is in the future")),
            ("nbf", json!({}), Err("one of its exp, iat and nbf is not a number")),
        ];
        for (name, value, expected) in cases {
            let claims = claims(|members| drop(members.insert(name.to_owned(), value.clone())));
            assert_eq!(check(&claims, &AssertionRules::new()), expected, "{name}: {value}");
        }
        for (name, expected) in
            [("aud", Err("its aud is missing")), ("exp", Err("its exp is missing")), ("iat", ok), ("nbf", ok)]
        {
            let claims = claims(|members| drop(members.remove(name)));
            assert_eq!(check(&claims, &AssertionRules::new()), expected, "without {name}");
        }
    }

    #[test]
    fn each_rule_has_a_setting() {
        let early = claims(|members| drop(members.insert("iat".to_owned(), json!(NOW + 5))));
        assert!(check(&early, &AssertionRules::new().leeway(Duration::from_secs(4))).is_err());
        assert!(check(&early, &AssertionRules::new().leeway(Duration::from_secs(5))).is_ok());

        let long = claims(|_| ());
        assert!(check(&long, &AssertionRules::new().max_lifetime(Duration::from_secs(60))).is_ok());
        assert!(check(&long, &AssertionRules::new().max_lifetime(Duration::from_secs(59))).is_err());

        let array = claims(|members| drop(members.insert("aud".to_owned(), json!(["x", HERE[0]]))));
        assert!(check(&array, &AssertionRules::new().allow_audience_array()).is_ok());

        let constant = claims(|members| drop(members.insert("aud".to_owned(), json!("constant"))));
        assert!(check(&constant, &AssertionRules::new().audience("other").audience("constant")).is_ok());
        assert!(check(&claims(|_| ()), &AssertionRules::new().audience("constant")).is_err());

        let nameless = claims(|members| drop(members.remove("jti")));
        assert!(UsedAssertions::default().accept(&nameless, &AssertionRules::new()).is_ok());
        assert!(UsedAssertions::default().accept(&nameless, &AssertionRules::new().require_jti()).is_err());

        let mut used = UsedAssertions::default();
        let reusable = AssertionRules::new().allow_reuse();
        assert!((0..3).all(|_| used.accept(&long, &reusable).is_ok()));
        assert!(used.accept(&long, &AssertionRules::new()).is_err());
    }

    #[test]
    fn each_issuer_may_use_a_jti_once() {
        let mut used = UsedAssertions::default();
        let of = |issuer: &str, id: &str| {
            claims(|members| members.extend([("iss".to_owned(), json!(issuer)), ("jti".to_owned(), json!(id))]))
        };
        let mut accept = |issuer, id| used.accept(&of(issuer, id), &AssertionRules::new()).is_ok();
        assert!(accept("a", "1"));
        assert!(!accept("a", "1"));
        assert!(accept("a", "2"));
        assert!(accept("b", "1"));
        // Issuer and `jti` are not simply concatenated.
        assert!(accept("a1", "2") && accept("a", "12"));
    }

    #[test]
    fn the_subject_must_be_one_of_those_expected() {
        let named = [String::from("user")];
        assert_eq!(claims(|_| ()).subject(&[]), Ok("user"));
        assert_eq!(claims(|_| ()).subject(&named), Ok("user"));
        for wrong in [json!("other"), json!(""), json!(["user"]), Value::Null] {
            let claims = claims(|members| drop(members.insert("sub".to_owned(), wrong.clone())));
            assert!(claims.subject(&named).is_err(), "{wrong}");
        }
    }

    #[test]
    fn malformed_jwts_are_refused_without_a_panic() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let (object, array, deep) = (part("{}"), part("[]"), part(&"[".repeat(100_000)));
        for text in [
            String::new(),
            String::from("."),
            String::from(".."),
            String::from("..."),
            String::from("a.b"),
            String::from("\u{e4}.\u{e4}.\u{e4}"),
            format!("{object}.{object}"),
            format!("{object}.{object}.{object}.{object}"),
            format!("{object}.{array}."),
            format!("{array}.{object}."),
            format!("{object}.{deep}."),
            format!("{object}=.{object}."),
            format!("{object}.{object}.+/"),
        ] {
            assert!(Jwt::parse(&text).is_err(), "{text:.40}");
        }
    }

    #[test]
    fn only_the_registered_key_and_algorithm_verify() {
        let claims = json!({ "iss": "app" });
        for algorithm in Algorithm::ALL {
            let Ok(key) = TestKey::shared(algorithm) else { continue };
            let text = key.sign(&claims).unwrap();
            assert!(Jwt::parse(&text).unwrap().verify(&key.verifying_key()).is_ok(), "{algorithm:?}");
            let pem = VerifyingKey::from_public_pem(algorithm, key.public_pem()).unwrap();
            assert!(Jwt::parse(&text).unwrap().verify(&pem).is_ok(), "{algorithm:?} from PEM");
            for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                if let Ok(other) = TestKey::shared(other) {
                    assert!(Jwt::parse(&text).unwrap().verify(&other.verifying_key()).is_err(), "{algorithm:?}");
                }
                // The classic confusion: the public key as an HMAC secret.
                let confused = VerifyingKey::hmac(other, key.public_pem());
                assert!(Jwt::parse(&text).unwrap().verify(&confused).is_err());
            }
            let (rest, signature) = text.rsplit_once('.').unwrap();
            let forged = format!("{rest}x.{signature}");
            assert!(Jwt::parse(&forged).and_then(|jwt| jwt.verify(&key.verifying_key())).is_err());
            assert!(Jwt::parse(&format!("{rest}.")).unwrap().verify(&key.verifying_key()).is_err());
        }
        let other_key = TestKey::generate(Algorithm::ES256).unwrap().sign(&claims).unwrap();
        assert!(Jwt::parse(&other_key).unwrap().verify(&TestKey::es256().unwrap().verifying_key()).is_err());
    }

    #[test]
    fn unsigned_jwts_and_critical_extensions_are_refused() {
        let secret = TestSecret::hs256().unwrap();
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        for header in [json!({ "alg": "none" }), json!({}), json!({ "alg": 7 }), json!({ "alg": "HS512" })] {
            let text = format!("{}.{}.", part(header.clone()), part(json!({})));
            assert!(Jwt::parse(&text).unwrap().verify(&secret.verifying_key()).is_err(), "{header}");
        }
        let signed = format!("{}.{}", part(json!({ "alg": "HS256", "crit": ["x"] })), part(json!({})));
        let tag = aws_lc_rs::hmac::sign(
            &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.text().as_bytes()),
            signed.as_bytes(),
        );
        let text = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(
            Jwt::parse(&text).unwrap().verify(&secret.verifying_key()).err(),
            Some(Refusal("its header has crit members that are not understood"))
        );
    }
}
