//! The order and the text of the claims. What is the same in each JWT is serialized once, when the template is built.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    base64url::Base64Url,
    claims::{Claims, NotBefore},
    context::SignContext,
};
use crate::error::{Error, ErrorKind};

/// The fixed, generated and computed claims of a template, by name.
pub(crate) struct ClaimsLayout {
    members: Vec<Member>,
    /// How long the claims are, about: a buffer of this size seldom grows.
    bytes: usize,
}

struct Member {
    name: String,
    /// A comma, the name and a colon. Then the value, if it is fixed, or what every value begins with.
    text: String,
    value: MemberValue,
}

/// What a claim's value is made of.
#[derive(Clone, Copy)]
enum MemberValue {
    /// It is part of the text.
    Fixed,
    IssuedAt,
    NotBefore(NotBefore),
    ExpiresAt,
    JwtId,
    Computed,
}

/// The longest generated value: a UUID and a quotation mark.
const LONGEST_GENERATED: usize = 37;

impl ClaimsLayout {
    pub(super) fn new(claims: &Claims) -> Self {
        let mut values: BTreeMap<&str, (MemberValue, Option<&Value>)> =
            claims.fixed.iter().map(|(name, value)| (name.as_str(), (MemberValue::Fixed, Some(value)))).collect();
        for name in claims.generated_names() {
            let value = match (name, claims.not_before) {
                ("exp", _) => MemberValue::ExpiresAt,
                ("jti", _) => MemberValue::JwtId,
                ("nbf", Some(not_before)) => MemberValue::NotBefore(not_before),
                _ => MemberValue::IssuedAt,
            };
            values.insert(name, (value, None));
        }
        values.extend(claims.computed.names().map(|name| (name, (MemberValue::Computed, None))));
        let members: Vec<_> = values
            .into_iter()
            .map(|(name, (value, fixed))| {
                let fixed = fixed.map(Value::to_string).unwrap_or_default();
                let quote = if matches!(value, MemberValue::JwtId) { "\"" } else { "" };
                Member { name: name.to_owned(), text: format!(",{}:{fixed}{quote}", Value::from(name)), value }
            })
            .collect();
        let bytes = members.iter().map(|member| member.text.len() + LONGEST_GENERATED).sum::<usize>() + 2;
        ClaimsLayout { members, bytes }
    }

    /// About how many bytes the claims have in JSON, without those that were found.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the claims of a new JWT in base64url (RFC 7515 section 3.1), with those that were found for it. Claims are
    /// sorted by name. One that was found replaces a fixed one of the same name.
    pub(super) fn append(
        &self,
        claims: &Claims,
        cx: &SignContext,
        found: Map<String, Value>,
        jwt: &mut String,
    ) -> Result<(), Error> {
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut found = found.into_iter().peekable();
        let mut out = ClaimsWriter { out: Base64Url::new(jwt), is_first: true };
        for Member { name, text, value } in &self.members {
            while let Some((name, value)) = found.next_if(|(other, _)| other < name) {
                out.found(&name, &value)?;
            }
            let replacing = found.next_if(|(other, _)| other == name);
            match (value, replacing) {
                (MemberValue::Fixed, Some((name, value))) => out.found(&name, &value)?,
                (MemberValue::Fixed, None) => out.member(text),
                (value, _) => {
                    out.member(text);
                    out.own(*value, name, claims, cx)?;
                }
            }
        }
        for (name, value) in found {
            out.found(&name, &value)?;
        }
        out.end();
        Ok(())
    }
}

/// Writes an object.
struct ClaimsWriter<'a> {
    out: Base64Url<'a>,
    is_first: bool,
}

impl ClaimsWriter<'_> {
    /// A member's text, which begins with a comma.
    fn member(&mut self, text: &str) {
        if std::mem::take(&mut self.is_first) {
            self.out.push(b"{");
            self.out.push(&text.as_bytes()[1..]);
        } else {
            self.out.push(text.as_bytes());
        }
    }

    /// The value of a claim that differs in each JWT.
    fn own(&mut self, value: MemberValue, name: &str, claims: &Claims, cx: &SignContext) -> Result<(), Error> {
        let time = match value {
            MemberValue::Fixed => return Ok(()),
            MemberValue::JwtId => {
                let mut text = uuid::Uuid::encode_buffer();
                self.out.push(cx.new_uuid()?.hyphenated().encode_lower(&mut text).as_bytes());
                self.out.push(b"\"");
                return Ok(());
            }
            MemberValue::Computed => return self.json(&claims.computed.member("claim", name, cx)?),
            MemberValue::IssuedAt | MemberValue::NotBefore(NotBefore::IssuedAt) => cx.issued_at(),
            MemberValue::NotBefore(NotBefore::Backdated(backdate)) => cx.before_signature(backdate),
            MemberValue::ExpiresAt => cx.expires_at(),
        };
        self.json(&time.as_secs())
    }

    fn found(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        self.member(",");
        self.json(name)?;
        self.out.push(b":");
        self.json(value)
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        serde_json::to_writer(&mut self.out, value)
            .map_err(|_| Error::new(ErrorKind::Signing, "the claims cannot be written as JSON"))
    }

    fn end(mut self) {
        self.out.push(if self.is_first { b"{}" } else { b"}" });
        self.out.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;
    use crate::jwt::{
        Algorithm, SigningKey,
        template::{BACKDATE, computed::Computed, context::CertificateState, looked_up_claims::LookedUpClaims},
    };

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
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
        let cx = SignContext::rehearsal(BACKDATE, Duration::from_secs(60), key, CertificateState::None);
        let mut jwt = "header.".to_owned();
        ClaimsLayout::new(claims).append(claims, &cx, map(found), &mut jwt).unwrap();
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
