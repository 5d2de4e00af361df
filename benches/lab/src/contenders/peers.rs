//! The peers, each through its public API, as documented.

use http::HeaderValue;

use crate::drive::Failed;

pub(super) mod aliri;
pub(super) mod cf_gears;
pub(super) mod gcp;
pub(super) mod google;
pub(super) mod huskarl;
pub(super) mod yup;

/// Builds a header value from a token for one request, for peers that keep no ready value.
#[inline]
fn bearer(token: &str) -> Result<HeaderValue, Failed> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(Failed::new)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A service account in the format of Google's libraries, with a key of the tests.
fn service_account(token_url: &str) -> serde_json::Value {
    serde_json::json!({
        "type": "service_account",
        "project_id": "example",
        "private_key_id": "example",
        "private_key": include_str!("../../../../crates/bearer-token/src/jwt/testdata/rsa2048.pem"),
        "client_email": "robot@example.com",
        "client_id": "example",
        "token_uri": token_url,
    })
}
