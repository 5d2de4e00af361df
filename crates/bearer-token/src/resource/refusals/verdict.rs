//! Whether a response refuses the bearer that the request carried.
//!
//! The question is narrow: would *another* token be accepted? A token that lacks a scope would be refused again,
//! however new it is. So a renewal would only cost a token request for each refused request.

use http::{HeaderMap, StatusCode};

use crate::source::challenge::raw_challenges;

/// Whether the API refused the bearer itself, so another bearer may succeed.
///
/// - HTTP 401 does, unless every `Bearer` challenge names another reason, such as `insufficient_scope` or
///   `invalid_request` (RFC 6750 section 3.1). A `Bearer` challenge without `error`, and a 401 without any `Bearer`
///   challenge, mean the bearer.
/// - HTTP 400 and 403 do if a `Bearer` challenge says `error="invalid_token"`. Otherwise they are about the request or
///   the permission.
/// - No other status does. [`Sending`](crate::Sending) and [`reject_if`](crate::TokenProviderBuilder::reject_if)
///   declare what an API means by others.
///
/// Challenges are read as RFC 9110 section 11.6.1 writes them: several in one line or in several lines, with quoted
/// strings that may contain commas and words like `Bearer`. The limits are those of
/// [`Challenge::read`](crate::Challenge::read).
///
/// ```
/// use bearer_token::adapter::is_rejection;
/// use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};
///
/// let mut headers = HeaderMap::new();
/// headers.append(WWW_AUTHENTICATE, r#"Basic realm="a, b""#.parse().unwrap());
/// headers.append(WWW_AUTHENTICATE, r#"Bearer realm="api", error="invalid_token""#.parse().unwrap());
/// assert!(is_rejection(StatusCode::UNAUTHORIZED, &headers));
/// ```
#[inline]
pub fn is_rejection(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::UNAUTHORIZED => refuses_bearer(headers),
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => names_invalid_token(headers),
        _ => false,
    }
}

/// Whether a gRPC response refuses the bearer itself. Its status is in the trailers, or in the headers if there is no
/// body.
///
/// Status 16 (`UNAUTHENTICATED`) refuses the bearer, unless challenges beside it name another reason. Status 7
/// (`PERMISSION_DENIED`) is like 403.
///
/// ```
/// use bearer_token::adapter::is_grpc_rejection;
/// use http::HeaderMap;
///
/// let mut trailers = HeaderMap::new();
/// trailers.insert("grpc-status", "16".parse().unwrap());
/// assert!(is_grpc_rejection(&trailers));
/// ```
#[inline]
pub fn is_grpc_rejection(headers_or_trailers: &HeaderMap) -> bool {
    headers_or_trailers.get("grpc-status").is_some_and(|status| status == "16") && refuses_bearer(headers_or_trailers)
}

/// Whether the challenges mean the token: there is none for `Bearer`, or one of them names no other reason.
///
/// A 401 without any challenge breaks RFC 9110 section 15.5.2, and is what many gateways send. It counts as a refusal.
#[cold]
pub(crate) fn refuses_bearer(headers: &HeaderMap) -> bool {
    let (mut is_any, mut refuses) = (false, false);
    raw_challenges(headers, |challenge| {
        if challenge.scheme.eq_ignore_ascii_case(b"bearer") {
            is_any = true;
            refuses |= match challenge.parameter("error") {
                None => true,
                // Codes that only some APIs have (`expired_token`, `insufficient_claims`) mean the token, too.
                Some(error) => error != b"insufficient_scope" && error != b"invalid_request",
            };
        }
    });
    refuses || !is_any
}

/// Whether a `Bearer` challenge says `invalid_token`, which RFC 6750 section 3.1 allows at other statuses than 401.
#[cold]
fn names_invalid_token(headers: &HeaderMap) -> bool {
    let mut found = false;
    raw_challenges(headers, |challenge| {
        found |= challenge.scheme.eq_ignore_ascii_case(b"bearer")
            && challenge.parameter("error").is_some_and(|error| error == b"invalid_token");
    });
    found
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::WWW_AUTHENTICATE};

    use super::*;

    fn rejects(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        is_rejection(StatusCode::UNAUTHORIZED, &headers)
    }

    // shows: 6750/3.1a 9110/11.6.1b
    #[test]
    fn l30_a_401_rejects_unless_its_bearer_challenges_name_another_reason() {
        for (lines, expected) in [
            (&[][..], true),
            (&[""], true),
            (&["Bearer"], true),
            (&[r#"Bearer realm="x""#], true),
            (&[r#"Bearer error="invalid_token""#], true),
            (&[r"Bearer error=invalid_token"], true),
            (&[r#"bearer ERROR = "invalid_token""#], true),
            (&[r#"Bearer error="insufficient_scope", scope="a b""#], false),
            (&[r#"Bearer realm="x", scope="a, b", error="insufficient_scope""#], false),
            (&[r#"Bearer error="invalid_request""#], false),
            (&[r#"Bearer error="expired_token""#], true),
            (&[r#"Bearer error="""#], true),
            (&[r#"Basic realm="x""#], true),
            (&["Negotiate YWJj=="], true),
            (&[r#"Negotiate YWJj==, Bearer error="insufficient_scope""#], false),
            (&[r#"Basic realm="a, Bearer error=\"invalid_token\"", Bearer error="insufficient_scope""#], false),
            (&[r#"Basic realm="x", error="insufficient_scope""#], true),
            (&[r#"Bearer error="insufficient_scope""#, r#"Bearer error="invalid_token""#], true),
            (&[r#"Basic realm="x""#, r#"Bearer error="insufficient_scope""#], false),
            (&[r#", ,Bearer error="insufficient_scope",, "#], false),
            (&[r#"DPoP error="invalid_token""#, r#"Bearer error="insufficient_scope""#], false),
            (&[r#"Bearer error="insufficient\_scope""#], false),
            (&[r#"Bearer error="insufficient_scope"#], true),
            // A comma is missing, so the rest cannot be read.
            (&[r#"Bearer realm="x" error="insufficient_scope""#], true),
            (&["=\"", "Bearer error=\"insufficient_scope\""], false),
            (&["\u{fc} Bearer"], true),
        ] {
            assert_eq!(rejects(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn l31_grpc_status_16_rejects_unless_challenges_say_otherwise() {
        for (fields, expected) in [
            (&[][..], false),
            (&[("grpc-status", "16")], true),
            (&[("grpc-status", "0")], false),
            (&[("grpc-status", "7")], false),
            (&[("grpc-status", "14")], false),
            (&[("grpc-status", "1")], false),
            (&[("grpc-status", "160")], false),
            (&[("grpc-status", "")], false),
            (&[("grpc-message", "16")], false),
            (&[("grpc-status", "16"), ("www-authenticate", "Bearer error=\"invalid_token\"")], true),
            (&[("grpc-status", "16"), ("www-authenticate", "Bearer error=\"insufficient_scope\"")], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_grpc_rejection(&headers), expected, "{fields:?}");
        }
    }

    // shows: 6750/3.1a
    #[test]
    fn l55_400_and_403_reject_only_with_invalid_token() {
        for (line, expected) in [
            (r#"Bearer error="invalid_token""#, true),
            (r#"Bearer realm="x", error=invalid_token"#, true),
            (r#"Basic realm="x", bearer error="invalid_token""#, true),
            (r#"Bearer error="insufficient_scope", Bearer error="invalid_token""#, true),
            (r#"Bearer error="insufficient_scope""#, false),
            (r#"Bearer error="expired_token""#, false),
            ("Bearer", false),
            (r#"DPoP error="invalid_token""#, false),
            (r#"Basic realm="Bearer error=\"invalid_token\"""#, false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
            for status in [StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN] {
                assert_eq!(is_rejection(status, &headers), expected, "{status} {line}");
            }
            for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::PROXY_AUTHENTICATION_REQUIRED] {
                assert!(!is_rejection(status, &headers), "{status} {line}");
            }
        }
        assert!(!is_rejection(StatusCode::FORBIDDEN, &HeaderMap::new()));
    }

    #[test]
    fn verdict_and_challenges_are_about_the_same_bytes() {
        let padding = format!(r#"Basic realm="{}""#, "x".repeat(8 * 1024));
        let many = "Basic,".repeat(16);
        for (before, is_read) in [("Basic", true), (padding.as_str(), false), (many.as_str(), false)] {
            let mut headers = HeaderMap::new();
            headers.append(WWW_AUTHENTICATE, before.parse().unwrap());
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer error="insufficient_scope""#));
            let found = crate::Challenge::read(&headers).iter().any(|challenge| challenge.is_scheme("bearer"));
            assert_eq!(found, is_read, "{before:.10}");
            // A challenge that is not read does not keep the 401 from meaning the bearer.
            assert_eq!(is_rejection(StatusCode::UNAUTHORIZED, &headers), !is_read, "{before:.10}");
        }
    }
}
