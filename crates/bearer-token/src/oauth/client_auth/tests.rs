//! What each method sends, and what is wrong with it.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::*;

fn prepare(auth: &ClientAuth) -> (Credentials, Problems) {
    let mut problems = Problems::default();
    let credentials = auth.prepare(None, &mut problems);
    (credentials, problems)
}

// shows: 6749/2.3.1a 6749/B
#[test]
fn l26_basic_form_encodes_id_and_secret() {
    for (auth, pair) in [
        (ClientAuth::basic("id", "secret"), "id:secret"),
        (ClientAuth::basic("a b", "p:+/=%&~\u{e4}"), "a+b:p%3A%2B%2F%3D%25%26%7E%C3%A4"),
        (ClientAuth::basic("urn:a", "*-._"), "urn%3Aa:*-._"),
        (ClientAuth::basic_raw("a b", "p:+/=%&~\u{e4}"), "a b:p:+/=%&~\u{e4}"),
    ] {
        let (credentials, problems) = prepare(&auth);
        assert!(problems.is_empty(), "{problems:?}");
        let header = credentials.header.unwrap();
        assert!(header.is_sensitive());
        assert_eq!(header, format!("Basic {}", BASE64_STANDARD.encode(pair)), "{pair}");
        assert_eq!(credentials.parameters.names().count(), 0, "never both in the header and in the body");
    }
}

// shows: 6749/2.3.1c
#[test]
fn the_body_carries_what_the_method_says() {
    for (auth, body) in [
        (ClientAuth::none(), ""),
        (ClientAuth::public("a b"), "client_id=a+b"),
        (ClientAuth::post("id", "s&s"), "client_id=id&client_secret=s%26s"),
    ] {
        let (credentials, problems) = prepare(&auth);
        assert!(problems.is_empty() && credentials.header.is_none());
        assert_eq!(credentials.parameters.to_form(), body);
    }
}

#[test]
fn empty_and_broken_ids_and_secrets_are_all_named() {
    for (auth, count) in [
        (ClientAuth::public(""), 1),
        (ClientAuth::basic("", ""), 2),
        (ClientAuth::basic_raw("a:b", "marker\n\n"), 2),
        (ClientAuth::post("id\r", ""), 2),
    ] {
        let error = prepare(&auth).1.into_result("no").unwrap_err();
        assert_eq!(error.problems().len(), count, "{error}");
        assert!(!error.to_string().contains("marker"));
    }
}
