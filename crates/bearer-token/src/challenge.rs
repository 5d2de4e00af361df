//! What an answer says of the bearer that the request carried.

use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};

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
/// use bearer_token::is_rejection;
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
/// use bearer_token::is_grpc_rejection;
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
        .flat_map(|line| challenges(line.as_bytes()))
        .filter(|challenge| challenge.scheme.eq_ignore_ascii_case(b"bearer"))
        .map(|challenge| match challenge.parameter("error") {
            None => true,
            // Words that only one API knows (`expired_token`) mean the token too: these two do not.
            Some(error) => error != b"insufficient_scope" && error != b"invalid_request",
        })
        .peekable();
    verdicts.peek().is_none() || verdicts.any(|refuses| refuses)
}

/// One challenge of a `WWW-Authenticate` header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge<'a> {
    scheme: &'a [u8],
    parameters: Vec<(&'a [u8], Vec<u8>)>,
}

impl Challenge<'_> {
    fn parameter(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.as_slice())
    }
}

/// Reads one header line. What cannot be read ends the reading; the challenges before it count.
fn challenges(line: &[u8]) -> Vec<Challenge<'_>> {
    let mut rest = line;
    let mut found: Vec<Challenge<'_>> = Vec::new();
    loop {
        // `#rule` lists may hold empty elements (RFC 9110 section 5.6.1).
        rest = skip(rest, |byte| matches!(byte, b' ' | b'\t' | b','));
        if rest.is_empty() {
            return found;
        }
        // An element is a parameter of the challenge before it, or begins a challenge.
        if let (Some(challenge), Some((name, value, after))) = (found.last_mut(), parameter(rest)) {
            challenge.parameters.push((name, value));
            rest = after;
        } else {
            let (scheme, after) = split(rest, is_token);
            if scheme.is_empty() {
                return found;
            }
            rest = skip(after, is_blank);
            let mut challenge = Challenge { scheme, parameters: Vec::new() };
            if let Some((name, value, after)) = parameter(rest) {
                challenge.parameters.push((name, value));
                rest = after;
            } else {
                // A token68 says nothing to us.
                let (_, after) = split(rest, |byte| is_token(byte) || matches!(byte, b'/' | b'='));
                rest = after;
            }
            found.push(challenge);
        }
        rest = skip(rest, is_blank);
        if !rest.is_empty() && !rest.starts_with(b",") {
            return found;
        }
    }
}

/// `token BWS "=" BWS ( token / quoted-string )` (RFC 9110 section 11.2).
fn parameter(text: &[u8]) -> Option<(&[u8], Vec<u8>, &[u8])> {
    let (name, rest) = split(text, is_token);
    let rest = skip(skip(rest, is_blank).strip_prefix(b"=")?, is_blank);
    if name.is_empty() {
        return None;
    }
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let (value, rest) = unquote(quoted)?;
        return Some((name, value, rest));
    }
    let (value, rest) = split(rest, is_token);
    // `abc=` and `abc==` are token68, not parameters.
    (!value.is_empty()).then(|| (name, value.to_vec(), rest))
}

/// The text up to the closing quote, with `\x` standing for `x` (RFC 9110 section 5.6.4).
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'"', after @ ..] => return Some((value, after)),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

fn split(text: &[u8], wanted: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !wanted(*byte)).unwrap_or(text.len());
    text.split_at(end)
}

fn skip(text: &[u8], unwanted: impl Fn(u8) -> bool) -> &[u8] {
    split(text, unwanted).1
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `tchar` (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod properties;
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
