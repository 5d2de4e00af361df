//! Responses with fields at other places than OAuth's.

use super::*;

fn with(format: ResponseFormat) -> ResponseReader {
    ResponseReader { format, ..reader() }
}

fn read(format: ResponseFormat, body: impl AsRef<[u8]>) -> Result<AccessToken, Error> {
    with(format).read(&response(200, body.as_ref().to_vec()), &[], &sent(), now()).token
}

#[test]
fn token_and_lifetime_are_where_the_provider_has_them() {
    let oauth = ResponseFormat::oauth;
    let vault = || oauth().token("/auth/client_token").expires_in("/auth/lease_duration").never(0);
    for (format, body, token, expiry) in [
        (
            oauth().token("/token").expires_at("/expires_at"),
            r#"{"token":"ghs_x","expires_at":"1994-11-06T09:49:37Z","permissions":{"contents":"read"}}"#,
            "ghs_x",
            Expiry::In(Duration::from_secs(3_600)),
        ),
        (
            vault(),
            r#"{"auth":{"client_token":"hvs.x","lease_duration":600,"token_type":"service"},"data":null}"#,
            "hvs.x",
            Expiry::In(Duration::from_secs(600)),
        ),
        (vault(), r#"{"auth":{"client_token":"hvs.x","lease_duration":0}}"#, "hvs.x", Expiry::Never),
        (oauth().token("/0/access_token"), r#"[{"access_token":"a"}]"#, "a", Expiry::Unknown),
        (
            oauth().expires_in("/expires").milliseconds(),
            r#"{"access_token":"a","expires":"90000","expires_in":5}"#,
            "a",
            Expiry::In(Duration::from_secs(90)),
        ),
        (
            oauth().token("/id_token"),
            r#"{"id_token":"i","access_token":"a","expires_in":7,"token_type":"Bearer"}"#,
            "i",
            Expiry::In(Duration::from_secs(7)),
        ),
    ] {
        let read = read(format.clone(), body).unwrap();
        assert_eq!((read.secret(), read.expiry()), (token, expiry), "{format:?}");
    }
}

#[test]
fn l45_a_jwt_without_expiry_fields_ends_with_its_exp() {
    // {"iat":784111777,"exp":784115377}
    const JWT: &str = "e30.eyJpYXQiOjc4NDExMTc3NywiZXhwIjo3ODQxMTUzNzd9.c2ln";
    let hour = Expiry::In(Duration::from_secs(3_600));
    let token = read(ResponseFormat::oauth().token("/id_token"), format!(r#"{{"id_token":"{JWT}"}}"#)).unwrap();
    assert_eq!(token.expiry(), hour);
    for body in [JWT.to_owned(), format!("\"{JWT}\"\n")] {
        let token = read(ResponseFormat::oauth().token(""), body).unwrap();
        assert_eq!((token.secret(), token.expiry()), (JWT, hour));
    }
}

#[test]
fn l50_damage_beside_a_pointer_costs_no_usable_token() {
    for noise in [
        &b"\"data\":\"J\xf6rg\""[..],
        b"\"data\":{\"token\":\"other\"}",
        b"\"access_token\":1e400",
        b"\"x\":{\"token\":\"\xff\"}",
        b"\"error\":[]",
    ] {
        let body = [b"{", noise, b",\"data\":{\"n\":1e999,\"name\":\"\xf6\",\"token\":\"tok\"}}"].concat();
        let token = read(ResponseFormat::oauth().token("/data/token"), &body);
        assert_eq!(token.as_ref().map(AccessToken::secret).ok(), Some("tok"), "{noise:?}: {token:?}");
    }
}

#[test]
fn l15_errors_name_the_place_and_nothing_of_the_response() {
    let oauth = ResponseFormat::oauth;
    for (format, body, words) in [
        (
            oauth().token("/data/token"),
            r#"{"access_token":"marker"}"#,
            "without a token; expected a token at `/data/token`",
        ),
        (
            oauth().token("/data/token"),
            r#"{"data":{"token":{"a":"marker"}}}"#,
            "a field `/data/token` that is not a string",
        ),
        (oauth().token("/data/token"), r#"{"data":"marker"}"#, "JSON without a token"),
        (
            oauth().token("/data/token"),
            "<p>marker</p>",
            "is not JSON; expected a token at `/data/token`: check the URL",
        ),
        (oauth().token("/token"), r#"{"error":"marker","token":"marker"}"#, "an error code of 6 bytes"),
        (oauth().expires_in("/ttl"), r#"{"access_token":"marker","ttl":-1}"#, "a token whose `/ttl` is negative"),
        (
            oauth().token(""),
            r#"{"token":"marker"}"#,
            "a JSON document; name the place of the token in it; expected the token alone",
        ),
        (oauth().token(""), r#"{"error":"invalid_grant","m":"marker"}"#, "OAuth error `invalid_grant`"),
        (oauth().token(""), "<html>marker</html>", "begins with a tag"),
        (oauth().token(""), "", "0 bytes that is empty; expected the token alone"),
    ] {
        let error = read(format, body).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(words) && !text.contains("marker"), "{text}");
    }
}

#[test]
fn the_hint_scope_and_kept_fields_are_read() {
    let reader = ResponseReader {
        keep: vec!["/auth/accessor".to_owned(), "region".to_owned()],
        ..with(ResponseFormat::oauth().token("/auth/token").refresh_in("/auth/refresh_in"))
    };
    let body = r#"{"region":"eu","scope":"a","auth":{"token":"t","accessor":"acc","refresh_in":60}}"#;
    let token = reader.read(&response(200, body), &[], &sent(), now()).token.unwrap();
    assert_eq!(token.refresh_hint(), Some(Duration::from_secs(60)));
    let (scope, extras) = token.into_details();
    assert_eq!(scope.as_deref(), Some("a"));
    assert_eq!(
        extras.into_iter().collect::<Vec<_>>(),
        [("/auth/accessor".into(), "acc".into()), ("region".into(), "eu".into())]
    );
}

#[test]
fn the_grants_field_is_at_the_configured_pointer() {
    let reader = with(ResponseFormat::oauth().token("/data/access").refresh_token("/data/refresh"));
    let body = r#"{"refresh_token":"wrong","data":{"access":"a","refresh":"next"}}"#;
    let read = reader.read(&response(200, body), &["refresh_token"], &sent(), now());
    assert_eq!(read.fields.unwrap().text("refresh_token"), Some("next"));
    assert_eq!(read.token.unwrap().secret(), "a");
}
