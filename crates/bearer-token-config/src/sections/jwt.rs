//! The section `jwt`: a JWT that is signed here.

use bearer_token::jwt::{Algorithm, JwtTemplate, JwtTemplateBuilder, SigningKey};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Context,
    key::{self, KeyFields},
};
use crate::{
    names::{Names, name},
    values::{OneOrMany, Seconds, SecretField, Text},
};

const NAMES: Names = Names {
    section: "jwt",
    names: &[
        name("audiences", "audience"),
        name("backdate", "backdate_seconds"),
        name("header", "headers"),
        name("key_id", "kid"),
        name("lifetime", "expiry_seconds"),
    ],
};

const KEY_NAMES: Names = Names { section: "jwt", names: key::NAMES };

/// A JWT that is signed here.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct JwtFields {
    /// The signature algorithm. It may be left out if the key is a JWK with `alg`.
    #[cfg_attr(test, schemars(with = "Option<key::AlgorithmName>"))]
    algorithm: Option<Text>,
    /// The private key as PEM, JWK or JWK set, or the HMAC secret. One in a file is read again.
    key: Option<SecretField>,
    /// The key's id: it selects a key of a JWK set, and is the `kid` in the header. A JWK brings its own.
    kid: Option<Text>,
    /// The passphrase that the PEM is encrypted with. Needs the feature `encrypted-keys`.
    passphrase: Option<SecretField>,
    /// Accept an HMAC secret that is shorter than RFC 7518 section 3.2 requires.
    allow_short_secret: bool,
    /// The claim `iss`, often the client's id.
    issuer: Option<Text>,
    /// The claim `sub`, the account that the token is for.
    subject: Option<Text>,
    /// The claim `aud`, byte for byte as the server expects it: a string, or a list of strings.
    audience: Option<OneOrMany>,
    /// The time from `iat` to `exp`. Default: 60 for an assertion, 3600 for a self-signed JWT.
    expiry_seconds: Option<Seconds>,
    /// How far `iat` is in the past, for servers whose clock is late. Default: 10.
    backdate_seconds: Option<Seconds>,
    /// Whether there is an `iat`. Default: true.
    issued_at: Option<bool>,
    /// Whether there is an `exp`. Default: true.
    expiration_time: Option<bool>,
    /// Whether there is a `jti`, a new one for each JWT. Default: true.
    jwt_id: Option<bool>,
    /// Whether there is an `nbf`. Default: false.
    not_before: Option<bool>,
    /// Further members of the JOSE header.
    headers: Map<String, Value>,
    /// Further claims.
    claims: Map<String, Value>,
}

impl JwtFields {
    /// The template, if nothing is wrong with it.
    pub(super) fn template(&self, cx: &mut Context<'_>) -> Option<JwtTemplate> {
        let key = KeyFields {
            names: &KEY_NAMES,
            name: "key",
            key: self.key.as_ref(),
            algorithm: self.algorithm.as_deref(),
            kid: self.kid.as_ref(),
            passphrase: self.passphrase.as_ref(),
            allow_short_secret: self.allow_short_secret,
        };
        let key = key.load(cx);
        let has_key = key.is_some();
        let mut builder = JwtTemplate::builder(key.or_else(stand_in_key)?);
        if let Some(issuer) = &self.issuer {
            builder = builder.issuer(issuer.as_str());
        }
        if let Some(subject) = &self.subject {
            builder = builder.subject(subject.as_str());
        }
        builder = match &self.audience {
            Some(OneOrMany::One(audience)) => builder.audience(audience.as_str()),
            Some(OneOrMany::Many(audiences)) => builder.audiences(audiences.iter().map(Text::as_str)),
            None => builder,
        };
        if let Some(lifetime) = self.expiry_seconds {
            builder = builder.lifetime(lifetime.0);
        }
        if let Some(backdate) = self.backdate_seconds {
            builder = builder.backdate(backdate.0);
        }
        for (on, set) in [
            (self.issued_at, JwtTemplateBuilder::issued_at as fn(JwtTemplateBuilder, bool) -> JwtTemplateBuilder),
            (self.expiration_time, JwtTemplateBuilder::expiration_time),
            (self.jwt_id, JwtTemplateBuilder::jwt_id),
            (self.not_before, JwtTemplateBuilder::not_before),
        ] {
            builder = on.into_iter().fold(builder, set);
        }
        builder = with_members(builder, &self.claims, JwtTemplateBuilder::claim);
        builder = with_members(builder, &self.headers, JwtTemplateBuilder::header);
        build(builder, &NAMES, cx).filter(|_| has_key)
    }
}

/// Builds a template, and reports its problems in the names of a section.
pub(super) fn build(builder: JwtTemplateBuilder, names: &Names, cx: &mut Context<'_>) -> Option<JwtTemplate> {
    builder.build().map_err(|error| cx.report.add_translated(names, &error)).ok()
}

/// A key to check the rest of a template with, if its own cannot be used.
pub(super) fn stand_in_key() -> Option<SigningKey> {
    SigningKey::hmac(Algorithm::HS256, [0; 32]).ok()
}

/// A template to check a token endpoint with, if its own cannot be used.
pub(super) fn stand_in() -> Option<JwtTemplate> {
    // With all required claims, because there is an event about missing ones.
    JwtTemplate::builder(stand_in_key()?).issuer("x").subject("x").audience("x").build().ok()
}

pub(super) fn with_members(
    builder: JwtTemplateBuilder,
    members: &Map<String, Value>,
    set: impl Fn(JwtTemplateBuilder, String, Value) -> JwtTemplateBuilder,
) -> JwtTemplateBuilder {
    members.iter().fold(builder, |builder, (name, value)| set(builder, name.clone(), value.clone()))
}
