//! Hand-made responses; real clients and servers are in the workspace's `tests`.

use std::{
    convert::Infallible,
    future,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use bearer_token::{AccessToken, FetchContext, Rejection, Sending, Ticket, TokenProvider};
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};

use super::*;
use crate::BearerLayer;

type Fields = &'static [(&'static str, &'static str)];

const UNAUTHENTICATED: Fields = &[("grpc-status", "16")];
const OK: Fields = &[("grpc-status", "0")];

fn headers(fields: Fields) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Data(&'static str),
    Trailers(Fields),
    Error,
}

/// A body of these parts. Its hint is nonsense, so that it can be recognised.
#[derive(Clone, Debug, Default)]
struct Parts(Vec<Part>);

impl Body for Parts {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match self.0.remove(0) {
            Part::Data(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Part::Trailers(fields) => Ok(Frame::trailers(headers(fields))),
            Part::Error => Err("reset"),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(1000 + self.0.len() as u64)
    }
}

/// A provider with a bearer in service. Its source never gives another, so a bearer that was rejected stays away.
async fn warm() -> TokenProvider {
    warm_with(Sending::new()).await
}

async fn warm_with(sending: Sending) -> TokenProvider {
    let fetches = AtomicUsize::new(0);
    let source = move |_cx: FetchContext| {
        let first = fetches.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if first { Ok(AccessToken::new("t1")) } else { future::pending().await } }
    };
    let builder = TokenProvider::builder(source).allow_origin("https://api.example.com").sending(sending);
    let provider = builder.build().unwrap();
    provider.token().await.unwrap();
    provider
}

#[derive(Clone)]
struct Reply {
    version: Version,
    headers: Fields,
    parts: Vec<Part>,
    final_uri: Option<&'static str>,
}

impl Reply {
    fn new(version: Version, headers: Fields, parts: &[Part]) -> Self {
        Reply { version, headers, parts: parts.to_vec(), final_uri: None }
    }

    fn response(&self) -> Response<Parts> {
        let mut response = Response::new(Parts(self.parts.clone()));
        *response.version_mut() = self.version;
        *response.headers_mut() = headers(self.headers);
        if let Some(uri) = self.final_uri {
            response.extensions_mut().insert(Uri::from_static(uri));
        }
        response
    }
}

async fn call<L, B>(layer: &L, reply: Reply) -> Response<B>
where
    L: Layer<Replying>,
    L::Service: tower::Service<Request<()>, Response = Response<B>, Error = crate::BoxError>,
{
    let service = layer.layer(Replying(reply));
    service.oneshot(Request::get("https://api.example.com/x").body(()).unwrap()).await.unwrap()
}

#[derive(Clone)]
struct Replying(Reply);

impl tower::Service<Request<()>> for Replying {
    type Response = Response<Parts>;
    type Error = Infallible;
    type Future = future::Ready<Result<Response<Parts>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        future::ready(Ok(self.0.response()))
    }
}

/// Reads a body to its end.
async fn read(body: &mut TrailersBody<Parts>) {
    while body.frame().await.is_some() {}
}

#[tokio::test]
async fn l31_status_16_among_the_headers_rejects_in_http_2_only() {
    for (version, fields, stays) in [
        (Version::HTTP_2, UNAUTHENTICATED, false),
        (Version::HTTP_3, UNAUTHENTICATED, false),
        (Version::HTTP_11, UNAUTHENTICATED, true),
        (Version::HTTP_2, OK, true),
        (Version::HTTP_2, &[("grpc-status", "7")], true),
        (Version::HTTP_2, &[], true),
    ] {
        let provider = warm().await;
        call(&BearerLayer::new(provider.clone()), Reply::new(version, fields, &[])).await;
        assert_eq!(provider.cached().is_some(), stays, "{version:?} {fields:?}");
    }
}

#[tokio::test]
async fn l31_status_16_in_the_trailers_rejects_where_they_are_watched() {
    use Part::{Data, Error, Trailers};
    for (version, fields, parts, stays) in [
        (Version::HTTP_2, &[][..], &[Trailers(UNAUTHENTICATED)][..], false),
        (Version::HTTP_2, &[], &[Data("a"), Data("b"), Trailers(UNAUTHENTICATED)], false),
        (Version::HTTP_2, &[], &[Data("a"), Trailers(&[("x", "y")]), Trailers(UNAUTHENTICATED)], false),
        (Version::HTTP_11, &[], &[Trailers(UNAUTHENTICATED)], false),
        (Version::HTTP_11, UNAUTHENTICATED, &[], false),
        (Version::HTTP_2, UNAUTHENTICATED, &[], false),
        (Version::HTTP_2, &[], &[Data("a"), Trailers(OK)], true),
        (Version::HTTP_2, &[], &[Data("a"), Error], true),
        (Version::HTTP_2, &[], &[Data("a")], true),
        (Version::HTTP_2, &[], &[], true),
    ] {
        let provider = warm().await;
        let layer = BearerLayer::new(provider.clone()).watch_trailers();
        let response = call(&layer, Reply::new(version, fields, parts)).await;
        read(&mut response.into_body()).await;
        assert_eq!(provider.cached().is_some(), stays, "{version:?} {fields:?} {parts:?}");
    }
}

#[tokio::test]
async fn status_16_in_headers_leaves_its_outcome_in_the_response() {
    for (version, watched, left) in [
        (Version::HTTP_2, false, true),
        (Version::HTTP_2, true, true),
        (Version::HTTP_11, true, true),
        (Version::HTTP_11, false, false),
    ] {
        let layer = BearerLayer::new(warm().await);
        let reply = Reply::new(version, UNAUTHENTICATED, &[]);
        let extensions = match watched {
            true => call(&layer.watch_trailers(), reply).await.into_parts().0.extensions,
            false => call(&layer, reply).await.into_parts().0.extensions,
        };
        let expected = left.then_some(&Rejection::Renewing);
        assert_eq!(extensions.get(), expected, "{version:?} {watched}");
    }
}

#[tokio::test]
async fn l55_declared_refusals_are_found_in_trailers_too() {
    const DENIED: Fields = &[("grpc-status", "7")];
    for (fields, parts, stays) in [
        (&[][..], &[Part::Trailers(DENIED)][..], false),
        (DENIED, &[], false),
        (&[], &[Part::Trailers(OK)], true),
        (&[], &[], true),
    ] {
        let fetches = AtomicUsize::new(0);
        let source = move |_cx: FetchContext| {
            let first = fetches.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { Ok(AccessToken::new("t1")) } else { future::pending().await } }
        };
        let provider = TokenProvider::builder(source)
            .allow_origin("https://api.example.com")
            .reject_if(|response| {
                response.status() == 200 && response.headers().get("grpc-status").is_some_and(|s| s == "7")
            })
            .build()
            .unwrap();
        provider.token().await.unwrap();
        let layer = BearerLayer::new(provider.clone()).watch_trailers();
        let response = call(&layer, Reply::new(Version::HTTP_2, fields, parts)).await;
        read(&mut response.into_body()).await;
        assert_eq!(provider.cached().is_some(), stays, "{fields:?} {parts:?}");
    }
}

#[tokio::test]
async fn l55_a_status_that_sending_declares_refuses_in_trailers_too() {
    const DENIED: Fields = &[("grpc-status", "7")];
    const SCOPE: Fields = &[("grpc-status", "7"), ("www-authenticate", r#"Bearer error="insufficient_scope""#)];
    for (version, fields, parts, stays) in [
        (Version::HTTP_2, &[][..], &[Part::Trailers(DENIED)][..], false),
        (Version::HTTP_2, DENIED, &[], false),
        (Version::HTTP_11, &[], &[Part::Trailers(DENIED)], false),
        (Version::HTTP_2, &[], &[Part::Trailers(UNAUTHENTICATED)], false),
        (Version::HTTP_2, &[], &[Part::Trailers(SCOPE)], true),
        (Version::HTTP_2, &[], &[Part::Trailers(OK)], true),
    ] {
        let provider = warm_with(Sending::new().reject_on_grpc(7)).await;
        let layer = BearerLayer::new(provider.clone()).watch_trailers();
        let response = call(&layer, Reply::new(version, fields, parts)).await;
        read(&mut response.into_body()).await;
        assert_eq!(provider.cached().is_some(), stays, "{version:?} {fields:?} {parts:?}");
    }
}

#[tokio::test]
async fn l55_an_exposed_ticket_rejects_what_the_trailers_did_not() {
    let provider = warm().await;
    let layer = BearerLayer::new(provider.clone()).watch_trailers().expose_ticket();
    let response = call(&layer, Reply::new(Version::HTTP_2, &[], &[Part::Trailers(OK)])).await;
    let ticket = *response.extensions().get::<Ticket>().unwrap();
    read(&mut response.into_body()).await;
    assert!(provider.cached().is_some());
    assert_eq!(ticket.reject(&HeaderMap::new()), Rejection::Renewing);
}

#[tokio::test]
async fn the_service_is_ready_exactly_when_its_inner_one_is() {
    /// Ready or not, for good.
    #[derive(Clone)]
    struct Gate(bool);

    impl tower::Service<Request<()>> for Gate {
        type Response = Response<Parts>;
        type Error = Infallible;
        type Future = future::Pending<Result<Response<Parts>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            if self.0 { Poll::Ready(Ok(())) } else { Poll::Pending }
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            future::pending()
        }
    }

    let layer = BearerLayer::new(warm().await).watch_trailers();
    for open in [false, true] {
        let mut service = layer.layer(Gate(open));
        let ready = future::poll_fn(|cx| Poll::Ready(tower::Service::poll_ready(&mut service, cx))).await;
        assert_eq!(ready.is_ready(), open);
    }
}

#[tokio::test]
async fn l31_a_body_dropped_before_its_trailers_rejects_nothing() {
    let provider = warm().await;
    let layer = BearerLayer::new(provider.clone()).watch_trailers();
    let parts = [Part::Data("a"), Part::Trailers(UNAUTHENTICATED)];
    let mut body = call(&layer, Reply::new(Version::HTTP_2, &[], &parts)).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert!(provider.cached().is_some());
}

#[tokio::test]
async fn a_response_rejects_once_at_the_most() {
    let twice = [Part::Trailers(UNAUTHENTICATED), Part::Trailers(UNAUTHENTICATED)];
    for (version, fields) in
        [(Version::HTTP_2, OK), (Version::HTTP_2, UNAUTHENTICATED), (Version::HTTP_11, UNAUTHENTICATED)]
    {
        let provider = warm().await;
        let layer = BearerLayer::new(provider.clone()).watch_trailers();
        let mut body = call(&layer, Reply::new(version, fields, &twice)).await.into_body();
        let by_the_headers = provider.cached().is_none();
        assert_eq!(by_the_headers, fields == UNAUTHENTICATED, "{version:?} {fields:?}");
        assert_eq!(format!("{body:?}").contains("ticket: None"), by_the_headers, "{version:?} {body:?}");
        body.frame().await.unwrap().unwrap();
        assert!(provider.cached().is_none(), "{version:?} {fields:?}");
        // With the ticket gone there is nothing left to reject with.
        assert!(format!("{body:?}").contains("ticket: None"), "{body:?}");
    }
}

#[tokio::test]
async fn a_watched_body_passes_every_frame_unchanged() {
    let parts = [Part::Data("a"), Part::Data(""), Part::Trailers(UNAUTHENTICATED), Part::Error];
    let layer = BearerLayer::new(warm().await).watch_trailers();
    let mut watched = call(&layer, Reply::new(Version::HTTP_2, OK, &parts)).await.into_body();
    let mut plain = Parts(parts.to_vec());
    loop {
        assert_eq!(watched.is_end_stream(), plain.is_end_stream());
        assert_eq!(watched.size_hint().exact(), plain.size_hint().exact());
        let (left, right) = (watched.frame().await, plain.frame().await);
        assert_eq!(format!("{left:?}"), format!("{right:?}"));
        if left.is_none() {
            break;
        }
    }
    assert_eq!(watched.get_ref().0, []);
    assert_eq!(watched.into_inner().0, []);
    assert!(TrailersBody::<Parts>::default().is_end_stream(), "interceptors make empty bodies up");
}

#[tokio::test]
async fn l35_trailers_of_the_callers_own_request_reject_nothing() {
    let provider = warm().await;
    let layer = BearerLayer::new(provider.clone()).watch_trailers();
    let service = layer.layer(Replying(Reply::new(Version::HTTP_2, &[], &[Part::Trailers(UNAUTHENTICATED)])));
    let own = Request::get("https://api.example.com/x").header("authorization", "Bearer mine").body(()).unwrap();
    read(&mut service.oneshot(own).await.unwrap().into_body()).await;
    assert!(provider.cached().is_some());
}

#[tokio::test]
async fn l42_trailers_from_another_origin_after_a_redirect_below_reject_nothing() {
    for (replied, stays) in [("https://files.example.com/x", true), ("https://api.example.com/y", false)] {
        let provider = warm().await;
        let layer = BearerLayer::new(provider.clone()).final_uri(Extensions::get::<Uri>).watch_trailers();
        let mut reply = Reply::new(Version::HTTP_2, &[], &[Part::Trailers(UNAUTHENTICATED)]);
        reply.final_uri = Some(replied);
        read(&mut call(&layer, reply).await.into_body()).await;
        assert_eq!(provider.cached().is_some(), stays, "{replied}");
    }
}

#[test]
fn the_future_is_send_and_adds_no_size() {
    fn assert_send<T: Send>() {}
    assert_send::<TrailersFuture<Replying, ()>>();
    assert_send::<TrailersBody<Parts>>();
    assert_eq!(size_of::<TrailersFuture<Replying, ()>>(), size_of::<crate::ResponseFuture<Replying, ()>>());
}
