//! Configurations with any content.

use bearer_token::{Error, transport::Transport};
use bearer_token_config::ProviderConfig;
use bytes::Bytes;
use serde_json::Value;

use crate::{MARKER, assert_hidden, shown};

/// Fields whose content is a secret, and the fields in them that say where it is.
const SECRETS: [&str; 6] = ["token", "key", "passphrase", "initial", "secret", "value"];
const PLACES: [&str; 3] = ["file", "env", "encoding"];

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

/// Builds it: the result is a provider, or an error with problems.
pub fn build(config: ProviderConfig) {
    let text = match config.transport(Nowhere).build() {
        Ok(provider) => format!("{provider:?}"),
        Err(error) => {
            assert!(!error.problems().is_empty(), "{error}");
            shown(&error)
        }
    };
    assert_hidden(&"built", &text);
}

struct Nowhere;

impl Transport for Nowhere {
    async fn send(&self, _request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        unreachable!("no token is requested")
    }
}
