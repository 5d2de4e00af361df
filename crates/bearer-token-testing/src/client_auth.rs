//! Client authentication at the token endpoint (RFC 6749 section 2.3, RFC 7523 section 2.2).

use std::sync::Arc;

use aws_lc_rs::constant_time;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{StatusCode, header};

use crate::{
    assertion::Jwt,
    form::{Form, OAuthError},
    record::RecordedRequest,
    registration::{Client, Credential},
    state::ServerState,
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client that sent the request; `None` if the request names no client.
pub(crate) fn authenticate(
    shared: &ServerState,
    request: &RecordedRequest,
    form: &Form,
) -> Result<Option<Arc<Client>>, OAuthError> {
    let basic = request.headers.contains_key(header::AUTHORIZATION);
    let (secret, assertion) = (form.get("client_secret"), form.get("client_assertion"));
    if usize::from(basic) + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(OAuthError::invalid_request("more than one way of client authentication was used"));
    }
    if basic {
        return by_basic(shared, request, form).map(Some);
    }
    if let Some(assertion) = assertion {
        return by_assertion(shared, assertion, form).map(Some);
    }
    let Some(id) = form.get("client_id") else {
        return match secret {
            Some(_) => Err(OAuthError::invalid_request("there is a client_secret and no client_id")),
            None => Ok(None),
        };
    };
    let client = find(shared, id)?;
    match (&client.credential, secret) {
        (Credential::Secret(expected), Some(found)) if same(expected, found) => Ok(Some(client)),
        (Credential::Public, None) => Ok(Some(client)),
        _ => Err(invalid_client("the client's credentials are missing or wrong")),
    }
}

fn by_basic(shared: &ServerState, request: &RecordedRequest, form: &Form) -> Result<Arc<Client>, OAuthError> {
    const WRONG: &str = "the Authorization header is not HTTP Basic with a registered client's credentials";
    let mut headers = request.headers.get_all(header::AUTHORIZATION).iter();
    let credentials = match (headers.next(), headers.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    };
    let (id, secret) = credentials
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, text)| STANDARD.decode(text.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned())))
        .ok_or(challenged(WRONG))?;
    // The client decides whether its id is form-encoded, and the id decides which client it is: try both.
    let (decoded_id, decoded_secret) = (form_decode(&id), form_decode(&secret));
    let raw = find(shared, &id).ok().filter(|client| client.raw_basic);
    let (client, secret) = match raw {
        Some(client) => (client, secret),
        None => (find(shared, &decoded_id).map_err(|_| challenged(WRONG))?, decoded_secret),
    };
    if client.raw_basic && client.id != id {
        return Err(challenged(WRONG));
    }
    if form.get("client_id").is_some_and(|id| id != client.id) {
        return Err(OAuthError::invalid_request("the client_id differs from the one in the Authorization header"));
    }
    match &client.credential {
        Credential::Secret(expected) if same(expected, &secret) => Ok(client),
        _ => Err(challenged(WRONG)),
    }
}

fn by_assertion(shared: &ServerState, assertion: &str, form: &Form) -> Result<Arc<Client>, OAuthError> {
    if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(OAuthError::invalid_request("the client_assertion_type is missing or not the one of RFC 7523"));
    }
    let jwt = Jwt::parse(assertion).map_err(|refusal| invalid_client(refusal.0))?;
    // RFC 7523 section 3: issuer and subject are both the client.
    let client = find(shared, jwt.issuer().unwrap_or_default())?;
    let Credential::Assertion(key) = &client.credential else {
        return Err(invalid_client("the client is not registered for authentication by assertion"));
    };
    if form.get("client_id").is_some_and(|id| id != client.id) {
        return Err(invalid_client("the client_id differs from the iss of the client assertion"));
    }
    let now = shared.now();
    jwt.verify(key)
        .and_then(|claims| {
            claims.subject(std::slice::from_ref(&client.id))?;
            claims.check(&client.rules, &[&shared.token_url(), &shared.issuer], now)?;
            shared.registry().used.accept(&claims, &client.rules)
        })
        .map_err(|refusal| invalid_client(refusal.0))?;
    Ok(client)
}

fn find(shared: &ServerState, id: &str) -> Result<Arc<Client>, OAuthError> {
    shared.registry().clients.get(id).cloned().ok_or(invalid_client("the client is not registered"))
}

fn same(expected: &str, found: &str) -> bool {
    constant_time::verify_slices_are_equal(expected.as_bytes(), found.as_bytes()).is_ok()
}

/// Decodes an id or secret that was form-encoded (RFC 6749 section 2.3.1).
fn form_decode(text: &str) -> String {
    // Encoded strings contain neither `=` nor `&`; without a name, a string with `=` would be split.
    let form = format!("x={}", text.replace('&', "%26"));
    form_urlencoded::parse(form.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}

fn invalid_client(description: &'static str) -> OAuthError {
    OAuthError { status: StatusCode::UNAUTHORIZED, code: "invalid_client", description, challenge: false }
}

/// A client that used the Authorization header is told which scheme to use (RFC 6749 section 5.2).
fn challenged(description: &'static str) -> OAuthError {
    OAuthError { challenge: true, ..invalid_client(description) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_form_decoded() {
        for (encoded, decoded) in
            [("a+b%3A%26", "a b:&"), ("plain", "plain"), ("", ""), ("a=b&c", "a=b&c"), ("%zz%", "%zz%")]
        {
            assert_eq!(form_decode(encoded), decoded);
        }
    }
}
