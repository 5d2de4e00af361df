//! What a refusal says about the refresh token that was sent.
//!
//! Two mistakes are possible. Taking a refusal of the client for one of the token wastes a consent: a person is called
//! although only a secret was wrong. Taking a refusal of the token for something else leaves a service retrying a dead
//! token. The table below leans to the first side only where the code or status is ambiguous, and then says "probably".

use http::StatusCode;

use crate::error::{Error, ErrorKind};

/// The verdict of the authorization server on a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server says that the refresh token is unusable.
    Gone,
    /// The server refuses the request with a code that may mean the refresh token, or another mistake.
    ProbablyGone,
    /// There is no refusal, or it is about the client or another part of the request.
    Other,
}

impl Verdict {
    /// Judges the error of a token request.
    ///
    /// Servers refuse a refresh token in many ways, such as a 400 with an empty body, or `invalid_request` (`L58`). An
    /// outage is never a verdict, even with an error code in its body (`L19`). Neither is a wrong client secret: once
    /// that is fixed, the refresh token works again.
    pub(super) fn of(error: &Error) -> Self {
        if error.kind() != ErrorKind::Refused {
            return Verdict::Other;
        }
        match (error.oauth_code(), error.refusal()) {
            (Some(code), _) if GONE.contains(&code) => Verdict::Gone,
            // The URL is wrong: the catch-all code says less than the status.
            (Some("invalid_request"), Some(head)) if URL_STATUSES.contains(&head.status) => Verdict::Other,
            (Some(code), _) if PROBABLY_GONE.contains(&code) => Verdict::ProbablyGone,
            (Some(_), _) => Verdict::Other,
            (None, Some(head)) if head.asks_for_client => Verdict::Other,
            (None, Some(head)) if STATUSES.contains(&head.status) => Verdict::ProbablyGone,
            (None, _) => Verdict::Other,
        }
    }
}

/// The error codes for an unusable refresh token: RFC 6749 section 5.2, GitHub and others.
const GONE: [&str; 4] = ["invalid_grant", "bad_refresh_token", "expired_token", "invalid_token"];

/// The error codes that some servers use for one: the generic code of the RFC, and those that ask for the user.
const PROBABLY_GONE: [&str; 12] = [
    "access_denied",
    "account_selection_required",
    "admin_policy_enforced",
    "consent_required",
    "inactive_user",
    "insufficient_user_authentication",
    "interaction_required",
    "invalid_app_access",
    "invalid_request",
    "login_required",
    "mfa_required",
    "org_internal",
];

/// The statuses of a refusal without a known code. Other statuses are about the URL or the form of the request. With a
/// status of success, an unknown code may mean anything, even an outage.
///
/// 404, 405 and 410 are missing on purpose, and so are 406, 411, 413, 414 and 415.
const STATUSES: [StatusCode; 4] =
    [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::UNPROCESSABLE_ENTITY];

/// The statuses of a URL that is not a token endpoint.
const URL_STATUSES: [StatusCode; 3] = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::GONE];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RefusalHead;

    fn refused(status: u16, code: Option<&'static str>, asks_for_client: bool) -> Error {
        let head = RefusalHead { status: StatusCode::from_u16(status).unwrap(), asks_for_client };
        let error = Error::new(ErrorKind::Refused, "refused").with_refusal(head);
        code.into_iter().fold(error, Error::with_oauth_code)
    }

    #[test]
    fn l58_a_refusal_of_the_refresh_token_is_told_from_others() {
        use Verdict::{Gone, Other, ProbablyGone};
        for (status, code, asks_for_client, expected) in [
            (400, Some("invalid_grant"), false, Gone),
            (401, Some("invalid_grant"), true, Gone),
            (200, Some("bad_refresh_token"), false, Gone),
            (403, Some("expired_token"), false, Gone),
            (401, Some("invalid_token"), false, Gone),
            (400, Some("invalid_request"), false, ProbablyGone),
            (400, Some("consent_required"), false, ProbablyGone),
            (403, Some("access_denied"), false, ProbablyGone),
            (400, None, false, ProbablyGone),
            (401, None, false, ProbablyGone),
            (403, None, false, ProbablyGone),
            (422, None, false, ProbablyGone),
            (401, None, true, Other),
            (400, None, true, Other),
            (401, Some("invalid_client"), false, Other),
            (400, Some("unauthorized_client"), false, Other),
            (400, Some("invalid_scope"), false, Other),
            (400, Some("unsupported_grant_type"), false, Other),
            (400, Some("invalid_target"), false, Other),
            (400, Some("use_dpop_nonce"), false, Other),
            (200, None, false, Other),
            (404, None, false, Other),
            (404, Some("invalid_request"), false, Other),
            (404, Some("invalid_grant"), false, Gone),
            (405, None, false, Other),
            (410, None, false, Other),
            (415, None, false, Other),
        ] {
            assert_eq!(Verdict::of(&refused(status, code, asks_for_client)), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn l19_only_a_refusal_is_a_verdict() {
        for kind in [ErrorKind::Unavailable, ErrorKind::Transport, ErrorKind::Timeout, ErrorKind::Response] {
            assert_eq!(Verdict::of(&Error::new(kind, "other").with_oauth_code("invalid_grant")), Verdict::Other);
        }
        assert_eq!(Verdict::of(&Error::new(ErrorKind::Refused, "without a response")), Verdict::Other);
    }
}
