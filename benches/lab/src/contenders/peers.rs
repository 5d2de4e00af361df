//! The peers, each through its public API, in the way that its documentation shows.

use http::HeaderValue;

use crate::drive::Failed;

pub(super) mod aliri;
pub(super) mod cf_gears;
pub(super) mod gcp;
pub(super) mod google;
pub(super) mod huskarl;
pub(super) mod yup;

/// A header value made of a token for one request: what is left to do where no ready value is kept.
#[inline]
fn bearer(token: &str) -> Result<HeaderValue, Failed> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(Failed::new)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A service account as Google's libraries want it; the key is one of the tests'.
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
