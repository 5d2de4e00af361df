//! What building holds for whatever is in a configuration.

use bearer_token::{Error, ErrorKind, transport::Transport};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

use super::*;

const MARKER: &str = "planted-marker";

/// Names of fields in all their tables, and some that are none.
const NAMES: [&str; 44] = [
    "allow_origins",
    "allow_plaintext_origins",
    "allow_any_https_origin",
    "refuse_other_origins",
    "connection_origin",
    "token",
    "jwt",
    "algorithm",
    "key",
    "kid",
    "passphrase",
    "allow_short_secret",
    "issuer",
    "subject",
    "audience",
    "expiry_seconds",
    "backdate_seconds",
    "issued_at",
    "headers",
    "claims",
    "refresh_token",
    "file",
    "initial",
    "reusable",
    "token_endpoint",
    "url",
    "grant_type",
    "scope",
    "parameters",
    "accept_token_types",
    "keep",
    "client",
    "method",
    "id",
    "secret",
    "policy",
    "reserve_seconds",
    "transient_backoff",
    "first_seconds",
    "limit_seconds",
    "value",
    "env",
    "encoding",
    "unknown",
];

/// Whatever stands under them is a secret, except what says where it is.
const SECRETS: [&str; 6] = ["token", "key", "passphrase", "initial", "secret", "value"];
const PLACES: [&str; 3] = ["file", "env", "encoding"];

const TEXTS: [&str; 14] = [
    "",
    "x",
    "https://api.example.com",
    "http://api.example.com",
    "https://as.example.com/token",
    "HS256",
    "RS256",
    "ES256",
    "basic",
    "private_key_jwt",
    "public",
    "base64",
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
            4 => vec((select(NAMES.to_vec()), inner), 0..7).prop_map(object),
        ]
    })
}

fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Trees with the tables where they belong, whatever is in them.
fn configurations() -> impl Strategy<Value = Value> {
    let tables = ["jwt", "token_endpoint", "refresh_token", "policy", "token", "allow_origins"];
    prop_oneof![
        1 => trees(),
        3 => vec((select(tables.to_vec()), trees()), 0..5).prop_map(object),
        2 => (trees(), trees(), trees()).prop_map(|(key, secret, claims)| serde_json::json!({
            "allow_origins": ["https://api.example.com"],
            "jwt": { "algorithm": "HS256", "key": key, "claims": claims },
            "token_endpoint": {
                "url": "https://as.example.com/token",
                "client": { "method": "basic", "id": "reporting", "secret": secret },
            },
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
