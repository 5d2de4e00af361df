//! What to change in a configuration after the API's response.

use bearer_token_config::DryRun;
use http::{StatusCode, header};
use reqwest::Url;

use crate::call::Reply;

/// What a 403 may mean whose response says nothing: it has neither a body nor a challenge.
pub(crate) fn of_silent_refusal(reply: &Reply) -> Option<&'static str> {
    let is_silent = reply.is_empty && !reply.headers.contains_key(header::WWW_AUTHENTICATE);
    (reply.status == StatusCode::FORBIDDEN && is_silent).then_some(
        "the API does not say why it refuses. One of these: the token lacks a scope (`token_endpoint.scope`) or is for \
         another API (an `audience` in `token_endpoint.parameters`); the account lacks a right at the API; the API says 403 \
         of a token that has ended (`send.reject_on = [403]`); or a gateway refuses the address, the path or the method",
    )
}

/// What to change after the API's response, unless all is well.
pub(crate) fn for_reply(reply: &Reply, url: &Url, stages: &[DryRun]) -> Option<String> {
    if !reply.had_token {
        return Some(format!("`allow_origins`: add \"{}\", which got no token", url.origin().ascii_serialization()));
    }
    if let Some(meanings) = of_silent_refusal(reply) {
        return Some(meanings.to_owned());
    }
    let is_jwt = stages.last().is_some_and(|stage| stage.stage() == "jwt");
    let challenge = reply.headers.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let mentions = |word: &str| challenge.is_some_and(|challenge| challenge.contains(word));
    let fix = match reply.status {
        _ if mentions("insufficient_scope") => "`token_endpoint.scope`: ask for the scope that the response names",
        StatusCode::UNAUTHORIZED if !mentions("error=") => {
            "`send.scheme` and `send.header`: the API does not see a token; most expect `Authorization: Bearer`"
        }
        StatusCode::UNAUTHORIZED if is_jwt => {
            "`jwt.audience`: set it to what the API calls itself; or `jwt.issuer` and `jwt.key`, which it has to know"
        }
        StatusCode::UNAUTHORIZED => {
            "`token_endpoint.parameters` or `.scope`: the token is for another API; many servers want an `audience`"
        }
        StatusCode::FORBIDDEN => "`token_endpoint.scope`, or the rights of the account at the API: the token is valid",
        StatusCode::NOT_FOUND => "the URL: its path",
        status if status.is_redirection() => "the URL: call the one in `location`",
        status if status.is_server_error() => "nothing here: wait, the API is in trouble",
        status if status.is_client_error() => "the URL, or what else the API wants: its response may say it",
        _ => return None,
    };
    Some(fix.to_owned())
}
