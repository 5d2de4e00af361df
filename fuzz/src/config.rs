//! Configurations with any content.

use bearer_token::{Error, transport::Transport};
use bearer_token_config::{KeyedConfig, ProviderConfig};
use bytes::Bytes;
use serde_json::Value;

use crate::{MARKER, assert_hidden, shown};

/// Fields whose content is a secret, and the fields in them that say where it is.
const SECRETS: [&str; 9] =
    ["token", "key", "passphrase", "initial", "secret", "value", "assertion", "subject_token", "actor_token"];
const PLACES: [&str; 5] = ["file", "env", "encoding", "source", "variable"];

/// Replaces every secret with the marker, removes it elsewhere, and avoids existing files and variables.
pub fn plant(value: &mut Value, secret: bool) {
    match value {
        Value::String(text) if secret => MARKER.clone_into(text),
        Value::String(text) => *text = text.replace(MARKER, "x"),
        Value::Array(list) => list.iter_mut().for_each(|value| plant(value, secret)),
        Value::Object(members) => {
            // Errors show the names of fields.
            members.retain(|name, _| !name.contains(MARKER));
            for (name, value) in members {
                if let (Value::String(place), "file" | "env") = (&mut *value, name.as_str()) {
                    "no-such-place".clone_into(place);
                }
                let place = PLACES.contains(&name.as_str());
                plant(value, !place && (secret || SECRETS.contains(&name.as_str())));
            }
        }
        _ => {}
    }
}

/// Builds it, alone and for any variables: the result is a provider, or an error with problems.
pub fn build(config: impl Fn() -> ProviderConfig) {
    let text = match config().transport(Nowhere).build() {
        Ok(provider) => format!("{provider:?}"),
        Err(error) => told(&error),
    };
    assert_hidden(&"built", &text);
    let text = match KeyedConfig::new(config().transport(Nowhere)) {
        Ok(keyed) => format!("{keyed:?}"),
        Err(error) => told(&error),
    };
    assert_hidden(&"with variables", &text);
}

fn told(error: &Error) -> String {
    assert!(!error.problems().is_empty(), "{error}");
    shown(error)
}

struct Nowhere;

impl Transport for Nowhere {
    async fn send(&self, _request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        unreachable!("no token is requested")
    }
}
