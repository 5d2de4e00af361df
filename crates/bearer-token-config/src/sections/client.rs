//! The section `token_endpoint.client`: the client, and how it authenticates.

use std::{fmt, path::PathBuf};

use bearer_token::{
    Advice, FileToken, Problem, Setting,
    jwt::{Encoding, JwtTemplate, JwtTemplateBuilder, SigningKey},
    oauth::{ClientAuth, ClientSecret},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::{Map, Value};

use super::{
    Context,
    jwt::{self, stand_in_key, with_members},
    key::{self, KeyFields},
};
use crate::{
    names::{Names, name, nothing},
    values::{Seconds, SecretField, Text, can_be_read},
};

const PATH: &str = "token_endpoint.client";

/// The client's assertion. Its id is both issuer and subject.
const JWT_NAMES: Names = Names {
    section: PATH,
    names: &[
        name("audiences", "audience"),
        nothing("backdate"),
        name("header", "headers"),
        name("issuer", "id"),
        name("key_id", "kid"),
        name("lifetime", "expiry_seconds"),
        name("subject", "id"),
    ],
};

const KEY_NAMES: Names = Names { section: PATH, names: key::NAMES };
const SECRET_NAMES: Names = Names { section: PATH, names: key::SECRET_NAMES };

/// The client, as it is registered at the authorization server (RFC 6749 section 2.3).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClientFields {
    /// How the client authenticates. Default: what the other fields are for.
    method: Option<Method>,
    /// The client's id.
    id: Option<Text>,
    /// The client's secret. One in a file is read again.
    secret: Option<SecretField>,
    /// The file with an assertion that another program keeps fresh, as for workload identities. It is read again for
    /// each request.
    assertion_file: Option<PathBuf>,
    /// The private key that signs assertions, as PEM, JWK or JWK set. One in a file is read again.
    key: Option<SecretField>,
    /// The key's id: it selects a key of a JWK set, and is the `kid` in the header. A JWK brings its own.
    kid: Option<Text>,
    /// The passphrase that the PEM is encrypted with. Needs the feature `encrypted-keys`.
    passphrase: Option<SecretField>,
    /// The algorithm that signs assertions. It may be left out if the key is a JWK with `alg`; HS256 with a secret.
    #[cfg_attr(test, schemars(with = "Option<key::AlgorithmName>"))]
    algorithm: Option<Text>,
    /// Accept a secret that is shorter than RFC 7518 section 3.2 requires, where it signs.
    allow_short_secret: bool,
    /// The `aud` of assertions. Default: the token endpoint's URL without its query.
    audience: Option<Text>,
    /// The time from `iat` to `exp` of an assertion. Default: 60.
    expiry_seconds: Option<Seconds>,
    /// Further members of the JOSE header of assertions.
    headers: Map<String, Value>,
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
    ("assertion", Method::Assertion, "An assertion from a file, which another program signs."),
];

impl ClientFields {
    /// The client authentication, if nothing is wrong with it.
    pub(super) fn auth(&self, url: &str, cx: &mut Context<'_>) -> Option<ClientAuth> {
        let method = self.method();
        self.report_unused(method, cx);
        if method == Method::None {
            return Some(ClientAuth::none());
        }
        let id = cx.required(&format!("{PATH}.id"), self.id.as_ref(), "the client's id").map(Text::as_str);
        Some(match method {
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
            Method::Assertion => {
                let path = format!("{PATH}.assertion_file");
                let file = cx.required(&path, self.assertion_file.as_ref(), "the file with the assertion")?;
                let file = cx.directory.join(file);
                // Opened here too, so that a wrong path is reported now.
                if let Err(found) = can_be_read(&file) {
                    cx.report.push(path, found);
                }
                ClientAuth::assertion_from(id?, FileToken::new(file))
            }
            Method::ClientSecretJwt | Method::PrivateKeyJwt => self.signed(method, id, url, cx)?,
        })
    }

    fn method(&self) -> Method {
        match self.method {
            // The registered word stands for a client with an id as well.
            Some(Method::None) if self.id.is_some() => Method::Public,
            Some(method) => method,
            None if self.key.is_some() => Method::PrivateKeyJwt,
            None if self.assertion_file.is_some() => Method::Assertion,
            None if self.secret.is_some() => Method::Basic,
            None if self.id.is_some() => Method::Public,
            None => Method::None,
        }
    }

    fn secret(&self, cx: &mut Context<'_>) -> Option<ClientSecret> {
        let path = format!("{PATH}.secret");
        let secret = cx.required(&path, self.secret.as_ref(), "the client's secret")?;
        // Read here too, so that a problem is reported under its own path.
        let text = cx.text(&path, secret)?;
        let encoding = secret.encoding();
        Some(match secret.file(cx.directory).filter(|file| can_be_read(file).is_ok()) {
            Some(file) if encoding == Encoding::Text => ClientSecret::from_file(file),
            Some(file) => ClientSecret::from_encoded_file(file, move |bytes| encoding.decode(bytes)),
            None => ClientSecret::verbatim(text.as_str()),
        })
    }

    fn signed(&self, method: Method, id: Option<&str>, url: &str, cx: &mut Context<'_>) -> Option<ClientAuth> {
        let with_secret = method == Method::ClientSecretJwt;
        let (name, key) = if with_secret { ("secret", &self.secret) } else { ("key", &self.key) };
        // RFC 7518 section 3.1 requires HS256 of all implementations. No algorithm for keys is required like that.
        let algorithm = self.algorithm.as_deref().or(with_secret.then_some("HS256"));
        let key = KeyFields {
            names: if with_secret { &SECRET_NAMES } else { &KEY_NAMES },
            name,
            key: key.as_ref(),
            algorithm,
            kid: self.kid.as_ref(),
            passphrase: self.passphrase.as_ref(),
            allow_short_secret: self.allow_short_secret,
        };
        let key = key.load(cx);
        if let Some(found) = key.as_ref().map(SigningKey::algorithm).filter(|found| found.is_hmac() != with_secret) {
            let expected = if with_secret { "HS256, HS384 or HS512" } else { "an algorithm with a private key" };
            let problem = Problem::new(format!("{PATH}.algorithm"), format!("found {found}")).expecting(expected);
            let method = Setting::Field(format!("{PATH}.method").into());
            cx.report.add(problem.advise(Advice::text("change the algorithm")).advise(Advice::Set(method)));
        }
        let has_key = key.is_some();
        let builder = JwtTemplate::builder(key.or_else(stand_in_key)?);
        let id = id?;
        let without_query = url.split('?').next().unwrap_or_default();
        let audience = self.audience.as_deref().unwrap_or(without_query);
        let builder = builder.issuer(id).subject(id).audience(audience);
        let builder = self.expiry_seconds.into_iter().fold(builder, |builder, time| builder.lifetime(time.0));
        let builder = with_members(builder, &self.headers, JwtTemplateBuilder::header);
        let template = jwt::build(builder, &JWT_NAMES, cx).filter(|_| has_key)?;
        Some(ClientAuth::assertion(id, template))
    }

    /// Reports fields that the method does not use. A secret that is never sent was meant for another method.
    fn report_unused(&self, method: Method, cx: &mut Context<'_>) {
        use Method::{Assertion, Basic, BasicRaw, ClientSecretJwt, None, Post, PrivateKeyJwt};

        let signs = matches!(method, ClientSecretJwt | PrivateKeyJwt);
        let has_secret = matches!(method, Basic | BasicRaw | Post | ClientSecretJwt);
        for (name, is_present, is_used) in [
            ("id", self.id.is_some(), method != None),
            ("secret", self.secret.is_some(), has_secret),
            ("assertion_file", self.assertion_file.is_some(), method == Assertion),
            ("key", self.key.is_some(), method == PrivateKeyJwt),
            ("passphrase", self.passphrase.is_some(), method == PrivateKeyJwt),
            ("algorithm", self.algorithm.is_some(), signs),
            ("kid", self.kid.is_some(), signs),
            ("audience", self.audience.is_some(), signs),
            ("expiry_seconds", self.expiry_seconds.is_some(), signs),
            ("headers", !self.headers.is_empty(), signs),
        ] {
            if is_present && !is_used {
                let problem = Problem::new(format!("{PATH}.{name}"), "found a field that this method does not use");
                let field = Setting::Field(format!("{PATH}.method").into());
                cx.report.add(problem.advise(Advice::text("remove it")).advise(Advice::Set(field)));
            }
        }
    }
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
