//! The client as the configuration registers it, taken from the token request that the configuration would send.

use base64::{Engine, prelude::BASE64_STANDARD};
use bearer_token::{
    Error, ErrorKind,
    transport::{HttpTransport, Transport},
};
use bearer_token_config::DryRun;
use http::{HeaderMap, Request, header};
use oauth2::{ErrorResponse, HttpRequest, HttpResponse, RequestTokenError};

use crate::arguments::Source;

/// The parameters of the refresh token grant. Other grants have their own values for them.
const GRANT: [&str; 3] = ["grant_type", "refresh_token", "scope"];

pub(super) struct Registration {
    pub(super) client_id: Option<String>,
    pub(super) token_url: String,
    /// Whether the metadata of the issuer has the URL, which is then a stand-in.
    pub(super) is_discovered: bool,
    pub(super) scope: Option<String>,
    headers: HeaderMap,
    parameters: Vec<(String, String)>,
}

impl Registration {
    /// Reads the client from a dry run, in which a stand-in takes the place of the refresh token.
    pub(super) async fn read(source: &Source) -> Result<Self, Error> {
        let stand_in = [("LOGIN_REFRESH_TOKEN", "{ initial = { value = \"stand-in\" }, reusable = true }")];
        let config = source.load()?.override_with_variables("LOGIN_", stand_in);
        let stages = config.dry_run_with(source.variables.iter().cloned()).await?;
        let requests = stages.last().map(DryRun::requests).unwrap_or_default();
        let no_request = || Error::new(ErrorKind::Config, "found no token request in the configuration");
        let request = requests.last().ok_or_else(no_request)?;
        let form: Vec<_> = form_urlencoded::parse(request.body()).into_owned().collect();
        let value = |name: &str| form.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        Ok(Registration {
            client_id: value("client_id").or_else(|| basic_id(request.headers())),
            token_url: request.uri().to_string(),
            is_discovered: requests.len() > 1,
            scope: value("scope"),
            headers: request.headers().clone(),
            parameters: form.iter().filter(|(name, _)| !GRANT.contains(&name.as_str())).cloned().collect(),
        })
    }
}

/// The id in a header for HTTP Basic (RFC 6749 section 2.3.1).
fn basic_id(headers: &HeaderMap) -> Option<String> {
    let pair = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = BASE64_STANDARD.decode(pair).ok()?;
    let id = pair.split(|byte| *byte == b':').next()?;
    form_urlencoded::parse(id).next().map(|(id, _)| id.into_owned())
}

/// Sends a request of the crate `oauth2`, with what identifies the client.
pub(super) async fn send(source: &Source, request: HttpRequest) -> Result<HttpResponse, Error> {
    let registration = Registration::read(source).await?;
    let (mut head, body) = request.into_parts();
    let mut form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    // A client identifies itself in one way only (RFC 6749 section 2.3).
    form.retain(|(name, _)| name != "client_id" || !registration.headers.contains_key(header::AUTHORIZATION));
    let new = |(name, _): &&(String, String)| !form.iter().any(|(found, _)| found == name);
    let added: Vec<_> = registration.parameters.iter().filter(new).cloned().collect();
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.into_iter().chain(added)).finish();
    for (name, value) in registration.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
        head.headers.entry(name).or_insert_with(|| value.clone());
    }
    let response = HttpTransport::new().send(Request::from_parts(head, body.into())).await?;
    Ok(response.map(|body| body.to_vec()))
}

/// An error of the crate `oauth2`. Its own words may quote a response.
pub(super) fn failed<T: ErrorResponse + 'static>(error: RequestTokenError<Error, T>) -> Error {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(response) => {
            let code = serde_json::to_value(&response).ok();
            let code = code.as_ref().and_then(|response| response.get("error")?.as_str()).unwrap_or_default();
            let is_code = code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let code = if is_code { code } else { "another" };
            let message = format!("the authorization server refused the login with the OAuth error `{code}`");
            Error::new(ErrorKind::Refused, message).with_oauth_code(code.to_owned())
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Error::new(ErrorKind::Response, "the response is not one of OAuth: check the URLs of the endpoints")
        }
    }
}
