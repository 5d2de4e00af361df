use std::collections::HashSet;

use aws_lc_rs::hmac;
use serde_json::json;

use super::*;
use crate::{
    error::ErrorKind,
    jwt::{
        algorithm::Family,
        test_support::{key_name, part, pem},
    },
    test_support::{ManualClock, NoEntropy, platform_at},
};

fn key() -> SigningKey {
    SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap()
}

// shows: 7515/3.1 7515/7.1 7519/5.1 7519/7.1
#[tokio::test]
async fn a_jwt_has_header_and_claims_of_its_template() {
    let template = JwtTemplate::builder(key().with_key_id("k1"))
        .issuer("iss")
        .subject("sub")
        .audience("aud")
        .not_before(true)
        .header("cty", "x")
        .claim("acl", json!({ "paths": [1, { "a": null }] }))
        .claim("https://ims.example.com/s/ent_sdk", true)
        .claim("capability", "{\"*\":[\"*\"]}")
        .build()
        .unwrap();
    let jwt = template.sign(&platform_at(1_000)).await.unwrap();
    assert_eq!(part(&jwt, 0), json!({ "alg": "HS256", "typ": "JWT", "kid": "k1", "cty": "x" }));
    let mut claims = part(&jwt, 1);
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(uuid::Uuid::parse_str(jti.as_str().unwrap()).unwrap().get_version_num(), 4);
    let expected = json!({
        "iss": "iss", "sub": "sub", "aud": "aud", "iat": 990, "nbf": 990, "exp": 1_050,
        "acl": { "paths": [1, { "a": null }] },
        "https://ims.example.com/s/ent_sdk": true,
        "capability": "{\"*\":[\"*\"]}",
    });
    assert_eq!(claims, expected);
    let names: HashSet<_> = template.claim_names().collect();
    let all = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "acl", "https://ims.example.com/s/ent_sdk"];
    assert!(all.iter().all(|name| names.contains(name)) && names.len() == all.len() + 1, "{names:?}");

    let (input, signature) = jwt.secret().rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let verifier = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    hmac::verify(&verifier, input.as_bytes(), &signature).unwrap();
}

// shows: 7519/4.1.7 7521/5.1c
#[tokio::test]
async fn l20_every_jwt_has_its_own_jti_iat_and_exp() {
    let clock = ManualClock::at(Duration::from_secs(1_000));
    let platform = clock.platform();
    let template = JwtTemplate::builder(key()).build().unwrap();
    let mut ids = HashSet::new();
    for round in 0..20 {
        let jwt = template.sign(&platform).await.unwrap();
        let claims = part(&jwt, 1);
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(990 + round), &json!(1_050 + round)));
        assert!(ids.insert(claims["jti"].as_str().unwrap().to_owned()), "a jti came twice");
        // Two JWTs of the same moment differ in their jti.
        assert_ne!(jwt.secret(), template.sign(&platform).await.unwrap().secret());
        clock.advance(Duration::from_secs(1));
    }
}

// shows: 7523/3.3b 7521/5.1a
#[tokio::test]
async fn l21_the_audience_is_sent_byte_for_byte() {
    for audience in [
        "https://auth.example.com",
        "https://auth.example.com/",
        "HTTPS://Auth.Example.com:443/token?x=%7e#f",
        "account-d.example.com",
        "/admin/",
        "app store \u{e4}",
    ] {
        let sign = async |template: JwtTemplate| part(&template.sign(&platform_at(0)).await.unwrap(), 1);
        let one = JwtTemplate::builder(key()).audience(audience).build().unwrap();
        assert_eq!(sign(one).await["aud"], json!(audience));
        let list = JwtTemplate::builder(key()).audiences([audience]).build().unwrap();
        assert_eq!(sign(list).await["aud"], json!([audience]));
    }
}

// shows: 7523/3.5 7519/4.1.5 7519/4.1.6
#[tokio::test]
async fn l22_iat_is_back_dated_and_there_is_no_nbf() {
    let template = JwtTemplate::builder(key()).build().unwrap();
    let jwt = template.sign(&platform_at(1_000)).await.unwrap();
    let claims = part(&jwt, 1);
    assert_eq!((&claims["iat"], claims.get("nbf"), &claims["exp"]), (&json!(990), None, &json!(1_050)));
    assert_eq!(jwt.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_050)));
    assert_eq!(jwt.issued(), platform_at(1_000).now());

    let capped = JwtTemplate::builder(key())
        .backdate(Duration::from_secs(60))
        .lifetime(Duration::from_secs(600))
        .build()
        .unwrap();
    let claims = part(&capped.sign(&platform_at(1_000)).await.unwrap(), 1);
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(940), &json!(1_540)));
}

// shows: 7519/4.1.5
#[tokio::test]
async fn nbf_has_a_back_date_apart_from_iat() {
    let seconds = Duration::from_secs;
    let builder = || JwtTemplate::builder(key()).backdate(seconds(20));
    for (builder, nbf) in [
        (builder().not_before(true), Some(980)),
        (builder().not_before_backdate(seconds(0)), Some(1_000)),
        (builder().not_before_backdate(seconds(300)), Some(700)),
        (builder().not_before_backdate(Duration::MAX), Some(0)),
        (builder().not_before_backdate(seconds(300)).not_before(true), Some(980)),
        (builder().not_before_backdate(seconds(300)).not_before(false), None),
        (builder().not_before(false).not_before_backdate(seconds(300)), Some(700)),
    ] {
        let claims = part(&builder.build().unwrap().sign(&platform_at(1_000)).await.unwrap(), 1);
        assert_eq!(claims.get("nbf"), nbf.map(|nbf| json!(nbf)).as_ref());
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(980), &json!(1_040)), "the others are the same");
    }
}

#[tokio::test]
async fn lists_of_claims_and_headers_may_be_options() {
    let (tenant, none) = (Some("7"), None::<&str>);
    let template = JwtTemplate::builder(key())
        .claims(tenant.map(|tenant| ("tenant", tenant)))
        .claims(none.map(|region| ("region", region)))
        .claims([("a", json!([1])), ("b", json!(null))])
        .headers([("cty", "x"), ("typ", "y")])
        .headers(none.map(|kid| ("kid", kid)))
        .build()
        .unwrap();
    let jwt = template.sign(&platform_at(1_000)).await.unwrap();
    assert_eq!(part(&jwt, 0), json!({ "alg": "HS256", "typ": "y", "cty": "x" }));
    let claims = part(&jwt, 1);
    assert_eq!((&claims["tenant"], &claims["a"], &claims["b"]), (&json!("7"), &json!([1]), &json!(null)));
    assert!(claims.get("region").is_none());
}

#[tokio::test]
async fn each_generated_claim_can_be_left_out() {
    let template = JwtTemplate::builder(key())
        .issuer("team")
        .issued_at(false)
        .expiration_time(false)
        .jwt_id(false)
        .build()
        .unwrap();
    let jwt = template.sign(&platform_at(1_000)).await.unwrap();
    assert_eq!(part(&jwt, 1), json!({ "iss": "team" }));
    assert_eq!(jwt.expires(), None);

    let computed =
        JwtTemplate::builder(key()).expiration_time(false).computed("exp", |cx| Ok(cx.expires_at().as_millis()));
    let jwt = computed.build().unwrap().sign(&platform_at(1_000)).await.unwrap();
    assert_eq!(part(&jwt, 1)["exp"], 1_050_000);
    assert_eq!(jwt.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_050)));
}

// shows: 7521/3 7523/3.9 7523/5 7515/4.1.1 7519/8 7519/8b
#[tokio::test]
async fn every_algorithm_signs_a_jwt_that_names_it() {
    for algorithm in Algorithm::ALL.iter().copied() {
        let key = match key_name(algorithm) {
            None => SigningKey::hmac(algorithm, [7; 64]),
            Some(name) => SigningKey::from_pem(algorithm, pem(name)),
        };
        if matches!(algorithm.family(), Family::MlDsa(_)) && !cfg!(feature = "ml-dsa") {
            let error = key.unwrap_err().to_string();
            assert!(error.contains("enable the feature `ml-dsa`"), "{error}");
            continue;
        }
        let template = JwtTemplate::builder(key.unwrap()).build().unwrap();
        assert_eq!(template.algorithm(), algorithm);
        let jwt = template.sign(&platform_at(1_000)).await.unwrap();
        assert_eq!(part(&jwt, 0)["alg"], algorithm.name());
        assert!(!jwt.secret().contains('='), "padded");
    }
}

// shows: 7518/8.x
#[tokio::test]
async fn without_randomness_nothing_is_signed() {
    let platform = platform_at(0).with_entropy(NoEntropy);
    let template = JwtTemplate::builder(key()).build().unwrap();
    assert_eq!(template.sign(&platform).await.unwrap_err().kind(), ErrorKind::Source);
    let without = JwtTemplate::builder(key()).jwt_id(false).build().unwrap();
    without.sign(&platform).await.unwrap();
}

#[tokio::test]
async fn l38_debug_shows_neither_key_nor_jwt() {
    let secret = "MARKER".repeat(8);
    let key = SigningKey::hmac(Algorithm::HS256, &secret).unwrap();
    let builder = JwtTemplate::builder(key).claim("private", "MARKER");
    let mut shown = format!("{builder:?}");
    let template = builder.build().unwrap();
    let jwt = template.sign(&platform_at(0)).await.unwrap();
    shown += &format!("{template:?} {jwt:?}");
    assert!(!shown.contains("MARKER") && !shown.contains(jwt.secret()), "{shown}");
    for part in jwt.secret().split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(shown.contains("private"), "{shown}");
}
