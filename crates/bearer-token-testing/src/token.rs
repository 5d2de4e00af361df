//! The token endpoint (RFC 6749 section 3.2).

use std::collections::HashMap;

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use crate::{
    assertion::{Jwt, Refusal},
    body::Answer,
    client_auth::authenticate,
    http_server::json_response,
    issue::{Identity, random},
    record::RecordedRequest,
    refresh::Used,
    registration::Scopes,
    state::Shared,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Answers a token request.
pub(crate) fn answer(shared: &Shared, request: &RecordedRequest) -> Response<Answer> {
    let response = match grant(shared, request) {
        Ok(response) => {
            shared.counts.update(|counts| counts.tokens_issued += 1);
            response
        }
        Err(error) => {
            shared.counts.update(|counts| counts.token_requests_refused += 1);
            error.response()
        }
    };
    let (mut head, body) = response.into_parts();
    // RFC 6749 section 5.1.
    head.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    Response::from_parts(head, body)
}

fn grant(shared: &Shared, request: &RecordedRequest) -> Result<Response<Answer>, OAuthError> {
    let form = Form::read(request)?;
    let grant_type = form.get("grant_type").ok_or(OAuthError::invalid_request("the grant_type is missing"))?;
    let jwt_bearer =
        grant_type == JWT_BEARER || shared.registry().jwt_bearer_names.iter().any(|name| name == grant_type);
    let refreshing = grant_type == "refresh_token";
    if !jwt_bearer && !refreshing && grant_type != "client_credentials" {
        return Err(OAuthError::bad_request("unsupported_grant_type", "the server does not know this grant_type"));
    }
    let client = authenticate(shared, request, &form)?;
    let client_id = client.as_ref().map(|client| client.id.clone());
    let mut allowed = client.as_ref().map(|client| client.scopes.clone()).unwrap_or_default();
    let mut refresh_token = None;
    let subject = if refreshing {
        let token = form.get("refresh_token").ok_or(OAuthError::invalid_request("the refresh_token is missing"))?;
        let (subject, scopes) = refresh_token_subject(shared, token, client_id.as_deref())?;
        refresh_token = Some(token);
        allowed = allowed.and(&scopes);
        subject
    } else if jwt_bearer {
        let assertion = form.get("assertion").ok_or(OAuthError::invalid_request("the assertion is missing"))?;
        let (subject, scopes) = jwt_bearer_subject(shared, assertion)?;
        allowed = allowed.and(&scopes);
        subject
    } else {
        // RFC 6749 section 4.4: the client is itself the one that is authorized.
        client_id.clone().ok_or(OAuthError {
            status: StatusCode::UNAUTHORIZED,
            code: "invalid_client",
            description: "the client did not say who it is",
            challenge: true,
        })?
    };
    let scope = allowed
        .grant(form.get("scope"))
        .map_err(|()| OAuthError::bad_request("invalid_scope", "the scope is more than may be asked for"))?;

    let now = shared.now();
    let mut registry = shared.registry();
    let tokens = registry.tokens.clone();
    let claims = form.get("claims").map(str::to_owned);
    let identity = Identity { subject, client: client_id, scope: scope.clone(), claims };
    let failed = |_| OAuthError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: "server_error",
        description: "no token could be made",
        challenge: false,
    };
    let token = registry.issued.issue(&tokens, identity, now).map_err(failed)?;
    let mut answer = tokens.answer(&token, scope.as_deref());
    if let Some(used) = refresh_token {
        let successor = random().map_err(failed)?;
        if registry.refresh.redeem(used, &successor, now) {
            shared.counts.update(|counts| counts.refresh_tokens_issued += 1);
            if let Some(members) = answer.as_object_mut() {
                members.entry("refresh_token").or_insert(successor.into());
            }
        }
    }
    Ok(json_response(StatusCode::OK, &answer))
}

/// RFC 6749 section 6: whom the refresh token speaks for, and which scopes that allows.
fn refresh_token_subject(shared: &Shared, token: &str, client: Option<&str>) -> Result<(String, Scopes), OAuthError> {
    let now = shared.now();
    let used = shared.registry().refresh.examine(token, client, now);
    let refused = match used {
        Used::Good { subject, scopes } => return Ok((subject, scopes)),
        Used::Refused(refusal) => refusal,
        Used::Reused => {
            shared.counts.update(|counts| counts.refresh_tokens_reused += 1);
            Refusal("the refresh token was used before")
        }
    };
    Err(OAuthError::bad_request("invalid_grant", refused.0))
}

/// RFC 7523 section 3: whom the assertion speaks for, and which scopes that allows.
fn jwt_bearer_subject(shared: &Shared, assertion: &str) -> Result<(String, Scopes), OAuthError> {
    let invalid = |refusal: Refusal| OAuthError::bad_request("invalid_grant", refusal.0);
    let jwt = Jwt::parse(assertion).map_err(invalid)?;
    let issuer = jwt.issuer().and_then(|name| shared.registry().issuers.get(name).cloned());
    let issuer =
        issuer.ok_or(OAuthError::bad_request("invalid_grant", "the issuer of the assertion is not trusted"))?;
    let now = shared.now();
    let claims = jwt.verify(&issuer.key).map_err(invalid)?;
    let subject = claims.subject(&issuer.subjects).map_err(invalid)?;
    claims.check(&issuer.rules, &[&shared.token_url(), &shared.issuer], now).map_err(invalid)?;
    shared.registry().used.accept(&claims, &issuer.rules).map_err(invalid)?;
    Ok((subject.to_owned(), issuer.scopes.clone()))
}

/// The parameters of a token request.
pub(crate) struct Form(HashMap<String, String>);

impl Form {
    fn read(request: &RecordedRequest) -> Result<Self, OAuthError> {
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
            // RFC 6749 section 3.2: no value counts as no parameter, and none comes twice; but RFC 8707 section 2 and
            // RFC 8693 section 2.1 let these two.
            if value.is_empty() || ["audience", "resource"].contains(&&*name) {
                continue;
            }
            if form.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OAuthError::invalid_request("a parameter comes more than once"));
            }
        }
        Ok(Form(form))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// An error answer (RFC 6749 section 5.2).
#[derive(Clone, Copy)]
pub(crate) struct OAuthError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) description: &'static str,
    /// Whether the client is told to use HTTP Basic.
    pub(crate) challenge: bool,
}

impl OAuthError {
    pub(crate) fn invalid_request(description: &'static str) -> Self {
        OAuthError::bad_request("invalid_request", description)
    }

    fn bad_request(code: &'static str, description: &'static str) -> Self {
        OAuthError { status: StatusCode::BAD_REQUEST, code, description, challenge: false }
    }

    fn response(self) -> Response<Answer> {
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
