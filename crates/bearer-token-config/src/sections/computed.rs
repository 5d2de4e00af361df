//! Members of a JWT that are computed for each one.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bearer_token::{
    Error,
    jwt::{Fingerprint, SignContext},
};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::Value;

use super::context::Context;
use crate::placeholders::{Computed, Form, Piece, Unit};

/// A string with placeholders, or a list of them.
pub(super) enum ComputedField {
    One(String),
    Many(Vec<String>),
}

/// Computes the value of a member for one JWT.
pub(super) type Compute = Arc<dyn Fn(&SignContext) -> Result<Value, Error> + Send + Sync>;

impl ComputedField {
    /// The function, if nothing is wrong with the placeholders.
    pub(super) fn compute(&self, path: &str, cx: &mut Context<'_>) -> Option<Compute> {
        match self {
            ComputedField::One(text) => one(text, path, cx),
            ComputedField::Many(texts) => {
                let functions: Vec<_> =
                    texts.iter().enumerate().map(|(index, text)| one(text, &format!("{path}[{index}]"), cx)).collect();
                let functions = functions.into_iter().collect::<Option<Vec<_>>>()?;
                Some(Arc::new(move |context| functions.iter().map(|function| function(context)).collect()))
            }
        }
    }
}

fn one(text: &str, path: &str, cx: &mut Context<'_>) -> Option<Compute> {
    let computed = Computed::parse(text).map_err(|problem| cx.report.add(problem.at(path))).ok()?;
    let mut facts = BTreeMap::new();
    for piece in computed.pieces() {
        if let Piece::Request(name) = piece {
            let fact = cx.variable(path, name).map_err(|problem| cx.report.add(problem.at(path))).ok()?;
            facts.insert(*name, fact);
        }
    }
    Some(Arc::new(move |context| {
        match computed.pieces() {
            [Piece::Now(unit)] => return Ok(number(context.issued_at(), *unit).into()),
            [Piece::Expiry(unit)] => return Ok(number(context.expires_at(), *unit).into()),
            _ => {}
        }
        let mut text = String::new();
        for piece in computed.pieces() {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Now(unit) => text.push_str(&number(context.issued_at(), *unit).to_string()),
                Piece::Expiry(unit) => text.push_str(&number(context.expires_at(), *unit).to_string()),
                Piece::Uuid => text.push_str(&context.uuid()?),
                Piece::Random => {
                    let bytes: [u8; 16] = context.random()?;
                    bytes.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
                }
                Piece::KeySha256(form) => text.push_str(&written(&context.public_key_sha256()?, *form)),
                Piece::CertificateSha1(form) => text.push_str(&written(&context.certificate_sha1()?, *form)),
                Piece::CertificateSha256(form) => text.push_str(&written(&context.certificate_sha256()?, *form)),
                Piece::Request(name) => text.push_str(facts.get(name).map_or("", |fact| fact.as_str())),
            }
        }
        Ok(text.into())
    }))
}

fn number(time: std::time::Duration, unit: Unit) -> u64 {
    match unit {
        Unit::Seconds => time.as_secs(),
        Unit::Milliseconds => u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
    }
}

fn written(fingerprint: &Fingerprint, form: Form) -> String {
    match form {
        Form::Base64 => fingerprint.base64(),
        Form::Base64url => fingerprint.base64url(),
        Form::Hex => fingerprint.hex(),
    }
}

impl<'de> Deserialize<'de> for ComputedField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrList;

        impl<'de> Visitor<'de> for StringOrList {
            type Value = ComputedField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string with placeholders, or a list of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<ComputedField, E> {
                Ok(ComputedField::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ComputedField, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(ComputedField::Many)
            }
        }

        deserializer.deserialize_any(StringOrList)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for ComputedField {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Computed".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A string with placeholders such as `{uuid}`, or a list of them.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}
