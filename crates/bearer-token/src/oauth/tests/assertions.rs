//! Signed assertions: as the grant, and as client authentication.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::jwt::{Algorithm, JwtTemplate, SigningKey};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn secret() -> SigningKey {
    SigningKey::hmac(Algorithm::HS256, "planted-".repeat(8)).unwrap()
}

fn private_key() -> SigningKey {
    SigningKey::from_pem(Algorithm::ES256, include_str!("../../jwt/testdata/p256.pem")).unwrap()
}

fn form(body: &str) -> HashMap<String, String> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn claims(jwt: &str) -> Value {
    let part = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The form and the claims in its client assertion.
async fn request(url: &str, auth: ClientAuth) -> (HashMap<String, String>, Value) {
    let script = Script::new([reply(200, TOKEN)]);
    let source =
        TokenEndpoint::builder(url, ClientCredentials::new()).client_auth(auth).transport(script.clone()).build();
    source.unwrap().fetch(script.context()).await.unwrap();
    let form = form(&script.bodies()[0]);
    let claims = claims(&form["client_assertion"]);
    (form, claims)
}

// shows: 7521/4.2a 7521/4.2b 7521/5.2a 7521/5.2b 7523/2.2a 7523/2.2b 7523/3.1 7523/3.2 9700/2.5b
#[tokio::test]
async fn a_client_assertion_names_client_and_token_endpoint() {
    for auth in
        [ClientAuth::private_key_jwt("client id", private_key()), ClientAuth::client_secret_jwt("client id", secret())]
    {
        let (form, claims) = request(URL, auth).await;
        assert_eq!(form.len(), 4);
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["client_id"], "client id");
        assert_eq!(form["client_assertion_type"], CLIENT_ASSERTION_TYPE);
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client id"), &json!("client id")));
        // The clock shows 784111777, and `iat` is 10 s back.
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(784_111_767), &json!(784_111_827)));
        assert!(claims["jti"].is_string() && claims.get("nbf").is_none());
    }
}

// shows: 7523/3.3a
#[tokio::test]
async fn l21_the_audience_is_the_url_unless_replaced() {
    for url in [
        "https://as.example.com",
        "https://as.example.com/",
        "https://AS.example.com:443/a/../token%7e",
        "http://127.0.0.1:8080/token",
    ] {
        let (_, claims) = request(url, ClientAuth::private_key_jwt("id", private_key())).await;
        assert_eq!(claims["aud"], url);
    }
    for audience in ["https://tenant.example.com/", "https://AS.example.com/token?x=%7e"] {
        let auth = ClientAuth::private_key_jwt("id", private_key()).audience(audience);
        assert_eq!(request(URL, auth).await.1["aud"], audience);
    }
}

#[tokio::test]
async fn l38_the_audience_has_no_query_unless_it_was_asked_for() {
    for url in ["https://AS.example.com:443/token?key=planted", "https://AS.example.com:443/token?"] {
        for auth in [ClientAuth::private_key_jwt("id", private_key()), ClientAuth::client_secret_jwt("id", secret())] {
            assert_eq!(request(url, auth).await.1["aud"], "https://AS.example.com:443/token");
        }
    }
}

// shows: 7519/4.1.4 7519/5.1
#[tokio::test]
async fn lifetime_and_typ_change_without_repeating_the_rest() {
    let seconds = Duration::from_secs;
    for auth in [ClientAuth::private_key_jwt("id", private_key()), ClientAuth::client_secret_jwt("id", secret())] {
        for (auth, lives, typ, aud) in [
            (auth.clone(), 60, "JWT", URL),
            (auth.clone().assertion_lifetime(seconds(300)), 300, "JWT", URL),
            (
                auth.clone().assertion_jwt_type("x+jwt").audience("https://a.example.com"),
                60,
                "x+jwt",
                "https://a.example.com",
            ),
            (
                auth.clone().audience_issuer("https://as.example.com"),
                60,
                "client-authentication+jwt",
                "https://as.example.com",
            ),
            (
                auth.audience_issuer("https://as.example.com")
                    .assertion_jwt_type("JWT")
                    .assertion_lifetime(seconds(11)),
                11,
                "JWT",
                "https://as.example.com",
            ),
        ] {
            let (form, claims) = request(URL, auth).await;
            let header = form["client_assertion"].split('.').next().unwrap();
            let header: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
            assert_eq!((&header["typ"], &claims["aud"]), (&json!(typ), &json!(aud)));
            assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), lives);
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!("id"), &json!("id")));
        }
    }
}

#[test]
fn a_bad_change_of_the_assertion_is_named() {
    let template = || JwtTemplate::builder(secret()).issuer("iss").subject("iss").audience("aud").build().unwrap();
    let signed = || ClientAuth::private_key_jwt("id", private_key());
    let seconds = Duration::from_secs;
    let (lifetime, jwt_type) = ("client_auth.assertion_lifetime", "client_auth.assertion_jwt_type");
    for (auth, paths) in [
        (signed().assertion_lifetime(seconds(10)), &[lifetime][..]),
        (signed().assertion_lifetime(Duration::MAX), &[lifetime]),
        (signed().assertion_lifetime(Duration::ZERO).assertion_jwt_type(""), &[jwt_type, lifetime]),
        (signed().assertion_jwt_type("marker\n"), &[jwt_type]),
        (ClientAuth::assertion("id", template()).assertion_lifetime(seconds(60)), &[lifetime]),
        (ClientAuth::assertion("id", template()).assertion_jwt_type("JWT"), &[jwt_type]),
        (ClientAuth::post("id", "s").assertion_lifetime(seconds(60)).assertion_jwt_type("x"), &[lifetime, jwt_type]),
        (ClientAuth::none().audience("a"), &["client_auth.audience"]),
    ] {
        let builder = TokenEndpoint::builder(URL, ClientCredentials::new()).client_auth(auth);
        let error = builder.transport(Script::default()).build().unwrap_err();
        let found: Vec<_> = error.problems().iter().map(crate::Problem::path).collect();
        assert_eq!(found, paths, "{error}");
        assert!(!error.to_string().contains("marker"), "{error}");
    }
}

#[tokio::test]
async fn a_template_of_your_own_says_everything_about_the_assertion() {
    let template = JwtTemplate::builder(secret()).issuer("iss").audience("aud").claim("x", 1).build().unwrap();
    let (form, claims) = request(URL, ClientAuth::assertion("id", template)).await;
    assert_eq!(form["client_id"], "id");
    assert_eq!((&claims["iss"], claims.get("sub"), &claims["aud"]), (&json!("iss"), None, &json!("aud")));
    assert_eq!(claims["x"], 1);
}

// shows: 7523/2.1b
#[tokio::test]
async fn l20_every_wire_attempt_carries_assertions_of_its_own() {
    let template = JwtTemplate::builder(private_key()).issuer("iss").audience("aud").build().unwrap();
    let script = Script::new([broken(ErrorKind::Transport), reply(200, TOKEN), reply(200, TOKEN)]);
    let source = TokenEndpoint::builder(URL, JwtBearer::new(template))
        .client_auth(ClientAuth::client_secret_jwt("id", secret()))
        .transport(script.clone())
        .build()
        .unwrap();
    source.fetch(script.context()).await.unwrap();
    source.fetch(script.context()).await.unwrap();

    let bodies = script.bodies();
    assert_eq!(bodies.len(), 3);
    let mut ids = std::collections::HashSet::new();
    for (index, body) in bodies.iter().enumerate() {
        let form = form(body);
        assert_eq!(form["grant_type"], JWT_BEARER);
        for name in ["assertion", "client_assertion"] {
            let claims = claims(&form[name]);
            assert!(ids.insert(claims["jti"].as_str().unwrap().to_owned()), "a jti came twice");
            // Every attempt takes three seconds.
            assert_eq!(claims["iat"], json!(784_111_767 + 3 * index), "{name}");
        }
    }
}

/// A server that wants a nonce in the proof of the key, which a transport adds (RFC 9449 section 8).
mod nonce {
    use super::*;

    fn wanted(code: &str) -> Reply {
        let reply = Response::builder().status(400).header("dpop-nonce", "n-1");
        Ok(reply.body(format!(r#"{{"error":"{code}"}}"#).into()).unwrap())
    }

    async fn fetch<const N: usize>(replies: [Reply; N]) -> (Result<AccessToken, Error>, Vec<Value>) {
        let script = Script::new(replies);
        // A refresh token is not used up by a request that was refused for its proof.
        let source = TokenEndpoint::builder(URL, RefreshToken::new(crate::store::MemoryStore::new("r")))
            .client_auth(ClientAuth::private_key_jwt("id", private_key()))
            .transport(script.clone())
            .build()
            .unwrap();
        let result = source.fetch(script.context()).await;
        (result, script.bodies().iter().map(|body| claims(&form(body)["client_assertion"])).collect())
    }

    #[tokio::test]
    async fn l72_is_answered_with_a_new_client_assertion() {
        let (token, claims) = fetch([wanted("use_dpop_nonce"), reply(200, TOKEN)]).await;
        token.unwrap();
        assert_eq!(claims.len(), 2);
        assert_ne!(claims[0]["jti"], claims[1]["jti"]);
        // Every attempt takes three seconds.
        assert_eq!(claims[1]["iat"].as_u64().unwrap() - claims[0]["iat"].as_u64().unwrap(), 3);
    }

    #[tokio::test]
    async fn l72_is_answered_once_and_only_if_asked_for() {
        let (refused, claims) = fetch([wanted("use_dpop_nonce"), wanted("use_dpop_nonce")]).await;
        assert_eq!((refused.is_err(), claims.len()), (true, 2));
        let (refused, claims) = fetch([wanted("invalid_dpop_proof")]).await;
        assert_eq!((refused.is_err(), claims.len()), (true, 1));
        let (refused, claims) = fetch([reply(400, r#"{"error":"use_dpop_nonce"}"#)]).await;
        assert_eq!((refused.is_err(), claims.len()), (true, 1), "there is no nonce");
    }
}

/// A refusal by a server whose clock is five minutes ahead of that of the script, which starts at 08:49:37.
fn refused_by_its_clock(code: &str) -> Reply {
    let reply = Response::builder().status(400).header("date", "Sun, 06 Nov 1994 08:54:40 GMT");
    Ok(reply.body(format!(r#"{{"error":"{code}","error_description":"marker"}}"#).into()).unwrap())
}

#[tokio::test]
async fn l22_a_client_assertion_is_signed_again_by_the_servers_clock() {
    // Also by the words that would mean the refresh token, were the clock right.
    for code in ["invalid_client", "invalid_grant", "invalid_token", "expired_token"] {
        let script = Script::new([refused_by_its_clock(code), reply(200, TOKEN), reply(200, TOKEN)]);
        let grant = RefreshToken::new(crate::store::MemoryStore::new("r"));
        let source = TokenEndpoint::builder(URL, grant)
            .client_auth(ClientAuth::private_key_jwt("id", private_key()))
            .transport(script.clone())
            .build()
            .unwrap();
        source.fetch(script.context()).await.unwrap();
        assert!(matches!(source.clock_offset(), Some(ClockOffset::Behind(_))));
        source.clone().fetch(script.context()).await.unwrap();
        let forms: Vec<_> = script.bodies().iter().map(|body| form(body)).collect();
        assert!(forms.iter().all(|form| form["refresh_token"] == "r"));
        let issued: Vec<_> =
            forms.iter().map(|form| claims(&form["client_assertion"])["iat"].as_u64().unwrap()).collect();
        // It is back-dated by 10 s. The response took 3 s, of which half count; each request takes 3 s.
        assert_eq!(issued, [784_111_767, 784_111_770 + 301, 784_111_773 + 301]);
    }
}

#[tokio::test]
async fn l22_only_assertions_signed_here_are_signed_again() {
    let script = Script::new([refused_by_its_clock("invalid_client")]);
    let source = TokenEndpoint::builder(URL, ClientCredentials::new())
        .client_auth(ClientAuth::assertion_from("id", crate::StaticToken::new("projected")))
        .transport(script.clone())
        .build()
        .unwrap();
    assert!(source.fetch(script.context()).await.is_err());
    assert_eq!(script.bodies().len(), 1);

    struct Dated(bool);
    impl Grant for Dated {
        async fn parameters(&self, cx: &FetchContext) -> Result<Parameters, Error> {
            let now = cx.platform().now().since_epoch().as_secs();
            Ok(Parameters::new("own").with("t", now.to_string()))
        }

        fn is_time_bound(&self) -> bool {
            self.0
        }
    }
    for (dated, expected) in [(false, &["t=784111777"][..]), (true, &["t=784111777", "t=784112081"])] {
        let script = Script::new([refused_by_its_clock("invalid_grant"), refused_by_its_clock("invalid_grant")]);
        let source = TokenEndpoint::builder(URL, Dated(dated)).transport(script.clone()).build().unwrap();
        let error = source.fetch(script.context()).await.unwrap_err();
        let bodies = script.bodies();
        let times: Vec<_> = bodies.iter().map(|body| body.rsplit('&').next().unwrap()).collect();
        assert_eq!(times, expected);
        assert_eq!(
            (error.oauth_code(), error.to_string().contains("the clock of this machine is")),
            (Some("invalid_grant"), dated)
        );
        assert!(!format!("{error} {error:?}").contains("marker"), "{error}");
    }
}

#[tokio::test]
async fn l22_the_second_try_stays_inside_the_deadline() {
    let script = Script::new([refused_by_its_clock("invalid_client")]);
    let source = TokenEndpoint::builder(URL, ClientCredentials::new())
        .client_auth(ClientAuth::private_key_jwt("id", private_key()))
        .transport(script.clone())
        .build()
        .unwrap();
    let context = script.context();
    script.clock.advance(Duration::from_secs(8));
    let error = source.fetch(context).await.unwrap_err();
    assert!(error.to_string().contains("behind the server's, and no time was left"), "{error}");
    assert_eq!((script.bodies().len(), source.clock_offset()), (1, None));
}

// shows: 7521/4.1a
#[tokio::test]
async fn the_jwt_bearer_grant_type_can_have_another_name() {
    let template = JwtTemplate::builder(secret()).issuer("iss").build().unwrap();
    let script = Script::new([reply(200, TOKEN)]);
    let source = TokenEndpoint::builder(URL, JwtBearer::new(template))
        .grant_type("urn:custom")
        .transport(script.clone())
        .build()
        .unwrap();
    source.fetch(script.context()).await.unwrap();
    let form = form(&script.bodies()[0]);
    assert_eq!((form["grant_type"].as_str(), form.len()), ("urn:custom", 2));
}

#[test]
fn wrong_keys_and_misplaced_audiences_are_problems() {
    let template = JwtTemplate::builder(secret()).build().unwrap();
    for (auth, path, part) in [
        (ClientAuth::private_key_jwt("id", secret()), "client_auth.key", "use `ClientAuth::client_secret_jwt`"),
        (ClientAuth::client_secret_jwt("id", private_key()), "client_auth.key", "use `ClientAuth::private_key_jwt`"),
        (ClientAuth::private_key_jwt("", private_key()), "client_auth.client_id", "empty"),
        (ClientAuth::private_key_jwt("id", private_key()).audience(""), "client_auth.audience", "empty"),
        (ClientAuth::assertion("id", template).audience("a"), "client_auth.audience", "on the template"),
        (ClientAuth::basic("id", "secret").audience("a"), "client_auth.audience", "signs no assertion"),
    ] {
        let builder = TokenEndpoint::builder(URL, ClientCredentials::new()).client_auth(auth);
        let error = builder.transport(Script::default()).build().unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(error.problems()[0].path(), path);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn l38_debug_shows_the_method_and_the_client_but_no_key() {
    let template = JwtTemplate::builder(secret()).claim("private", "planted-claim").build().unwrap();
    for (auth, name) in [
        (ClientAuth::client_secret_jwt("client-id", secret()), "client_secret_jwt"),
        (ClientAuth::private_key_jwt("client-id", private_key()), "private_key_jwt"),
        (ClientAuth::assertion("client-id", template.clone()), "assertion"),
    ] {
        let grant = JwtBearer::new(template.clone());
        let mut text = format!("{grant:?}");
        let builder = TokenEndpoint::builder(URL, grant).client_auth(auth).transport(Script::default());
        text += &format!("{builder:?}");
        text += &format!("{:?}", builder.build().unwrap());
        assert!(text.contains(name) && text.contains("client-id") && !text.contains("planted"), "{text}");
    }
}

#[tokio::test]
async fn the_assertion_can_have_another_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("assertion");
    std::fs::write(&path, "from-elsewhere").unwrap();
    let grant = || JwtBearer::from_value(crate::Value::file(&path));
    let script = Script::new([reply(200, TOKEN)]);
    let endpoint = TokenEndpoint::builder(URL, grant().parameter_name("jwt"))
        .client_auth(ClientAuth::post("id", "secret"))
        .no_grant_type()
        .transport(script.clone())
        .build()
        .unwrap();
    endpoint.fetch(script.context()).await.unwrap();
    assert_eq!(script.bodies(), ["jwt=from-elsewhere&client_id=id&client_secret=secret"]);
    // Under any name, it is not the token.
    script.replies.lock().unwrap().push_back(reply(200, r#"{"access_token":"from-elsewhere"}"#));
    let error = endpoint.fetch(script.context()).await.unwrap_err().to_string();
    assert!(error.contains("the `jwt` that it was sent") && !error.contains("from-elsewhere"), "{error}");
    for name in ["", "grant_type", "jwt\n"] {
        let builder = TokenEndpoint::builder(URL, grant().parameter_name(name)).transport(script.clone());
        assert_eq!(builder.build().unwrap_err().problems()[0].path(), "parameter_name");
    }
}
