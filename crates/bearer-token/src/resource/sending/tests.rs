//! Tests of what `build` reports.

use std::time::Duration;

use http::StatusCode;

use super::*;
use crate::{StaticToken, TokenProvider};

fn problems(sending: Sending) -> Vec<String> {
    let builder = TokenProvider::builder(StaticToken::new("token")).allow_any_https_origin().sending(sending);
    builder.problems().iter().map(ToString::to_string).collect()
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

#[test]
fn usual_and_unusual_forms_build() {
    for sending in [
        Sending::new(),
        Sending::new().header("X-Vault-Token").scheme("").reject_on_status(StatusCode::FORBIDDEN),
        Sending::new().scheme("SSWS").reject_on_code("token_expired").reject_on_grpc(7),
        Sending::new().header("proxy-authorization").settle(Duration::from_secs(60)),
        Sending::new().reject_on_status(status(498)).reject_on_status(StatusCode::FORBIDDEN),
    ] {
        assert_eq!(problems(sending.clone()), [""; 0], "{sending:?}");
    }
}

#[test]
fn each_mistake_is_named_without_what_was_found() {
    for (sending, expected) in [
        (
            Sending::new().header("planted x"),
            "sending.header: found a name that no header may have; expected a header name",
        ),
        (Sending::new().header(""), "sending.header: found a name that no header may have"),
        (Sending::new().header("Host"), "sending.header: found `host`, which frames the message"),
        (Sending::new().header("content-length"), "found `content-length`, which frames the message"),
        (Sending::new().header("connection"), "or belongs to the connection"),
        (Sending::new().header("transfer-encoding"), "or belongs to the connection"),
        (Sending::new().scheme("Bearer planted"), "sending.scheme: found a scheme with a space"),
        (Sending::new().scheme("Bearer "), "or an empty string for the token alone"),
        (Sending::new().scheme("planted\r\nx: y"), "sending.scheme: found a scheme with a space or another character"),
        (Sending::new().reject_on_status(StatusCode::OK), "sending.reject_on_status: found 200; expected an error"),
        (Sending::new().reject_on_grpc(0), "sending.reject_on_grpc: found 0; expected the number of a gRPC error"),
        (Sending::new().reject_on_grpc(17), "sending.reject_on_grpc: found 17"),
        (Sending::new().reject_on_code(""), "sending.reject_on_code: found an empty error code"),
        (Sending::new().reject_on_code("a\"b"), "or one with characters that no error code has"),
        (Sending::new().settle(Duration::from_secs(61)), "sending.settle: found 61s; expected at most 60s"),
        (Sending::new().reject_on_grpc(7).reject_on_grpc(7), "found a status a second time; expected each once"),
    ] {
        let found = problems(sending.clone());
        let [problem] = &found[..] else { panic!("{sending:?}: {found:?}") };
        assert!(problem.contains(expected) && !problem.contains("planted"), "{problem}");
        let shown = format!("{sending:?}");
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[cfg(feature = "_json")]
mod fixed_headers {
    use super::*;
    use crate::Value;

    #[test]
    fn mistakes_are_named_all_at_once() {
        let sending = Sending::new()
            .header("x-api-key")
            .fixed_header("X-Api-Key", "planted")
            .fixed_header("x-twice", "planted-1")
            .fixed_header("X-Twice", "planted-2")
            .fixed_header("host", "planted")
            .fixed_header("not a name", "planted")
            .fixed_header("x-lines", "planted\nlines")
            .fixed_header("x-empty", "");
        let found = problems(sending);
        let expected = [
            "sending.fixed_header.x-api-key: found a fixed value for the header that contains the token",
            "sending.fixed_header.x-twice: found the header a second time",
            "sending.fixed_header: found `host`",
            "sending.fixed_header: found a name that no header may have",
            "sending.fixed_header.x-lines: found a newline inside",
            "sending.fixed_header.x-empty: found an empty string",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected) && !found.contains("planted"), "{found}");
        }
    }

    #[test]
    fn a_bad_name_says_where_it_is_bad() {
        for (name, expected) in [
            ("planted name", "change character 8 of 12, a space"),
            ("planted: value", "remove the colon and what follows it, from character 8 on"),
            ("plantéd", "change character 6 of 7, a character that is not ASCII"),
            ("planted\n", "change character 8 of 8, a control character"),
            ("planted/", "change character 8 of 8, a punctuation mark"),
        ] {
            let found = problems(Sending::new().fixed_header("x-good", "v").fixed_header(name, "v"));
            let [problem] = &found[..] else { panic!("{name}: {found:?}") };
            assert!(problem.ends_with(expected) && !problem.contains("plant"), "{problem}");
        }
    }

    #[test]
    fn there_are_at_most_sixteen() {
        let with = |number| {
            (0..number).fold(Sending::new(), |sending, number| sending.fixed_header(format!("x-{number}"), "value"))
        };
        assert_eq!(problems(with(16)), [""; 0]);
        assert_eq!(problems(with(17)), ["sending.fixed_header: found 17 headers; expected at most 16"]);
    }

    #[test]
    fn debug_shows_names_and_no_value() {
        let sending = Sending::new()
            .header("x-api-key")
            .fixed_header("x-second-key", "planted")
            .fixed_header("x-third-key", Value::env("THIRD").prefix("planted"));
        let shown = format!("{sending:?}");
        assert!(shown.contains("x-second-key") && shown.contains("THIRD") && !shown.contains("planted"), "{shown}");
    }
}
