//! The OAuth error codes that are known.
//!
//! The table is short on purpose. A code is in it if a specification defines it or a widely used server sends it. There
//! must also be something better to say than "refused". All other codes are described by their length.
//!
//! | specification | codes |
//! |---|---|
//! | RFC 6749 section 5.2 | `invalid_request`, `invalid_client`, `invalid_grant`, `unauthorized_client`, `unsupported_grant_type`, `invalid_scope` |
//! | RFC 8628 section 3.5 | `authorization_pending`, `slow_down`, `expired_token`, `access_denied` |
//! | RFC 8693 section 2.2.2, RFC 8707 section 2 | `invalid_target` |
//! | RFC 9396 section 5 | `invalid_authorization_details` |
//! | RFC 9449 | `invalid_dpop_proof`, `use_dpop_nonce` |
//! | OpenID Connect Core section 3.1.2.6 | `interaction_required`, `login_required`, `account_selection_required`, `consent_required` |

/// What is known about an error code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OAuthCode {
    /// Taken from the table below, never from a response: a hostile server could return a secret as its error code.
    pub(crate) code: &'static str,
    pub(crate) meaning: Meaning,
    /// What to change.
    pub(crate) advice: &'static str,
}

/// What kind of refusal a code means.
///
/// Decides whether the advice begins with the client authentication, mentions it, or leaves it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The server did not accept the client authentication.
    Client,
    /// The server may not have accepted the client authentication. Some servers use this code for it.
    PerhapsClient,
    /// Something other than the client authentication has to change.
    Other,
    /// The cause may pass by itself.
    Passes,
}

impl OAuthCode {
    /// The entry for a code that a server sent. Codes are case-sensitive (RFC 6749 section 5.2).
    pub(crate) fn find(code: &str) -> Option<Self> {
        KNOWN_CODES.iter().find_map(|&(meaning, advice, codes)| {
            let code = codes.iter().find(|known| **known == code)?;
            Some(OAuthCode { code, meaning, advice })
        })
    }
}

/// Groups of codes with one meaning and one advice. An empty advice is that of the client authentication.
const KNOWN_CODES: &[(Meaning, &str, &[&str])] = &[
    (Meaning::Client, "", &["invalid_client", "incorrect_client_credentials", "deleted_client", "disabled_client"]),
    (
        Meaning::Other,
        "the assertion, code, refresh token or subject token was refused: check its issuer, audience, subject, key and \
         lifetime, the clock of this machine, and whether it was revoked (RFC 6749 section 5.2)",
        &["invalid_grant", "bad_refresh_token", "expired_token", "invalid_token", "invalid_assertion", "inactive_user"],
    ),
    (
        Meaning::PerhapsClient,
        "this client may not use this grant: allow it at the server (RFC 6749 section 5.2)",
        &["unauthorized_client"],
    ),
    (
        Meaning::Other,
        "the assertion was sent before, and the server does not accept one more than once: let each request have a new one",
        &["jti_known"],
    ),
    (
        Meaning::Other,
        "the server does not know this grant type: check the grant and the URL",
        &["unsupported_grant_type"],
    ),
    (
        Meaning::Other,
        "check the scope: it is unknown, malformed, or more than is allowed",
        &["invalid_scope", "insufficient_scope", "scope_invalid"],
    ),
    (
        Meaning::PerhapsClient,
        "a parameter is missing, unknown, repeated or malformed, or the grant type is unknown: compare the request with the \
         server's documentation",
        &["invalid_request"],
    ),
    (
        Meaning::Other,
        "a parameter is unknown or malformed: compare the request with the server's documentation",
        &["invalid_authorization_details", "unsupported_token_type"],
    ),
    (
        Meaning::Other,
        "check the `resource` and `audience` parameters (RFC 8707, RFC 8693 section 2.2.2)",
        &["invalid_target"],
    ),
    (
        Meaning::Other,
        "the server requires DPoP (RFC 9449), which is not supported: allow bearer tokens for this client",
        &["invalid_dpop_proof", "use_dpop_nonce"],
    ),
    (
        Meaning::PerhapsClient,
        "the server denies access: grant it to this client or user at the server",
        &["access_denied"],
    ),
    (
        Meaning::Other,
        "a user has to sign in or to consent first: do that once by hand, or allow the client at the server",
        &[
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
        Meaning::Passes,
        "the server asks for patience, and nothing has to change",
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

    // shows: 6749/5.2a 7521/4.1.1 8693/2.2.2a
    #[test]
    fn a_known_code_is_found_and_nothing_else() {
        for (code, meaning) in [
            ("invalid_client", Some(Meaning::Client)),
            ("invalid_grant", Some(Meaning::Other)),
            ("invalid_request", Some(Meaning::PerhapsClient)),
            ("unauthorized_client", Some(Meaning::PerhapsClient)),
            ("invalid_target", Some(Meaning::Other)),
            ("jti_known", Some(Meaning::Other)),
            ("scope_invalid", Some(Meaning::Other)),
            ("consent_required", Some(Meaning::Other)),
            ("temporarily_unavailable", Some(Meaning::Passes)),
            ("server_error", Some(Meaning::Passes)),
            ("slow_down", Some(Meaning::Passes)),
            ("internal_failure", Some(Meaning::Passes)),
            ("Invalid_Client", None),
            ("invalid_client ", None),
            ("a secret", None),
            ("", None),
        ] {
            assert_eq!(OAuthCode::find(code).map(|known| known.meaning), meaning, "{code}");
        }
    }

    // shows: 8693/2.2.2b
    #[test]
    fn every_code_is_in_one_row_and_has_advice() {
        let mut codes: Vec<_> = KNOWN_CODES.iter().flat_map(|(_, _, codes)| codes.iter()).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        // The advice about the client is the client authentication's own.
        assert!(KNOWN_CODES.iter().all(|(meaning, advice, _)| (*meaning == Meaning::Client) == advice.is_empty()));
    }
}
