//! Sending a rejected request once more.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bearer_token::{PassThrough, Rejection, Ticket, adapter::RefusedRequest, platform::BoxFuture};
use http::{Request, Response};
use tower::retry::Policy;

use crate::sent::tell_of_replay;

/// Sends a request once more, with a newer bearer, when the API rejected the one that it carried.
///
/// A policy for [`tower::retry`], to be put directly *around* a [`BearerLayer`](crate::BearerLayer):
///
/// ```
/// # use bearer_token::{StaticToken, TokenProvider};
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::ServiceBuilder;
/// use tower_bearer::{BearerLayer, Replay};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # let source = StaticToken::new("2YotnFZFEjr1zCsicMWpAA");
/// let provider = TokenProvider::builder(source).allow_origin("https://api.example.com").build()?;
/// let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
/// let client = ServiceBuilder::new()
///     .retry(Replay::cloning())
///     .layer(BearerLayer::new(provider))
///     .service(hyper);
/// # let _ = client; Ok(()) }
/// ```
///
/// # When
///
/// Once, and only if the replay can succeed ([`Rejection::is_replay_useful`]): the bearer was withdrawn, or is
/// superseded already. The replay passes through the layer as any request does, and waits for the new bearer if need
/// be. Should the renewal fail, the old bearer is back in service, and the replay carries that. The response to the
/// replay is final, whatever it is.
///
/// Never replayed are a request with an `Authorization` of its own, one with [`PassThrough`], one whose body cannot be
/// sent again, and one that was redirected below the layer before it was rejected. With
/// [`final_uri`](crate::BearerLayer::final_uri), every request that is not idempotent counts as redirected, because it may
/// have been.
///
/// A bearer that was refused within its [settling time](bearer_token::Sending::settle) is not renewed: the request
/// waits for that time, holding nothing of the stack below, and is then sent once more.
///
/// # Which bodies
///
/// [`cloning`](Self::cloning) accepts every body that is `Clone`; [`new`](Self::new) calls your function.
///
/// | body | replayed |
/// |---|---|
/// | `http_body_util::Full`, `Empty`, `String`, and other values in memory | with `cloning`; `Bytes` are not copied |
/// | an enum or a wrapper of yours | with `new`, if the closure can make the body again |
/// | `hyper::body::Incoming`, streams, channels, `BoxBody` | no: their data is gone once it was sent |
/// | `tonic::body::Body` | no: it hides what it was made of |
///
/// # What else
///
/// For other rules, such as "only `GET`" or "after a while", write a [`Policy`] of your own: when the API rejects a
/// bearer, the layer puts the [`Rejection`] into the extensions of the response. When the policy sends the request
/// again, it calls [`tell_of_replay`](crate::tell_of_replay), so that the observers of the provider learn of it.
///
/// A refused request that is not sent again is an event too:
/// [`NotReplayed`](bearer_token::observe::EventKind::NotReplayed). It comes when the response is dropped. A replay that
/// gets no bearer, or that its caller gives up before it is sent, counts as not sent.
#[derive(Clone)]
pub struct Replay<F = Cloning> {
    again: F,
    // Tower clones the policy for each request, so this is the state of one request.
    replayed: bool,
}

/// Sends a clone of the body again; see [`Replay::cloning`].
#[derive(Clone, Copy, Debug)]
pub struct Cloning(());

impl Replay {
    /// Replays requests whose bodies are [`Clone`], all of them.
    ///
    /// Every request is cloned before it is sent, as with any retry of tower's.
    pub fn cloning() -> Self {
        Replay { again: Cloning(()), replayed: false }
    }
}

impl<F> Replay<F> {
    /// Replays requests whose bodies the closure can give a second time. `None`: this one is not replayed.
    ///
    /// It is called for every request, before that is sent.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::{Either, Full};
    /// use hyper::body::Incoming;
    /// use tower_bearer::Replay;
    ///
    /// let replay = Replay::new(|body: &Either<Full<Bytes>, Incoming>| match body {
    ///     Either::Left(whole) => Some(Either::Left(whole.clone())),
    ///     Either::Right(_) => None,
    /// });
    /// ```
    pub fn new<B>(again: F) -> Self
    where
        F: Fn(&B) -> Option<B>,
    {
        Replay { again, replayed: false }
    }

    fn copy<B>(&self, request: &Request<B>, again: impl FnOnce(&F, &B) -> Option<B>) -> Option<Request<B>> {
        // One with a credential of its own is copied too, because only the provider knows in which header that would
        // be. It carries no bearer, so no rejection is found in its response.
        if self.replayed {
            // Called directly before the replay is passed to the layer, which takes this back if it has to wait.
            tell_of_replay(request.extensions());
            return None;
        }
        if request.extensions().get::<PassThrough>().is_some() {
            return None;
        }
        let mut copy = Request::new(again(&self.again, request.body())?);
        copy.method_mut().clone_from(request.method());
        copy.uri_mut().clone_from(request.uri());
        *copy.version_mut() = request.version();
        copy.headers_mut().clone_from(request.headers());
        copy.extensions_mut().clone_from(request.extensions());
        Some(copy)
    }

    fn judge<B, RB, E>(&mut self, request: &mut Request<B>, result: &Result<Response<RB>, E>) -> Option<BeforeReplay> {
        let extensions = result.as_ref().ok()?.extensions();
        let rejection = extensions.get::<Rejection>()?;
        if self.replayed {
            return None;
        }
        let settled: Option<BoxFuture<()>> = match rejection {
            Rejection::Settling => Some(Box::pin(extensions.get::<Ticket>()?.settled())),
            // The request itself waits for the new bearer.
            rejection if rejection.is_replay_useful() => None,
            _ => return None,
        };
        // Goes with the replay, so that the observers learn whether that is sent.
        if let Some(refused) = extensions.get::<RefusedRequest>() {
            request.extensions_mut().insert(refused.clone());
        }
        self.replayed = true;
        Some(BeforeReplay { settled })
    }
}

/// What a replay waits for: nothing, or the settling time of the bearer.
#[must_use = "futures do nothing unless polled"]
pub struct BeforeReplay {
    settled: Option<BoxFuture<()>>,
}

impl Future for BeforeReplay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.settled.as_mut().map_or(Poll::Ready(()), |settled| settled.as_mut().poll(cx))
    }
}

impl fmt::Debug for BeforeReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeforeReplay").field("waits", &self.settled.is_some()).finish()
    }
}

impl<B, RB, E> Policy<Request<B>, Response<RB>, E> for Replay<Cloning>
where
    B: Clone,
{
    type Future = BeforeReplay;

    fn retry(&mut self, request: &mut Request<B>, result: &mut Result<Response<RB>, E>) -> Option<Self::Future> {
        self.judge(request, result)
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        self.copy(request, |_, body| Some(body.clone()))
    }
}

impl<F, B, RB, E> Policy<Request<B>, Response<RB>, E> for Replay<F>
where
    F: Fn(&B) -> Option<B>,
{
    type Future = BeforeReplay;

    fn retry(&mut self, request: &mut Request<B>, result: &mut Result<Response<RB>, E>) -> Option<Self::Future> {
        self.judge(request, result)
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        self.copy(request, |again, body| again(body))
    }
}

impl<F> fmt::Debug for Replay<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("replayed", &self.replayed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

    use std::{
        future::{Ready, ready},
        sync::Arc,
        time::{Duration, UNIX_EPOCH},
    };

    use bearer_token::{
        Sending, StaticToken, TokenProvider,
        platform::{Clock, Moment, Platform},
    };
    use http::{HeaderValue, Method, Version, header::AUTHORIZATION};
    use tokio::sync::Semaphore;
    use tower_service::Service;

    use super::*;
    use crate::BoxError;

    type Reply = Result<Response<()>, BoxError>;

    fn reply(rejection: Option<Rejection>) -> Reply {
        let mut response = Response::new(());
        if let Some(rejection) = rejection {
            response.extensions_mut().insert(rejection);
        }
        Ok(response)
    }

    fn wants_replay<F>(policy: &mut Replay<F>, mut reply: Reply) -> bool
    where
        Replay<F>: Policy<Request<&'static str>, Response<()>, BoxError>,
    {
        policy.retry(&mut Request::new("body"), &mut reply).is_some()
    }

    fn clone_request<F>(policy: &mut Replay<F>, request: &Request<&'static str>) -> Option<Request<&'static str>>
    where
        Replay<F>: Policy<Request<&'static str>, Response<()>, BoxError>,
    {
        policy.clone_request(request)
    }

    #[test]
    fn only_a_rejection_that_another_bearer_can_mend_is_replayed() {
        for (reply, expected) in [
            (reply(Some(Rejection::Renewing)), true),
            (reply(Some(Rejection::Superseded)), true),
            (reply(Some(Rejection::Declined)), false),
            (reply(None), false),
            (Err("no route".into()), false),
        ] {
            let text = format!("{reply:?}");
            assert_eq!(wants_replay(&mut Replay::cloning(), reply), expected, "{text}");
        }
    }

    #[test]
    fn l32_a_replay_is_not_replayed_and_not_even_cloned() {
        let mut policy = Replay::cloning();
        assert!(clone_request(&mut policy, &Request::new("body")).is_some());
        assert!(wants_replay(&mut policy, reply(Some(Rejection::Renewing))));
        assert!(clone_request(&mut policy, &Request::new("body")).is_none());
        assert!(!wants_replay(&mut policy, reply(Some(Rejection::Superseded))));
    }

    // shows: 9110/9.2.2
    #[test]
    fn l32_what_a_request_brings_itself_is_not_sent_twice() {
        let mut marked = Request::new("body");
        marked.extensions_mut().insert(PassThrough);
        assert!(clone_request(&mut Replay::cloning(), &marked).is_none());
        // The layer leaves it alone, and so no rejection in its response.
        let mut own = Request::new("body");
        own.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));
        let mut policy = Replay::cloning();
        assert!(clone_request(&mut policy, &own).is_some());
        assert!(!wants_replay(&mut policy, reply(None)));
    }

    #[test]
    fn l32_the_closure_says_which_bodies_can_be_sent_again() {
        let mut policy = Replay::new(|body: &&'static str| (*body != "stream").then_some(*body));
        assert_eq!(clone_request(&mut policy, &Request::new("text")).unwrap().into_body(), "text");
        assert!(clone_request(&mut policy, &Request::new("stream")).is_none());
    }

    #[test]
    fn a_closure_changes_nothing_about_what_is_replayed() {
        for (rejection, expected) in [(Rejection::Renewing, true), (Rejection::Declined, false)] {
            let mut policy = Replay::new(|body: &&'static str| Some(*body));
            assert_eq!(wants_replay(&mut policy, reply(Some(rejection))), expected);
            assert!(!wants_replay(&mut policy, reply(Some(rejection))), "once at most");
        }
    }

    /// A clock that stands still. Its timers fire with a permit each.
    struct Held(Arc<Semaphore>);

    impl Clock for Held {
        fn now(&self) -> Moment {
            Moment::new(Duration::from_secs(1_000), UNIX_EPOCH)
        }

        fn sleep_until(&self, _: Duration) -> BoxFuture<()> {
            let permits = self.0.clone();
            Box::pin(async move { permits.acquire_owned().await.unwrap().forget() })
        }
    }

    #[tokio::test]
    async fn a_bearer_that_settles_is_waited_for() {
        let timers = Arc::new(Semaphore::new(0));
        let provider = TokenProvider::builder(StaticToken::new("t1"))
            .allow_origin("https://api.example.com")
            .sending(Sending::new().settle(Duration::from_secs(5)))
            .platform(Platform::system().with_clock(Held(timers.clone())))
            .build()
            .unwrap();
        let ticket = provider.token().await.unwrap().ticket();
        let settling = |with_ticket: bool| {
            let mut reply = reply(Some(Rejection::Settling));
            if with_ticket {
                reply.as_mut().unwrap().extensions_mut().insert(ticket);
            }
            reply
        };
        assert!(!wants_replay(&mut Replay::cloning(), settling(false)), "nothing says for how long");
        let mut policy = Replay::cloning();
        let mut wait = policy.retry(&mut Request::new("body"), &mut settling(true)).unwrap();
        let poll = |wait: &mut BeforeReplay| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            Pin::new(wait).poll(&mut cx)
        };
        assert!(poll(&mut wait).is_pending());
        timers.add_permits(1);
        assert!(poll(&mut wait).is_ready());
    }

    #[test]
    fn the_copy_is_the_whole_request() {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri("https://api.example.com/orders?full=1")
            .version(Version::HTTP_2)
            .header("x-twice", "a")
            .header("x-twice", "b")
            .extension(7_u32)
            .body("body")
            .unwrap();
        let copy = clone_request(&mut Replay::cloning(), &request).unwrap();
        assert_eq!((copy.method(), copy.uri(), copy.version()), (request.method(), request.uri(), request.version()));
        assert_eq!((copy.headers(), copy.body()), (request.headers(), request.body()));
        assert_eq!(copy.extensions().get::<u32>(), Some(&7));
    }

    /// Can be called once for each time it was ready, and rejects a number of calls.
    #[derive(Clone)]
    struct Strict {
        ready: bool,
        rejections: usize,
        calls: Arc<std::sync::atomic::AtomicUsize>,
    }

    impl Service<Request<&'static str>> for Strict {
        type Response = Response<()>;
        type Error = BoxError;
        type Future = Ready<Reply>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<&'static str>) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called without having been made ready");
            let calls = self.calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            ready(reply((calls < self.rejections).then_some(Rejection::Renewing)))
        }
    }

    #[tokio::test]
    async fn l29_towers_retry_replays_each_request_once() {
        let mut service =
            tower::retry::Retry::new(Replay::cloning(), Strict { ready: false, rejections: 9, calls: Arc::default() });
        for expected in [2, 4] {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
            let reply = service.call(Request::new("body")).await.unwrap();
            assert_eq!(reply.extensions().get(), Some(&Rejection::Renewing), "the response to the replay is final");
            assert_eq!(service.get_ref().calls.load(std::sync::atomic::Ordering::SeqCst), expected);
        }
    }
}
