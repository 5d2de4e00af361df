//! Requests that wait for their token, and for the service below.

use super::*;

#[tokio::test]
async fn a_cold_request_waits_for_its_token() {
    let fixture = fixture();
    let (service, mut handle) = mocked(&fixture);
    let reply = async {
        fixture.permits.add_permits(1);
        let (sent, reply) = handle.next_request().await.unwrap();
        assert_eq!(sent.headers()[AUTHORIZATION], "Bearer t1");
        reply.send_response(Response::new(()));
    };
    let (response, ()) = tokio::join!(service.oneshot(request(API)), reply);
    response.unwrap();
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the guard against a test that hangs waits in real time")]
async fn l43_a_waiting_request_holds_no_permit_below() {
    let cold = fixture();
    let ready = fixture();
    warm(&ready).await;
    // One stack with room for one request, under two tenants.
    let shared = ConcurrencyLimit::with_semaphore(
        tower::service_fn(|_: Request<()>| async { Ok::<_, BoxError>(Response::new(())) }),
        Arc::new(Semaphore::new(1)),
    );
    let mut hung_tenant = BearerService::new(shared.clone(), cold.provider.clone());
    let mut other_tenant = BearerService::new(shared, ready.provider.clone());

    // A permit that is held would be waited for without end.
    let steps = async {
        let mut waiting = Box::pin(hung_tenant.ready().await.unwrap().call(request(API)));
        assert!(std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await.is_pending());
        other_tenant.ready().await.unwrap().call(request(API)).await.unwrap();
        // The waiting service itself can be made ready again, too.
        let _ = hung_tenant.ready().await.unwrap();
        drop(hung_tenant);

        cold.permits.add_permits(1);
        waiting.await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(60), steps).await.expect("the test hangs");
}

/// A clock that stands still until it is moved. Its timers never fire.
#[derive(Clone, Default)]
struct Stopped(Arc<AtomicUsize>);

impl Clock for Stopped {
    fn now(&self) -> Moment {
        let time = Duration::from_secs(1_000 + self.0.load(Ordering::SeqCst) as u64);
        Moment::new(time, std::time::UNIX_EPOCH + time)
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

/// A service that has to be made ready for each call, by itself: readiness is not cloned. It notes what it sends.
#[derive(Default)]
struct Strict {
    is_ready: bool,
    is_open: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Strict { is_ready: false, is_open: self.is_open.clone(), sent: self.sent.clone() }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = self.is_open.load(Ordering::SeqCst);
        if self.is_ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(mem::take(&mut self.is_ready), "called without having been made ready");
        self.sent.lock().unwrap().push(request.headers()[AUTHORIZATION].to_str().unwrap().to_owned());
        std::future::ready(Ok(Response::new(())))
    }
}

/// Polls a response until nothing moves any more.
async fn settle<F: Future + Unpin>(response: &mut F) -> Poll<F::Output> {
    for _ in 0..10 {
        if let Poll::Ready(output) = std::future::poll_fn(|cx| Poll::Ready(pin!(&mut *response).poll(cx))).await {
            return Poll::Ready(output);
        }
        tokio::task::yield_now().await;
    }
    Poll::Pending
}

#[tokio::test]
async fn l09_a_short_token_is_sent_soon_or_never() {
    // The token lives for no time. So long after its arrival the inner service is ready.
    for (seconds, expected) in [(0, "Bearer t1"), (9, "Bearer t1"), (10, "Bearer t2"), (60, "Bearer t2")] {
        let (clock, fetches) = (Stopped::default(), Arc::new(AtomicUsize::new(0)));
        let source = move |_cx: FetchContext| {
            let number = fetches.fetch_add(1, Ordering::SeqCst) + 1;
            async move { Ok(AccessToken::new(format!("t{number}")).expires_in(Duration::ZERO)) }
        };
        let provider = TokenProvider::builder(source)
            .allow_origin("https://api.example.com")
            .platform(Platform::system().with_clock(clock.clone()))
            .build()
            .unwrap();
        let inner = Strict { is_open: Arc::new(AtomicBool::new(true)), ..Strict::default() };
        let (is_open, sent) = (inner.is_open.clone(), inner.sent.clone());
        let mut service = BearerService::new(inner, provider);
        let mut response = Box::pin(service.ready().await.unwrap().call(request(API)));
        is_open.store(false, Ordering::SeqCst);
        assert!(settle(&mut response).await.is_pending(), "nothing is sent before the service is ready");
        assert!(sent.lock().unwrap().is_empty());
        clock.0.store(seconds, Ordering::SeqCst);
        is_open.store(true, Ordering::SeqCst);
        let Poll::Ready(Ok(_)) = settle(&mut response).await else { panic!("{seconds} s") };
        assert_eq!(*sent.lock().unwrap(), [expected], "{seconds} s");
    }
}

#[tokio::test]
async fn the_service_is_ready_exactly_when_its_inner_one_is() {
    let fixture = fixture();
    let inner = Strict::default();
    let is_open = inner.is_open.clone();
    let mut service = BearerService::new(inner, fixture.provider.clone());
    for open in [false, true, false] {
        is_open.store(open, Ordering::SeqCst);
        let ready = std::future::poll_fn(|cx| Poll::Ready(service.poll_ready(cx))).await;
        assert_eq!(ready.is_ready(), open, "a token is not waited for here");
    }
}
