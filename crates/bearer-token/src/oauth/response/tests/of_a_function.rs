//! Responses that a user's function reads.

use super::*;

fn reader_with(
    read: impl Fn(&Response<Bytes>) -> Result<AccessToken, Error> + Send + Sync + 'static,
) -> ResponseReader {
    ResponseReader { custom: Some(CustomReader::new(read)), ..reader() }
}

#[test]
fn the_token_is_what_the_function_makes() {
    let reader = reader_with(|response| {
        let token = response.headers().get("x-subject-token").and_then(|token| token.to_str().ok());
        Ok(AccessToken::new(token.unwrap_or_default()).expires_in(Duration::from_secs(7)))
    });
    let mut made = response(201, "<xml/>");
    made.headers_mut().insert("x-subject-token", "planted".parse().unwrap());
    let read = reader.read(&made, &["refresh_token"], &sent(), now());
    let token = read.token.unwrap();
    assert_eq!((token.secret(), token.expiry()), ("planted", Expiry::In(Duration::from_secs(7))));
    assert_eq!(read.fields.unwrap().text("refresh_token"), None);
    assert!(!format!("{reader:?}").contains("planted"));
}

#[test]
fn an_unknown_lifetime_is_that_of_the_jwt() {
    // {"exp":784111837}
    let reader = reader_with(|_| Ok(AccessToken::new("e30.eyJleHAiOjc4NDExMTgzN30.c2ln")));
    let token = reader.read(&response(200, "{\"error\":\"judged by the function\"}"), &[], &sent(), now()).token;
    assert_eq!(token.unwrap().expiry(), Expiry::At(now() + Duration::from_secs(60)));
}

#[test]
fn a_reader_judges_successful_responses_only() {
    let reader = reader_with(|_| Err(Error::new(ErrorKind::Source, "the function's own words")));
    let error = reader.read(&response(200, "{}"), &[], &sent(), now()).token.unwrap_err();
    assert_eq!(error.to_string(), "the function's own words");
    for status in [302, 400, 404, 503] {
        let error = reader.read(&response(status, "{}"), &[], &sent(), now()).token.unwrap_err();
        assert!(error.to_string().contains(&format!("responded with {status}")), "{error}");
    }
}
