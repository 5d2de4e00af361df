//! The section `token_endpoint.client`: the client, and how it authenticates.

use std::fmt;

use bearer_token::{
    Advice, Encoding, Problem, Setting,
    jwt::{Algorithm, SigningKey},
    oauth::{ClientAuth, ClientSecret},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use super::{
    context::Context,
    jwt::{Defaults, JwtFields, Section},
    key,
    renewal::{Kind, Renewal},
};
use crate::{
    names::Names,
    values::{Origin, SecretField, Text, ValueField, table},
};

const PATH: &str = "token_endpoint.client";

/// The client's assertion.
const JWT: Section = Section::new("token_endpoint.client.jwt");

const SECRET_NAMES: Names = Names { section: PATH, names: key::SECRET_NAMES };

/// The client, as it is registered at the authorization server (RFC 6749 section 2.3).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClientFields {
    /// How the client authenticates. Default: the method that the other fields imply.
    method: Option<Method>,
    /// The client's id. It is read once.
    id: Option<ValueField>,
    /// The client's secret. One in a file or of a source is read again.
    secret: Option<SecretField>,
    /// An assertion that is made elsewhere, as for workload identities: from a file that another program keeps fresh,
    /// or from a source. It is read again for each request.
    assertion: Option<ValueField>,
    /// What the assertion is. Default: a JWT (RFC 7523 section 2.2); for a JWT-SVID,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`.
    assertion_type: Option<Text>,
    /// The assertion that is signed here. Its `issuer` and `subject` default to the client's id. Its `audience`
    /// defaults to the server's `issuer`, with the `typ` of draft-ietf-oauth-rfc7523bis; without an `issuer`, to the
    /// token endpoint's URL without its query.
    #[serde(deserialize_with = "table::optional")]
    jwt: Option<JwtFields>,
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    None,
    Public,
    Basic,
    BasicRaw,
    Post,
    ClientSecretJwt,
    PrivateKeyJwt,
    Assertion,
}

/// The words for a method: ours, and those of the registry of OAuth Token Endpoint Authentication Methods (RFC 7591).
const METHODS: [(&str, Method, &str); 10] = [
    ("none", Method::None, "No authentication: the `client_id` alone, if there is an `id`."),
    ("public", Method::Public, "No authentication: the `client_id` alone."),
    ("basic", Method::Basic, "HTTP Basic, encoded as RFC 6749 section 2.3.1 says."),
    ("client_secret_basic", Method::Basic, "The same as `basic`."),
    ("basic_raw", Method::BasicRaw, "HTTP Basic with id and secret as they are."),
    ("post", Method::Post, "Id and secret in the body."),
    ("client_secret_post", Method::Post, "The same as `post`."),
    ("client_secret_jwt", Method::ClientSecretJwt, "An assertion that is signed with the secret."),
    (
        "private_key_jwt",
        Method::PrivateKeyJwt,
        "An assertion that is signed with a private key (RFC 7523 section 2.2).",
    ),
    ("assertion", Method::Assertion, "An assertion that is made elsewhere, such as in a file."),
];

impl ClientFields {
    /// The client authentication, if nothing is wrong with it.
    pub(super) fn auth(&self, url: Option<&str>, issuer: Option<&str>, cx: &mut Context<'_>) -> Option<ClientAuth> {
        let method = self.method();
        self.report_unused(method, cx);
        if method == Method::None {
            return Some(ClientAuth::none());
        }
        let id = cx.required(&format!("{PATH}.id"), self.id.as_ref(), "the client's id");
        let id = id.and_then(|id| cx.text(&format!("{PATH}.id"), id));
        let id = id.as_ref().map(|id| id.as_str());
        let auth = match method {
            Method::None => ClientAuth::none(),
            Method::Public => ClientAuth::public(id?),
            Method::Basic | Method::BasicRaw | Method::Post => {
                let secret = self.secret(cx);
                let (id, secret) = (id?, secret?);
                match method {
                    Method::Basic => ClientAuth::basic(id, secret),
                    Method::BasicRaw => ClientAuth::basic_raw(id, secret),
                    _ => ClientAuth::post(id, secret),
                }
            }
            Method::Assertion => self.assertion(id, cx)?,
            Method::ClientSecretJwt | Method::PrivateKeyJwt => self.signed(method, id, url, issuer, cx)?,
        };
        let sends_assertion = matches!(method, Method::Assertion | Method::ClientSecretJwt | Method::PrivateKeyJwt);
        let assertion_type = self.assertion_type.iter().filter(|_| sends_assertion);
        Some(assertion_type.fold(auth, |auth, assertion_type| auth.assertion_type(assertion_type.as_str())))
    }

    fn method(&self) -> Method {
        match self.method {
            // The registered word stands for a client with an id as well.
            Some(Method::None) if self.id.is_some() => Method::Public,
            Some(method) => method,
            None if self.jwt.as_ref().is_some_and(|jwt| jwt.key.is_some()) => Method::PrivateKeyJwt,
            None if self.jwt.is_some() && self.secret.is_some() => Method::ClientSecretJwt,
            None if self.jwt.is_some() => Method::PrivateKeyJwt,
            None if self.assertion.is_some() => Method::Assertion,
            None if self.secret.is_some() => Method::Basic,
            None if self.id.is_some() => Method::Public,
            None => Method::None,
        }
    }

    /// The secret or the key, if it is in a file: how the endpoint gets a new one. To be called if nothing is wrong.
    pub(super) fn renewal(&self, url: Option<&str>, issuer: Option<&str>, cx: &mut Context<'_>) -> Option<Renewal> {
        let method = self.method();
        let id = cx.text(&format!("{PATH}.id"), self.id.as_ref()?)?;
        match method {
            Method::Basic | Method::BasicRaw | Method::Post => {
                let secret = self.secret.as_ref().filter(|secret| matches!(secret.origin, Origin::File(_)))?;
                let value = cx.secret_value(&format!("{PATH}.secret"), secret)?;
                Some(Renewal::new(value, Kind::Secret, move |builder, secret| {
                    let secret = ClientSecret::verbatim(String::from_utf8_lossy(secret));
                    Ok(builder.client_auth(match method {
                        Method::Basic => ClientAuth::basic(id.as_str(), secret),
                        Method::BasicRaw => ClientAuth::basic_raw(id.as_str(), secret),
                        _ => ClientAuth::post(id.as_str(), secret),
                    }))
                }))
            }
            Method::ClientSecretJwt | Method::PrivateKeyJwt => {
                let none = JwtFields::default();
                let fields = self.jwt.as_ref().unwrap_or(&none);
                let defaults = assertion_defaults(Some(id.as_str()), url, issuer);
                let (value, template) = if method == Method::ClientSecretJwt {
                    let (path, hs256) = (format!("{PATH}.secret"), Some(Algorithm::HS256.name()));
                    fields.renewal_of(self.secret.as_ref(), &path, hs256, &JWT, &defaults, cx)?
                } else {
                    fields.renewal(&JWT, &defaults, cx)?
                };
                let assertion_type = self.assertion_type.as_ref().map(|words| words.as_str().to_owned());
                Some(Renewal::new(value, Kind::Key, move |builder, key| {
                    let auth = ClientAuth::assertion(id.as_str(), template(key)?);
                    Ok(builder.client_auth(assertion_type.iter().fold(auth, ClientAuth::assertion_type)))
                }))
            }
            Method::None | Method::Public | Method::Assertion => None,
        }
    }

    fn secret(&self, cx: &mut Context<'_>) -> Option<ClientSecret> {
        let path = format!("{PATH}.secret");
        let secret = cx.required(&path, self.secret.as_ref(), "the client's secret")?;
        let is_part = matches!(secret.origin, Origin::File(_)) && !secret.steps.is_encoding_only();
        if is_part || matches!(secret.origin, Origin::Source(_)) {
            return cx.secret_value(&path, secret).map(ClientSecret::from);
        }
        // Read here too, so that a problem is reported under its own path.
        let text = cx.secret(&path, secret)?;
        let encoding = secret.steps.encoding();
        Some(match cx.whole_file(secret) {
            Some(file) if encoding == Encoding::Text => ClientSecret::from_file(file),
            Some(file) => ClientSecret::from_encoded_file(file, move |bytes| encoding.decode(bytes)),
            None => ClientSecret::verbatim(text.as_str()),
        })
    }

    fn assertion(&self, id: Option<&str>, cx: &mut Context<'_>) -> Option<ClientAuth> {
        let path = format!("{PATH}.assertion");
        let assertion = cx.required(&path, self.assertion.as_ref(), "where the assertion is: a file or a source")?;
        if matches!(assertion.origin, Origin::Plain(_) | Origin::Value(_)) {
            let problem = Problem::new(path, "found the assertion itself, which expires");
            let problem = problem.expecting("where a new one is found in time, such as `{ file = \"..\" }`");
            cx.report.add(problem);
            return None;
        }
        let value = cx.value(&path, assertion);
        let (id, value) = (id?, value?);
        Some(ClientAuth::assertion_value(id, value))
    }

    fn signed(
        &self,
        method: Method,
        id: Option<&str>,
        url: Option<&str>,
        issuer: Option<&str>,
        cx: &mut Context<'_>,
    ) -> Option<ClientAuth> {
        let with_secret = method == Method::ClientSecretJwt;
        let defaults = JwtFields::default();
        let fields = self.jwt.as_ref().unwrap_or(&defaults);
        let key = if with_secret {
            let path = format!("{PATH}.secret");
            // RFC 7518 section 3.1 requires HS256 of all implementations. No algorithm for keys is required like that.
            let hs256 = Algorithm::HS256.name();
            fields.load(self.secret.as_ref(), path, &JWT, &SECRET_NAMES, Some(hs256), cx)
        } else {
            fields.key(&JWT, cx)
        };
        if let Some(found) = key.as_ref().map(SigningKey::algorithm).filter(|found| found.is_hmac() != with_secret) {
            let expected = if with_secret { "HS256, HS384 or HS512" } else { "an algorithm with a private key" };
            let problem = Problem::new(format!("{PATH}.jwt.algorithm"), format!("found {found}")).expecting(expected);
            let method = Setting::Field(format!("{PATH}.method").into());
            cx.report.add(problem.advise(Advice::text("change the algorithm")).advise(Advice::Set(method)));
        }
        let defaults = assertion_defaults(id, url, issuer);
        let template = fields.template_with(key, &JWT, &defaults, cx);
        Some(ClientAuth::assertion(id?, template?))
    }

    /// Reports fields that the method does not use. A secret that is never sent was meant for another method.
    fn report_unused(&self, method: Method, cx: &mut Context<'_>) {
        use Method::{Assertion, Basic, BasicRaw, ClientSecretJwt, None, Post, PrivateKeyJwt};

        let has_secret = matches!(method, Basic | BasicRaw | Post | ClientSecretJwt);
        let uses_assertion = matches!(method, Assertion | ClientSecretJwt | PrivateKeyJwt);
        let has_key = self.jwt.as_ref().is_some_and(|jwt| jwt.key.is_some());
        for (name, is_present, is_used) in [
            ("id", self.id.is_some(), method != None),
            ("secret", self.secret.is_some(), has_secret),
            ("assertion", self.assertion.is_some(), method == Assertion),
            ("assertion_type", self.assertion_type.is_some(), uses_assertion),
            ("jwt", self.jwt.is_some(), matches!(method, ClientSecretJwt | PrivateKeyJwt)),
            ("jwt.key", has_key && method == ClientSecretJwt, false),
        ] {
            if is_present && !is_used {
                let problem = Problem::new(format!("{PATH}.{name}"), "found a field that this method does not use");
                let field = Setting::Field(format!("{PATH}.method").into());
                cx.report.add(problem.advise(Advice::text("remove it")).advise(Advice::Set(field)));
            }
        }
    }
}

/// What an assertion of the client has unless its fields say otherwise.
fn assertion_defaults<'a>(id: Option<&'a str>, url: Option<&'a str>, issuer: Option<&'a str>) -> Defaults<'a> {
    let without_query = url.and_then(|url| url.split('?').next()).filter(|url| !url.is_empty());
    let typ = issuer.map(|_| "client-authentication+jwt");
    Defaults { client_id: id, audience: issuer.or(without_query), typ }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WORDS: [&str; METHODS.len()] = {
            let mut words = [""; METHODS.len()];
            let mut index = 0;
            while index < words.len() {
                words[index] = METHODS[index].0;
                index += 1;
            }
            words
        };

        struct Word;

        impl Visitor<'_> for Word {
            type Value = Method;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Method, E> {
                let found = METHODS.iter().find(|(known, ..)| *known == word);
                found.map(|(_, method, _)| *method).ok_or_else(|| E::unknown_variant(word, &WORDS))
            }
        }

        deserializer.deserialize_str(Word)
    }
}

#[cfg(test)]
impl JsonSchema for Method {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClientMethod".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<_> = METHODS
            .iter()
            .map(|(word, _, meaning)| serde_json::json!({ "const": word, "type": "string", "description": meaning }))
            .collect();
        schemars::json_schema!({ "description": "How a client authenticates.", "oneOf": words })
    }
}
