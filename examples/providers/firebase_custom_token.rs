//! Firebase: a token that is given to a client of yours, which signs in with it.
//!
//! It is not sent to an API here, so there is no provider. Facts: cloud.google.com/identity-platform, "Create custom tokens".

use std::time::Duration;

use bearer_token::{
    Error,
    jwt::{JwtTemplate, SigningKey},
    platform::Platform,
};
use serde_json::Value;

/// The audience that all custom tokens have.
const AUDIENCE: &str = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// Signs a token for one user. `service_account` is the account's e-mail address.
pub async fn custom_token(
    key: &SigningKey,
    service_account: &str,
    platform: &Platform,
    uid: &str,
    claims: &Value,
) -> Result<String, Error> {
    let template = JwtTemplate::builder(key.clone())
        .issuer(service_account)
        .subject(service_account)
        .audience(AUDIENCE)
        .lifetime(Duration::from_secs(3600))
        .jwt_id(false)
        .claim("uid", uid)
        .claim("claims", claims);
    Ok(template.build()?.sign(platform).await?.secret().to_owned())
}
