//! Warnings about values that servers often refuse.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{
    jwt::{Jwt, span},
    token_request::TokenRequest,
};

/// The longest lifetime that Google, among others, accepts.
const LONG: Duration = Duration::from_secs(3600);

pub(super) fn of_request(request: &TokenRequest) -> Vec<String> {
    let mut warnings = Vec::new();
    let local = matches!(request.url.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if request.url.scheme_str() == Some("http") && !local {
        warnings.push(
            "the URL begins with `http:`; every machine on the way can read the request and its response".to_owned(),
        );
    }
    let simple = |word: &str| word.to_lowercase().replace('-', "_").trim_end_matches('s').to_owned();
    if let Some(grant) = request.parameter("grant_type")
        && let Some(usual) = GRANT_TYPES.iter().find(|usual| **usual != grant && simple(usual) == simple(grant))
    {
        warnings.push(format!("`grant_type` is `{grant}`; most servers expect `{usual}` (RFC 6749)"));
    }
    if request.parameter("grant_type").is_some_and(|grant| simple(grant) == "authorization_code") {
        let instead =
            "let the user log in elsewhere, and put the refresh token that comes of it under `[refresh_token]`";
        warnings.push(format!("`grant_type` is `authorization_code`, but a code works once only; {instead}"));
    }
    if request.parameter("scope").is_some_and(|scope| scope.contains(',')) {
        warnings.push("`scope` has a comma; most servers expect spaces (RFC 6749 section 3.3)".to_owned());
    }
    for name in ["audience", "resource"] {
        if request.parameter(name).is_some_and(|value| value.contains(',')) {
            warnings.push(format!("`{name}` has a comma; a server takes it for one value, not for a list"));
        }
    }
    for (name, value) in request.identities() {
        if is_placeholder(&value) {
            warnings.push(format!("`{name}` looks like a placeholder; is it the one that the server gave you?"));
        }
    }
    warnings
}

/// Whether a value looks as if it had been copied from an example. Any of these may be a real value too.
fn is_placeholder(value: &str) -> bool {
    let word: String = value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let is_made_of = |letter: char| word.len() > 2 && word.chars().all(|c| c == letter);
    const WORDS: [&str; 10] = [
        "changeme",
        "changeit",
        "replaceme",
        "placeholder",
        "todo",
        "fixme",
        "clientid",
        "clientsecret",
        "insertme",
        "example",
    ];
    WORDS.contains(&word.as_str())
        || ["your", "my", "insert", "replace", "enter"].iter().any(|start| {
            let rest = word.strip_prefix(start).unwrap_or_default();
            ["id", "secret", "key", "here", "password", "token"].iter().any(|end| rest.ends_with(end))
        })
        || is_made_of('x')
        || (value.starts_with("{{") && value.ends_with("}}"))
        || (value.starts_with('[') && value.ends_with(']'))
}

const GRANT_TYPES: [&str; 3] = ["client_credentials", "password", "refresh_token"];

pub(super) fn of_assertion(jwt: &Jwt, request: &TokenRequest, now: SystemTime) -> Vec<String> {
    let mut warnings = Vec::new();
    for claim in ["iss", "sub", "aud", "exp"] {
        if jwt.claim(claim).is_none() {
            let warning = "which RFC 7523 section 3 asks for in an assertion; only some servers do without";
            warnings.push(format!("there is no `{claim}`, {warning}"));
        }
    }
    let url = request.open_url();
    let audiences: Vec<&str> = match jwt.claim("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let nearly = |audience: &&&str| audience.trim_end_matches('/') == url.trim_end_matches('/');
    // A URL without a path is sent with a slash, but is often written without one.
    if request.url.path() != "/"
        && !audiences.contains(&url.as_str())
        && let Some(audience) = audiences.iter().find(nearly)
    {
        let compared = "servers compare byte for byte";
        warnings
            .push(format!("`aud` is {audience} and the URL {url}: they differ in the slash at the end; {compared}"));
    }
    if audiences.iter().any(|audience| audience.contains(',')) {
        warnings.push("`aud` has a comma; write several audiences as a list, `[\"..\", \"..\"]`".to_owned());
    }
    for claim in ["iss", "sub"] {
        if jwt.claim(claim).and_then(Value::as_str).is_some_and(is_placeholder) {
            warnings.push(format!("`{claim}` looks like a placeholder; is it the one that the server gave you?"));
        }
    }
    warnings.extend(expired(jwt, now));
    if let Some(left) = jwt.time("exp").and_then(|time| time.duration_since(now).ok()).filter(|left| *left > LONG) {
        let limits = "many servers accept at most an hour, and some a few minutes";
        warnings.push(format!("`exp` is {} ahead; {limits}", span(left.as_secs())));
    }
    warnings
}

pub(super) fn of_token(jwt: &Jwt, now: SystemTime) -> Vec<String> {
    let mut warnings: Vec<String> = expired(jwt, now).into_iter().collect();
    if jwt.claim("exp").is_none() {
        warnings.push("there is no `exp`: a leaked token can be used for ever".to_owned());
    }
    warnings
}

fn expired(jwt: &Jwt, now: SystemTime) -> Option<String> {
    let past = now.duration_since(jwt.time("exp")?).ok()?;
    Some(format!("it expired {} ago", span(past.as_secs())))
}
