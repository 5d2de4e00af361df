//! From fields to a provider.

use std::{path::Path, sync::Arc};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    ProviderConfig,
    fields::{EndpointFields, Fields, JwtFields, OneOrMany, PolicyFields},
    key::KeyFields,
    names::{self, Names},
    secret::SecretField,
    shape,
};
use crate::{
    error::Error,
    jwt::{Algorithm, Encoding, JwtTemplate, JwtTemplateBuilder, SelfSigned, SigningKey},
    oauth::{ClientCredentials, JwtBearer, TokenEndpoint, TokenEndpointBuilder},
    problem::Problems,
    provider::{TokenProvider, TokenProviderBuilder, policy::Policy},
    resource::origin::Origins,
    sources::{file_token::FileToken, static_token::StaticToken},
    token::check_token,
    transport::DynTransport,
};

/// A builder as far as a file can say. It carries everything that is wrong with the file, and reports it in `build`.
pub(super) fn builder(config: ProviderConfig) -> TokenProviderBuilder {
    let ProviderConfig { value, mut misfits, mut unread, variables, directory, transport } = config;
    let fitted = shape::fit(value, &variables);
    let fields = fitted.fields;
    misfits.extend(fitted.misfits);
    unread.extend(fitted.unread);
    let mut reader = Reader { problems: Problems::default(), directory: &directory };
    let mut builder = reader.source(&fields, transport);
    for (origins, name, plaintext) in [
        (&fields.allow_origins, "allow_origins", false),
        (&fields.allow_plaintext_origins, "allow_plaintext_origins", true),
    ] {
        for (index, origin) in origins.iter().enumerate() {
            // Looked at here, where the path of the field is known.
            let mut found = Problems::default();
            Origins::default().allow(origin, plaintext, &format!("{name}[{index}]"), &mut found);
            builder = match (found.is_empty(), plaintext) {
                (true, true) => builder.allow_plaintext_origin(origin),
                (true, false) => builder.allow_origin(origin),
                (false, _) => builder,
            };
            for problem in found.iter() {
                reader.problems.add(names::PROVIDER.translate(problem));
            }
        }
    }
    let policy = policy(&fields.policy);
    let mut found = Problems::default();
    policy.check(&mut found);
    if found.is_empty() {
        builder = builder.policy(policy);
    }
    for problem in found.iter() {
        reader.problems.add(names::POLICY.translate(problem));
    }
    if let Some(origin) = &fields.connection_origin {
        let mut found = Problems::default();
        Origins::default().connection(origin, &mut found);
        if found.is_empty() {
            builder = builder.connection_origin(origin);
        }
        reader.problems.extend(found);
    }
    let mut problems = misfits;
    problems.add_unrelated(reader.problems, &[&unread, variables.unread()].concat());

    if fields.allow_any_https_origin {
        builder = builder.allow_any_https_origin();
    }
    if fields.refuse_other_origins {
        builder = builder.refuse_other_origins();
    }
    builder.problems(variables.report(&problems))
}

/// Reads keys and secrets, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) problems: Problems,
    pub(super) directory: &'a Path,
}

impl Reader<'_> {
    fn source(&mut self, fields: &Fields, transport: Option<Arc<dyn DynTransport>>) -> TokenProviderBuilder {
        if let Some(refresh) = &fields.refresh_token {
            return self.refreshing(refresh, fields, transport).unwrap_or_else(nothing);
        }
        match (&fields.token, &fields.jwt, &fields.token_endpoint) {
            (None, None, None) => {
                self.problems
                    .push("jwt", "found none of `token`, `jwt` and `token_endpoint`; expected a way to get tokens");
            }
            (Some(token), None, None) => {
                // Read here too, so that a wrong path is found out now.
                match (self.secret("token", token), token.file(self.directory)) {
                    (Some(_), Some(file)) if token.encoding() == Encoding::Text && file.is_file() => {
                        return TokenProvider::builder(FileToken::new(file));
                    }
                    (Some(token), _) => {
                        if let Err(error) = check_token(&token) {
                            self.problems.push("token", error.to_string());
                        }
                        return TokenProvider::builder(StaticToken::new(token.as_str()));
                    }
                    (None, _) => {}
                }
            }
            (Some(_), _, _) => {
                self.problems
                    .push("token", "found beside `jwt` or `token_endpoint`; expected only one way to get tokens");
            }
            (None, Some(jwt), None) => {
                if let Some(template) = self.template("jwt", jwt) {
                    return TokenProvider::builder(SelfSigned::new(template));
                }
            }
            (None, Some(jwt), Some(endpoint)) => {
                // With a stand-in, so that the endpoint is looked at as well.
                let template = self.template("jwt", jwt).or_else(stand_in);
                let url = endpoint.url.as_deref().unwrap_or_default();
                let source = template.map(|template| TokenEndpoint::builder(url, JwtBearer::new(template)));
                if let Some(source) = source.and_then(|source| self.endpoint(source, endpoint, transport)) {
                    return TokenProvider::builder(source);
                }
            }
            (None, None, Some(endpoint)) => {
                if endpoint.client.is_none() {
                    self.problems.push(
                        "token_endpoint.client",
                        "found nothing; expected the client's id and credential, or a `jwt` to exchange",
                    );
                }
                let url = endpoint.url.as_deref().unwrap_or_default();
                let source = TokenEndpoint::builder(url, ClientCredentials::new());
                if let Some(source) = self.endpoint(source, endpoint, transport) {
                    return TokenProvider::builder(source);
                }
            }
        }
        nothing()
    }

    pub(super) fn endpoint(
        &mut self,
        mut builder: TokenEndpointBuilder,
        fields: &EndpointFields,
        transport: Option<Arc<dyn DynTransport>>,
    ) -> Option<TokenEndpoint> {
        if let Some(client) = &fields.client
            && let Some(client) = self.client(client, fields.url.as_deref().unwrap_or_default())
        {
            builder = builder.client_auth(client);
        }
        if let Some(grant_type) = &fields.grant_type {
            builder = builder.grant_type(grant_type);
        }
        if let Some(scope) = &fields.scope {
            builder = builder.scope(scope);
        }
        for (name, value) in &fields.parameters {
            if let Some(value) = self.secret(&format!("token_endpoint.parameters.{name}"), value) {
                builder = builder.parameter(name.clone(), value.as_str());
            }
        }
        for (name, value) in &fields.headers {
            if let Some(value) = self.secret(&format!("token_endpoint.headers.{name}"), value) {
                builder = builder.header(name, value.as_str());
            }
        }
        builder = fields.accept_token_types.iter().fold(builder, TokenEndpointBuilder::accept_token_type);
        builder = fields.keep.iter().fold(builder, TokenEndpointBuilder::keep);
        if let Some(limit) = fields.max_clock_offset_seconds {
            builder = builder.max_clock_offset(limit.0);
        }
        if fields.allow_plaintext {
            builder = builder.allow_plaintext();
        }
        if let Some(transport) = transport {
            builder = builder.shared_transport(transport);
        }
        match builder.build() {
            Ok(endpoint) => Some(endpoint),
            Err(error) => {
                self.translate(&names::ENDPOINT, &error);
                None
            }
        }
    }

    fn template(&mut self, path: &str, fields: &JwtFields) -> Option<JwtTemplate> {
        let found = KeyFields {
            names: &names::JWT_KEY,
            name: "key",
            key: fields.key.as_ref(),
            algorithm: fields.algorithm.as_ref(),
            kid: fields.kid.as_ref(),
            passphrase: fields.passphrase.as_ref(),
            allow_short_secret: fields.allow_short_secret,
        };
        let key = self.key(path, &found);
        let known = key.is_some();
        let mut builder = JwtTemplate::builder(key.or_else(any_key)?);
        if let Some(issuer) = &fields.issuer {
            builder = builder.issuer(issuer);
        }
        if let Some(subject) = &fields.subject {
            builder = builder.subject(subject);
        }
        builder = match &fields.audience {
            Some(OneOrMany::One(audience)) => builder.audience(audience),
            Some(OneOrMany::Many(audiences)) => builder.audiences(audiences),
            None => builder,
        };
        if let Some(lifetime) = fields.expiry_seconds {
            builder = builder.lifetime(lifetime.0);
        }
        if let Some(backdate) = fields.backdate_seconds {
            builder = builder.backdate(backdate.0);
        }
        for (on, set) in [
            (fields.issued_at, JwtTemplateBuilder::issued_at as fn(JwtTemplateBuilder, bool) -> JwtTemplateBuilder),
            (fields.expiration_time, JwtTemplateBuilder::expiration_time),
            (fields.jwt_id, JwtTemplateBuilder::jwt_id),
            (fields.not_before, JwtTemplateBuilder::not_before),
        ] {
            builder = on.into_iter().fold(builder, set);
        }
        builder = members(builder, &fields.claims, JwtTemplateBuilder::claim);
        builder = members(builder, &fields.headers, JwtTemplateBuilder::header);
        self.built(&names::JWT, builder).filter(|_| known)
    }

    pub(super) fn built(&mut self, names: &Names, builder: JwtTemplateBuilder) -> Option<JwtTemplate> {
        match builder.build() {
            Ok(template) => Some(template),
            Err(error) => {
                self.translate(names, &error);
                None
            }
        }
    }

    /// Adds what a builder found, in the names of fields.
    pub(super) fn translate(&mut self, names: &Names, error: &Error) {
        for problem in error.problems() {
            self.problems.add(names.translate(problem));
        }
    }

    pub(super) fn secret(&mut self, path: &str, secret: &SecretField) -> Option<Zeroizing<String>> {
        secret.read_text(self.directory).map_err(|problem| self.problems.push(path, problem)).ok()
    }

    pub(super) fn read(&mut self, path: &str, secret: &SecretField) -> Option<Zeroizing<Vec<u8>>> {
        secret.read(self.directory).map_err(|problem| self.problems.push(path, problem)).ok()
    }

    pub(super) fn required<'a, T>(&mut self, path: &str, field: Option<&'a T>, what: &str) -> Option<&'a T> {
        if field.is_none() {
            self.problems.push(path, format!("found nothing; expected {what}"));
        }
        field
    }
}

/// Never asked: something is wrong, and `build` will say so.
fn nothing() -> TokenProviderBuilder {
    TokenProvider::builder(StaticToken::new(""))
}

/// A key to check the rest of a template with, when its own cannot be used.
pub(super) fn any_key() -> Option<SigningKey> {
    SigningKey::hmac(Algorithm::HS256, [0; 32]).ok()
}

fn stand_in() -> Option<JwtTemplate> {
    JwtTemplate::builder(any_key()?).build().ok()
}

pub(super) fn members(
    builder: JwtTemplateBuilder,
    members: &Map<String, Value>,
    set: impl Fn(JwtTemplateBuilder, String, Value) -> JwtTemplateBuilder,
) -> JwtTemplateBuilder {
    members.iter().fold(builder, |builder, (name, value)| set(builder, name.clone(), value.clone()))
}

fn policy(fields: &PolicyFields) -> Policy {
    let mut policy = Policy::default();
    for (time, set) in [
        (fields.reserve_seconds, Policy::reserve as fn(Policy, std::time::Duration) -> Policy),
        (fields.refresh_ahead_seconds, Policy::refresh_ahead),
        (fields.fetch_timeout_seconds, Policy::fetch_timeout),
        (fields.refresh_timeout_seconds, Policy::refresh_timeout),
        (fields.retry_after_limit_seconds, Policy::retry_after_limit),
        (fields.default_lifetime_seconds, Policy::default_lifetime),
        (fields.max_lifetime_seconds, Policy::max_lifetime),
    ] {
        policy = time.into_iter().fold(policy, |policy, time| set(policy, time.0));
    }
    for (backoff, set) in [
        (fields.transient_backoff, Policy::transient_backoff as fn(Policy, crate::provider::policy::Backoff) -> Policy),
        (fields.terminal_backoff, Policy::terminal_backoff),
        (fields.rejection_backoff, Policy::rejection_backoff),
    ] {
        policy = backoff.into_iter().fold(policy, |policy, backoff| set(policy, backoff.into()));
    }
    fields.jitter.into_iter().fold(policy, Policy::jitter)
}
