//! Coinbase Developer Platform: the second header of requests that use a wallet, a JWT over the request's body.
//!
//! The bearer token of these requests is `coinbase.toml`. This header depends on the body, so it is made where the
//! request is built. Facts: coinbase/cdp-sdk, typescript/src/auth/utils/jwt.ts (`generateWalletJwt`).
//! unconfirmed: that the hash is SHA-256 in hex, over the body as JSON with sorted members.

use std::time::Duration;

use aws_lc_rs::digest;
use bearer_token::{
    Error, ErrorKind,
    jwt::{JwtTemplate, SigningKey},
    platform::Platform,
};
use http::{HeaderValue, Method, Uri};
use serde_json::{Map, Value, json};

/// Signs requests with the wallet's secret. Build it once.
pub struct Wallet {
    template: JwtTemplate,
    platform: Platform,
}

impl Wallet {
    pub fn new(key: SigningKey, platform: Platform) -> Result<Self, Error> {
        let template = JwtTemplate::builder(key).backdate(Duration::ZERO).not_before(true).expiration_time(false);
        Ok(Wallet { template: template.build()?, platform })
    }

    /// The value of `X-Wallet-Auth` for one request.
    pub async fn auth(&self, method: &Method, url: &Uri, body: Option<&Value>) -> Result<HeaderValue, Error> {
        let resource = format!("{method} {}{}", url.host().unwrap_or_default(), url.path());
        let mut claims = json!({ "uris": [resource] });
        if let Some(body) = body {
            claims["reqHash"] = sha256(sorted(body).to_string().as_bytes()).into();
        }
        // `iat` and `jti` are new in each JWT.
        let jwt = self.template.sign_with(&self.platform, claims).await?;
        let value = HeaderValue::try_from(jwt.secret());
        let mut value = value.map_err(|_| Error::new(ErrorKind::Token, "the JWT cannot be a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The same JSON with its members in alphabetical order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        _ => value.clone(),
    }
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
