//! Responses as bytes, and what becomes of them.

use std::{
    error::Error as _,
    time::{Duration, UNIX_EPOCH},
};

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::*;
use crate::{oauth::Parameters, token::Expiry};

mod of_a_function;
mod of_another_format;

/// 1994-11-06 08:49:37 UTC.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

fn sent() -> Sent {
    Sent { parameters: Parameters::new("custom"), headers: HeaderMap::new(), query: None }
}

fn reader() -> ResponseReader {
    ResponseReader { endpoint: "the token endpoint at https://as.example.com".to_owned(), ..ResponseReader::default() }
}

fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).body(body.into()).unwrap()
}

fn read(status: u16, body: &str) -> Result<AccessToken, Error> {
    reader().read(&response(status, body.to_owned()), &[], &sent(), now()).token
}

// shows: 6749/3.3b 8693/2.2.1e
#[test]
fn a_token_is_read_with_lifetime_scope_and_kept_fields() {
    let reader = ResponseReader {
        keep: ["instance_url", "level", "beta", "nested", "absent"].map(String::from).into(),
        ..reader()
    };
    let body = r#"{"access_token":"00D!x","token_type":"Bearer","expires_in":60,"scope":"b a","refresh_token":"r",
        "instance_url":"https://na1.example.com","level":3,"beta":true,"nested":{"a":1}}"#;
    let token = reader.read(&response(200, body), &[], &sent(), now()).token.unwrap();
    assert_eq!(token.secret(), "00D!x");
    assert_eq!(token.expiry(), Expiry::In(Duration::from_secs(60)));
    let (scope, extras) = token.into_details();
    assert_eq!(scope.as_deref(), Some("b a"));
    let extras: Vec<_> = extras.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(extras, [("beta", "true"), ("instance_url", "https://na1.example.com"), ("level", "3")]);
}

// shows: 8693/2.2.1d
#[test]
fn l14_without_expires_in_the_exp_of_a_jwt_counts() {
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

// shows: 6749/5.1a
#[test]
fn l15_success_without_a_usable_token_is_an_error() {
    for (status, body, part) in [
        (200, "{}", "without a token"),
        (201, r#"{"token":"marker"}"#, "without a token"),
        (200, r#"{"access_token":null,"id_token":"marker"}"#, "without a token"),
        (200, r#"{"access_token":""}"#, "an empty token"),
        (200, r#"{"access_token":{"a":"marker"}}"#, "not a string"),
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
fn l15_a_success_with_an_error_beside_the_token_is_refused() {
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
    for error in [r#""0""#, r#"["x"]"#, r#"{"a":1}"#, "1", "NaN"] {
        assert!(read(200, &format!(r#"{{"access_token":"a","error":{error}}}"#)).is_err(), "{error}");
    }
}

#[test]
fn a_credential_that_comes_back_is_not_a_token() {
    for name in ["assertion", "client_secret", "a name of the server's own"] {
        let sent = Sent { parameters: Parameters::new("custom").with_credential(name, "marker"), ..sent() };
        let body = r#"{"access_token":"marker"}"#;
        let custom = CustomReader::new(|_| Ok(AccessToken::new("marker")));
        let raw = ResponseReader { format: ResponseFormat::oauth().token(""), ..reader() };
        for (reader, body) in
            [(reader(), body), (ResponseReader { custom: Some(custom), ..reader() }, body), (raw, "marker\n")]
        {
            let error = reader.read(&response(200, body), &[], &sent, now()).token.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Response);
            let text = format!("{error} {error:?}");
            assert!(text.contains(&format!("the `{name}` that it was sent")) && !text.contains("marker"), "{text}");
        }
        assert!(reader().read(&response(200, r#"{"access_token":"other"}"#), &[], &sent, now()).token.is_ok());
    }
    // An API key may be sent in a header, or refreshed by itself.
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", "marker".parse().unwrap());
    let sent = Sent { parameters: Parameters::new("custom").with("access_token", "marker"), headers, query: None };
    assert!(reader().read(&response(200, r#"{"access_token":"marker"}"#), &[], &sent, now()).token.is_ok());
}

// shows: 6749/7.1 8693/2.2.1c 9449/5c
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
fn l17_responses_are_json_whatever_their_content_type() {
    for content_type in ["text/html", "text/plain; charset=iso-8859-1", "application/octet-stream", "\u{e4}"] {
        let mut ok = response(200, r#"{"access_token":"a"}"#);
        ok.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
        assert!(reader().read(&ok, &[], &sent(), now()).token.is_ok(), "{content_type}");
    }
    let mut page = response(200, "<html>marker");
    page.headers_mut().insert(CONTENT_TYPE, "Text/HTML; charset=utf-8".parse().unwrap());
    let error = reader().read(&page, &[], &sent(), now()).token.unwrap_err();
    assert!(error.to_string().contains("an HTML page of 12 bytes"), "{error}");
    let error =
        reader().read(&response(200, &b"{\"access_token\":\"\xff\"}"[..]), &[], &sent(), now()).token.unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}

#[test]
fn l17_redirects_and_oversized_responses_are_errors() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let error = read(status, r#"{"access_token":"marker"}"#).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Response, Retry::AfterChange), "{status}");
        assert!(error.to_string().contains("a redirect"), "{error}");
    }
    let error = reader().read(&response(200, vec![b' '; RESPONSE_LIMIT + 1]), &[], &sent(), now()).token.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
    assert!(error.to_string().contains("1 MiB"), "{error}");
}

#[test]
fn l19_an_outage_with_a_verdict_inside_remains_an_outage() {
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
        assert_eq!((error.kind(), error.oauth_code(), error.is_transient()), (kind, code, passes), "{status} {body}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(&status.to_string()) && !text.contains("marker"), "{text}");
    }
}

#[test]
fn l05_the_requested_delay_counts_from_now() {
    for (status, header, after) in [
        (503, "120", Some(120)),
        (503, "Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
        (429, "marker", None),
        (403, "5", Some(5)),
    ] {
        let mut limited = response(status, "");
        limited.headers_mut().insert("retry-after", header.parse().unwrap());
        let error = reader().read(&limited, &[], &sent(), now()).token.unwrap_err();
        assert_eq!(error.retry(), Retry::Later { after: after.map(Duration::from_secs) }, "{status} {header}");
    }
}

// shows: 6749/5.1c
#[test]
fn l50_a_usable_token_is_never_lost_to_another_field() {
    let noise: [&[u8]; 28] = [
        b"\"name\":\"J\xf6rg\"",
        b"\"n\xe4me\":\"x\"",
        b"\"name\":\"a\tb\"",
        b"\"name\":\"a\r\nb\x01\"",
        b"\"name\":\"\\ud800\"",
        b"\"n\":1e400",
        b"\"n\":-1e3001",
        b"\"n\":NaN",
        b"\"n\":[[1e999],{\"m\":Infinity}]",
        b"\"n\":1,\"n\":2",
        b"\"access_token\":\"other\"",
        b"\"token_type\":\"Bearer \"",
        b"\"token_type\":\" bearer\"",
        b"\"token_type\":\"\\tBearer\\n\"",
        b"\"token_type\":\"mac\",\"token_type\":\"Bearer\"",
        b"\"error\":0",
        b"\"error\":0.0",
        b"\"error\":[]",
        b"\"error\":{ }",
        b"\"error\":\"\"",
        b"\"error\":\" \"",
        b"\"error\":false",
        b"\"error\":null",
        b"\"error_description\":\"\xff\"",
        b"\"scope\":\"\xff\"",
        b"\"scope\":7",
        b"\"kept\":\"J\xf6rg\"",
        b"\"kept\":[1e400]",
    ];
    let reader = ResponseReader { keep: vec!["kept".to_owned()], ..reader() };
    for noise in noise {
        let body = [b"{", noise, b",\"access_token\":\"tok\"}"].concat();
        let token = reader.read(&response(200, body), &[], &sent(), now()).token;
        assert_eq!(token.as_ref().map(AccessToken::secret).ok(), Some("tok"), "{noise:?}: {token:?}");
    }
    for (body, part) in [
        (&b"{\"access_token\":\"t\xf6k\"}"[..], "not UTF-8"),
        (b"{\"access_token\":\"t\tk\"}", "characters that JSON does not allow"),
        (b"{\"access_token\":7}", "not a string"),
        (b"{\"access_token\":1e400}", "not a string"),
        (b"{\"access_token\":\"tok\"} <!-- -->", "something after it"),
        (b"{\"access_token\":\"tok\"}{\"access_token\":\"other\"}", "something after it"),
        (b"{\"access_token\":\"tok\",\"token_type\":\"\xff\"}", "not a string"),
    ] {
        let error = reader.read(&response(200, body), &[], &sent(), now()).token.unwrap_err();
        assert!(error.to_string().contains(part) && !error.to_string().contains("tok\""), "{error}");
    }
}

#[test]
fn l50_the_grants_field_is_read_beside_an_unusable_token() {
    for beside in [
        "\"access_token\":1e400",
        "\"expires_in\":-1e400,\"access_token\":\"t\"",
        "\"n\":1e400",
        "\"token_type\":\"mac\"",
    ] {
        let body = format!("{{\"refresh_token\":\"successor\",{beside}}}");
        let read = reader().read(&response(200, body), &["refresh_token"], &sent(), now());
        assert!(read.token.is_err());
        assert_eq!(read.fields.unwrap().text("refresh_token"), Some("successor"), "{beside}");
    }
}

#[test]
fn l51_a_compressed_response_is_named() {
    let gzip = &b"\x1f\x8b\x08\x00planted"[..];
    for (status, header, body, part) in [
        (200, Some("gzip"), gzip, "compressed (gzip)"),
        (200, None, gzip, "compressed (gzip)"),
        (200, Some("br"), b"\x8b\x02planted", "compressed (br)"),
        (200, Some("planted"), b"\x8b\x02planted", "compressed (in an unknown encoding)"),
        (400, Some("deflate"), b"x\x9cplanted", "compressed (deflate)"),
        (503, None, gzip, "compressed (gzip)"),
    ] {
        let mut compressed = response(status, body);
        compressed.headers_mut().extend(header.map(|value| (CONTENT_ENCODING, value.parse().unwrap())));
        let error = reader().read(&compressed, &[], &sent(), now()).token.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(part) && !text.contains("planted"), "{text}");
    }
    // A proxy may have decoded the body and left the header.
    let mut plain = response(200, r#"{"access_token":"a"}"#);
    plain.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().unwrap());
    assert!(reader().read(&plain, &[], &sent(), now()).token.is_ok());
}

#[test]
fn a_refusal_names_the_endpoint_and_what_to_change() {
    for (status, body, text) in [
        (
            401,
            r#"{"error":"invalid_client"}"#,
            "the token endpoint at https://as.example.com responded with 401 and OAuth error `invalid_client`; expected \
             a token: check the client secret and the client id, and whether the server expects them by HTTP Basic \
             instead of the body: try `ClientAuth::basic` (in a configuration, `method = \"basic\"`)",
        ),
        (
            403,
            "",
            "the token endpoint at https://as.example.com responded with 403 and no OAuth error code; expected a token: the \
             server's log or documentation knows the cause: perhaps the grant type, the scope or another parameter. If it \
             is the client authentication, check the client secret and the client id, and whether the server expects them \
             by HTTP Basic instead of the body: try `ClientAuth::basic` (in a configuration, `method = \"basic\"`)",
        ),
        (
            404,
            "",
            "the token endpoint at https://as.example.com responded with 404 and no OAuth error code; expected a \
             token: check the path of the token endpoint URL, as the server has nothing there",
        ),
        (
            404,
            r#"{"error":"invalid_request","error_description":"no route"}"#,
            "the token endpoint at https://as.example.com responded with 404 and OAuth error `invalid_request`; expected \
             a token: check the path of the token endpoint URL, as the server has nothing there. \
             `Error::server_description` has the server's own words",
        ),
        (
            503,
            r#"{"error":"invalid_client"}"#,
            "the token endpoint at https://as.example.com responded with 503 and OAuth error `invalid_client`; expected \
             a token: the server, or a proxy in front of it, is in trouble",
        ),
    ] {
        let reader = ResponseReader { presented: Presented::Body, ..reader() };
        let error = reader.read(&response(status, body), &[], &sent(), now()).token.unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

// shows: 6749/5.2b
#[test]
fn l57_every_refusal_that_may_be_about_the_client_says_so() {
    let reader = ResponseReader { presented: Presented::Body, ..reader() };
    for (status, body, says) in [
        (400, "", true),
        (400, r#"{"error":"invalid_request"}"#, true),
        (400, r#"{"error":"unauthorized_client"}"#, true),
        (400, r#"{"error":"invalid_client"}"#, true),
        (400, r#"{"error":"a word of its own"}"#, true),
        (400, "<p>Bad Request</p>", true),
        (200, r#"{"error":"invalid_client"}"#, true),
        (401, "", true),
        (401, r#"{"error":"access_denied"}"#, true),
        (401, r#"{"error":"unauthorized_client"}"#, true),
        (401, r#"{"error":"invalid_grant"}"#, true),
        (401, "<p>Unauthorized</p>", true),
        (403, "", true),
        (403, r#"{"title":"Forbidden"}"#, true),
        (403, r#"{"error":"access_denied"}"#, true),
        (422, "", true),
        (400, r#"{"error":"invalid_grant"}"#, false),
        (400, r#"{"error":"invalid_scope"}"#, false),
        (400, r#"{"error":"slow_down"}"#, false),
        (404, "", false),
        (404, r#"{"error":"invalid_request"}"#, false),
        (404, r#"{"error":"invalid_client"}"#, true),
        (405, "", false),
        (410, r#"{"error":"a word of its own"}"#, false),
        (429, "", false),
        (503, r#"{"error":"invalid_client"}"#, false),
    ] {
        let error = reader.read(&response(status, body), &[], &sent(), now()).token.unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text.contains("the client secret") && text.contains("`ClientAuth::basic`"),
            says,
            "{status}: {text}"
        );
    }
}

#[test]
fn l57_advice_about_the_client_is_first_with_status_401() {
    let reader = ResponseReader { presented: Presented::Body, ..reader() };
    let place = |status, part: &str| {
        let response = response(status, r#"{"error":"unauthorized_client"}"#);
        let error = reader.read(&response, &[], &sent(), now()).token.unwrap_err().to_string();
        error.find(part).unwrap()
    };
    assert!(place(401, "the client secret") < place(401, "may not use this grant"));
    assert!(place(400, "may not use this grant") < place(400, "the client secret"));
}
