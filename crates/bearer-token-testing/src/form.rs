//! The form of a token request, and the errors that refuse it.

use std::collections::HashMap;

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use crate::{
    body::{ResponseBody, json_response},
    record::RecordedRequest,
};

/// The parameters of a token request.
pub(crate) struct Form(HashMap<String, String>);

impl Form {
    pub(crate) fn read(request: &RecordedRequest) -> Result<Self, OAuthError> {
        if request.method != Method::POST {
            return Err(OAuthError {
                status: StatusCode::METHOD_NOT_ALLOWED,
                ..OAuthError::invalid_request("token requests use POST")
            });
        }
        let media_type = request.header("content-type").and_then(|value| value.split(';').next()).unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ..OAuthError::invalid_request("token requests have a body of application/x-www-form-urlencoded")
            });
        }
        let mut form = HashMap::new();
        for (name, value) in request.pairs() {
            // An empty value counts as none, and no parameter may be repeated (RFC 6749 section 3.2), except these two
            // (RFC 8707 section 2, RFC 8693 section 2.1).
            if value.is_empty() || ["audience", "resource"].contains(&&*name) {
                continue;
            }
            if form.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OAuthError::invalid_request("a parameter is repeated"));
            }
        }
        Ok(Form(form))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// An error response (RFC 6749 section 5.2).
#[derive(Clone, Copy)]
pub(crate) struct OAuthError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) description: &'static str,
    /// Whether the response tells the client to use HTTP Basic.
    pub(crate) challenge: bool,
}

impl OAuthError {
    pub(crate) fn invalid_request(description: &'static str) -> Self {
        OAuthError::bad_request("invalid_request", description)
    }

    pub(crate) fn bad_request(code: &'static str, description: &'static str) -> Self {
        OAuthError { status: StatusCode::BAD_REQUEST, code, description, challenge: false }
    }

    pub(crate) fn response(self) -> Response<ResponseBody> {
        let body = json!({ "error": self.code, "error_description": self.description });
        let mut response = json_response(self.status, &body);
        if self.challenge {
            let value = HeaderValue::from_static(r#"Basic realm="token endpoint""#);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}
