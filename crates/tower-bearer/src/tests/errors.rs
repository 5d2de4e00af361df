//! Requests that get no token, and what their callers see.

use super::*;

#[tokio::test]
async fn l37_without_a_token_the_request_is_not_sent() {
    let fixture = fixture();
    fixture.permits.close();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let inner = tower::service_fn(move |_: Request<()>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, BoxError>(Response::new(())) }
    });
    let error = BearerService::new(inner, fixture.provider.clone()).oneshot(request(API)).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Source);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_failed_request_is_not_sent_when_polled_again() {
    for uri in [API, "http://api.example.com/"] {
        let fixture = fixture();
        fixture.permits.close();
        let (mut service, mut handle) = mocked(&fixture);
        handle.allow(1);
        service.ready().await.unwrap();
        let mut response = pin!(service.call(request(uri)));
        assert!(response.as_mut().await.unwrap_err().is::<Error>(), "{uri}");
        assert_eq!(response.await.unwrap_err().to_string(), "polled after completion", "{uri}");
        assert!(handle.poll_request().is_pending(), "{uri}");
    }
}

#[tokio::test]
async fn an_error_of_the_inner_service_passes_through() {
    let fixture = fixture();
    warm(&fixture).await;
    let inner = tower::service_fn(|_: Request<()>| async { Err::<Response<()>, BoxError>("no route".into()) });
    let error = BearerService::new(inner, fixture.provider.clone()).oneshot(request(API)).await.unwrap_err();
    assert_eq!(error.to_string(), "no route");
}

/// An error as a gRPC library has one.
#[derive(Debug)]
struct Status(Error);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.0.grpc_code())
    }
}

impl std::error::Error for Status {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test]
async fn map_error_changes_token_errors_only() {
    let fixture = fixture();
    let layer = BearerLayer::new(fixture.provider.clone()).map_error(|error| Status(error).into());
    let inner = tower::service_fn(|_: Request<()>| async { Err::<Response<()>, BoxError>("no route".into()) });
    let service = layer.layer(inner);

    // Refused at once, and refused after a wait.
    for (uri, kind, text) in
        [("http://api.example.com/", ErrorKind::Origin, "status 16"), (API, ErrorKind::Source, "status 14")]
    {
        fixture.permits.close();
        let error = service.clone().oneshot(request(uri)).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.source().unwrap().downcast_ref::<Error>().unwrap().kind(), kind);
    }
    let foreign = service.oneshot(request("https://files.example.com/")).await.unwrap_err();
    assert_eq!(foreign.to_string(), "no route");
}
