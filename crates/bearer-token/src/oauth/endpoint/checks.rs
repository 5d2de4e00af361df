//! Checks of the parameters, headers and names that a user adds to token requests.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING},
};
use zeroize::Zeroizing;

use crate::{
    oauth::{Parameters, ResponseFormat, request::wire},
    problem::{Advice, Problem, Problems},
};

/// Parameters that are not set here, and what sets them. A fixed credential would outlive its validity.
const RESERVED: [(&str, &[&str]); 13] = [
    ("grant_type", &["grant_type"]),
    ("client_secret", &["ClientAuth::post"]),
    ("client_assertion", &["ClientAuth::private_key_jwt", "ClientAuth::assertion_from"]),
    ("client_assertion_type", &["ClientAuth::private_key_jwt", "ClientAuth::assertion_from"]),
    ("assertion", &["JwtBearer::new"]),
    ("refresh_token", &["RefreshToken::new"]),
    ("subject_token", &[]),
    ("actor_token", &[]),
    ("code", &[]),
    ("code_verifier", &[]),
    ("device_code", &[]),
    ("auth_req_id", &[]),
    ("password", &[]),
];

/// Checks the parameters that the user added, beside the scope and the client authentication.
pub(crate) fn parameters(parameters: &Parameters, scope: &str, credentials: &Parameters, problems: &mut Problems) {
    for (name, value) in parameters.iter() {
        if name.is_empty() {
            problems.push("parameter", "found one with an empty name");
            continue;
        }
        if !wire::check("parameter", name, problems) {
            continue;
        }
        let path = format!("parameter.{name}");
        let problem = |found: &'static str| Problem::new(path.clone(), found);
        if let Some((_, settings)) = RESERVED.iter().find(|(reserved, _)| reserved.eq_ignore_ascii_case(name.trim())) {
            let problem =
                problem("found a fixed value for a parameter that the grant or the client authentication makes");
            let advice: Vec<_> = match settings {
                [] => vec![Advice::text("use a grant of your own that makes it for each request")],
                settings => settings.iter().copied().map(Advice::set).collect(),
            };
            problems.add(problem.with_advice(advice));
        } else if credentials.names().any(|sent| sent == name) {
            let problem = problem("found a parameter that the client authentication sends already");
            problems.add(problem.advise(Advice::text("remove one of the two")));
        } else if name == "scope" && !scope.is_empty() {
            let problem = problem("found a second scope, but it may be sent only once");
            problems.add(problem.advise(Advice::remove("scope")).advise(Advice::remove("parameter")));
        } else {
            wire::check(&path, value, problems);
        }
    }
}

/// Headers that describe the request itself.
const OWN_HEADERS: [HeaderName; 6] = [ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

/// The headers of every request: those that the user added, and that of the client authentication.
pub(crate) fn headers(
    wanted: Vec<(String, Zeroizing<String>)>,
    authorization: Option<&HeaderValue>,
    problems: &mut Problems,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, mut value) in wanted {
        let Ok(parsed) = HeaderName::try_from(&name) else {
            let found = format!("found a name of {} bytes that is not a header name", name.len());
            problems.add(Problem::new("header", found).expecting("a token such as `X-Tenant` (RFC 9110 section 5.1)"));
            continue;
        };
        let path = format!("header.{parsed}");
        let remove = |found: &'static str, what| Problem::new(path.clone(), found).advise(Advice::text(what));
        if OWN_HEADERS.contains(&parsed) {
            problems.add(remove("found a header that the token request sets itself", "remove it"));
        } else if parsed == AUTHORIZATION && authorization.is_some() {
            problems.add(remove("found a header that the client authentication sets too", "remove one of the two"));
        } else if wire::check(&path, &value, problems) {
            match secret_value(std::mem::take(&mut *value)) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    headers.append(parsed, value);
                }
                Err(_) => problems.push(path, "found a character that no header value can have"),
            }
        }
    }
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value.clone());
    }
    headers
}

/// A header value that is wiped when its last clone is dropped.
fn secret_value(text: String) -> Result<HeaderValue, http::Error> {
    Ok(HeaderValue::from_maybe_shared(Bytes::from_owner(Zeroizing::new(text.into_bytes())))?)
}

/// Checks the names of the fields to keep.
pub(crate) fn keep(keep: &[String], format: &ResponseFormat, problems: &mut Problems) {
    for name in keep {
        if name.is_empty() {
            let problem = Problem::new("keep", "found an empty name");
            problems.add(problem.expecting("a field of the response such as `instance_url`"));
        } else if !wire::check("keep", name, problems) {
        } else if format.is_token(name) {
            let found = format!("found `{name}`, the token itself, which the bearer contains");
            problems.add(Problem::new("keep", found).advise(Advice::text("remove it")));
        } else {
            format.pointer_to(name).check("keep", problems);
        }
    }
}

/// Checks the scope and the grant type, which may be absent.
pub(crate) fn scope_and_grant_type(scope: &str, grant_type: Option<&str>, problems: &mut Problems) {
    wire::check_expecting("words separated by single spaces", "scope", scope, problems);
    match grant_type {
        Some("") => {
            let problem = Problem::new("grant_type", "found an empty string").expecting("a grant type");
            problems.add(problem.advise(Advice::remove("grant_type")));
        }
        Some(grant_type) => _ = wire::check("grant_type", grant_type, problems),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(problems: &Problems) -> Vec<String> {
        problems.iter().map(|problem| problem.path().to_owned()).collect()
    }

    #[test]
    fn l20_no_credential_is_a_fixed_parameter() {
        for (reserved, _) in RESERVED {
            for name in [reserved.to_owned(), reserved.to_uppercase(), format!("{reserved} ")] {
                let mut problems = Problems::default();
                parameters(
                    &Parameters::default().with(name.clone(), "marker"),
                    "",
                    &Parameters::default(),
                    &mut problems,
                );
                assert_eq!(paths(&problems), [format!("parameter.{name}")]);
                let text = problems.iter().next().unwrap().to_string();
                assert!(
                    !text.contains("marker")
                        && (text.contains("use `") || text.contains("a grant of your own") || text.contains("call `")),
                    "{text}"
                );
            }
        }
        for name in ["audience", "resource", "username", "requested_token_type", "subject_token_type", "acr_values"] {
            let mut problems = Problems::default();
            parameters(&Parameters::default().with(name, "value"), "", &Parameters::default(), &mut problems);
            assert!(problems.is_empty(), "{name}");
        }
    }

    #[test]
    fn l52_control_characters_are_problems_where_they_are() {
        for end in ["\n", "\r\n", "\t", "\0", "\u{feff}", "\u{2028}"] {
            let text = format!("marker{end}");
            let mut problems = Problems::default();
            scope_and_grant_type(&text, Some(&text), &mut problems);
            let wanted = Parameters::default().with("audience", text.clone()).with(text.clone(), "value");
            parameters(&wanted, "", &Parameters::default(), &mut problems);
            headers(
                vec![("x-tenant".into(), Zeroizing::new(text.clone())), (text.clone(), Zeroizing::default())],
                None,
                &mut problems,
            );
            keep(std::slice::from_ref(&text), &ResponseFormat::oauth(), &mut problems);
            let expected =
                ["scope", "grant_type", "parameter.audience", "parameter", "header.x-tenant", "header", "keep"];
            assert_eq!(paths(&problems), expected, "{end:?}");
            assert!(problems.iter().all(|problem| !problem.to_string().contains("marker")), "{problems:?}");
        }
    }
}
