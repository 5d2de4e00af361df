//! The token endpoint (RFC 6749 section 3.2).

use http::{HeaderValue, Response, StatusCode, header};

use crate::{
    assertion::{Jwt, Refusal},
    body::{ResponseBody, json_response},
    client_auth::authenticate,
    form::{Form, OAuthError},
    issue::{Identity, random},
    record::RecordedRequest,
    refresh::Redemption,
    registration::Scopes,
    state::ServerState,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// Responds to a token request.
pub(crate) fn respond(shared: &ServerState, request: &RecordedRequest) -> Response<ResponseBody> {
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

fn grant(shared: &ServerState, request: &RecordedRequest) -> Result<Response<ResponseBody>, OAuthError> {
    let accepts_others = shared.registry().accepts_other_requests;
    let form = Form::read(request, accepts_others)?;
    let default = Some("client_credentials").filter(|_| accepts_others);
    let grant_type =
        form.get("grant_type").or(default).ok_or(OAuthError::invalid_request("the grant_type is missing"))?;
    let jwt_bearer =
        grant_type == JWT_BEARER || shared.registry().jwt_bearer_names.iter().any(|name| name == grant_type);
    let refreshing = grant_type == "refresh_token";
    let exchanging = grant_type == TOKEN_EXCHANGE;
    if !jwt_bearer && !refreshing && !exchanging && grant_type != "client_credentials" {
        return Err(OAuthError::bad_request("unsupported_grant_type", "the grant_type is not supported"));
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
        let (subject, scopes) = jwt_subject(shared, assertion, false)?;
        allowed = allowed.and(&scopes);
        subject
    } else if exchanging {
        let (Some(token), Some(token_type)) = (form.get("subject_token"), form.get("subject_token_type")) else {
            return Err(OAuthError::invalid_request("the subject_token or its type is missing"));
        };
        let (subject, scopes) = if token_type == ACCESS_TOKEN {
            access_token_subject(shared, token)?
        } else {
            // An identity is not used up: its holder may exchange it again.
            jwt_subject(shared, token, true)?
        };
        allowed = allowed.and(&scopes);
        subject
    } else {
        // The client acts for itself (RFC 6749 section 4.4).
        client_id.clone().ok_or(OAuthError {
            status: StatusCode::UNAUTHORIZED,
            code: "invalid_client",
            description: "the request has no client authentication",
            challenge: true,
        })?
    };
    let scope = allowed
        .grant(form.get("scope"))
        .map_err(|()| OAuthError::bad_request("invalid_scope", "the scope exceeds what is allowed"))?;

    let now = shared.now();
    let mut registry = shared.registry();
    let tokens = registry.tokens.clone();
    let claims = form.get("claims").map(str::to_owned);
    let identity = Identity { subject, client: client_id, scope: scope.clone(), claims };
    let failed = |_| OAuthError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: "server_error",
        description: "no token could be issued",
        challenge: false,
    };
    let requested = form.get("requested_token_type").filter(|_| exchanging);
    let mut body = match (requested, form.audiences.as_slice()) {
        (Some(ID_JAG), [audience]) => {
            let token = registry.issued.assert(tokens.lives(), audience, &identity, now).map_err(failed)?;
            tokens.token_type("N_A").member("issued_token_type", ID_JAG).response(&token, scope.as_deref())
        }
        (Some(ID_JAG), _) => return Err(OAuthError::bad_request("invalid_target", "expected exactly one audience")),
        (Some(other), _) if other != ACCESS_TOKEN => {
            return Err(OAuthError::invalid_request("the requested_token_type is not supported"));
        }
        _ => {
            let token = registry.issued.issue(&tokens, identity, now).map_err(failed)?;
            let tokens = if exchanging { tokens.member("issued_token_type", ACCESS_TOKEN) } else { tokens };
            tokens.response(&token, scope.as_deref())
        }
    };
    if let Some(used) = refresh_token {
        let successor = random().map_err(failed)?;
        if registry.refresh.redeem(used, &successor, now) {
            shared.counts.update(|counts| counts.refresh_tokens_issued += 1);
            if let Some(members) = body.as_object_mut() {
                members.entry("refresh_token").or_insert(successor.into());
            }
        }
    }
    Ok(json_response(StatusCode::OK, &body))
}

/// The subject of a refresh token, and its scopes (RFC 6749 section 6).
fn refresh_token_subject(
    shared: &ServerState,
    token: &str,
    client: Option<&str>,
) -> Result<(String, Scopes), OAuthError> {
    let now = shared.now();
    let used = shared.registry().refresh.examine(token, client, now);
    let refused = match used {
        Redemption::Good { subject, scopes } => return Ok((subject, scopes)),
        Redemption::Refused(refusal) => refusal,
        Redemption::Reused => {
            shared.counts.update(|counts| counts.refresh_tokens_reused += 1);
            Refusal("the refresh token was used before")
        }
    };
    Err(OAuthError::bad_request("invalid_grant", refused.0))
}

/// The subject of an access token that this server issued, and its scopes (RFC 8693 section 2.1).
fn access_token_subject(shared: &ServerState, token: &str) -> Result<(String, Scopes), OAuthError> {
    let now = shared.now();
    let identity = shared.registry().issued.recognise(token, |_| None, now);
    let identity = identity.map_err(|refusal| OAuthError::bad_request("invalid_grant", refusal.0))?;
    let scopes = identity.scope.as_deref().map(|scope| Scopes::only(scope.split_ascii_whitespace()));
    Ok((identity.subject, scopes.unwrap_or_default()))
}

/// The subject of an assertion or an identity, and its issuer's scopes (RFC 7523 section 3).
fn jwt_subject(shared: &ServerState, assertion: &str, may_be_reused: bool) -> Result<(String, Scopes), OAuthError> {
    let invalid = |refusal: Refusal| OAuthError::bad_request("invalid_grant", refusal.0);
    let jwt = Jwt::parse(assertion).map_err(invalid)?;
    let issuer = jwt.issuer().and_then(|name| shared.registry().issuers.get(name).cloned());
    let issuer =
        issuer.ok_or(OAuthError::bad_request("invalid_grant", "the issuer of the assertion is not trusted"))?;
    let now = shared.now();
    let claims = jwt.verify(&issuer.key).map_err(invalid)?;
    let subject = claims.subject(&issuer.subjects).map_err(invalid)?;
    claims.check(&issuer.rules, &[&shared.token_url(), &shared.issuer], now).map_err(invalid)?;
    if !may_be_reused {
        shared.registry().used.accept(&claims, &issuer.rules).map_err(invalid)?;
    }
    Ok((subject.to_owned(), issuer.scopes.clone()))
}
