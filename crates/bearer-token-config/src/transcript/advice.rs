//! What to change in a configuration after a failure: fields, the most likely one first.

use bearer_token::{Error, ErrorKind, Retry};
use bytes::Bytes;
use http::{Request, header};

use crate::DryRun;

/// What the server's description of a refused assertion mentions, and the claim or field that it is about.
const CLAIMS: [(&[&str], &str, &str); 8] = [
    (&["signature", "verif"], "key", "the server knows another key for this issuer; register this one's public key"),
    (&["alg"], "algorithm", "the server expects another one, or another key than its `key`"),
    (&["aud"], "audience", "set it, byte for byte, to what the server's documentation says"),
    (&["issuer", "iss"], "issuer", "the server does not know it; compare it with the registration"),
    (&["subject", "sub", "user", "consent"], "subject", "the issuer may not act for it; compare or grant it"),
    (&["lifetime", "far", "short-lived"], "expiry_seconds", "the server accepts shorter lifetimes only"),
    (&["expired", "exp", "iat", "nbf", "past", "future"], "backdate_seconds", "or set this machine's clock"),
    (&["jti"], "jwt_id", "each JWT needs a `jti` of its own"),
];

/// What to change after a failed token request.
pub(super) fn for_error(error: &Error, stages: &[DryRun]) -> Vec<String> {
    let Some(stage) = stages.last() else { return Vec::new() };
    let sent = Sent(stage.requests().last());
    let fix = |text: &str| vec![text.to_owned()];
    match error.kind() {
        // Its problems name the fields.
        ErrorKind::Config => Vec::new(),
        ErrorKind::Origin => fix("`allow_origins`: add the origin of the URL, if the API may have the token"),
        ErrorKind::Signing => fix("the `key`: the file or signer that the message names"),
        ErrorKind::Transport => {
            fix("`token_endpoint.url`: its scheme, host and port; `token_endpoint.tls.ca` for a private CA")
        }
        ErrorKind::Timeout => fix("`token_endpoint.url`: its host; `policy.fetch_timeout_seconds` for a slow server"),
        ErrorKind::Unavailable => fix("nothing here: wait, the server is in trouble"),
        ErrorKind::Response if error.to_string().contains("in the response format") => {
            fix("`token_endpoint.response`: name the field that has the token; otherwise `token_endpoint.url`")
        }
        ErrorKind::Response | ErrorKind::Token => fix(
            "`token_endpoint.url`: something else may be there, such as a login page; otherwise `token_endpoint.response`",
        ),
        ErrorKind::Refused => refused(error, &sent),
        _ if error.retry() == Retry::AfterChange && error.to_string().contains("no refresh token in the store") => {
            fix("run `bearer-token login` first")
        }
        _ => Vec::new(),
    }
}

fn refused(error: &Error, sent: &Sent<'_>) -> Vec<String> {
    if error.to_string().contains("check the path of the token endpoint URL") {
        return vec!["`token_endpoint.url`: its path".to_owned()];
    }
    match error.oauth_code() {
        Some("invalid_client" | "unauthorized_client") => client(error, sent),
        Some("invalid_grant") if sent.has("assertion") => assertion("jwt", error),
        Some("invalid_grant") if sent.has("refresh_token") => {
            vec![
                "run `bearer-token login` again: the consent has ended, or another copy used the refresh token"
                    .to_owned(),
            ]
        }
        Some("invalid_scope") => {
            vec!["`token_endpoint.scope`: the server knows other scopes, or grants fewer to this client".to_owned()]
        }
        Some("unsupported_grant_type") => {
            vec!["`token_endpoint.grant_type`: the server expects another one; often it can be left out".to_owned()]
        }
        Some("invalid_target") => vec!["`token_endpoint.parameters`: `resource` or `audience`".to_owned()],
        Some("invalid_request") => vec![
            "`token_endpoint.parameters`: one is missing, or malformed".to_owned(),
            "`token_endpoint.body`: the server may expect JSON".to_owned(),
        ],
        _ => client(error, sent),
    }
}

/// What to change in how the client identifies itself.
fn client(error: &Error, sent: &Sent<'_>) -> Vec<String> {
    let compare = "`token_endpoint.client.id` and `.secret`: compare both with the registration";
    let other = |method: &str| format!("`token_endpoint.client.method`: try \"{method}\", if both are right");
    if sent.has("client_assertion") {
        assertion("token_endpoint.client.jwt", error)
    } else if sent.has_authorization() {
        vec![compare.to_owned(), other("post")]
    } else if sent.has("client_secret") {
        vec![compare.to_owned(), other("basic")]
    } else if sent.has("assertion") {
        // Servers use this code also for an issuer that they do not know.
        [
            assertion("jwt", error),
            vec!["`token_endpoint.client`: set it, if the server wants one beside the JWT".to_owned()],
        ]
        .concat()
    } else {
        vec!["`token_endpoint.client`: set its `id` and `secret`, or a `jwt`".to_owned()]
    }
}

/// What to change in a JWT: what the server mentions, or all that it compares.
fn assertion(section: &str, error: &Error) -> Vec<String> {
    let words = error.server_description().unwrap_or_default().to_lowercase();
    let words: Vec<&str> = words.split(|character: char| !character.is_alphanumeric() && character != '-').collect();
    let mentions = |stem: &&str| words.iter().any(|word| word == stem || stem.len() > 3 && word.starts_with(*stem));
    let fix = |(_, field, text): &(_, &str, &str)| format!("`{section}.{field}`: {text}");
    let named: Vec<String> = CLAIMS.iter().filter(|(stems, ..)| stems.iter().any(mentions)).map(fix).collect();
    if named.is_empty() { CLAIMS.iter().take(5).map(fix).collect() } else { named }
}

/// The token request of the dry run.
struct Sent<'a>(Option<&'a Request<Bytes>>);

impl Sent<'_> {
    fn has(&self, parameter: &str) -> bool {
        self.0.is_some_and(|request| form_urlencoded::parse(request.body()).any(|(name, _)| name == parameter))
    }

    fn has_authorization(&self) -> bool {
        self.0.is_some_and(|request| request.headers().contains_key(header::AUTHORIZATION))
    }
}
