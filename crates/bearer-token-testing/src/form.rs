//! The parameters of a token request, and the errors that refuse it.

use std::{borrow::Cow, collections::HashMap};

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{
    body::{ResponseBody, json_response},
    record::RecordedRequest,
};

/// The parameters of a token request.
pub(crate) struct Form {
    parameters: HashMap<String, String>,
    /// The values of `audience`, which may be repeated.
    pub(crate) audiences: Vec<String>,
}

impl Form {
    /// Reads a POST with a form or, if the server accepts others, JSON or the query of a GET.
    pub(crate) fn read(request: &RecordedRequest, accepts_others: bool) -> Result<Self, OAuthError> {
        let media_type = request.header("content-type").and_then(|value| value.split(';').next()).unwrap_or_default();
        let is = |other: &str| media_type.trim().eq_ignore_ascii_case(other);
        if accepts_others && request.body.is_empty() {
            let query = request.uri.query().unwrap_or_default();
            return Form::of(form_urlencoded::parse(query.as_bytes()));
        }
        if accepts_others && is("application/json") {
            let members: Map<String, Value> = serde_json::from_slice(&request.body)
                .map_err(|_| OAuthError::invalid_request("the body is not a JSON object"))?;
            return Form::of(members.iter().flat_map(|(name, value)| {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                values
                    .iter()
                    .map(|value| (name.into(), value.as_str().map_or_else(|| value.to_string().into(), Cow::from)))
            }));
        }
        if request.method != Method::POST {
            return Err(OAuthError {
                status: StatusCode::METHOD_NOT_ALLOWED,
                ..OAuthError::invalid_request("token requests use POST")
            });
        }
        if !is("application/x-www-form-urlencoded") {
            return Err(OAuthError {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ..OAuthError::invalid_request("token requests have a body of application/x-www-form-urlencoded")
            });
        }
        Form::of(request.pairs())
    }

    fn of<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, OAuthError> {
        let mut form = Form { parameters: HashMap::new(), audiences: Vec::new() };
        for (name, value) in pairs {
            // An empty value counts as none, and no parameter may be repeated (RFC 6749 section 3.2), except these two
            // (RFC 8707 section 2, RFC 8693 section 2.1).
            if value.is_empty() || name == "resource" {
                continue;
            }
            if name == "audience" {
                form.audiences.push(value.into_owned());
            } else if form.parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OAuthError::invalid_request("a parameter is repeated"));
            }
        }
        Ok(form)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
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
