//! The path of each problem is a field or a variable that its user can set, and so is what its advice names.

use bearer_token::{Advice, Error, Problem, Setting, transport::Transport};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{ProviderConfig, report::UNKNOWN_FIELD, sections::FIELDS, values::members};

const PREFIX: &str = "APP_";

struct Nowhere;

impl Transport for Nowhere {
    async fn send(&self, _request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        Err(Error::new(bearer_token::ErrorKind::Transport, "there is no network here"))
    }
}

/// Configurations with a mistake each, or a few. Together they provoke every kind of problem.
fn mistakes() -> Vec<Value> {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let endpoint = |fields: Value| {
        let mut endpoint = json!({ "url": "https://as.example.com/token", "client": { "id": "me" } });
        endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({ "token_endpoint": endpoint })
    };
    let client = |fields: Value| json!({ "token_endpoint": { "url": "https://as.example.com", "client": fields } });
    let jwt = |fields: Value| {
        let mut jwt = json!({ "algorithm": "HS256", "key": SECRET });
        jwt.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({ "jwt": jwt })
    };
    let rsa = include_str!("../../bearer-token/src/jwt/testdata/rsa2048.pem");
    let encrypted = include_str!("../../bearer-token/src/jwt/testdata/rsa2048.encrypted.pem");
    let oct =
        r#"{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1"}"#;
    let mut all = vec![
        json!({}),
        json!({ "token": "t", "name": "" }),
        json!({ "token": "two words" }),
        json!({ "token": "/run/secrets/token" }),
        json!({ "token": { "value": "x", "env": "Y" } }),
        json!({ "token": { "file": "no-such-file" } }),
        json!({ "token": { "env": "BEARER_TOKEN_TEST_NO_SUCH_VARIABLE" } }),
        json!({ "token": { "env": "=" } }),
        json!({ "token": { "value": "!", "encoding": "hex" } }),
        json!({ "token": "t", "jwt": {} }),
        json!({ "token": "t", "allow_origins": ["http://api.example.com", "https://api.example.com/path"] }),
        json!({ "token": "t", "allow_plaintext_origins": ["x"], "connection_origin": "y" }),
        json!({ "token": "t", "allow_origins": ["https://a.example.com"], "connection_origin": "https://b.example.com" }),
        json!({ "token": "t", "connection_origin": "http://b.example.com" }),
        json!({ "token": "t", "policy": { "fetch_timeout_seconds": 0, "refresh_timeout_seconds": 0 } }),
        json!({ "token": "t", "policy": { "default_lifetime_seconds": 0, "max_lifetime_seconds": 0 } }),
        json!({ "token": "t", "policy": { "rejection_backoff": { "first_seconds": 2, "limit_seconds": 1 } } }),
        json!({ "token": "t", "policy": { "terminal_backoff": { "first_seconds": 0, "limit_seconds": 1 } } }),
        json!({ "jwt": {} }),
        json!({ "jwt": { "key": rsa } }),
        json!({ "jwt": { "key": oct } }),
        json!({ "jwt": { "key": format!("{{\"keys\": [{oct}, {oct}]}}") } }),
        json!({ "jwt": { "key": rsa, "algorithm": "HS256" } }),
        json!({ "jwt": { "key": rsa, "algorithm": "ES256" } }),
        json!({ "jwt": { "key": SECRET, "algorithm": "RS256" } }),
        json!({ "jwt": { "key": encrypted, "algorithm": "RS256" } }),
        json!({ "jwt": { "key": oct, "algorithm": "RS256" } }),
        json!({ "jwt": { "key": rsa, "algorithm": "RS256", "passphrase": "x" } }),
        json!({ "jwt": { "key": { "file": "no-such-file" }, "algorithm": "HS256" } }),
        json!({ "jwt": { "key": { "value": "!", "encoding": "base64" }, "algorithm": "HS256" } }),
        json!({ "jwt": { "key": "/run/secrets/key", "algorithm": "HS256" } }),
        jwt(json!({ "key": "short" })),
        jwt(json!({ "key": "{a secret that begins with a brace}" })),
        jwt(json!({ "issuer": "", "subject": "", "audience": "" })),
        jwt(json!({ "audience": [] })),
        jwt(json!({ "audience": ["a", ""] })),
        jwt(json!({ "expiry_seconds": 5 })),
        jwt(json!({ "expiry_seconds": 1e10 })),
        jwt(json!({ "claims": { "exp": 1, "iat": 1, "nbf": 1, "jti": "x" } })),
        jwt(
            json!({ "issuer": "a", "subject": "a", "audience": "a", "claims": { "iss": "b", "sub": "b", "aud": "b" } }),
        ),
        jwt(json!({ "kid": "a", "headers": { "kid": "b", "alg": "none", "typ": 5, "crit": [], "b64": false } })),
        json!({ "refresh_token": {} }),
        json!({ "refresh_token": { "file": "f", "initial": "./token" }, "token": "t" }),
        json!({ "refresh_token": { "file": "f" }, "token_endpoint": {} }),
        endpoint(json!({ "url": "http://as.example.com" })),
        endpoint(json!({ "url": "https://u:p@as.example.com" })),
        endpoint(json!({ "url": "as.example.com#fragment", "grant_type": "" })),
        endpoint(json!({ "scope": "read", "parameters": { "scope": "write", "client_id": "x", "": "y" } })),
        endpoint(json!({ "parameters": { "client_secret": "x", "client_assertion": "x", "assertion": "x" } })),
        endpoint(json!({ "parameters": { "grant_type": "x", "subject_token": "x", "refresh_token": "x" } })),
        endpoint(json!({ "headers": { "host": "x", "a b": "x", "x": "a\u{7}b" } })),
        endpoint(json!({ "accept_token_types": ["", "Bearer"], "keep": ["", "access_token"] })),
        json!({ "token_endpoint": { "url": "https://as.example.com" } }),
        endpoint(json!({ "method": "get", "body": "yaml" })),
        endpoint(json!({ "method": "GET", "parameters": { "a": "b" } })),
        endpoint(json!({ "body": "none", "parameters": { "a": "b" }, "scope": "c" })),
        endpoint(json!({ "parameters": { "a": { "b": "c" }, "d": [["e"]], "f": null, "g": "a\nb" } })),
        endpoint(
            json!({ "parameters": { "a": { "file": "no-such-file" }, "b": { "env": "X_NOT_SET", "sufix": "c" } } }),
        ),
        endpoint(
            json!({ "parameters": { "a": { "value": "x", "fresh": 1 }, "b": { "value": "x", "encoding": "y" } } }),
        ),
        endpoint(json!({ "body": "json", "parameters": { "a": [{ "b": { "source": "none" } }] } })),
        endpoint(json!({ "headers": { "x": { "variable": "tenant" } }, "assertion": "x", "assertion_parameter": "" })),
        endpoint(json!({ "assertion": { "file": "no-such-file" }, "assertion_parameter": "grant_type" })),
        endpoint(json!({ "assertion_parameter": "jwt" })),
        endpoint(json!({ "response": { "token": "access", "expires_in": "x", "expires_at": "y", "refresh_in": "z" } })),
        endpoint(json!({ "response": { "token": "", "expires_in": "/x", "refresh_token": "/y" } })),
        endpoint(json!({ "response": { "token": "/t", "unit": "h", "never": "0" } })),
        endpoint(
            json!({ "tls": { "ca": { "file": "no-such-file" }, "only_ca": "x", "certificate": rsa, "key": "y" } }),
        ),
        endpoint(json!({ "tls": { "key": rsa } })),
        endpoint(json!({ "grant_type": "x", "body": "none" })),
        json!({ "token_exchange": {} }),
        json!({ "token_exchange": { "subject_token": "x" }, "token": "t", "jwt": {} }),
        json!({ "token_exchange": { "subject_token": { "file": "no-such-file" }, "subject_token_type": "jtw", "actor_token_type": "jwt" },
            "token_endpoint": { "url": "https://as.example.com", "assertion": { "env": "PATH" } } }),
        json!({ "token_exchange": { "subject_token": "x", "subject_token_type": "jwt", "actor_token": "a" }, "token_endpoint": {} }),
        json!({ "token": "t", "send": { "header": "host", "scheme": "a b", "headers": { "a b": "x", "host": "y", "x": "a\nb" } } }),
        json!({ "token": "t", "send": { "header": "a b", "reject_on": [200, 9999, "403", "grpc:99", "", "grpc:7", "grpc:7"] } }),
        json!({ "token": "t", "send": { "reject_on": ["grpc:x"], "settle_seconds": 1e6 } }),
        json!({ "token": "t", "send": { "reject_on": [1.5], "hedaer": "x" } }),
        json!({ "token": "t", "send": { "headers": { "x": { "file": "no-such-file" }, "authorization": "y" } } }),
        jwt(json!({ "computed": { "a": "{nwo}", "b": "{", "c": ["{uuid}", "{x}"], "d": 5 } })),
        jwt(
            json!({ "computed": { "a": "{key.sha256:hex}", "b": "{request.host}" }, "computed_headers": { "alg": "x" } }),
        ),
        jwt(
            json!({ "computed": { "iss": "{uuid}", "a": "b" }, "claims": { "a": 1 }, "computed_headers": { "x": "{y}" } }),
        ),
        jwt(json!({ "computed_headers": { "x5t": "{certificate.sha1:base64url}" }, "certificate_chain": true })),
        jwt(json!({ "certificate": { "file": "no-such-file" } })),
        jwt(json!({ "certificate": "not a certificate", "certificate_chain": true })),
        json!({ "jwt": { "key": rsa, "algorithm": "RS256", "certificate": rsa } }),
        client(json!({ "id": "a:b", "secret": "s", "method": "basic_raw" })),
        client(json!({ "id": "", "secret": "s" })),
        client(json!({ "method": "basic", "id": "a" })),
        client(json!({ "id": "a", "secret": "'s'" })),
        client(json!({ "id": "a", "secret": { "file": "no-such-file" } })),
        client(json!({ "id": "a", "secret": "short", "method": "client_secret_jwt" })),
        client(json!({ "id": "a", "secret": SECRET, "method": "client_secret_jwt", "jwt": { "algorithm": "RS256" } })),
        client(json!({ "id": "a", "secret": SECRET, "method": "client_secret_jwt", "jwt": { "algorithm": "hs256" } })),
        client(json!({ "id": "a", "secret": SECRET, "method": "client_secret_jwt", "jwt": { "expiry_seconds": 1 } })),
        client(json!({ "id": "", "secret": SECRET, "method": "client_secret_jwt", "jwt": { "audience": "" } })),
        client(json!({ "id": "a", "jwt": { "key": SECRET, "algorithm": "HS256" } })),
        client(json!({ "id": "a", "jwt": { "key": rsa } })),
        client(
            json!({ "id": "a", "jwt": { "key": rsa, "algorithm": "RS256", "kid": "a", "headers": { "kid": "b" } } }),
        ),
        client(json!({ "id": "a", "jwt": { "key": "key.pem", "algorithm": "RS256" } })),
        client(json!({ "id": "a", "jwt": {} })),
        client(json!({ "id": "a", "key": "x" })),
        client(json!({ "id": "a", "assertion": { "file": "no-such-file" } })),
        client(json!({ "id": "a", "assertion": "x" })),
        client(json!({ "id": "a", "method": "public", "secret": "x", "jwt": {}, "assertion": "y" })),
        json!({ "token": { "source": "app" }, "sources": { "app": { "token": "t" }, "other": { "token": "t" } } }),
        json!({ "token": { "source": "app" }, "sources": { "app": {} } }),
        json!({ "token": { "source": "app" }, "sources": { "app": { "token": { "source": "app" } } } }),
        json!({ "token": { "source": "app" }, "sources": { "app": { "token_endpoint": {}, "jwt": {} } } }),
        json!({ "token": { "source": "app" }, "sources": { "app": { "tokn": "t", "jwt": { "isuer": "t" } } } }),
        json!({ "token": { "source": "apo" }, "sources": { "app": { "jwt": { "algorithm": "HS256", "key": "short" } } } }),
        jwt(
            json!({ "issuer": { "env": "BEARER_TOKEN_TEST_NO_SUCH_VARIABLE" }, "subject": { "file": "no-such-file" } }),
        ),
        jwt(json!({ "issuer": {}, "subject": { "value": "x", "env": "Y" }, "kid": { "value": "x", "fresh": true } })),
        jwt(json!({ "audience": [{ "value": "x", "part": "y" }, { "value": "x", "member": "y" }] })),
        jwt(
            json!({ "issuer": { "value": "x", "encoding": "rot13" }, "subject": { "variable": "x" }, "kid": { "vlaue": "x" } }),
        ),
    ];
    // A value of a wrong type for each field.
    for field in FIELDS.all_fields() {
        let wrong = field.rsplit('.').fold(json!([[]]), |value, name| json!({ name: value }));
        all.push(wrong);
    }
    all
}

fn problems(config: ProviderConfig) -> Vec<Problem> {
    match config.transport(Nowhere).build() {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    }
}

/// Whether a path is a field, a part of a value, a member whose name is the user's, or the whole.
fn is_field(path: &str) -> bool {
    let fields = FIELDS.all_fields();
    let path = path.split('[').next().unwrap_or_default();
    // A source has the fields of the whole.
    let path = match path.strip_prefix("sources.").map(|rest| rest.split_once('.')) {
        Some(Some((_, inside))) => inside,
        Some(None) => return true,
        None => path,
    };
    let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
    let is_known = |path: &str| fields.iter().any(|field| field == path);
    let is_free = |path: &str| {
        let jwt = ["claims", "headers", "computed", "computed_headers"];
        let jwt =
            ["jwt", "token_endpoint.client.jwt"].iter().flat_map(|table| jwt.map(|name| format!("{table}.{name}")));
        let mut free = jwt.chain(["token_endpoint.parameters".to_owned()]);
        free.any(|table| path.starts_with(&format!("{table}.")))
            || ["token_endpoint.headers", "send.headers"].contains(&path.rsplit_once('.').unwrap_or_default().0)
    };
    is_known(path) || is_free(path) || (members().any(|member| member == last) && (is_known(parent) || is_free(parent)))
}

/// Whether a variable of this name would be read as a field.
fn is_variable(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let name = |part: &str| if part.chars().any(char::is_lowercase) { part.to_owned() } else { part.to_lowercase() };
    // Inside of a table that a variable gives: `APP_JWT.key`.
    let (variable, inside) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
    is_field(&(variable.split("__").map(name).collect::<Vec<_>>().join(".") + inside))
}

fn check(found: &[Problem], is_setting: impl Fn(&Setting) -> bool, is_path: impl Fn(&str) -> bool, case: &str) {
    for problem in found {
        let last = problem.path().rsplit(['.', '_']).next().unwrap_or_default().to_lowercase();
        let is_unknown = problem.found() == UNKNOWN_FIELD && case.to_lowercase().contains(&last);
        assert!(is_unknown || is_path(problem.path()), "{case}: the path of {problem}");
        for setting in problem.advice().iter().filter_map(Advice::setting) {
            assert!(is_setting(setting), "{case}: the advice of {problem}");
        }
        let text = problem.to_string();
        assert!(!text.contains("(..)") && !text.contains("`.") && !text.contains("::"), "{case}: {problem}");
        for word in ["expected a sequence", "f64", "u64", "known words", "a map"] {
            assert!(!text.contains(word), "{case}: {problem}");
        }
    }
}

#[test]
fn l52_each_problem_names_a_field_of_the_schema() {
    let mut seen = 0;
    for mistake in mistakes() {
        let case = mistake.to_string();
        let found = problems(ProviderConfig::from_json(&case).unwrap());
        assert!(!found.is_empty(), "{case}");
        seen += found.len();
        let is_setting = |setting: &Setting| matches!(setting, Setting::Field(field) if is_field(field));
        check(&found, is_setting, |path| path == "configuration" || is_field(path), &case);
    }
    assert!(seen > 150, "{seen}");
}

#[test]
fn l52_each_problem_names_a_variable_that_is_read() {
    for mistake in mistakes() {
        let mut variables = Vec::new();
        flatten(PREFIX, &mistake, &mut variables);
        let case = format!("{variables:?}");
        let found = problems(ProviderConfig::from_variables(PREFIX, variables));
        let is_setting = |setting: &Setting| matches!(setting, Setting::Variable(name) if is_variable(name));
        check(&found, is_setting, |path| path == "environment" || is_variable(path), &case);
    }
}

/// Turns fields into variables: one for each field of a table, and one for any other value.
fn flatten(name: &str, value: &Value, variables: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if !members.is_empty() && members.keys().all(|name| is_plain(name)) => {
            for (member, value) in members {
                let separator = if name == PREFIX { "" } else { "__" };
                flatten(&format!("{name}{separator}{}", member.to_uppercase()), value, variables);
            }
        }
        Value::Object(members) if name != PREFIX => {
            let table = toml::Table::try_from(members).unwrap();
            variables.push((name.to_owned(), toml::Value::Table(table).to_string()));
        }
        Value::Object(_) => {}
        Value::String(text) => variables.push((name.to_owned(), text.clone())),
        other => variables.push((name.to_owned(), other.to_string())),
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn advice_over_a_file_names_the_right_place() {
    let config = ProviderConfig::from_toml("[jwt]\nalgorithm = \"HS256\"\nkey = \"short\"\nisuer = 1").unwrap();
    let config = config.override_with_variables(PREFIX, [("APP_JWT__KEY", "shorter"), ("APP_TOKEN_ENDPOINT_URL", "x")]);
    let mut lines: Vec<_> = problems(config).iter().map(ToString::to_string).collect();
    lines.sort();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines[0].starts_with("APP_JWT__KEY: ") && lines[0].ends_with("set `APP_JWT__ALLOW_SHORT_SECRET=true`"),
        "{lines:#?}"
    );
    assert!(lines[1].ends_with("did you mean `APP_TOKEN_ENDPOINT__URL`?"), "{lines:#?}");
    assert!(lines[2].starts_with("jwt.isuer: ") && lines[2].ends_with("did you mean `jwt.issuer`?"), "{lines:#?}");
}
