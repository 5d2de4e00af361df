//! The protected API (RFC 6750).

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    assertion::Refusal,
    body::{ResponseBody, json_response},
    issue::Identity,
    record::RecordedRequest,
    state::ServerState,
};

/// Responds to an API request: echoes it if the token is valid.
pub(crate) fn respond(shared: &ServerState, request: &RecordedRequest) -> Response<ResponseBody> {
    match authorize(shared, request) {
        Ok(identity) => {
            shared.counts.update(|counts| counts.api_accepted += 1);
            json_response(StatusCode::OK, &echo(request, &identity))
        }
        Err(rejection) => {
            shared.counts.update(|counts| counts.api_rejected += 1);
            rejection.response()
        }
    }
}

/// Why an API request is refused (RFC 6750 section 3.1).
enum ApiError {
    /// There is no bearer token, so there is no error code.
    Missing,
    Malformed,
    Invalid(Refusal),
    /// The token is valid, but was not requested with these claims.
    Insufficient(String),
}

fn authorize(shared: &ServerState, request: &RecordedRequest) -> Result<Identity, ApiError> {
    let mut headers = request.headers.get_all(header::AUTHORIZATION).iter();
    let value = headers.next().ok_or(ApiError::Missing)?;
    if headers.next().is_some() {
        return Err(ApiError::Malformed);
    }
    let value = value.to_str().map_err(|_| ApiError::Malformed)?;
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => token,
        _ => return Err(ApiError::Missing),
    };
    let now = shared.now();
    let mut registry = shared.registry();
    let registry = &mut *registry;
    let (issued, issuers) = (&mut registry.issued, &registry.issuers);
    let identity =
        issued.recognise(token, |name| issuers.get(name).map(|issuer| &**issuer), now).map_err(ApiError::Invalid)?;
    match &registry.demanded_claims {
        Some(demanded) if identity.claims.as_ref() != Some(demanded) => Err(ApiError::Insufficient(demanded.clone())),
        _ => Ok(identity),
    }
}

fn echo(request: &RecordedRequest, identity: &Identity) -> Value {
    let body = if request.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&request.body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&request.body).into_owned()))
    };
    json!({
        "method": request.method.as_str(),
        "path": request.uri.path(),
        "query": request.uri.query(),
        "body": body,
        "subject": identity.subject,
        "client_id": identity.client,
        "scope": identity.scope,
    })
}

impl ApiError {
    fn response(&self) -> Response<ResponseBody> {
        let (status, code, description) = match self {
            ApiError::Missing => (StatusCode::UNAUTHORIZED, None, "there is no bearer token"),
            ApiError::Malformed => {
                (StatusCode::BAD_REQUEST, Some("invalid_request"), "the Authorization header is malformed")
            }
            ApiError::Invalid(Refusal(text)) => (StatusCode::UNAUTHORIZED, Some("invalid_token"), *text),
            ApiError::Insufficient(_) => {
                (StatusCode::UNAUTHORIZED, Some("insufficient_claims"), "the token lacks claims that the API requires")
            }
        };
        let mut response = json_response(status, &json!({ "error": code, "error_description": description }));
        let mut challenge = match code {
            None => String::from(r#"Bearer realm="api""#),
            Some(code) => format!(r#"Bearer realm="api", error="{code}", error_description="{description}""#),
        };
        if let ApiError::Insufficient(claims) = self {
            challenge.push_str(&format!(r#", claims="{}""#, STANDARD.encode(claims)));
        }
        if let Ok(value) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}
