//! The OAuth error codes that are known.

/// What is known of an error code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OAuthCode {
    /// From the list below, never from an answer: a hostile server could send a secret back as its error code.
    pub(crate) code: &'static str,
    /// Whether the cause may pass by itself.
    pub(crate) passes: bool,
    /// What to do about it.
    pub(crate) advice: &'static str,
}

impl OAuthCode {
    /// The entry of a code that a server sent. Codes are case-sensitive (RFC 6749 section 5.2).
    pub(crate) fn find(code: &str) -> Option<Self> {
        KNOWN
            .iter()
            .find_map(|&(advice, codes)| codes.iter().find(|known| **known == code).map(|code| (advice, *code)))
            .map(|(advice, code)| OAuthCode { code, passes: advice == WAIT, advice })
    }
}

const WAIT: &str = "the server asks for patience, nothing needs to be changed";

const KNOWN: &[(&str, &[&str])] = &[
    (
        "check the client id and how the client authenticates (RFC 6749 section 5.2)",
        &["invalid_client", "incorrect_client_credentials", "deleted_client", "disabled_client"],
    ),
    (
        "the assertion, code or refresh token was refused: check its issuer, audience, subject, key and lifetime, the \
         clock of this machine, and whether it was revoked (RFC 6749 section 5.2)",
        &["invalid_grant", "bad_refresh_token", "expired_token", "invalid_token", "invalid_assertion", "inactive_user"],
    ),
    ("this client may not use this grant: allow it at the server (RFC 6749 section 5.2)", &["unauthorized_client"]),
    ("the server does not know this grant type: check the grant and the URL", &["unsupported_grant_type"]),
    ("check the scope: unknown, malformed, or more than is allowed", &["invalid_scope", "insufficient_scope"]),
    (
        "a parameter is missing, unknown, repeated or malformed: compare the request with the server's documentation",
        &["invalid_request", "invalid_authorization_details", "unsupported_token_type"],
    ),
    ("check the `resource` and `audience` parameters (RFC 8707, RFC 8693 section 2.2.2)", &["invalid_target"]),
    (
        "the server wants DPoP (RFC 9449), which is not supported: allow bearer tokens for this client",
        &["invalid_dpop_proof", "use_dpop_nonce"],
    ),
    (
        "a person has to sign in or to consent first: grant it once by hand, or allow the client at the server",
        &[
            "access_denied",
            "account_selection_required",
            "admin_policy_enforced",
            "consent_required",
            "insufficient_user_authentication",
            "interaction_required",
            "invalid_app_access",
            "login_required",
            "mfa_required",
            "org_internal",
        ],
    ),
    (
        WAIT,
        &[
            "authorization_pending",
            "internal_failure",
            "rate_limit_exceeded",
            "server_error",
            "slow_down",
            "temporarily_unavailable",
            "too_many_attempts",
            "too_many_requests",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_code_is_found_and_nothing_else() {
        for (code, passes) in [
            ("invalid_client", Some(false)),
            ("invalid_grant", Some(false)),
            ("invalid_target", Some(false)),
            ("consent_required", Some(false)),
            ("temporarily_unavailable", Some(true)),
            ("server_error", Some(true)),
            ("slow_down", Some(true)),
            ("internal_failure", Some(true)),
            ("Invalid_Client", None),
            ("invalid_client ", None),
            ("a secret", None),
            ("", None),
        ] {
            assert_eq!(OAuthCode::find(code).map(|known| known.passes), passes, "{code}");
        }
    }
}
