//! The JOSE header (RFC 7515 section 4).
//!
//! The header changes only with the key's id, unless it has computed members or a looked-up `kid`. So its encoded form
//! is remembered together with that id, and most JWTs copy a string.
//!
//! The `kid` has four sources: the key, the builder's method, a member, and the key's own JWK or signer. The first
//! three must agree if more than one is set. The last one applies if none is, and follows a rotation.

use std::{cell::LazyCell, sync::Arc};

use jsonwebtoken::Header;
use serde_json::{Map, Value, json};

use super::{computed::Computed, context::SignContext, encode, looked_up_claims, strings, values};
use crate::{
    error::Error,
    jwt::key::SigningKey,
    platform::Platform,
    problem::{Advice, Problem, Problems},
    source::Identity,
    sync::Slot,
    value,
};

/// The header of all JWTs of a template. The key id and the computed members may differ in each JWT.
pub(crate) struct JoseHeader {
    /// The fixed members, `alg` and `typ` among them.
    members: Map<String, Value>,
    /// A `kid` that is looked up for each JWT.
    key_id: Option<value::Value>,
    computed: Computed,
    /// Whether the `kid` is the key's own: it was neither set nor left out.
    has_own_key_id: bool,
    /// The header as it was last encoded.
    last: Slot<Encoded>,
}

/// An encoded header, and the id of the key that it was encoded for.
///
/// One entry suffices: a rotation replaces it, and two threads that race write the same.
struct Encoded {
    /// The `kid` in it, if it is the key's own.
    own_key_id: Option<String>,
    encoded: Arc<str>,
}

impl JoseHeader {
    /// Checks the members. The header is usable only if no problem was found.
    ///
    /// Members that are `null` are removed at the end, because `null` is how a user leaves out `typ` and `kid`.
    pub(crate) fn new(
        cx: &SignContext,
        key_id: Option<&value::Value>,
        mut members: Map<String, Value>,
        computed: Computed,
        problems: &mut Problems,
    ) -> Self {
        let key = cx.key();
        let algorithm = key.algorithm().name();
        if members.remove("alg").is_some_and(|found| found != algorithm) {
            let problem =
                Problem::new("header.alg", format!("found another `alg` than the key's, which is {algorithm}"));
            problems.add(problem.advise(Advice::text("leave it out")));
        }
        for name in computed.names() {
            let path = || format!("computed_header.{name}");
            if name == "alg" {
                let problem = Problem::new(path(), "found an `alg`").expecting("none, because the key has its own");
                problems.add(problem.advise(Advice::text("leave it out")));
            } else if members.contains_key(name) {
                let problem = Problem::new(path(), "found the same member among the fixed ones");
                problems.add(problem.advise(Advice::text("set it in one place")));
            } else if name == "kid" && (key_id.is_some() || key.given_key_id().is_some()) {
                let problem = Problem::new(path(), "found beside a key id");
                problems.add(problem.advise(Advice::text("set it in one place")));
            }
        }
        let is_member = members.contains_key("kid");
        let looked_up = key_id.filter(|key_id| key_id.fixed().is_none());
        if let Some(key_id) = looked_up {
            strings::problem("key_id", key_id).into_iter().for_each(|problem| problems.add(problem));
            if is_member || key.given_key_id().is_some() {
                let problem = Problem::new("key_id", "found beside another key id");
                problems.add(problem.advise(Advice::text("set it in one place")));
            }
        }
        let fixed = key_id.and_then(value::Value::fixed);
        if let Some(key_id) = agreed_key_id(key, fixed, members.get("kid"), problems) {
            members.entry("kid").or_insert_with(|| key_id.into());
        }
        let has_own_key_id = !members.contains_key("kid") && looked_up.is_none();
        let looked_up = looked_up.cloned();
        members.entry("typ").or_insert_with(|| "JWT".into());
        let rehearsed = computed.rehearse("computed_header", cx, problems);
        members.retain(|name, value| !value.is_null() && !computed.has(name));
        let mut all = members.clone();
        all.extend(rehearsed);
        all.retain(|name, value| name != "alg" && !value.is_null());
        for (name, value) in &all {
            let path = match name.as_str() {
                _ if computed.has(name) => format!("computed_header.{name}"),
                "kid" if !is_member => "key_id".to_owned(),
                _ => format!("header.{name}"),
            };
            check(name, path, value, &all, problems);
        }
        members.insert("alg".to_owned(), algorithm.into());
        JoseHeader { members, key_id: looked_up, computed, has_own_key_id, last: Slot::new(None) }
    }

    /// The `kid` for one JWT, if it is looked up.
    pub(crate) async fn look_up_key_id(&self, platform: &Platform) -> Result<Option<String>, Error> {
        let Some(key_id) = &self.key_id else { return Ok(None) };
        looked_up_claims::look_up("the header member `kid`", key_id, platform).await.map(Some)
    }

    /// Whether the `kid` is looked up for each JWT.
    pub(crate) fn looks_up(&self) -> bool {
        self.key_id.is_some()
    }

    pub(crate) fn has_changed(&self) -> bool {
        self.key_id.as_ref().is_some_and(value::Value::has_changed)
    }

    /// The header of one JWT, encoded, with the current id of the key, or the one that was looked up.
    ///
    /// Without computed members it is encoded once, because it changes only with the id of the key.
    pub(crate) fn encoded<F: FnOnce() -> SignContext>(
        &self,
        key: &SigningKey,
        key_id: Option<String>,
        cx: &LazyCell<SignContext, F>,
    ) -> Result<Arc<str>, Error> {
        if key_id.is_some() || self.computed.names().next().is_some() {
            return Ok(encode(self.text(cx, key_id)?).into());
        }
        let last = self.last.load();
        match last.as_deref() {
            Some(last) if !self.has_own_key_id || key.is_named(last.own_key_id.as_deref()) => Ok(last.encoded.clone()),
            _ => {
                let own_key_id = if self.has_own_key_id { key.key_id() } else { None };
                let encoded: Arc<str> = encode(self.fixed_text(key)).into();
                self.last.set(Some(Arc::new(Encoded { own_key_id, encoded: encoded.clone() })));
                Ok(encoded)
            }
        }
    }

    /// The header of one JWT as JSON.
    fn text(&self, cx: &SignContext, key_id: Option<String>) -> Result<String, Error> {
        let mut members = self.fixed(cx.key());
        members.extend(key_id.map(|key_id| ("kid".to_owned(), key_id.into())));
        members.extend(self.computed.members("header member", cx)?);
        members.retain(|_, value| !value.is_null());
        Ok(Value::Object(members).to_string())
    }

    /// The header as JSON, without computed members.
    pub(crate) fn fixed_text(&self, key: &SigningKey) -> String {
        Value::Object(self.fixed(key)).to_string()
    }

    /// Describes the members for a JWT that is exchanged: those that say something else than which key signed.
    ///
    /// A new key of the same client gets interchangeable tokens.
    #[allow(dead_code, reason = "used with the feature `oauth`")]
    pub(crate) fn identity(&self, identity: &mut Identity) {
        let members: Map<_, _> = self
            .members
            .iter()
            .filter(|(name, _)| !is_of_key(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        identity.text("header", Value::Object(members).to_string());
        for name in self.computed.names().filter(|name| !is_of_key(name)) {
            identity.unknown(format!("header.{name}"));
        }
    }

    pub(crate) fn computed_names(&self) -> impl Iterator<Item = &str> {
        self.computed.names()
    }

    /// jsonwebtoken's header is not used for it, because it leaves out the members of a `jwk` that it does not know.
    fn fixed(&self, key: &SigningKey) -> Map<String, Value> {
        let mut members = self.members.clone();
        if let Some(key_id) = key.key_id().filter(|_| self.has_own_key_id) {
            members.insert("kid".to_owned(), key_id.into());
        }
        members
    }
}

/// Whether a member of the header tells the key and nothing else, so that a new key changes it.
fn is_of_key(name: &str) -> bool {
    matches!(name, "alg" | "kid" | "jwk" | "jku" | "x5c" | "x5t" | "x5t#S256" | "x5u")
}

/// The `kid` that was set on the key, on the builder or as a member. All that are set must agree. It overrides the name
/// that a JWK or a remote signer has.
fn agreed_key_id<'a>(
    key: &'a SigningKey,
    key_id: Option<&'a str>,
    member: Option<&Value>,
    problems: &mut Problems,
) -> Option<&'a str> {
    let given = key.given_key_id();
    if let (Some(own), Some(set)) = (given, key_id)
        && own != set
    {
        let problem = Problem::new("key_id", "found another key id than the key has");
        problems.add(problem.advise(Advice::text("set it in one place")));
    }
    let key_id = key_id.or(given);
    if let (Some(key_id), Some(Value::String(member))) = (key_id, member)
        && key_id != member
    {
        let problem = Problem::new("header.kid", "found another `kid` than the key id");
        problems.add(problem.advise(Advice::text("set it in one place")));
    }
    key_id
}

/// Checks one member of the header. Registered members have types (RFC 7515 section 4.1), and a server's parser would
/// refuse others. Private members may be anything.
fn check(name: &str, path: String, value: &Value, members: &Map<String, Value>, problems: &mut Problems) {
    if let Some(problem) = values::name_problem("header", name) {
        return problems.add(problem);
    }
    // jsonwebtoken's header has the types of the registered members, and accepts any other member. It accepts a `jwk`
    // without `kty`.
    let alone = json!({ "alg": "HS256", name: value });
    let shapeless = name == "jwk" && value.get("kty").is_none();
    if shapeless || serde_json::from_value::<Header>(alone).is_err() {
        let expected = match name {
            "x5c" | "crit" => "a list of strings",
            "jwk" => "a public JSON Web Key (RFC 7517)",
            _ => "a string",
        };
        return problems.add(Problem::new(path, format!("found {}", kind(value))).expecting(expected));
    }
    match name {
        "jwk" if value.get("d").is_some() || value.get("k").is_some() => {
            let problem = Problem::new(path, "found a private or secret key");
            problems.add(problem.expecting("a public one, because anyone can read the header"));
        }
        // RFC 7515 section 4.1.11.
        "crit" if value.as_array().is_none_or(Vec::is_empty) => {
            let problem = Problem::new(path, "found an empty list").expecting("names of header members");
            problems.add(problem.advise(Advice::text("leave it out")));
        }
        "crit" => {
            let missing = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            for missing in missing.filter(|name| members.get(*name).is_none()) {
                let problem = Problem::new(path.clone(), format!("found {missing:?}, which the header does not have"));
                problems.add(problem.advise(Advice::text("add it")));
            }
        }
        // RFC 7797 section 7.
        "b64" if value != &Value::Bool(true) => {
            let problem = Problem::new(path, "found an unencoded payload").expecting("none, because JWTs are encoded");
            problems.add(problem.advise(Advice::text("leave it out")));
        }
        // Registered strings. Others may be any text.
        "typ" | "cty" | "kid" | "x5t" | "x5t#S256" | "jku" | "x5u" => {
            let found = value.as_str().and_then(|value| values::problem(&path, value));
            found.into_iter().for_each(|problem| problems.add(problem));
        }
        _ => {}
    }
}

/// What a value is, for an error. The value itself is not repeated: it may be a key in the wrong field.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string of another form",
        Value::Array(_) => "a list of another form",
        Value::Object(_) => "an object of another form",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::jwt::{Algorithm, template::context::CertificateState};

    fn header(key_id: (Option<&str>, Option<&str>), members: Value) -> Result<Value, Vec<String>> {
        let mut key = SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap();
        if let Some(own) = key_id.0 {
            key = key.with_key_id(own);
        }
        let Value::Object(members) = members else { panic!("no object") };
        let mut problems = Problems::default();
        let cx = SignContext::rehearsal(Duration::ZERO, Duration::from_secs(60), key, CertificateState::None);
        let header = JoseHeader::new(
            &cx,
            key_id.1.map(value::Value::from).as_ref(),
            members,
            Computed::default(),
            &mut problems,
        );
        match problems.into_result("") {
            Ok(()) => Ok(serde_json::from_str(&header.text(&cx, None).unwrap()).unwrap()),
            Err(error) => Err(error.problems().iter().map(ToString::to_string).collect()),
        }
    }

    // shows: 7515/4.1.11b
    #[test]
    fn every_member_is_in_the_header_unchanged() {
        let plain = json!({ "alg": "HS256", "typ": "JWT" });
        assert_eq!(header((None, None), json!({})).unwrap(), plain);
        assert_eq!(header((None, None), json!({ "typ": null })).unwrap(), json!({ "alg": "HS256" }));
        let all = json!({
            "alg": "HS256", "typ": "at+jwt", "kid": "one", "cty": "JWT", "x5t": "AQ", "x5t#S256": "Ag",
            "x5c": ["MIIB"], "crit": ["iat2"], "iat2": 5, "id": "TEAM.service", "sign_type": "SIGN",
            "nonce": "1f", "nested": { "deep": [1, 2.5, "x", null, true] },
            "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "ext": true },
        });
        assert_eq!(header((None, None), all.clone()).unwrap(), all);
        assert_eq!(header((Some("one"), Some("one")), all.clone()).unwrap(), all);
    }

    // shows: 7515/4.1.4
    #[test]
    fn the_key_id_may_be_set_anywhere_or_left_out() {
        for key_id in [(Some("one"), None), (None, Some("one"))] {
            assert_eq!(header(key_id, json!({})).unwrap()["kid"], "one");
        }
        assert!(header((Some("one"), None), json!({ "kid": null })).unwrap().get("kid").is_none());
    }

    // shows: 7515/4
    #[test]
    fn contradictions_and_wrong_types_are_problems() {
        let one = (Some("one"), None);
        for (key_id, members, expected) in [
            (one, json!({ "alg": "RS256" }), "header.alg: found another `alg` than the key's, which is HS256"),
            (one, json!({ "alg": "none" }), "header.alg: found"),
            (one, json!({ "alg": null }), "header.alg: found"),
            (one, json!({ "kid": "two" }), "header.kid: found another `kid`"),
            ((Some("one"), Some("two")), json!({}), "key_id: found another key id"),
            (one, json!({ "kid": 5 }), "header.kid: found a number; expected a string"),
            (one, json!({ "typ": ["JWT"] }), "header.typ: found a list of another form; expected a string"),
            (one, json!({ "x5c": "MIIB" }), "header.x5c: found a string of another form; expected a list of strings"),
            (one, json!({ "crit": ["exp"] }), "header.crit: found \"exp\", which the header does not have"),
            (one, json!({ "crit": [] }), "header.crit: found an empty list"),
            (one, json!({ "b64": false }), "header.b64: found an unencoded payload"),
            (
                one,
                json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AQ", "d": "AQ" } }),
                "header.jwk: found a pri",
            ),
            (one, json!({ "jwk": { "kty": "oct", "k": "AQ" } }), "header.jwk: found a private or secret key"),
            (one, json!({ "jwk": {} }), "header.jwk: found an object of another form; expected a public JSON Web Key"),
        ] {
            let problems = header(key_id, members.clone()).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(expected), "{members}: {problems:?}");
        }
    }

    #[test]
    fn all_wrong_members_are_reported_at_once() {
        let problems = header((None, None), json!({ "alg": "none", "typ": 1, "cty": 2 })).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
