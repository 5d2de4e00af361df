//! Names of fields, for what builders call by their methods.
//!
//! A builder's problem has the name of a method as its path, and its advice names methods. Each section has a table of
//! the fields that are named differently, or in another section.

use crate::problem::{Advice, Problem, Setting};

/// One method, and the field that sets the same.
pub(super) struct Name {
    /// As in a problem's path or in its advice: `header`, `KeyReader::key_id`.
    call: &'static str,
    /// Within the section; with a leading `/`, from the root. `None` if no field sets it.
    field: Option<&'static str>,
    /// Where the field has this value.
    value: Option<&'static str>,
}

const fn name(call: &'static str, field: &'static str) -> Name {
    Name { call, field: Some(field), value: None }
}

/// Something that no field sets. Advice about it is left out.
const fn nothing(call: &'static str) -> Name {
    Name { call, field: None, value: None }
}

const fn value(call: &'static str, field: &'static str, value: &'static str) -> Name {
    Name { call, field: Some(field), value: Some(value) }
}

/// A section, and how its fields differ from the methods.
pub(super) struct Names {
    section: &'static str,
    names: &'static [Name],
}

pub(super) const JWT: Names = Names {
    section: "jwt",
    names: &[
        name("audiences", "audience"),
        name("backdate", "backdate_seconds"),
        name("header", "headers"),
        name("key_id", "kid"),
        name("lifetime", "expiry_seconds"),
    ],
};

/// The assertion of a client, whose id is issuer and subject.
pub(super) const CLIENT_JWT: Names = Names {
    section: "token_endpoint.client",
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

/// Of `jwt.key` and its neighbours.
pub(super) const JWT_KEY: Names = Names { section: "jwt", names: KEY };

/// Of `token_endpoint.client.key` and its neighbours.
pub(super) const CLIENT_KEY: Names = Names { section: "token_endpoint.client", names: KEY };

const KEY: &[Name] = &[
    name("key_id", "kid"),
    name("encoding", "key.encoding"),
    name("KeyReader::algorithm", "algorithm"),
    name("KeyReader::allow_short_secret", "allow_short_secret"),
    name("KeyReader::key_id", "kid"),
    name("KeyReader::passphrase", "passphrase"),
    value("KeyReader::encoding", "key.encoding", "base64"),
    name("SigningKey::from_file", "key.file"),
    value("SigningKey::hmac", "key.encoding", "text"),
];

/// Of `token_endpoint.client.secret`, where it signs.
pub(super) const SECRET_KEY: Names = Names {
    section: "token_endpoint.client",
    names: &[
        name("key", "secret"),
        name("encoding", "secret.encoding"),
        name("KeyReader::algorithm", "algorithm"),
        name("KeyReader::allow_short_secret", "allow_short_secret"),
        value("KeyReader::encoding", "secret.encoding", "base64"),
        name("SigningKey::from_file", "secret.file"),
        value("SigningKey::hmac", "secret.encoding", "text"),
    ],
};

pub(super) const ENDPOINT: Names = Names {
    section: "token_endpoint",
    names: &[
        name("accept_token_type", "accept_token_types"),
        name("client_auth.client_id", "client.id"),
        name("client_auth.client_secret", "client.secret"),
        name("client_auth", "client"),
        name("header", "headers"),
        name("parameter", "parameters"),
        value("ClientAuth::assertion_from", "client.method", "assertion"),
        value("ClientAuth::basic", "client.method", "basic"),
        value("ClientAuth::client_secret_jwt", "client.method", "client_secret_jwt"),
        value("ClientAuth::post", "client.method", "post"),
        value("ClientAuth::private_key_jwt", "client.method", "private_key_jwt"),
        name("JwtBearer::new", "/jwt"),
    ],
};

pub(super) const POLICY: Names = Names {
    section: "policy",
    names: &[
        name("policy.default_lifetime", "default_lifetime_seconds"),
        name("policy.fetch_timeout", "fetch_timeout_seconds"),
        name("policy.max_lifetime", "max_lifetime_seconds"),
        name("policy.refresh_timeout", "refresh_timeout_seconds"),
        name("policy", ""),
    ],
};

pub(super) const PROVIDER: Names = Names {
    section: "",
    names: &[name("allow_origin", "allow_origins"), name("allow_plaintext_origin", "allow_plaintext_origins")],
};

impl Names {
    /// The problem in the words of a configuration.
    pub(super) fn translate(&self, problem: &Problem) -> Problem {
        let path = self.find(problem.path()).map_or_else(|| self.section.to_owned(), |(path, _)| path);
        let advice = problem.advice().iter().filter_map(|advice| self.advice(advice.clone()));
        problem.clone().at(path).with_advice(advice)
    }

    fn advice(&self, advice: Advice) -> Option<Advice> {
        let Some(Setting::Call(call)) = advice.setting() else { return Some(advice) };
        let (path, value) = self.find(call)?;
        let field = Setting::Field(path.into());
        Some(match (advice, value) {
            (Advice::TurnOn(_), _) => Advice::TurnOn(field),
            (Advice::SetTo(_, value), _) => Advice::SetTo(field, value),
            (Advice::Remove(_), _) => Advice::Remove(field),
            (_, Some(value)) => Advice::SetTo(field, value.into()),
            (_, None) => Advice::Set(field),
        })
    }

    /// The path of the field that a method sets, and the value that it sets it to.
    fn find(&self, call: &str) -> Option<(String, Option<&'static str>)> {
        let rest =
            |name: &Name| call.strip_prefix(name.call).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        match self.names.iter().find_map(|name| Some((name, rest(name)?))) {
            Some((Name { field, value, .. }, rest)) => Some((self.path((*field)?, rest), *value)),
            None => Some((self.path(call, ""), None)),
        }
    }

    fn path(&self, field: &str, rest: &str) -> String {
        match field.strip_prefix('/') {
            Some(field) => format!("{field}{rest}"),
            None if self.section.is_empty() => format!("{field}{rest}"),
            None if field.is_empty() => format!("{}{rest}", self.section),
            None => format!("{}.{field}{rest}", self.section),
        }
    }
}
