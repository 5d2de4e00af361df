//! Requests that go out as they are, or not at all.

use super::*;

#[tokio::test]
async fn l35_the_callers_own_authorization_and_its_401_are_not_ours() {
    let fixture = fixture();
    warm(&fixture).await;
    let (service, mut handle) = mocked(&fixture);
    let mut own = request(API);
    own.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));
    let response = service.oneshot(own);
    let reply = async {
        let (sent, reply) = handle.next_request().await.unwrap();
        assert_eq!(sent.headers()[AUTHORIZATION], "Basic eDp5");
        reply.send_response(unauthorized("Bearer error=\"invalid_token\""));
    };
    let (response, ()) = tokio::join!(response, reply);
    assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.provider.cached().unwrap().secret(), "t1");
}

#[tokio::test]
async fn l36_a_request_marked_pass_through_is_left_alone() {
    let fixture = fixture();
    let (service, mut handle) = mocked(&fixture);
    let mut marked = request("https://as.example.com/token");
    marked.extensions_mut().insert(PassThrough);
    let reply = async {
        let (sent, reply) = handle.next_request().await.unwrap();
        assert!(!sent.headers().contains_key(AUTHORIZATION));
        reply.send_response(Response::new(()));
    };
    let (response, ()) = tokio::join!(service.oneshot(marked), reply);
    response.unwrap();
    assert_eq!(fixture.fetches.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn other_origins_pass_without_a_token_and_plaintext_is_refused() {
    let fixture = fixture();
    warm(&fixture).await;
    let (service, mut handle) = mocked(&fixture);
    let reply = async {
        let (sent, reply) = handle.next_request().await.unwrap();
        assert!(!sent.headers().contains_key(AUTHORIZATION));
        reply.send_response(unauthorized("Bearer error=\"invalid_token\""));
    };
    let (response, ()) = tokio::join!(service.clone().oneshot(request("https://files.example.com/")), reply);
    response.unwrap();
    assert!(fixture.provider.cached().is_some(), "a foreign 401 rejects nothing");

    let error = service.oneshot(request("http://api.example.com/")).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Origin);
}

#[tokio::test]
async fn l33_other_headers_are_not_sent_where_redirects_are_followed_below() {
    for (sending, follows, expected) in [
        (Sending::new().header("x-api-key"), true, None),
        (Sending::new().header("x-api-key"), false, Some("x-api-key")),
        (Sending::new(), true, Some("authorization")),
    ] {
        for is_warm in [true, false] {
            let provider = TokenProvider::builder(StaticToken::new("t1"))
                .allow_origin("https://api.example.com")
                .sending(sending.clone())
                .build()
                .unwrap();
            if is_warm {
                provider.token().await.unwrap();
            }
            let layer = BearerLayer::new(provider);
            let layer = if follows { layer.final_uri(Extensions::get) } else { layer };
            let sent = Arc::new(Mutex::new(Vec::new()));
            let seen = sent.clone();
            let inner = tower::service_fn(move |request: Request<()>| {
                seen.lock().unwrap().extend(request.headers().keys().map(ToString::to_string));
                async { Ok::<_, BoxError>(Response::new(())) }
            });
            let result = layer.layer(inner).oneshot(request(API)).await;
            assert_eq!(*sent.lock().unwrap(), expected.into_iter().collect::<Vec<_>>(), "{follows} {is_warm}");
            if expected.is_none() {
                let error = result.unwrap_err();
                assert_eq!(Error::find(&*error).unwrap().kind(), ErrorKind::Config, "{is_warm}");
            }
        }
    }
}
