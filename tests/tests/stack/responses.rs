//! Responses as servers in the field send them: lifetimes that disagree, clocks that are wrong, and noise.

use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bearer_token::{TokenProvider, platform::Clock};
use bearer_token_testing::{Fault, ManualClock, Tokens};
use serde_json::{Value, json};

use crate::support::{SECOND, Setup};

const HOUR: Duration = Duration::from_secs(3_600);

/// A JWT that lives from now on, by the server's clock.
fn jwt(setup: &Setup, life: u64) -> String {
    let now = setup.clock.now().wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(&json!({"iat": now, "exp": now + life})))
}

async fn life(expires_in: Value, jwt_life: u64) -> Duration {
    let setup = Setup::start();
    let body = json!({"access_token": jwt(&setup, jwt_life), "token_type": "Bearer", "expires_in": expires_in});
    setup.server.token_endpoint().always(Fault::json(200, &body));
    let bearer = setup.provider().token().await.unwrap();
    bearer.expires_at().unwrap().duration_since(setup.clock.now().wall()).unwrap()
}

#[tokio::test]
async fn l45_a_token_ends_with_its_jwt_whatever_expires_in_is() {
    for (expires_in, jwt_life, expected) in [
        (json!(3_600), 900, 900),
        (json!(3_600_000), 3_600, 3_600),
        (json!("3600000"), 3_600, 3_600),
        (json!(120), 3_600, 120),
        (json!(null), 900, 900),
        (json!("soon"), 900, 900),
    ] {
        assert_eq!(life(expires_in.clone(), jwt_life).await, Duration::from_secs(expected), "{expires_in}");
    }
}

/// A provider whose clock is two hours ahead of the server's, and that clock.
fn ahead(setup: &Setup) -> (TokenProvider, ManualClock) {
    setup.server.issue(Tokens::jwt().lifetime(HOUR).without_expires_in());
    let clock = ManualClock::at(setup.clock.now().wall() + 2 * HOUR);
    let platform = bearer_token::platform::Platform::system().with_clock(clock.clone());
    (setup.builder(setup.endpoint().build().unwrap()).platform(platform).build().unwrap(), clock)
}

#[tokio::test]
async fn l47_a_clock_that_is_ahead_causes_no_request_per_call() {
    let setup = Setup::start();
    let (provider, clock) = ahead(&setup);
    for _ in 0..30 {
        provider.token().await.unwrap();
        clock.advance(2 * SECOND);
        setup.clock.advance(2 * SECOND);
    }
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn l47_a_clock_ahead_can_use_a_repeated_token() {
    let setup = Setup::start();
    let (provider, clock) = ahead(&setup);
    let first = provider.token().await.unwrap();
    let body = json!({"access_token": first.secret(), "token_type": "Bearer"});
    setup.server.token_endpoint().always(Fault::json(200, &body));
    for _ in 0..5 {
        clock.advance(60 * SECOND);
        assert_eq!(provider.token().await.unwrap().secret(), first.secret());
    }
}

async fn token(body: &[u8]) -> Result<String, bearer_token::Error> {
    let setup = Setup::start();
    let response = Fault::status(200).header("content-type", "application/json;charset=ISO-8859-1").body(body.to_vec());
    setup.server.token_endpoint().always(response);
    Ok(setup.provider().token().await?.secret().to_owned())
}

#[tokio::test]
async fn l50_bytes_that_are_not_utf_8_cost_no_token() {
    let body = b"{\"access_token\":\"tok\",\"expires_in\":60,\"name\":\"J\xf6rg\",\"n\":1e400}";
    assert_eq!(token(body).await.unwrap(), "tok");
    assert!(token(b"{\"access_token\":\"t\xf6k\"}").await.is_err(), "in the token itself they do");
}

/// The field's name cannot be set yet: a source of one's own is the way.
#[tokio::test]
async fn a_token_under_another_name_is_named_in_the_error() {
    let error = token(b"{\"id_token\":\"e30.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln\"}").await.unwrap_err();
    assert!(error.to_string().contains("`access_token`"), "{error}");
}
