//! Reading the answer of a token endpoint: bytes in, a token or an error out.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use crate::{
    error::{Error, ErrorKind, Retry},
    token::{AccessToken, jwt_times::jwt_expiry},
    transport::{RESPONSE_LIMIT, too_large},
};

pub(crate) mod clock_offset;
mod fields;
mod lifetime;
mod oauth_code;
mod retry_after;
mod token_type;

pub use self::{clock_offset::ClockOffset, fields::ResponseFields};
use self::{lifetime::expires_in, oauth_code::OAuthCode, retry_after::retry_after, token_type::TokenTypes};

/// How answers are read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) token_types: TokenTypes,
    /// The members that callers want to have beside the token.
    pub(crate) keep: Vec<String>,
    /// What to try when the client authentication is refused.
    pub(crate) refusal_hint: Option<&'static str>,
}

/// What an answer brought.
pub(crate) struct Read {
    /// The token, or what the answer says instead.
    pub(crate) token: Result<AccessToken, Error>,
    /// Of an answer of success, even if its token is of no use.
    pub(crate) members: Option<ResponseFields>,
}

impl Reading {
    /// Reads an answer. The grant asks for further members; `now` is when it arrived.
    pub(crate) fn read(&self, answer: &Response<Bytes>, for_grant: &[&str], now: SystemTime) -> Read {
        let mut members = match self.members(answer, for_grant, now) {
            Ok(members) => members,
            Err(error) => return Read { token: Err(error), members: None },
        };
        Read { token: self.token(answer.status(), &mut members), members: Some(members) }
    }

    /// The members of an answer of success.
    fn members(&self, answer: &Response<Bytes>, for_grant: &[&str], now: SystemTime) -> Result<ResponseFields, Error> {
        let status = answer.status();
        if answer.body().len() > RESPONSE_LIMIT {
            return Err(too_large());
        }
        if status.is_redirection() {
            return Err(unusable(
                status,
                "a redirect; expected a token. Redirects are not followed, because the request carries credentials: \
                 set the URL that answers itself",
            )
            .with_retry(Retry::AfterChange));
        }
        let wanted = |name: &str| {
            ANSWER.contains(&name) || for_grant.contains(&name) || self.keep.iter().any(|keep| keep == name)
        };
        let members = ResponseFields::read(answer.body(), wanted);
        if !status.is_success() {
            return Err(self.refused(status, answer.headers(), members.ok().as_ref(), now));
        }
        let members = members.map_err(|why| {
            let what = format!(
                "{} of {} bytes that {}; expected a JSON object with a token (RFC 6749 section 5.1): check the URL",
                body_kind(answer.headers()),
                answer.body().len(),
                why.0,
            );
            unusable(status, &what)
        })?;
        // Some servers send an empty `error`, or `false`, beside a token.
        if members.get("error").is_some_and(|error| error.as_str() != Some("") && error.as_bool() != Some(false)) {
            return Err(self.refused(status, answer.headers(), Some(&members), now));
        }
        Ok(members)
    }

    fn token(&self, status: StatusCode, members: &mut ResponseFields) -> Result<AccessToken, Error> {
        let expected = "expected a token in the member `access_token` (RFC 6749 section 5.1)";
        let text = match members.take("access_token") {
            Some(Value::String(text)) if !text.is_empty() => text,
            Some(Value::String(_)) => return Err(unusable(status, &format!("an empty token; {expected}"))),
            Some(_) => return Err(unusable(status, &format!("an `access_token` that is not text; {expected}"))),
            None => return Err(unusable(status, &format!("JSON without a token; {expected}"))),
        };
        let expiry = jwt_expiry(&text);
        // From here on the text is wiped, whatever else is wrong with the answer.
        let mut token = AccessToken::new(text);
        self.token_types.check(members.get("token_type")).map_err(|what| unusable(status, &what))?;
        let lifetime = match members.get("expires_in").map(expires_in) {
            Some(Ok(lifetime)) => lifetime,
            None => None,
            Some(Err(_negative)) => {
                return Err(unusable(
                    status,
                    "a token whose `expires_in` is negative; expected the seconds that it lives: check the token \
                     lifetime at the server",
                ));
            }
        };
        token = match (lifetime, expiry) {
            (Some(lifetime), _) => token.expires_in(lifetime),
            (None, Some(time)) => token.expires_at(time),
            (None, None) => token,
        };
        if let Some(scope) = members.get("scope").and_then(scope) {
            token = token.scope(scope);
        }
        for name in &self.keep {
            if let Some(value) = members.get(name).and_then(plain) {
                token = token.extra(name, value);
            }
        }
        Ok(token)
    }

    /// An answer that says no, whatever its status is.
    fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        members: Option<&ResponseFields>,
        now: SystemTime,
    ) -> Error {
        let sent = members.and_then(|members| members.get("error")).and_then(Value::as_str);
        let known = sent.and_then(OAuthCode::find);
        let with = match (&known, sent) {
            (Some(known), _) => format!(" with OAuth error `{}`", known.code),
            (None, Some(sent)) => format!(" with an error code of {} bytes that is not a known one", sent.len()),
            (None, None) => " without an OAuth error code".to_owned(),
        };
        // An outage stays one, even if there is a verdict in its body.
        let outage = status.is_server_error() || TRANSIENT.contains(&status);
        let advice = match &known {
            Some(known) if !outage || known.passes => known.advice,
            _ => status_advice(status, outage),
        };
        let unauthenticated =
            status == StatusCode::UNAUTHORIZED || known.is_some_and(|known| known.code == "invalid_client");
        let hint = self.refusal_hint.filter(|_| unauthenticated && !outage).unwrap_or_default();
        let message =
            format!("the token endpoint answered {}{with}; expected a token: {advice}{hint}", status.as_u16());

        let passes = outage || known.is_some_and(|known| known.passes);
        let kind = if passes { ErrorKind::Unavailable } else { ErrorKind::Refused };
        let after = retry_after(headers, now);
        let error = Error::new(kind, message);
        let error = match after {
            Some(_) => error.with_retry(Retry::Later { after }),
            None => error,
        };
        match known {
            Some(known) => error.with_oauth_code(known.code),
            None => error,
        }
    }
}

/// The members that are read of every answer (RFC 6749 sections 5.1 and 5.2).
const ANSWER: [&str; 5] = ["access_token", "token_type", "expires_in", "scope", "error"];

/// Beside 5xx. 425 is "too early", which a TLS terminator may say.
const TRANSIENT: [StatusCode; 3] = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY];

/// An answer of success that is of no use.
fn unusable(status: StatusCode, what: &str) -> Error {
    Error::new(ErrorKind::Response, format!("the token endpoint answered {} with {what}", status.as_u16()))
}

fn status_advice(status: StatusCode, outage: bool) -> &'static str {
    match status {
        StatusCode::TOO_MANY_REQUESTS => "the server asks for fewer token requests",
        _ if outage => "the server, or a proxy before it, is in trouble",
        StatusCode::UNAUTHORIZED => "check the client id and how the client authenticates",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => "check the token endpoint URL",
        _ => "the server's log or documentation knows why",
    }
}

/// Names the content type if it is one of the usual mistakes; the header's text itself stays out of messages.
fn body_kind(headers: &HeaderMap) -> &'static str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/html" | "application/xhtml+xml" => "an HTML page",
        "text/xml" | "application/xml" => "an XML document",
        "application/x-www-form-urlencoded" => "a form",
        _ => "a body",
    }
}

/// One text (RFC 6749 section 3.3), or a list of texts as some servers send it.
fn scope(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|list| list.join(" ")),
        _ => None,
    }
}

/// The text of a member that is a text, a number or a truth value.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests {
    use std::{
        error::Error as _,
        time::{Duration, UNIX_EPOCH},
    };

    use super::*;
    use crate::token::Expiry;

    // 1994-11-06 08:49:37 UTC.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn answer(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
        Response::builder().status(status).body(body.into()).unwrap()
    }

    fn read(status: u16, body: &str) -> Result<AccessToken, Error> {
        Reading::default().read(&answer(status, body.to_owned()), &[], now()).token
    }

    #[test]
    fn a_token_is_read_with_its_lifetime_scope_and_what_is_kept() {
        let reading = Reading {
            keep: ["instance_url", "level", "beta", "nested", "absent"].map(String::from).into(),
            ..Reading::default()
        };
        let body = r#"{"access_token":"00D!x","token_type":"Bearer","expires_in":60,"scope":"b a","refresh_token":"r",
            "instance_url":"https://na1.example.com","level":3,"beta":true,"nested":{"a":1}}"#;
        let token = reading.read(&answer(200, body), &[], now()).token.unwrap();
        assert_eq!(token.secret(), "00D!x");
        assert_eq!(token.expiry(), Expiry::In(Duration::from_secs(60)));
        let (scope, extras) = token.into_details();
        assert_eq!(scope.as_deref(), Some("b a"));
        let extras: Vec<_> = extras.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(extras, [("beta", "true"), ("instance_url", "https://na1.example.com"), ("level", "3")]);
    }

    #[test]
    fn l14_without_a_lifetime_the_exp_of_a_jwt_counts_and_else_it_is_unknown() {
        // {"exp":1700000000}
        let jwt = "e30.eyJleHAiOjE3MDAwMDAwMDB9.c2ln";
        let at = Expiry::At(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        for (token, lifetime, expected) in [
            ("opaque", "", Expiry::Unknown),
            ("opaque", r#","expires_in":null"#, Expiry::Unknown),
            ("opaque", r#","expires_in":"soon""#, Expiry::Unknown),
            ("opaque", r#","expires_in":0"#, Expiry::In(Duration::ZERO)),
            (jwt, "", at),
            (jwt, r#","expires_in":null"#, at),
            (jwt, r#","expires_in":[]"#, at),
            (jwt, r#","expires_in":60"#, Expiry::In(Duration::from_secs(60))),
        ] {
            let token = read(200, &format!(r#"{{"access_token":"{token}"{lifetime}}}"#)).unwrap();
            assert_eq!(token.expiry(), expected, "{lifetime}");
        }
        let error = read(200, r#"{"access_token":"marker","expires_in":-1}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response);
        assert!(error.to_string().contains("`expires_in` is negative"), "{error}");
    }

    #[test]
    fn l15_success_without_a_usable_token_is_an_error() {
        for (status, body, part) in [
            (200, "{}", "without a token"),
            (201, r#"{"token":"marker"}"#, "without a token"),
            (200, r#"{"access_token":null,"id_token":"marker"}"#, "without a token"),
            (200, r#"{"access_token":""}"#, "an empty token"),
            (200, r#"{"access_token":{"a":"marker"}}"#, "not text"),
            (200, "", "0 bytes that is empty"),
            (204, "", "0 bytes that is empty"),
            (200, "<p>marker</p>", "13 bytes that is not JSON"),
            (200, r#"["marker"]"#, "not an object"),
            (200, r#""marker""#, "not an object"),
            (200, r#"{"access_token":"marker"#, "breaks off"),
        ] {
            let error = read(status, body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Response, "{body}");
            assert!(error.is_transient(), "{body}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(part) && !text.contains("marker"), "{body}: {text}");
            assert!(error.source().is_none());
        }
    }

    #[test]
    fn l15_an_error_beside_a_token_and_a_status_of_success_is_an_error() {
        for (error, kind, code) in [
            (r#""invalid_grant""#, ErrorKind::Refused, Some("invalid_grant")),
            (r#""temporarily_unavailable""#, ErrorKind::Unavailable, Some("temporarily_unavailable")),
            (r#""marker""#, ErrorKind::Refused, None),
            (r#"{"code":403,"message":"marker"}"#, ErrorKind::Refused, None),
            ("true", ErrorKind::Refused, None),
        ] {
            let body = format!(r#"{{"access_token":"marker","error":{error}}}"#);
            let refused = read(200, &body).unwrap_err();
            assert_eq!((refused.kind(), refused.oauth_code()), (kind, code), "{error}");
            assert!(!format!("{refused} {refused:?}").contains("marker"), "{refused:?}");
        }
        for error in ["null", r#""""#] {
            assert!(read(200, &format!(r#"{{"access_token":"a","error":{error}}}"#)).is_ok(), "{error}");
        }
    }

    #[test]
    fn l16_a_token_of_another_type_is_refused() {
        for (kind, accepted) in [("Bearer", true), ("BEARER", true), ("N_A", false), ("DPoP", false), ("mac", false)] {
            let read = read(200, &format!(r#"{{"access_token":"marker","token_type":"{kind}"}}"#));
            assert_eq!(read.is_ok(), accepted, "{kind}");
            if let Err(error) = read {
                assert_eq!(error.kind(), ErrorKind::Response);
                assert!(error.to_string().contains(kind) && !error.to_string().contains("marker"), "{error}");
            }
        }
    }

    #[test]
    fn l17_answers_are_json_whatever_their_content_type_says() {
        for content_type in ["text/html", "text/plain; charset=iso-8859-1", "application/octet-stream", "\u{e4}"] {
            let mut ok = answer(200, r#"{"access_token":"a"}"#);
            ok.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
            assert!(Reading::default().read(&ok, &[], now()).token.is_ok(), "{content_type}");
        }
        let mut page = answer(200, "<html>marker");
        page.headers_mut().insert(CONTENT_TYPE, "Text/HTML; charset=utf-8".parse().unwrap());
        let error = Reading::default().read(&page, &[], now()).token.unwrap_err();
        assert!(error.to_string().contains("an HTML page of 12 bytes"), "{error}");
        let error =
            Reading::default().read(&answer(200, &b"{\"access_token\":\"\xff\"}"[..]), &[], now()).token.unwrap_err();
        assert!(error.to_string().contains("not UTF-8"), "{error}");
    }

    #[test]
    fn l17_redirects_and_oversized_answers_are_errors() {
        for status in [300, 301, 302, 303, 304, 307, 308] {
            let error = read(status, r#"{"access_token":"marker"}"#).unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Response, Retry::AfterChange), "{status}");
            assert!(error.to_string().contains("a redirect"), "{error}");
        }
        let error =
            Reading::default().read(&answer(200, vec![b' '; RESPONSE_LIMIT + 1]), &[], now()).token.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response);
        assert!(error.to_string().contains("1 MiB"), "{error}");
    }

    #[test]
    fn l19_an_outage_with_a_verdict_inside_stays_an_outage() {
        for (status, body, kind, code, passes) in [
            (500, "", ErrorKind::Unavailable, None, true),
            (502, "<p>marker</p>", ErrorKind::Unavailable, None, true),
            (503, r#"{"error":"invalid_grant"}"#, ErrorKind::Unavailable, Some("invalid_grant"), true),
            (599, r#"{"error":"invalid_client"}"#, ErrorKind::Unavailable, Some("invalid_client"), true),
            (429, r#"{"error":"invalid_grant"}"#, ErrorKind::Unavailable, Some("invalid_grant"), true),
            (408, "", ErrorKind::Unavailable, None, true),
            (425, "", ErrorKind::Unavailable, None, true),
            (400, r#"{"error":"invalid_grant"}"#, ErrorKind::Refused, Some("invalid_grant"), false),
            (400, r#"{"error":"slow_down"}"#, ErrorKind::Unavailable, Some("slow_down"), true),
            (403, r#"{"error":"server_error"}"#, ErrorKind::Unavailable, Some("server_error"), true),
            (401, r#"{"error":"invalid_client"}"#, ErrorKind::Refused, Some("invalid_client"), false),
            (401, r#"{"error":"marker","error_description":"marker"}"#, ErrorKind::Refused, None, false),
            (403, r#"{"type":"about:blank","title":"marker"}"#, ErrorKind::Refused, None, false),
            (404, "marker", ErrorKind::Refused, None, false),
            (400, "\u{0}", ErrorKind::Refused, None, false),
            (999, "", ErrorKind::Refused, None, false),
        ] {
            let error = read(status, body).unwrap_err();
            assert_eq!(
                (error.kind(), error.oauth_code(), error.is_transient()),
                (kind, code, passes),
                "{status} {body}"
            );
            let text = format!("{error} {error:?}");
            assert!(text.contains(&status.to_string()) && !text.contains("marker"), "{text}");
        }
    }

    #[test]
    fn retry_after_is_kept_as_seconds_from_now() {
        for (status, header, after) in [
            (503, "120", Some(120)),
            (503, "Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            (429, "marker", None),
            (403, "5", Some(5)),
        ] {
            let mut answer = answer(status, "");
            answer.headers_mut().insert("retry-after", header.parse().unwrap());
            let error = Reading::default().read(&answer, &[], now()).token.unwrap_err();
            assert_eq!(error.retry(), Retry::Later { after: after.map(Duration::from_secs) }, "{status} {header}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_change() {
        let reading = Reading { refusal_hint: Some("; try the other way"), ..Reading::default() };
        for (status, body, text) in [
            (
                401,
                r#"{"error":"invalid_client"}"#,
                "the token endpoint answered 401 with OAuth error `invalid_client`; expected a token: check the client \
                 id and how the client authenticates (RFC 6749 section 5.2); try the other way",
            ),
            (
                401,
                r#"{"error":"a secret"}"#,
                "the token endpoint answered 401 with an error code of 8 bytes that is not a known one; expected a \
                 token: check the client id and how the client authenticates; try the other way",
            ),
            (
                404,
                "",
                "the token endpoint answered 404 without an OAuth error code; expected a token: check the token \
                 endpoint URL",
            ),
            (
                503,
                r#"{"error":"invalid_client"}"#,
                "the token endpoint answered 503 with OAuth error `invalid_client`; expected a token: the server, or a \
                 proxy before it, is in trouble",
            ),
        ] {
            let error = reading.read(&answer(status, body), &[], now()).token.unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }
}
