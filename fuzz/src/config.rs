//! Configurations, whatever is in them.

use bearer_token::{Error, transport::Transport};
use bearer_token_config::ProviderConfig;
use bytes::Bytes;
use serde_json::Value;

use crate::{MARKER, assert_hidden, shown};

/// Whatever stands under these is a secret, except what says where it is.
const SECRETS: [&str; 6] = ["token", "key", "passphrase", "initial", "secret", "value"];
const PLACES: [&str; 3] = ["file", "env", "encoding"];

/// Makes every text that is a secret by its place the marker, and no other, and keeps clear of files and variables.
pub fn plant(value: &mut Value, secret: bool) {
    match value {
        Value::String(text) if secret => MARKER.clone_into(text),
        Value::String(text) => *text = text.replace(MARKER, "x"),
        Value::Array(list) => list.iter_mut().for_each(|value| plant(value, secret)),
        Value::Object(members) => {
            // The names of fields are shown.
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

/// Builds it: there is a provider, or an error that says what is wrong.
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
        unreachable!("nobody asks for a token")
    }
}
