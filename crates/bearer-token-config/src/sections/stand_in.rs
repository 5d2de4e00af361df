//! What responds in place of a token endpoint in a dry run.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::response::FormatFields;

/// Responds in the form that a token endpoint is configured for.
pub(crate) struct StandIn {
    /// The path of the endpoint's section.
    pub(crate) section: String,
    /// The issuer whose metadata has the URL.
    pub(super) issuer: Option<String>,
    /// The metadata of a protected resource, and its URL if it is configured.
    pub(super) resource: Option<(Value, Option<String>)>,
    /// Where the token is.
    pub(super) token: String,
    /// The place of the lifetime in the response, and the lifetime itself.
    pub(super) lifetime: (String, u64),
}

impl StandIn {
    pub(super) fn new(section: String, issuer: Option<&str>, format: Option<&FormatFields>) -> Self {
        let (token, lifetime) = FormatFields::places(format);
        StandIn { section, issuer: issuer.map(str::to_owned), resource: None, token, lifetime }
    }

    /// Responds with the metadata of a protected resource too.
    pub(super) fn for_resource(self, (resource, metadata_url): (String, Option<String>), issuer: &str) -> Self {
        let metadata = json!({ "resource": resource, "authorization_servers": [issuer] });
        StandIn { resource: Some((metadata, metadata_url)), ..self }
    }

    /// The response to a request: metadata of the issuer, or a token.
    pub(crate) fn response(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if let Some((metadata, url)) = &self.resource {
            let (is_get, path) = (request.method() == Method::GET, request.uri().path());
            let is_configured = url.as_ref().is_some_and(|url| *url == request.uri().to_string());
            if is_get && (is_configured || path.starts_with("/.well-known/oauth-protected-resource")) {
                return json_response(metadata);
            }
        }
        if let Some(issuer) = &self.issuer
            && request.method() == Method::GET
            && request.uri().path().contains("/.well-known/")
        {
            let url = format!("{}/token-endpoint-of-the-metadata", issuer.trim_end_matches('/'));
            return json_response(&json!({ "issuer": issuer, "token_endpoint": url }));
        }
        // Characters of a bearer token (RFC 6750 section 2.1).
        let token = format!("stand-in-for-the-token-of-{}", self.section);
        if self.token.is_empty() {
            return Response::new(token.into());
        }
        let mut body = json!({ "token_type": "Bearer" });
        put(&mut body, &self.lifetime.0, self.lifetime.1.into());
        put(&mut body, &self.token, token.into());
        json_response(&body)
    }
}

fn json_response(body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.to_string().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Puts a value at a JSON pointer (RFC 6901).
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for name in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let name = name.replace("~1", "/").replace("~0", "~");
        // It is an object, so this inserts.
        place = &mut place[name];
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_a_path_of_objects() {
        let mut document = json!({ "a": 1 });
        put(&mut document, "/b/0/c~1d~0", 2.into());
        put(&mut document, "/a/x", 3.into());
        assert_eq!(document, json!({ "a": { "x": 3 }, "b": { "0": { "c/d~": 2 } } }));
    }
}
