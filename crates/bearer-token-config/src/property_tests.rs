//! What building holds for whatever is in a configuration.

use std::{collections::BTreeSet, sync::LazyLock};

use bearer_token::{Error, ErrorKind, transport::Transport};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{sections::FIELDS, values::members, *};

const MARKER: &str = "planted-marker";

/// The names of all fields and of a value's members, those of two sources, and one of nothing.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let fields = FIELDS.all_fields();
    let mut names: BTreeSet<String> = fields.iter().flat_map(|path| path.split('.')).map(str::to_owned).collect();
    names.extend(members().chain(["app", "caller", "unknown"]).map(str::to_owned));
    names.into_iter().collect()
});

/// Whatever is under them is a secret, except what says where it is.
const SECRETS: [&str; 13] = [
    "token",
    "key",
    "passphrase",
    "initial",
    "secret",
    "value",
    "assertion",
    "subject_token",
    "actor_token",
    "headers",
    "parameters",
    "prefix",
    "suffix",
];
const PLACES: [&str; 8] = ["file", "env", "source", "variable", "fresh", "member", "part", "encoding"];

const TEXTS: [&str; 38] = [
    "",
    "x",
    "https://api.example.com",
    "http://api.example.com",
    "https://as.example.com/token",
    "https://as.example.com",
    "HS256",
    "RS256",
    "ES256",
    "ML-DSA-44",
    "basic",
    "private_key_jwt",
    "public",
    "assertion",
    "base64",
    "binary",
    "POST",
    "GET",
    "json",
    "form",
    "query",
    "none",
    "ms",
    "app",
    "caller",
    "jwt",
    "id_jag",
    "urn:example:type",
    "/auth/token",
    "before :",
    "after ",
    "{now:ms}",
    "{key.sha256:base64url}",
    "{request.host}",
    "{{{unknown",
    "grpc:7",
    "no-such-file",
    "\u{0}\u{fc}",
];

fn trees() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(TEXTS.to_vec()).prop_map(Value::from),
        select(TEXTS.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..3).prop_map(Value::from),
            4 => vec((select(NAMES.as_slice()), inner), 0..7).prop_map(object),
        ]
    })
}

fn object<N: Into<String>>(members: Vec<(N, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

/// Trees with the tables where they belong, whatever is in them.
fn configurations() -> impl Strategy<Value = Value> {
    let tables =
        ["jwt", "token_endpoint", "token_exchange", "refresh_token", "send", "policy", "token", "allow_origins"];
    prop_oneof![
        1 => trees(),
        3 => vec((select(tables.to_vec()), trees()), 0..5).prop_map(object),
        2 => (trees(), trees(), trees()).prop_map(|(key, secret, claims)| json!({
            "allow_origins": ["https://api.example.com"],
            "jwt": { "algorithm": "HS256", "key": key, "claims": claims },
            "token_endpoint": {
                "url": "https://as.example.com/token",
                "client": { "method": "basic", "id": "reporting", "secret": secret },
            },
        })),
        // Everything fits, except for what is tried out.
        2 => (trees(), trees(), trees(), trees(), trees()).prop_map(|(source, value, response, computed, tls)| json!({
            "sources": { "app": source, "caller": { "token": { "value": "x", "member": "/a" } } },
            "jwt": { "algorithm": "HS256", "key": "correct horse battery staple, twice", "issuer": value.clone(),
                "computed": computed },
            "token_endpoint": { "url": "https://as.example.com/token", "body": "json", "response": response, "tls": tls,
                "headers": { "x-api-key": value.clone() }, "parameters": { "deep": [value, { "source": "app" }] } },
        })),
        1 => (trees(), trees(), trees(), trees()).prop_map(|(subject, actor, send, client)| json!({
            "token_exchange": { "subject_token": subject, "subject_token_type": "jwt", "actor_token": actor,
                "actor_token_type": "jwt", "requested_token_type": "id_jag" },
            "token_endpoint": { "issuer": "https://as.example.com", "client": { "id": "me", "jwt": client } },
            "send": send,
        })),
    ]
}

/// Makes every text that is a secret by its place the marker.
fn plant(value: &mut Value, secret: bool) {
    match value {
        Value::String(text) if secret => MARKER.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|value| plant(value, secret)),
        Value::Object(members) => {
            for (name, value) in members {
                let place = PLACES.contains(&name.as_str());
                plant(value, !place && (secret || SECRETS.contains(&name.as_str())));
            }
        }
        _ => {}
    }
}

struct Nowhere;

impl Transport for Nowhere {
    async fn send(&self, _request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        Err(Error::new(ErrorKind::Transport, "there is no network here"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l38_any_configuration_builds_or_fails_without_its_secrets(mut tree in configurations()) {
        plant(&mut tree, false);
        let shown = match ProviderConfig::from_json(&tree.to_string()).unwrap().transport(Nowhere).build() {
            Ok(provider) => format!("{provider:?}"),
            Err(error) => {
                prop_assert!(error.kind() == ErrorKind::Config && !error.problems().is_empty(), "{error}");
                let sources = std::iter::successors(std::error::Error::source(&error), |error| error.source());
                let sources: Vec<_> = sources.map(|error| format!("{error} {error:?}")).collect();
                format!("{error} {error:?} {:?} {sources:?}", error.problems())
            }
        };
        prop_assert!(!shown.contains(MARKER), "{shown}");
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in prop_oneof![any::<String>(), "[a-z\\[\\]{}=\"\n. 0-9]{0,60}"]) {
        for config in [ProviderConfig::from_json(&text), ProviderConfig::from_toml(&text)].into_iter().flatten() {
            drop(config.transport(Nowhere).build());
        }
    }
}
