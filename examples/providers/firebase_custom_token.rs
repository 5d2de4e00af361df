//! Firebase: a token that is given to a client of yours, which signs in with it.
//!
//! It is not sent to an API here, so there is no provider. Facts: cloud.google.com/identity-platform, "Create custom
//! tokens".

use std::time::Duration;

use bearer_token::{
    Error,
    jwt::{JwtTemplate, SigningKey},
    platform::Platform,
};
use serde_json::{Value, json};

/// The audience that all custom tokens have.
const AUDIENCE: &str = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";

/// Signs the tokens of a project. Build it once.
pub struct CustomTokens {
    template: JwtTemplate,
    platform: Platform,
}

impl CustomTokens {
    /// `service_account` is the account's e-mail address.
    pub fn new(key: SigningKey, service_account: &str, platform: Platform) -> Result<Self, Error> {
        let template = JwtTemplate::builder(key)
            .issuer(service_account)
            .subject(service_account)
            .audience(AUDIENCE)
            .lifetime(Duration::from_secs(3600))
            .jwt_id(false)
            .build()?;
        Ok(CustomTokens { template, platform })
    }

    /// Signs a token for one user.
    pub async fn sign(&self, uid: &str, claims: &Value) -> Result<String, Error> {
        let jwt = self.template.sign_with(&self.platform, json!({ "uid": uid, "claims": claims })).await?;
        Ok(jwt.secret().to_owned())
    }
}
