//! What holds for any response that a server may send.

use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use proptest::{collection::vec, prelude::*, sample::select};

use serde_json::Value;

use super::*;
use crate::oauth::Parameters;

const MARKER: &str = "planted-marker";

/// A request that contained the marker.
fn sent() -> Sent {
    let parameters = Parameters::new("custom").with("password", MARKER);
    Sent { parameters, headers: HeaderMap::new(), query: None }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::from(MARKER)),
        select(vec!["", "Bearer", "bearer", "mac", "3600", "-1", "NaN", "invalid_grant", "slow_down"])
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Responses with the fields that mean something, each of any kind.
fn objects() -> impl Strategy<Value = Vec<u8>> {
    let names =
        vec!["access_token", "token_type", "expires_in", "scope", "error", "error_description", "kept", "other"];
    vec((select(names), values()), 0..7).prop_map(|members| {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Object(members).to_string().into_bytes()
    })
}

/// Responses that often contain a token.
fn tokens() -> impl Strategy<Value = Vec<u8>> {
    values().prop_map(|expires_in| {
        serde_json::json!({ "access_token": MARKER, "token_type": "Bearer", "expires_in": expires_in })
            .to_string()
            .into_bytes()
    })
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => objects(),
        2 => tokens(),
        1 => vec(any::<u8>(), 0..200),
        1 => values().prop_map(|value| value.to_string().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    // shows: 6749/5.1c 6749/10.14
    #[test]
    fn any_response_is_a_token_or_a_silent_error(
        status in prop_oneof![200..300_u16, 100..1_000_u16], body in bodies(), header in vec(any::<u8>(), 0..20),
    ) {
        let mut response = Response::builder().status(status).body(Bytes::from(body.clone())).unwrap();
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            response.headers_mut().insert(CONTENT_TYPE, value.clone());
            response.headers_mut().insert(http::header::RETRY_AFTER, value);
        }
        let reader = ResponseReader { keep: vec!["kept".to_owned()], ..ResponseReader::default() };
        let read = reader.read(&response, &["refresh_token"], &sent(), UNIX_EPOCH);
        match read.token {
            Ok(token) => {
                prop_assert!((200..300).contains(&status), "a token from {}", status);
                // Fields that are not needed may be more than `Value` can hold.
                if let Ok(body) = serde_json::from_slice::<Value>(&body) {
                    prop_assert_eq!(body.get("access_token").and_then(Value::as_str), Some(token.secret()));
                }
                prop_assert!(!token.secret().is_empty());
            }
            Err(error) => {
                let shown = format!("{error} {error:#} {error:?} {:?}", error.server_description());
                prop_assert!(!shown.contains(MARKER), "{}", shown);
            }
        }
    }

    #[test]
    fn any_format_finds_what_a_json_pointer_names(
        status in prop_oneof![4 => 200..300_u16, 1 => 100..1_000_u16],
        body in bodies(),
        pointer in select(vec!["", "/kept", "/kept/0", "/kept/1/0", "/0", "/other", "/access_token/0"]),
        milliseconds in any::<bool>(),
        never in -1..2_i64,
    ) {
        let format = ResponseFormat::oauth().token(pointer).expires_at("/expires_in").refresh_in("/other").never(never);
        let format = if milliseconds { format.milliseconds() } else { format };
        let reader = ResponseReader { format, ..ResponseReader::default() };
        let response = Response::builder().status(status).body(Bytes::from(body.clone())).unwrap();
        match reader.read(&response, &["refresh_token"], &sent(), UNIX_EPOCH).token {
            Ok(token) => {
                prop_assert!((200..300).contains(&status) && !token.secret().is_empty());
                match serde_json::from_slice::<Value>(&body) {
                    Ok(sent) => {
                        // Without JSON around it, a number or a literal is a token, too.
                        let named = sent.pointer(pointer);
                        let is_alone = pointer.is_empty() && !sent.is_object() && !sent.is_array();
                        prop_assert!(is_alone || named.and_then(Value::as_str) == Some(token.secret()));
                    }
                    Err(_) if pointer.is_empty() => {}
                    Err(_) => prop_assert!(!body.is_empty()),
                }
            }
            Err(error) => {
                let shown = format!("{error} {error:#} {error:?} {:?}", error.server_description());
                prop_assert!(!shown.contains(MARKER), "{}", shown);
            }
        }
    }

    #[test]
    fn l19_no_error_status_yields_a_token(status in prop_oneof![100..200_u16, 300..1_000_u16], body in tokens()) {
        let response = Response::builder().status(status).body(Bytes::from(body)).unwrap();
        let read = ResponseReader::default().read(&response, &[], &sent(), UNIX_EPOCH);
        prop_assert!(read.token.is_err() && read.fields.is_none());
    }
}
