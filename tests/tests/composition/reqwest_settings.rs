//! Settings of the reqwest client itself, which is inside all middlewares.

use std::time::Duration;

use bearer_token_testing::Fault;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::support::{LIMIT, Setup, drive_until, pass_the_limit, poll_once, reqwest, within};

fn over(setup: &Setup, client: reqwest::ClientBuilder) -> ClientWithMiddleware {
    ClientBuilder::new(client.build().unwrap()).with(BearerMiddleware::new(setup.provider.clone())).build()
}

#[tokio::test]
async fn a_default_authorization_of_the_client_loses_against_ours() {
    let setup = Setup::warm().await;
    let own = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Basic eDp5"))]);
    let client = over(&setup, reqwest().default_headers(own));
    assert_eq!(within(client.get(setup.url("/orders")).send()).await.unwrap().status(), 200);
    assert_eq!(setup.authorizations(), [setup.in_service()]);
}

#[tokio::test]
async fn l35_an_authorization_of_the_request_wins() {
    let setup = Setup::cold();
    let client = over(&setup, reqwest());
    let request = client.get(setup.url("/orders")).basic_auth("x", Some("y"));
    assert_eq!(within(request.send()).await.unwrap().status(), 401);
    assert!(setup.authorizations()[0].as_deref().unwrap().starts_with("Basic "));
    assert_eq!(setup.token_requests(), 0);
}

#[tokio::test]
async fn cookies_and_bearers_do_not_disturb_each_other() {
    let setup = Setup::warm().await;
    let client = over(&setup, reqwest().cookie_store(true));
    setup.server.api().next(Fault::status(200).header("set-cookie", "session=7; Path=/"));
    for _ in 0..2 {
        assert_eq!(within(client.get(setup.url("/orders")).send()).await.unwrap().status(), 200);
    }
    let sent = setup.api_requests();
    assert_eq!((sent[0].header("cookie"), sent[1].header("cookie")), (None, Some("session=7")));
    assert_eq!(setup.authorizations(), [setup.in_service(), setup.in_service()]);
}

#[tokio::test]
async fn reqwests_timeout_bounds_the_api_alone() {
    let setup = Setup::cold();
    let gate = setup.server.token_endpoint().hold();
    let client = over(&setup, reqwest().timeout(LIMIT));
    let mut call = Box::pin(client.get(setup.url("/orders")).send());
    drive_until(&mut call, &setup.server, |counts| counts.token_requests == 1).await;
    pass_the_limit().await;
    assert!(poll_once(&mut call).await.is_pending());
    gate.release();
    assert_eq!(within(call).await.unwrap().status(), 200);

    let _gate = setup.server.api().hold();
    let mut call = Box::pin(client.get(setup.url("/orders")).send());
    drive_until(&mut call, &setup.server, |counts| counts.api_requests == 2).await;
    pass_the_limit().await;
    let error = within(call).await.unwrap_err();
    assert!(matches!(&error, reqwest_middleware::Error::Reqwest(error) if error.is_timeout()), "{error:?}");
}

#[tokio::test]
async fn l10_a_timeout_around_send_bounds_all_but_the_fetch() {
    let setup = Setup::cold();
    let gate = setup.server.token_endpoint().hold();
    let client = over(&setup, reqwest());
    let call = client.get(setup.url("/orders")).send();
    assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
    gate.release();
    within(setup.provider.token()).await.unwrap();
    assert_eq!((setup.token_requests(), setup.api_requests().len()), (1, 0));
}
