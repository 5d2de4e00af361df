//! Templates whose strings are looked up for each JWT, and JWTs with claims of their own.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::json;

use super::JwtTemplate;
use crate::{
    error::ErrorKind,
    jwt::{Algorithm, JwtTemplateBuilder, SigningKey, test_support::part},
    provider::TokenProvider,
    test_support::platform_at,
    value::Value,
};

const SECRET: &str = "a secret of more than thirty-two bytes";

fn builder() -> JwtTemplateBuilder {
    JwtTemplate::builder(SigningKey::hmac(Algorithm::HS256, SECRET).unwrap()).jwt_id(false).issued_at(false)
}

fn write(path: &Path, name: &str) {
    let account = json!({ "mail": format!("{name}@example.com"), "id": name, "key": SECRET, "list": name });
    fs::write(path, account.to_string()).unwrap();
}

#[tokio::test]
async fn l24_strings_of_an_account_file_are_read_for_each_jwt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("account.json");
    write(&path, "first");
    let value = |member| Value::file(&path).member(member);
    let key = SigningKey::from_value(Algorithm::HS256, value("/key")).unwrap();
    let template = JwtTemplate::builder(key)
        .key_id(value("/id"))
        .issuer(value("/mail"))
        .subject(value("/mail").before("@").prefix("user:"))
        .audiences([Value::from("https://api.example.com/"), value("/list")])
        .jwt_id(false)
        .build()
        .unwrap();
    let names: Vec<_> = template.claim_names().collect();
    assert_eq!(names, ["aud", "iss", "sub", "iat", "exp"]);
    for name in ["first", "second"] {
        write(&path, name);
        assert!(template.has_changed());
        let jwt = template.sign(&platform_at(1_000)).await.unwrap();
        assert!(!template.has_changed());
        assert_eq!(part(&jwt, 0)["kid"], name);
        let expected = json!({
            "iss": format!("{name}@example.com"), "sub": format!("user:{name}"),
            "aud": ["https://api.example.com/", name], "iat": 990, "exp": 1_050,
        });
        assert_eq!(part(&jwt, 1), expected);
    }
    // Half a file: the last usable strings stay.
    fs::write(&path, "{\"mail\": ").unwrap();
    let jwt = template.sign(&platform_at(1_000)).await.unwrap();
    assert_eq!((&part(&jwt, 0)["kid"], &part(&jwt, 1)["sub"]), (&json!("second"), &json!("user:second")));
}

// shows: 7523/bis-one 7519/4.1.3a
#[tokio::test]
async fn one_audience_is_one_string_wherever_it_is() {
    let template = builder().audience(Value::from("https://a/,x").before(",")).build().unwrap();
    assert_eq!(part(&template.sign(&platform_at(1_000)).await.unwrap(), 1)["aud"], "https://a/");
}

#[test]
fn l52_looked_up_strings_are_checked_at_build() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("string");
    let missing = || Value::file(directory.path().join("missing"));
    let token = || Value::token_of(TokenProvider::builder(crate::StaticToken::new("a")).build().unwrap());
    fs::write(&path, "'me'\n").unwrap();
    let found = || Value::file(&path);
    for (builder, expected) in [
        (builder().issuer(missing()), "issuer: the file `"),
        (
            builder().subject(Value::env("BEARER_TOKEN_TEST_THAT_IS_NOT_SET")),
            "subject: the environment variable `BEARER_",
        ),
        (builder().audience(found()), "audience: found quotes around the value: remove it"),
        (builder().audiences(["a".into(), found()]), "audiences: found quotes around the value"),
        (builder().key_id(found()), "key_id: found quotes around the value"),
        (builder().key_id(missing()), "key_id: the file `"),
        (builder().issuer(token()), "issuer: found the token of another provider; expected a literal, a file or a"),
        (builder().key_id(token()), "key_id: found the token of another provider"),
        (builder().issuer(Value::from("a").member("b")), "issuer: found a member that does not begin with `/`"),
        (
            builder().issuer(Value::from("a,b").before(",")).claim("iss", "a"),
            "claims.iss: found a value that differs from",
        ),
        (builder().key_id(Value::from("a,b").before(",")).header("kid", "a"), "key_id: found beside another key id"),
        (
            builder().issuer(Value::from("a,b").before(",")).computed("iss", |_| Ok("a")),
            "computed.iss: found the same claim among the fixed ones",
        ),
    ] {
        let error = builder.build().unwrap_err();
        let problems: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{expected}: {problems:?}");
        assert!(!problems[0].contains("me'"), "{problems:?}");
    }
}

#[tokio::test]
async fn a_string_that_became_unusable_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("string");
    fs::write(&path, "me").unwrap();
    let issuer = builder().issuer(Value::file(&path)).build().unwrap();
    let key_id = builder().key_id(Value::file(&path)).build().unwrap();
    fs::write(&path, "'me'").unwrap();
    for (template, what) in [(issuer, "the claim `iss`"), (key_id, "the header member `kid`")] {
        let error = template.sign(&platform_at(1_000)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("{what} of the JWT: the file `")), "{text}");
        assert!(text.ends_with("string`: found quotes around the value: remove it"), "{text}");
        assert!(error.kind() == ErrorKind::Source && !error.is_transient());
    }
}

#[tokio::test]
async fn a_jwt_for_others_has_its_own_claims() {
    let template =
        builder().issuer("me").claim("role", "user").computed("at", |cx| Ok(cx.issued_at().as_secs())).build();
    let template = template.unwrap();
    let platform = platform_at(1_000);
    let jwt = template.sign_with(&platform, json!({ "uid": 7, "sub": "you", "iat": 5 })).await.unwrap();
    let expected = json!({ "iss": "me", "role": "user", "at": 990, "exp": 1_050, "uid": 7, "sub": "you", "iat": 5 });
    assert_eq!(part(&jwt, 1), expected);
    assert_eq!(jwt.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_050)));
    assert_eq!(part(&template.sign(&platform).await.unwrap(), 1).get("uid"), None);

    let own = builder().expiration_time(false).build().unwrap();
    let jwt = own.sign_with(&platform, json!({ "exp": 2_000 })).await.unwrap();
    assert_eq!(jwt.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(2_000)));
    assert_eq!(own.sign_with(&platform, json!({})).await.unwrap().expires(), None);
}

// shows: 7519/4a
#[tokio::test]
async fn claims_of_the_template_are_never_replaced() {
    let looked_up = Value::from("a,b").before(",");
    let template = builder().issuer("me").audience(looked_up).claim("role", "user").computed("at", |_| Ok(1));
    let template = template.build().unwrap();
    let wrong = json!({ "iss": "you", "aud": "x", "role": "admin", "at": 2, "exp": 9, "sub": " MARKER", "a\nb": 1 });
    let error = template.sign_with(&platform_at(1_000), wrong).await.unwrap_err();
    let mut paths: Vec<_> = error.problems().iter().map(crate::Problem::path).collect();
    paths.sort_unstable();
    let expected = ["claims", "claims.at", "claims.aud", "claims.exp", "claims.iss", "claims.role", "claims.sub"];
    assert_eq!((error.kind(), paths.as_slice()), (ErrorKind::Config, expected.as_slice()));
    assert!(!format!("{error} {error:?}").contains("MARKER"));
    let wrong = json!({ "aud": ["you", "me\n"] });
    let error = builder().build().unwrap().sign_with(&platform_at(1_000), wrong).await.unwrap_err();
    assert!(error.to_string().contains("claims.aud: found a newline"), "{error}");
    for claims in [json!([]), json!("text"), json!(null)] {
        let error = template.sign_with(&platform_at(1_000), claims).await.unwrap_err();
        assert!(error.to_string().contains("claims: found something else than a JSON object"), "{error}");
    }
}
