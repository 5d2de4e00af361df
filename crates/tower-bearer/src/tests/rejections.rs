//! Responses that refuse the bearer.

use super::*;

// shows: 6750/3.1b
#[tokio::test]
async fn a_401_rejects_unless_the_scope_is_insufficient() {
    let fixture = fixture();
    warm(&fixture).await;
    for (challenge, stays) in [("Bearer error=\"insufficient_scope\"", true), ("Bearer", false)] {
        let (service, mut handle) = mocked(&fixture);
        let reply = async {
            let (_, reply) = handle.next_request().await.unwrap();
            reply.send_response(unauthorized(challenge));
        };
        let (response, ()) = tokio::join!(service.oneshot(request(API)), reply);
        assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(fixture.provider.cached().is_some(), stays, "{challenge}");
    }
    fixture.permits.add_permits(1);
    assert_eq!(fixture.provider.token().await.unwrap().secret(), "t2");
}

#[tokio::test]
async fn a_401_for_a_request_that_waited_rejects_too() {
    let fixture = fixture();
    let (service, mut handle) = mocked(&fixture);
    let reply = async {
        fixture.permits.add_permits(1);
        let (_, reply) = handle.next_request().await.unwrap();
        reply.send_response(unauthorized("Bearer error=\"invalid_token\""));
    };
    let (response, ()) = tokio::join!(service.oneshot(request(API)), reply);
    assert_eq!(response.unwrap().extensions().get(), Some(&Rejection::Renewing));
}

#[tokio::test]
async fn the_response_shows_the_outcome_of_its_rejection() {
    let fixture = fixture();
    warm(&fixture).await;
    let inner = tower::service_fn(|request: Request<()>| async move {
        let mut response = match request.uri().path() {
            "/fine" => Response::new(()),
            "/scope" => unauthorized("Bearer error=\"insufficient_scope\""),
            _ => unauthorized("Bearer error=\"invalid_token\""),
        };
        let final_uri = if request.uri().path() == "/old" {
            "https://api.example.com/new".parse().unwrap()
        } else {
            request.uri().clone()
        };
        response.extensions_mut().insert(FinalUri(final_uri));
        Ok::<_, BoxError>(response)
    });
    let service = BearerLayer::new(fixture.provider.clone())
        .final_uri(|extensions| extensions.get::<FinalUri>().map(|uri| &uri.0))
        .layer(inner);
    let ask = async |path: &str| {
        let response = service.clone().oneshot(request(&format!("https://api.example.com{path}"))).await.unwrap();
        response.extensions().get::<Rejection>().copied()
    };
    assert_eq!(ask("/fine").await, None);
    assert_eq!(ask("/scope").await, None);
    assert_eq!(ask("/orders").await, Some(Rejection::Renewing));
    fixture.permits.add_permits(1);
    fixture.provider.token().await.unwrap();
    assert_eq!(ask("/orders").await, Some(Rejection::Declined), "renewed a moment ago");
    assert_eq!(ask("/old").await, None, "what redirected it may have acted on it");
}

#[tokio::test]
async fn l55_a_declared_refusal_rejects_and_an_exposed_ticket_can() {
    let replies = |status: u16| {
        tower::service_fn(move |_: Request<()>| async move {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, BoxError>(response)
        })
    };
    for (status, is_declared, stays) in [(498, true, false), (498, false, true), (200, true, true), (401, true, false)]
    {
        let mut builder = TokenProvider::builder(StaticToken::new("t1")).allow_origin("https://api.example.com");
        if is_declared {
            builder = builder.reject_if(|response| response.status().as_u16() == 498);
        }
        let provider = builder.build().unwrap();
        let bearer = provider.token().await.unwrap();
        let layer = BearerLayer::new(provider.clone());
        let response = layer.clone().layer(replies(status)).oneshot(request(API)).await.unwrap();
        assert_eq!(response.extensions().get::<Ticket>(), None, "only on request");
        assert_eq!(response.extensions().get::<Rejection>().is_none(), stays, "{status} {is_declared}");
        drop(provider.token().await);

        let response = layer.expose_ticket().layer(replies(status)).oneshot(request(API)).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&bearer.ticket()), "{status} {is_declared}");
    }
}

/// What a redirect layer below leaves in the response.
#[derive(Clone)]
struct FinalUri(Uri);

#[tokio::test]
async fn l42_a_401_after_a_redirect_elsewhere_rejects_nothing() {
    let fixture = fixture();
    warm(&fixture).await;
    for (replied, stays) in [("https://files.example.com/x", true), ("https://api.example.com:443/y", false)] {
        let inner = tower::service_fn(move |_: Request<()>| async move {
            let mut response = unauthorized("Bearer error=\"invalid_token\"");
            response.extensions_mut().insert(FinalUri(replied.parse().unwrap()));
            Ok::<_, BoxError>(response)
        });
        let layer = BearerLayer::new(fixture.provider.clone())
            .final_uri(|extensions| extensions.get::<FinalUri>().map(|uri| &uri.0));
        layer.layer(inner).oneshot(request(API)).await.unwrap();
        assert_eq!(fixture.provider.cached().is_some(), stays, "{replied}");
    }
}

#[tokio::test]
async fn l42_a_ticket_is_not_exposed_after_a_redirect_elsewhere() {
    let fixture = fixture();
    warm(&fixture).await;
    for (uri, is_exposed) in [("https://files.example.com/x", false), ("https://api.example.com/y", true)] {
        let inner = tower::service_fn(move |_: Request<()>| async move {
            let mut response = Response::new(());
            response.extensions_mut().insert(FinalUri(uri.parse().unwrap()));
            Ok::<_, BoxError>(response)
        });
        let layer = BearerLayer::new(fixture.provider.clone())
            .final_uri(|extensions| extensions.get::<FinalUri>().map(|uri| &uri.0))
            .expose_ticket();
        let response = layer.layer(inner).oneshot(request(API)).await.unwrap();
        assert_eq!(response.extensions().get::<Ticket>().is_some(), is_exposed, "{uri}");
    }
}
