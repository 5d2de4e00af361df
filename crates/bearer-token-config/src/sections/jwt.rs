//! The sections `jwt` and `token_endpoint.client.jwt`: a JWT that is signed here.

use std::{collections::BTreeMap, sync::Arc};

use bearer_token::{
    Advice, Encoding, Error, Problem,
    jwt::{JwtTemplate, JwtTemplateBuilder, SignContext, SigningKey},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    FIELDS,
    computed::{Compute, ComputedField},
    context::Context,
    key::{self, KeyFields},
    parameters,
};
use crate::{
    misfit,
    names::{Name, Names, name},
    values::{OneOrMany, Origin, Seconds, SecretField, Text, ValueField},
};

/// What the section is called, and its key.
pub(super) struct Section {
    pub(super) names: Names,
    pub(super) key_names: Names,
}

const NAMES: &[Name] = &[
    name("audiences", "audience"),
    name("backdate", "backdate_seconds"),
    name("computed_header", "computed_headers"),
    name("header", "headers"),
    name("key_id", "kid"),
    name("lifetime", "expiry_seconds"),
    name("not_before_backdate", "not_before_backdate_seconds"),
];

/// Makes a template with a new key.
pub(super) type MakeTemplate = Box<dyn Fn(&[u8]) -> Result<JwtTemplate, Error> + Send + Sync>;

/// The section `jwt`.
pub(super) const JWT: Section = Section::new("jwt");

impl Section {
    pub(super) const fn new(section: &'static str) -> Self {
        Section { names: Names { section, names: NAMES }, key_names: Names { section, names: key::NAMES } }
    }
}

/// A JWT that is signed here.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JwtFields {
    /// The signature algorithm. It may be left out if the key is a JWK with `alg`.
    #[cfg_attr(test, schemars(with = "Option<key::AlgorithmName>"))]
    algorithm: Option<Text>,
    /// The private key as PEM, JWK or JWK set, or the HMAC secret. One in a file is read again.
    pub(super) key: Option<SecretField>,
    /// The key's id: it selects a key of a JWK set, and is the `kid` in the header. A JWK brings its own.
    kid: Option<ValueField>,
    /// The passphrase that the PEM is encrypted with. It is read once. Needs the feature `encrypted-keys`.
    passphrase: Option<SecretField>,
    /// Accept an HMAC secret that is shorter than RFC 7518 section 3.2 requires.
    allow_short_secret: bool,
    /// The claim `iss`, often the client's id.
    issuer: Option<ValueField>,
    /// The claim `sub`, the account that the token is for.
    subject: Option<ValueField>,
    /// The claim `aud`, byte for byte as the server expects it: a value, or a list of values.
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
    /// Whether there is an `nbf`, equal to `iat`. Default: false.
    not_before: Option<bool>,
    /// How far `nbf` is in the past, independent of `iat`; 0 is the time of the signature.
    not_before_backdate_seconds: Option<Seconds>,
    /// The certificate of the key with its chain, as PEM or DER. A file is read again.
    certificate: Option<ValueField>,
    /// Send the certificate with its chain in the header, as `x5c`.
    certificate_chain: bool,
    /// Claims that are computed for each JWT, such as `iss = "NAME.SHA256:{key.sha256:base64}"`.
    computed: BTreeMap<String, ComputedField>,
    /// Members of the header that are computed for each JWT, such as `"x5t#S256" = "{certificate.sha256:base64url}"`.
    computed_headers: BTreeMap<String, ComputedField>,
    /// Further members of the JOSE header. In a keyed configuration, `{ variable = "NAME" }` in them is replaced by a
    /// value.
    headers: Map<String, Value>,
    /// Further claims. In a keyed configuration, `{ variable = "NAME" }` in them is replaced by a value. Other tables
    /// are used as they are.
    claims: Map<String, Value>,
}

/// What a client assertion has unless its fields say otherwise.
#[derive(Default)]
pub(super) struct Defaults<'a> {
    /// The issuer and the subject.
    pub(super) client_id: Option<&'a str>,
    pub(super) audience: Option<&'a str>,
    /// The `typ` in the header.
    pub(super) typ: Option<&'a str>,
}

impl JwtFields {
    /// The template with the key of this section, if nothing is wrong with either.
    pub(super) fn template(&self, section: &Section, cx: &mut Context<'_>) -> Option<JwtTemplate> {
        let key = self.key(section, cx);
        self.template_with(key, section, &Defaults::default(), cx)
    }

    /// The key of this section, if nothing is wrong with it.
    pub(super) fn key(&self, section: &Section, cx: &mut Context<'_>) -> Option<SigningKey> {
        self.load(self.key.as_ref(), format!("{}.key", section.names.section), section, &section.key_names, None, cx)
    }

    /// The value of this section's key, if it is in a file, and how a template is made of a new one.
    pub(super) fn renewal(
        &self,
        section: &Section,
        defaults: &Defaults<'_>,
        cx: &mut Context<'_>,
    ) -> Option<(bearer_token::Value, MakeTemplate)> {
        let path = format!("{}.key", section.names.section);
        self.renewal_of(self.key.as_ref(), &path, None, section, defaults, cx)
    }

    /// The same for a key that may be in another section.
    pub(super) fn renewal_of(
        &self,
        key: Option<&SecretField>,
        path: &str,
        default_algorithm: Option<&'static str>,
        section: &Section,
        defaults: &Defaults<'_>,
        cx: &mut Context<'_>,
    ) -> Option<(bearer_token::Value, MakeTemplate)> {
        let key = key.filter(|key| matches!(key.origin, Origin::File(_)))?;
        let value = cx.bytes_value(path, key)?;
        let reader = self.key_fields(Some(key), path.to_owned(), section, &section.key_names, default_algorithm);
        let reader = reader.reader(cx)?.encoding(match key.steps.encoding() {
            Encoding::Text => Encoding::Text,
            _ => Encoding::Binary,
        });
        let builder = self.template_builder(key::stand_in(None)?, true, section, defaults, cx);
        let make = move |key: &[u8]| builder.clone().key(reader.read(key)?).build();
        Some((value, Box::new(make)))
    }

    /// The key at a path that may be in another section. The other fields about it are in this section.
    pub(super) fn load(
        &self,
        key: Option<&SecretField>,
        path: String,
        section: &Section,
        names: &Names,
        default_algorithm: Option<&'static str>,
        cx: &mut Context<'_>,
    ) -> Option<SigningKey> {
        // Parsing an RSA key takes as long as signing with it.
        let place = cx.place(&path);
        if let Some(key) = cx.kept.and_then(|kept| kept.key(&place)) {
            return Some(key);
        }
        let uses = cx.used.len();
        let key = self.key_fields(key, path, section, names, default_algorithm).load(cx)?;
        Some(match cx.kept.filter(|_| !cx.has_used_since(uses)) {
            Some(kept) => kept.keep_key(place, key),
            None => key,
        })
    }

    fn key_fields<'f>(
        &'f self,
        key: Option<&'f SecretField>,
        path: String,
        section: &'f Section,
        names: &'f Names,
        default_algorithm: Option<&'static str>,
    ) -> KeyFields<'f> {
        KeyFields {
            names,
            section: section.names.section,
            path,
            key,
            algorithm: self.algorithm.as_deref().or(default_algorithm),
            kid: self.kid.as_ref(),
            passphrase: self.passphrase.as_ref(),
            allow_short_secret: self.allow_short_secret,
        }
    }

    /// The template, if there is a key and nothing is wrong.
    pub(super) fn template_with(
        &self,
        key: Option<SigningKey>,
        section: &Section,
        defaults: &Defaults<'_>,
        cx: &mut Context<'_>,
    ) -> Option<JwtTemplate> {
        let has_key = key.is_some();
        let builder = self.template_builder(key.or_else(|| key::stand_in(None))?, has_key, section, defaults, cx);
        let built = builder.build().map_err(|error| cx.report.add_translated(&section.names, &error)).ok();
        built.filter(|_| has_key)
    }

    /// A builder with everything but what belongs to a key that is not known.
    fn template_builder(
        &self,
        key: SigningKey,
        has_key: bool,
        section: &Section,
        defaults: &Defaults<'_>,
        cx: &mut Context<'_>,
    ) -> JwtTemplateBuilder {
        let path = section.names.section;
        let mut builder = JwtTemplate::builder(key);
        for (name, field, set) in [
            (
                "issuer",
                &self.issuer,
                JwtTemplateBuilder::issuer as fn(JwtTemplateBuilder, bearer_token::Value) -> JwtTemplateBuilder,
            ),
            ("subject", &self.subject, JwtTemplateBuilder::subject),
        ] {
            let text = match field {
                Some(field) => cx.value(&format!("{path}.{name}"), field),
                None => defaults.client_id.map(bearer_token::Value::from),
            };
            builder = text.into_iter().fold(builder, set);
        }
        builder = match &self.audience {
            Some(OneOrMany::One(audience)) => {
                let audience = cx.value(&format!("{path}.audience"), audience);
                audience.into_iter().fold(builder, JwtTemplateBuilder::audience)
            }
            Some(audiences) => {
                let audiences = audiences.with_paths(&format!("{path}.audience"));
                let texts: Vec<_> = audiences.iter().filter_map(|(path, audience)| cx.value(path, audience)).collect();
                // One that is wrong is reported, and does not leave an empty list.
                if texts.len() < audiences.len() { builder } else { builder.audiences(texts) }
            }
            None => defaults.audience.into_iter().fold(builder, JwtTemplateBuilder::audience),
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
        if let Some(backdate) = self.not_before_backdate_seconds {
            if self.not_before.is_some() {
                let other = "not_before";
                let found = format!("found beside `{other}`, which sets the same");
                let problem = Problem::new(format!("{path}.not_before_backdate_seconds"), found);
                cx.report.add(problem.advise(Advice::text("remove one of the two")));
            }
            builder = builder.not_before_backdate(backdate.0);
        }
        let claims = with_variables(&format!("{path}.claims"), &self.claims, cx);
        builder = builder.claims(claims);
        if let Some(kid) = self.kid.as_ref().filter(|kid| kid.is_looked_up()) {
            let kid = cx.value(&format!("{path}.kid"), kid);
            builder = kid.into_iter().fold(builder, JwtTemplateBuilder::key_id);
        }
        if !self.headers.contains_key("typ") {
            builder = builder.headers(defaults.typ.map(|typ| ("typ", typ)));
        }
        let headers = with_variables(&format!("{path}.headers"), &self.headers, cx);
        builder = builder.headers(headers);
        let certificate = self.certificate.as_ref().map(|field| cx.bytes_value(&format!("{path}.certificate"), field));
        // It belongs to the key, so it is checked if both are known.
        let is_unknown = match &certificate {
            Some(certificate) => certificate.is_none() || !has_key || self.has_stand_in(cx),
            None => false,
        };
        if !is_unknown {
            builder = certificate.flatten().into_iter().fold(builder, JwtTemplateBuilder::certificate);
            builder = if self.certificate_chain { builder.certificate_chain() } else { builder };
        }
        let or_stand_in =
            |compute: Compute| if is_unknown { Arc::new(|_: &SignContext| Ok("x".into())) } else { compute };
        for (name, field) in &self.computed {
            if let Some(compute) = field.compute(&format!("{path}.computed.{name}"), cx).map(or_stand_in) {
                builder = builder.computed(name, move |context| compute(context));
            }
        }
        for (name, field) in &self.computed_headers {
            if let Some(compute) = field.compute(&format!("{path}.computed_headers.{name}"), cx).map(or_stand_in) {
                builder = builder.computed_header(name, move |context| compute(context));
            }
        }
        builder
    }

    /// Whether only a stand-in is known of the key or its certificate.
    fn has_stand_in(&self, cx: &Context<'_>) -> bool {
        let secrets = [&self.key, &self.passphrase].map(|field| field.as_deref());
        let fields = secrets.into_iter().chain([self.kid.as_ref(), self.certificate.as_ref()]);
        fields.flatten().any(|field| cx.is_stand_in(field))
    }
}

/// A template to check a token endpoint with, if its own cannot be used.
pub(super) fn stand_in() -> Option<JwtTemplate> {
    // With all required claims, because there is an event about missing ones.
    JwtTemplate::builder(key::stand_in(None)?).issuer("x").subject("x").audience("x").build().ok()
}

/// The members, with the values of variables in them. One that is wrong is reported and left out.
fn with_variables(path: &str, members: &Map<String, Value>, cx: &mut Context<'_>) -> Map<String, Value> {
    let members = members.iter().filter_map(|(name, value)| {
        let value = with_variable(&format!("{path}.{name}"), value, cx)?;
        Some((name.clone(), value))
    });
    members.collect()
}

fn with_variable(path: &str, value: &Value, cx: &mut Context<'_>) -> Option<Value> {
    match value {
        // As a literal, it would give all keys the same JWT.
        Value::Object(table) if parameters::is_variable(table) => {
            let field =
                misfit::read::<ValueField>(FIELDS, path, value).map_err(|problem| cx.report.add(problem)).ok()?;
            Some(Value::String(cx.text(path, &field)?.as_str().to_owned()))
        }
        Value::Object(table) => Some(Value::Object(with_variables(path, table, cx))),
        Value::Array(list) => {
            let list = list.iter().enumerate();
            Some(list.filter_map(|(index, value)| with_variable(&format!("{path}[{index}]"), value, cx)).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
    }
}
