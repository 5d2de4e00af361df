//! What to change in a configuration after the API responded to a request with the token.

use http::{HeaderMap, StatusCode, header};

use crate::DryRun;

/// What a 403 may mean whose response says nothing: it has neither a body nor a challenge.
const SILENT_REFUSAL: &str = "the API does not say why it refuses. One of these: the token lacks a scope (`token_endpoint.scope`) or is for \
     another API (an `audience` in `token_endpoint.parameters`); the account lacks a right at the API; the API says 403 \
     of a token that has ended (`send.reject_on = [403]`); or a gateway refuses the address, the path or the method";

/// What to change, unless all is well.
pub(super) fn for_response(
    stages: &[DryRun],
    status: StatusCode,
    headers: &HeaderMap,
    is_empty: bool,
) -> Option<&'static str> {
    let is_jwt = stages.last().is_some_and(|stage| stage.stage() == "jwt");
    let challenge = headers.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let mentions = |word: &str| challenge.is_some_and(|challenge| challenge.contains(word));
    let fix = match status {
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
        StatusCode::FORBIDDEN if is_empty && !headers.contains_key(header::WWW_AUTHENTICATE) => SILENT_REFUSAL,
        StatusCode::FORBIDDEN => "`token_endpoint.scope`, or the rights of the account at the API: the token is valid",
        StatusCode::NOT_FOUND => "the URL: its path",
        status if status.is_redirection() => "the URL: call the one in `location`",
        status if status.is_server_error() => "nothing here: wait, the API is in trouble",
        status if status.is_client_error() => "the URL, or what else the API wants: its response may say it",
        _ => return None,
    };
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(status: u16, challenge: Option<&'static str>, is_empty: bool) -> Option<&'static str> {
        let headers = challenge.map(|value| (header::WWW_AUTHENTICATE, value.parse().unwrap())).into_iter().collect();
        for_response(&[], StatusCode::from_u16(status).unwrap(), &headers, is_empty)
    }

    #[test]
    fn each_response_has_its_own_advice() {
        let table = [
            (401, None, "`send.scheme`"),
            (401, Some("Bearer"), "`send.scheme`"),
            (401, Some("Bearer error=\"invalid_token\""), "`token_endpoint.parameters`"),
            (403, Some("Bearer error=\"insufficient_scope\", scope=\"orders\""), "the scope that the response names"),
            (403, Some("Bearer"), "the rights of the account"),
            (404, None, "its path"),
            (302, None, "`location`"),
            (422, None, "its response"),
            (503, None, "wait"),
        ];
        for (status, challenge, expected) in table {
            let found = advice(status, challenge, false).unwrap();
            assert!(found.contains(expected), "{status} {challenge:?}: {found}");
        }
        assert_eq!(advice(200, None, true), None);
    }

    #[test]
    fn a_403_without_a_word_has_its_meanings() {
        assert_eq!(advice(403, None, true), Some(SILENT_REFUSAL));
        assert_ne!(advice(403, None, false), Some(SILENT_REFUSAL), "its body may say why");
    }
}
