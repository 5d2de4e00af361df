//! Atlassian Connect: a JWT over the request's method, path and query.
//!
//! Facts: developer.atlassian.com, "Understanding JWT for Connect apps"; the npm package atlassian-jwt.

use std::{collections::BTreeMap, time::Duration};

use aws_lc_rs::digest;
use bearer_token::{
    Error, ErrorKind,
    jwt::{JwtTemplate, SigningKey},
    platform::Platform,
};
use http::{HeaderValue, Method, Uri, header::AUTHORIZATION};
use serde_json::json;

/// Signs requests to one Atlassian site. Build it once for each installation.
pub struct Connect {
    template: JwtTemplate,
    platform: Platform,
    context_path: String,
}

impl Connect {
    /// The app's key is that of its descriptor. The shared secret is the `sharedSecret` of the installation, for HS256.
    /// The context path is the path of the site, such as `/wiki` or nothing, which is not signed.
    pub fn new(
        app_key: &str,
        shared_secret: SigningKey,
        context_path: impl Into<String>,
        platform: Platform,
    ) -> Result<Self, Error> {
        let template = JwtTemplate::builder(shared_secret).issuer(app_key).jwt_id(false);
        let template = template.lifetime(Duration::from_secs(180)).build()?;
        Ok(Connect { template, platform, context_path: context_path.into() })
    }

    /// Sets `Authorization: JWT ..`. Nothing may change the URL after it.
    pub async fn sign<B>(&self, request: &mut http::Request<B>) -> Result<(), Error> {
        let hash = digest::digest(&digest::SHA256, self.canonical(request.method(), request.uri()).as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let jwt = self.template.sign_with(&self.platform, json!({ "qsh": hash })).await?;
        let value = HeaderValue::try_from(format!("JWT {}", jwt.secret()));
        let mut value = value.map_err(|_| Error::new(ErrorKind::Token, "the JWT cannot be a header"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }

    /// The method, the path below the site, and the sorted query: what is hashed.
    pub fn canonical(&self, method: &Method, uri: &Uri) -> String {
        let path = uri.path().strip_prefix(self.context_path.as_str()).unwrap_or(uri.path()).trim_end_matches('/');
        let path = if path.is_empty() { "/" } else { path };
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if name != "jwt" {
                parameters.entry(encode(&name)).or_default().push(encode(&value));
            }
        }
        let query = parameters.into_iter().map(|(name, mut values)| {
            values.sort();
            format!("{name}={}", values.join(","))
        });
        format!("{method}&{}&{}", path.replace('&', "%26"), query.collect::<Vec<_>>().join("&"))
    }
}

/// Percent-encoding of everything but the unreserved characters (RFC 3986 section 2.3).
fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
        .replace('*', "%2A")
        .replace("%7E", "~")
}
