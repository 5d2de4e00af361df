//! Whether an answer refuses the bearer that the request carried.

use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};

use super::reader::Challenges;

/// Whether the API refused the bearer itself, so that another one could do better.
///
/// That is HTTP 401, unless every `Bearer` challenge names another reason, such as `insufficient_scope` or
/// `invalid_request` (RFC 6750 section 3.1). A `Bearer` challenge without `error`, and a 401 without any `Bearer`
/// challenge, mean the bearer. The answer's other statuses never do: 403 is a matter of permission.
///
/// The challenges are read as RFC 9110 section 11.6.1 writes them: several in one line or over several lines, with
/// quoted strings that may hold commas and words like `Bearer`.
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
    status == StatusCode::UNAUTHORIZED && refuses_bearer(headers)
}

/// The same for gRPC, whose answers have their status in the trailers, or among the headers if there is nothing else.
///
/// Status 16 (`UNAUTHENTICATED`) refuses the bearer, unless challenges beside it name another reason. Status 7
/// (`PERMISSION_DENIED`) is what 403 is.
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

#[cold]
fn refuses_bearer(headers: &HeaderMap) -> bool {
    let mut verdicts = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .flat_map(|line| Challenges::of(line.as_bytes()))
        .filter(|challenge| challenge.scheme.eq_ignore_ascii_case(b"bearer"))
        .map(|challenge| match challenge.parameter("error") {
            None => true,
            // Words that only some APIs know (`expired_token`, `insufficient_claims`) mean the token too: these two do not.
            Some(error) => error != b"insufficient_scope" && error != b"invalid_request",
        })
        .peekable();
    verdicts.peek().is_none() || verdicts.any(|refuses| refuses)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn rejects(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        is_rejection(StatusCode::UNAUTHORIZED, &headers)
    }

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
            // A comma is missing: what comes after cannot be read.
            (&[r#"Bearer realm="x" error="insufficient_scope""#], true),
            (&["=\"", "Bearer error=\"insufficient_scope\""], false),
            (&["\u{fc} Bearer"], true),
        ] {
            assert_eq!(rejects(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn l31_grpc_status_16_rejects_unless_its_bearer_challenges_name_another_reason() {
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

    #[test]
    fn no_other_status_rejects() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer error="invalid_token""#));
        for status in [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::PROXY_AUTHENTICATION_REQUIRED] {
            assert!(!is_rejection(status, &headers));
        }
    }
}
