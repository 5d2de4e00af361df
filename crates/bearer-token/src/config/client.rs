//! How the client authenticates, from the section `token_endpoint.client`.

use super::{
    build::{Reader, any_key, members},
    fields::{ClientFields, ClientMethod},
    key::KeyFields,
    names,
    secret::SecretField,
};
use crate::{
    files::regular,
    jwt::{Encoding, JwtTemplate, JwtTemplateBuilder, SigningKey},
    oauth::{ClientAuth, ClientSecret, without_query},
    sources::file_token::FileToken,
};

impl Reader<'_> {
    pub(super) fn client(&mut self, fields: &ClientFields, url: &str) -> Option<ClientAuth> {
        let path = "token_endpoint.client";
        let method = fields.method.unwrap_or(match fields {
            ClientFields { key: Some(_), .. } => ClientMethod::PrivateKeyJwt,
            ClientFields { assertion_file: Some(_), .. } => ClientMethod::Assertion,
            ClientFields { secret: Some(_), .. } => ClientMethod::Basic,
            ClientFields { id: Some(_), .. } => ClientMethod::Public,
            _ => ClientMethod::None,
        });
        self.unused(path, method, fields);
        if method == ClientMethod::None {
            return Some(ClientAuth::none());
        }
        let id = self.required(&format!("{path}.id"), fields.id.as_ref(), "the client's id").map(String::as_str);
        let auth = match method {
            ClientMethod::None => ClientAuth::none(),
            ClientMethod::Public => ClientAuth::public(id?),
            ClientMethod::Basic | ClientMethod::BasicRaw | ClientMethod::Post => {
                let secret = self.required(&format!("{path}.secret"), fields.secret.as_ref(), "the client's secret");
                let secret = secret.and_then(|secret| self.client_secret(&format!("{path}.secret"), secret));
                let (id, secret) = (id?, secret?);
                match method {
                    ClientMethod::Basic => ClientAuth::basic(id, secret),
                    ClientMethod::BasicRaw => ClientAuth::basic_raw(id, secret),
                    _ => ClientAuth::post(id, secret),
                }
            }
            ClientMethod::Assertion => {
                let (path, what) = (format!("{path}.assertion_file"), "the file with the assertion");
                let file = self.directory.join(self.required(&path, fields.assertion_file.as_ref(), what)?);
                // Here, so that a wrong path is found out now.
                if let Err(error) = regular::open(&file) {
                    let message = format!("the file `{}` cannot be read: {error}", file.display());
                    self.problems.push(path, message);
                }
                ClientAuth::assertion_from(id?, FileToken::new(file))
            }
            ClientMethod::ClientSecretJwt | ClientMethod::PrivateKeyJwt => {
                let with_secret = method == ClientMethod::ClientSecretJwt;
                let (name, key) = if with_secret { ("secret", &fields.secret) } else { ("key", &fields.key) };
                // RFC 7518 section 3.1 requires HS256 of everybody; for keys there is no such word.
                let algorithm = fields.algorithm.clone().or_else(|| with_secret.then(|| "HS256".to_owned()));
                let found = KeyFields {
                    names: if with_secret { &names::SECRET_KEY } else { &names::CLIENT_KEY },
                    name,
                    key: key.as_ref(),
                    algorithm: algorithm.as_ref(),
                    kid: fields.kid.as_ref(),
                    passphrase: fields.passphrase.as_ref(),
                    allow_short_secret: fields.allow_short_secret,
                };
                let key = self.key(path, &found);
                if let Some(found) =
                    key.as_ref().map(SigningKey::algorithm).filter(|found| found.is_hmac() != with_secret)
                {
                    let expected =
                        if with_secret { "HS256, HS384 or HS512" } else { "an algorithm with a private key" };
                    self.problems.push(
                        format!("{path}.algorithm"),
                        format!("found {found}; this method signs with {expected}: change one of them"),
                    );
                }
                let builder = JwtTemplate::builder(key.or_else(any_key)?);
                let id = id?;
                let builder =
                    builder.issuer(id).subject(id).audience(fields.audience.as_deref().unwrap_or(without_query(url)));
                let builder = fields.expiry_seconds.into_iter().fold(builder, |builder, time| builder.lifetime(time.0));
                let builder = members(builder, &fields.headers, JwtTemplateBuilder::header);
                ClientAuth::assertion(id, self.built(&names::CLIENT_JWT, builder)?)
            }
        };
        Some(auth)
    }

    fn client_secret(&mut self, path: &str, secret: &SecretField) -> Option<ClientSecret> {
        // Read here too, so that what is wrong is reported under its own path.
        let read = self.secret(path, secret)?;
        let encoding = secret.encoding();
        Some(match secret.file(self.directory).filter(|file| file.is_file()) {
            Some(file) if encoding == Encoding::Text => ClientSecret::from_file(file),
            Some(file) => ClientSecret::decoded(file, move |bytes| encoding.decode(bytes)),
            None if encoding == Encoding::Text => read.as_str().into(),
            None => ClientSecret::verbatim(read.as_str()),
        })
    }

    /// A field that the method has no use for was meant for something else: such as a secret that is never sent.
    fn unused(&mut self, path: &str, method: ClientMethod, fields: &ClientFields) {
        use ClientMethod::{Assertion, Basic, BasicRaw, ClientSecretJwt, None, Post, PrivateKeyJwt};

        let signs = matches!(method, ClientSecretJwt | PrivateKeyJwt);
        let has_secret = matches!(method, Basic | BasicRaw | Post | ClientSecretJwt);
        for (name, present, used) in [
            ("id", fields.id.is_some(), method != None),
            ("secret", fields.secret.is_some(), has_secret),
            ("assertion_file", fields.assertion_file.is_some(), method == Assertion),
            ("key", fields.key.is_some(), method == PrivateKeyJwt),
            ("passphrase", fields.passphrase.is_some(), method == PrivateKeyJwt),
            ("algorithm", fields.algorithm.is_some(), signs),
            ("kid", fields.kid.is_some(), signs),
            ("audience", fields.audience.is_some(), signs),
            ("expiry_seconds", fields.expiry_seconds.is_some(), signs),
            ("headers", !fields.headers.is_empty(), signs),
        ] {
            if present && !used {
                let message = format!("has no meaning with this method; remove it, or change `{path}.method`");
                self.problems.push(format!("{path}.{name}"), message);
            }
        }
    }
}
