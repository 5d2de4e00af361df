use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::{error::ErrorKind, jwt::Algorithm, problem::Problem};

fn builder() -> JwtTemplateBuilder {
    JwtTemplateBuilder::new(SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn each_mistake_is_a_problem_at_its_path() {
    let not_json = HashMap::from([((1, 2), 3)]);
    for (builder, expected) in [
        (builder().issuer(""), "issuer: found an empty string"),
        (builder().subject(""), "subject: found an empty string"),
        (builder().audience(""), "audience: found an empty string"),
        (builder().audiences(["a", ""]), "audiences: found an empty string"),
        (builder().audiences(<[String; 0]>::default()), "audiences: found an empty list"),
        (builder().audience("a").audiences(["a"]), "audiences: found beside a single audience"),
        (builder().issuer("a").claim("iss", "b"), "claims.iss: found a value that differs"),
        (builder().claim("sub", "b").subject("a"), "claims.sub: found a value that differs"),
        (builder().audience("a").claim("aud", ["a"]), "claims.aud: found a value that differs"),
        (
            builder().claim("exp", 5),
            "claims.exp: found a fixed value; expected none, because each JWT gets its own: call \
             `.lifetime(..)`, or call `.expiration_time(false)`",
        ),
        (builder().claim("exp", 5).expiration_time(false), "claims.exp: found a fixed value"),
        (builder().claim("iat", 5), "claims.iat: found a fixed value"),
        (builder().claim("nbf", 5), "claims.nbf: found a fixed value"),
        (builder().claim("jti", "a").jwt_id(false), "claims.jti: found a fixed value"),
        (builder().claim("map", &not_json), "claims.map: found a value that cannot be written as JSON"),
        (builder().header("map", &not_json), "header.map: found a value that cannot be written as JSON"),
        (builder().header("alg", "none"), "header.alg: found another `alg`"),
        (builder().key_id("a").header("kid", "b"), "header.kid: found another `kid`"),
        (builder().lifetime(seconds(10)), "lifetime: found 10s, not more than the back-date; expected more than 10s"),
        (builder().lifetime(Duration::from_millis(10_999)), "lifetime: found 10.999s"),
        (builder().lifetime(Duration::ZERO).backdate(Duration::ZERO), "lifetime: found 0ns"),
        (builder().backdate(seconds(60)), "lifetime: found 60s (the default)"),
        (builder().backdate(Duration::MAX), "lifetime: found 60s (the default)"),
        (builder().lifetime(Duration::MAX), "lifetime: found"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let problems: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected:?} not in {problems:?}");
    }
}

#[test]
fn l52_strings_on_the_wire_have_no_newline() {
    let long = "\u{1}".repeat(3);
    for value in
        ["me\n", "me\r\n", "m\ne", "me\0", "\u{feff}me", " me", "me\u{a0}", "'me'", "\"me\"", "me\\n", " ", &long]
    {
        for (builder, path) in [
            (builder().issuer(value), "issuer"),
            (builder().subject(value), "subject"),
            (builder().audience(value), "audience"),
            (builder().audiences(["a", value]), "audiences"),
            (builder().key_id(value), "key_id"),
            (JwtTemplateBuilder::new(named(value)), "key_id"),
            (builder().header("kid", value), "header.kid"),
            (builder().header("typ", value), "header.typ"),
            (builder().header("cty", value), "header.cty"),
            (builder().claim("iss", value), "claims.iss"),
            (builder().claim("sub", value), "claims.sub"),
            (builder().claim("aud", value), "claims.aud"),
            (builder().claim("aud", ["a", value]), "claims.aud"),
        ] {
            let error = builder.build().unwrap_err();
            let paths: Vec<_> = error.problems().iter().map(Problem::path).collect();
            assert_eq!(paths, [path], "{value:?}: {error}");
            let found = error.problems()[0].found();
            assert!(found.starts_with("found ") && !found.contains("me"), "{value:?}: {found}");
        }
    }
    for (builder, path) in [(builder().claim("a\n", 1), "claims"), (builder().header("a\n", 1), "header")] {
        assert_eq!(builder.build().unwrap_err().problems()[0].path(), path);
    }
    // An audience may look like a path, and other claims may be any text.
    let text = builder().audience("/admin/").issuer("key.pem").subject("it's me").claim("text", " two\nlines ");
    text.build().unwrap();
}

fn named(key_id: &str) -> SigningKey {
    SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap().with_key_id(key_id)
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let error = builder()
        .issuer("")
        .claim("exp", 1)
        .claim("x", HashMap::from([((1, 2), 3)]))
        .header("typ", 5)
        .lifetime(seconds(1))
        .build()
        .unwrap_err();
    let mut paths: Vec<_> = error.problems().iter().map(Problem::path).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["claims.exp", "claims.x", "header.typ", "issuer", "lifetime"]);
}

#[test]
fn the_same_value_twice_is_not_a_contradiction() {
    let template = builder().issuer("a").claim("iss", "a").claim("aud", ["x"]).claim("n", 1).claim("n", 2);
    let template = template.issuer("b").issuer("a").lifetime(seconds(11)).build().unwrap();
    let names: Vec<_> = template.claim_names().collect();
    assert_eq!(names, ["aud", "iss", "n", "iat", "exp", "jti"]);
    assert_eq!(template.lifetime(), Some(seconds(11)));
    let doubled = builder().audiences(["a", "b"]).claim("aud", json!(["a", "b"])).build();
    doubled.unwrap();
}
