//! The order and the text of the claims. What is the same in each JWT is serialized once, when the template is built.
//!
//! ```text
//! {"aud":"https://as.example.com","exp": 1767225600 ,"iat": 1767225540 ,"iss":"app","jti": "8c2f.." }
//! └────────── fixed text ──────────────┘  value     └ text ┘  value     └──── fixed text ──┘ value   └ end
//! ```
//!
//! Signing a JWT then copies the fixed text and writes the values between, straight into the string that becomes the
//! JWT. A claim that was found for one JWT needs a layout of its own. It may come before, between or in place
//! of the others.

use std::{cell::LazyCell, collections::BTreeMap, mem};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    base64url::Base64Url,
    claims::{Claims, NotBefore},
    computed::Computed,
    context::{SignContext, new_uuid},
    sign_times::SignTimes,
};
use crate::{
    error::{Error, ErrorKind},
    platform::Platform,
};

/// All claims of a template by name: pieces of JSON text, and the values between them.
pub(crate) struct ClaimsLayout {
    slots: Vec<Slot>,
    end: String,
    /// How long the claims are, about: a buffer of this size seldom grows.
    bytes: usize,
}

/// A value that differs in each JWT.
/// `name` is for errors of computed claims: the text has it already.
struct Slot {
    name: String,
    /// The text before it, after the value before that.
    text: String,
    value: SlotValue,
}

/// What a claim's value is made of.
#[derive(Clone, Copy)]
enum SlotValue {
    IssuedAt,
    NotBefore(NotBefore),
    ExpiresAt,
    JwtId,
    Computed,
}

impl SlotValue {
    /// About how long it is, in bytes. What is computed is longer or shorter.
    fn bytes(self) -> usize {
        match self {
            // Ten digits, until the year 2286.
            SlotValue::IssuedAt | SlotValue::NotBefore(_) | SlotValue::ExpiresAt => 10,
            // A UUID and quotation marks.
            SlotValue::JwtId | SlotValue::Computed => 38,
        }
    }
}

/// What a JWT's own claims are made of.
pub(super) struct Ingredients<'a, F> {
    pub(super) times: SignTimes,
    /// `None` while a template is checked.
    pub(super) platform: Option<&'a Platform>,
    /// Made only for claims that are computed.
    pub(super) context: &'a LazyCell<SignContext, F>,
}

impl ClaimsLayout {
    /// Claims are sorted by name. One that was found replaces a fixed one of the same name; generated and computed ones
    /// replace all others.
    pub(super) fn new(claims: &Claims, found: &Map<String, Value>) -> Self {
        let given = claims.fixed.iter().chain(found);
        let mut members: BTreeMap<&str, Result<SlotValue, &Value>> =
            given.map(|(name, value)| (name.as_str(), Err(value))).collect();
        for name in claims.generated_names() {
            let value = match (name, claims.not_before) {
                ("exp", _) => SlotValue::ExpiresAt,
                ("jti", _) => SlotValue::JwtId,
                ("nbf", Some(not_before)) => SlotValue::NotBefore(not_before),
                _ => SlotValue::IssuedAt,
            };
            members.insert(name, Ok(value));
        }
        members.extend(claims.computed.names().map(|name| (name, Ok(SlotValue::Computed))));

        let mut slots = Vec::new();
        let mut text = "{".to_owned();
        for (index, (name, value)) in members.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            text.extend([comma, &Value::from(name).to_string(), ":"]);
            match value {
                Err(given) => text.push_str(&given.to_string()),
                Ok(value) => slots.push(Slot { name: name.to_owned(), text: mem::take(&mut text), value }),
            }
        }
        text.push('}');
        let bytes = slots.iter().map(|slot| slot.text.len() + slot.value.bytes()).sum::<usize>() + text.len();
        ClaimsLayout { slots, end: text, bytes }
    }

    /// About how many bytes the claims have in JSON.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the claims of a new JWT in base64url (RFC 7515 section 3.1).
    pub(super) fn append<F: FnOnce() -> SignContext>(
        &self,
        computed: &Computed,
        ingredients: &Ingredients<'_, F>,
        jwt: &mut String,
    ) -> Result<(), Error> {
        let Ingredients { times, platform, context } = ingredients;
        let mut out = Base64Url::new(jwt);
        for Slot { name, text, value } in &self.slots {
            out.push(text.as_bytes());
            let time = match value {
                SlotValue::JwtId => {
                    let mut id = [b'"'; 38];
                    new_uuid(*platform)?.hyphenated().encode_lower(&mut id[1..]);
                    out.push(&id);
                    continue;
                }
                SlotValue::Computed => {
                    append_json(&mut out, &computed.member("claim", name, context)?)?;
                    continue;
                }
                SlotValue::IssuedAt | SlotValue::NotBefore(NotBefore::IssuedAt) => times.issued_at(),
                SlotValue::NotBefore(NotBefore::Backdated(backdate)) => times.before_signature(*backdate),
                SlotValue::ExpiresAt => times.expires_at(),
            };
            append_json(&mut out, &time.as_secs())?;
        }
        out.push(self.end.as_bytes());
        out.finish();
        Ok(())
    }
}

fn append_json(out: &mut Base64Url<'_>, value: &impl Serialize) -> Result<(), Error> {
    serde_json::to_writer(out, value)
        .map_err(|_| Error::new(ErrorKind::Signing, "the claims cannot be written as JSON"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;
    use crate::{
        jwt::{
            Algorithm, SigningKey,
            template::{BACKDATE, computed::Computed, context::CertificateState, looked_up_claims::LookedUpClaims},
        },
        platform::Moment,
    };

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("no object: {value}") };
        map
    }

    fn claims(fixed: Value, generated: bool) -> Claims {
        Claims {
            fixed: map(fixed),
            looked_up: LookedUpClaims::default(),
            computed: Computed::default(),
            backdate: BACKDATE,
            issued_at: generated,
            not_before: None,
            expiration_time: generated,
            jwt_id: generated,
        }
    }

    /// What is written for a rehearsal: its times are those of 1970, and its randomness is zeros.
    fn written(claims: &Claims, found: Value) -> String {
        let key = SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap();
        let lifetime = Duration::from_secs(60);
        let context = LazyCell::new(|| SignContext::rehearsal(BACKDATE, lifetime, key, CertificateState::None));
        let times = SignTimes::new(Moment::START, BACKDATE, lifetime);
        let ingredients = Ingredients { times, platform: None, context: &context };
        let mut jwt = "header.".to_owned();
        ClaimsLayout::new(claims, &map(found)).append(&claims.computed, &ingredients, &mut jwt).unwrap();
        let claims = jwt.strip_prefix("header.").unwrap();
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    }

    #[test]
    fn claims_are_sorted_and_found_ones_replace_fixed_ones() {
        let fixed = json!({ "sub": "s", "aud": ["a", "b"], "iss": "i \"\u{e4}\n" });
        let text = written(&claims(fixed, false), json!({ "iat": 1, "sub": "own", "z": null, "a": { "b": [2.5] } }));
        assert_eq!(
            text, r#"{"a":{"b":[2.5]},"aud":["a","b"],"iat":1,"iss":"i \"ä\n","sub":"own","z":null}"#,
            "byte for byte"
        );
        assert_eq!(written(&claims(json!({}), false), json!({})), "{}");
        assert_eq!(written(&claims(json!({}), false), json!({ "a": 1 })), r#"{"a":1}"#);
        assert_eq!(written(&claims(json!({ "a": 1 }), false), json!({})), r#"{"a":1}"#);
    }

    #[test]
    fn generated_claims_replace_all_others() {
        let mut all = claims(json!({ "aud": "x", "\"odd\"": 1 }), true);
        let id = "00000000-0000-4000-8000-000000000000";
        let expected = format!(r#"{{"\"odd\"":1,"aud":"x","exp":60,"iat":0,"jti":"{id}"}}"#);
        assert_eq!(written(&all, json!({ "iat": 77, "jti": "found" })), expected);
        all.not_before = Some(NotBefore::Backdated(Duration::from_secs(1)));
        all.computed.insert("exp".to_owned(), |cx| Ok(cx.expires_at().as_millis()));
        all.computed.insert("now".to_owned(), |_| Ok(json!({ "list": [1, null] })));
        let expected =
            format!(r#"{{"\"odd\"":1,"aud":"x","exp":60000,"iat":0,"jti":"{id}","nbf":0,"now":{{"list":[1,null]}}}}"#);
        assert_eq!(written(&all, json!({})), expected);
    }
}
