//! `WWW-Authenticate`: each line of the input is a header line.
#![no_main]

use bearer_token::{
    Challenge,
    adapter::{is_grpc_rejection, is_rejection},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{HeaderName, WWW_AUTHENTICATE},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(1_000) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let rejects = is_rejection(StatusCode::UNAUTHORIZED, &headers);
    assert!(!is_rejection(StatusCode::NOT_FOUND, &headers));
    assert!(rejects || !is_rejection(StatusCode::FORBIDDEN, &headers));
    let challenges = Challenge::read(&headers);
    // The verdict and the challenges are read with the same grammar.
    let bearer = || challenges.iter().filter(|challenge| challenge.is_scheme("bearer"));
    if data.len() <= 8 * 1024 && challenges.len() < 16 {
        let passes = |challenge: &Challenge| {
            matches!(challenge.parameter("error"), Some("insufficient_scope" | "invalid_request"))
        };
        if bearer().all(|challenge| challenge.parameters().count() < 32) && data.is_ascii() {
            assert_eq!(rejects, bearer().next().is_none() || !bearer().all(passes));
        }
    }
    headers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from_static("16"));
    assert_eq!(is_grpc_rejection(&headers), rejects);

    assert!(challenges.len() <= 16);
    let mut size = 0;
    let mut written = HeaderMap::new();
    for challenge in &challenges {
        assert!(!challenge.scheme().is_empty() && challenge.parameters().count() <= 32);
        let mut line = challenge.scheme().to_owned();
        size += line.len();
        for (index, (name, value)) in challenge.parameters().enumerate() {
            size += name.len() + value.len();
            let first = challenge.parameters().find(|(other, _)| other.eq_ignore_ascii_case(name));
            assert_eq!(challenge.parameter(&name.to_ascii_uppercase()), first.map(|(_, value)| value));
            let value = value.replace('\\', r"\\").replace('"', r#"\""#);
            line += &format!("{}{name}=\"{value}\"", if index == 0 { " " } else { ", " });
        }
        written.append(WWW_AUTHENTICATE, HeaderValue::try_from(line).expect("its parts were in a header"));
    }
    assert!(size <= 8 * 1024);
    // What is written and read again is the same, unless quoting makes it too long.
    let again = Challenge::read(&written);
    assert!(again == challenges || written.values().map(HeaderValue::len).sum::<usize>() > 8 * 1024);
    let known = format!("{challenges:?}");
    assert!(!known.contains("marker"), "{known}");
});
