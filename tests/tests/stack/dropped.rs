//! Dropped callers and ended runtimes.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bearer_token::{TokenProvider, transport};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::{runtime::Runtime, sync::Semaphore};
use tower::{Service, ServiceExt, limit::ConcurrencyLimit};
use tower_bearer::{BearerService, BoxError};

use crate::support::{Adapter, SECOND, Setup, hyper, poll_once, reqwest, with_middleware, within};

type Call = Pin<Box<dyn Future<Output = Result<u16, BoxError>> + Send>>;

/// Calls that each carry a guard, which reveals leaks.
struct Calls {
    provider: TokenProvider,
    url: String,
    guard: Arc<()>,
}

impl Calls {
    fn new(setup: &Setup) -> Self {
        Calls { provider: setup.provider(), url: setup.api("orders"), guard: Arc::new(()) }
    }

    /// Makes calls through this adapter. All calls share a client.
    fn through(&self, adapter: Adapter) -> Box<dyn Fn() -> Call + '_> {
        match adapter {
            Adapter::Tower => {
                let service = BearerService::new(hyper(), self.provider.clone());
                Box::new(move || {
                    let mut request = Request::get(&self.url).body(Full::<Bytes>::default()).unwrap();
                    request.extensions_mut().insert(self.guard.clone());
                    let call = service.clone().oneshot(request);
                    Box::pin(async { Ok(call.await?.status().as_u16()) })
                })
            }
            Adapter::Reqwest => {
                let client = with_middleware(reqwest(), &self.provider);
                Box::new(move || {
                    let request = client.get(&self.url).with_extension(self.guard.clone());
                    Box::pin(async { Ok(request.send().await?.status().as_u16()) })
                })
            }
        }
    }

    fn alive(&self) -> usize {
        Arc::strong_count(&self.guard) - 1
    }
}

#[tokio::test]
async fn l03_callers_dropped_while_waiting_leak_nothing() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let calls = Calls::new(&setup);
        let make = calls.through(adapter);
        let gate = setup.server.token_endpoint().hold();
        // A call that was never polled, one polled once, and the one that started the fetch.
        let mut waiting: Vec<Call> = (0..30).map(|_| make()).collect();
        for call in &mut waiting[10..] {
            assert!(poll_once(call).await.is_pending());
        }
        within(setup.server.wait_for_token_requests(1)).await;
        assert_eq!(calls.alive(), 30, "{adapter:?}");
        drop(waiting);
        assert_eq!((calls.alive(), setup.clock.sleepers()), (0, 1), "{adapter:?}: only the fetch waits on");
        gate.release();
        within(calls.provider.token()).await.unwrap();
        assert_eq!(setup.clock.sleepers(), 0);
        assert_eq!(within(make()).await.unwrap(), 200);
        let count = setup.server.count();
        assert_eq!((count.token_requests, count.abandoned, count.api_requests), (1, 0, 1), "{adapter:?}");
    }
}

#[tokio::test]
async fn one_dropped_caller_of_many_affects_no_other() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let calls = Calls::new(&setup);
        let make = calls.through(adapter);
        let gate = setup.server.token_endpoint().hold();
        let mut waiting: Vec<Call> = (0..10).map(|_| make()).collect();
        for call in &mut waiting {
            assert!(poll_once(call).await.is_pending());
        }
        within(setup.server.wait_for_token_requests(1)).await;
        // The first call started the fetch.
        drop(waiting.swap_remove(0));
        drop(waiting.swap_remove(4));
        gate.release();
        for call in waiting {
            assert_eq!(within(call).await.unwrap(), 200, "{adapter:?}");
        }
        assert_eq!((setup.token_requests(), setup.server.count().api_accepted, calls.alive()), (1, 8, 0));
    }
}

#[tokio::test]
async fn callers_dropped_during_the_api_call_reject_nothing() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let calls = Calls::new(&setup);
        let make = calls.through(adapter);
        within(make()).await.unwrap();
        let gate = setup.server.api().hold();
        let running: Vec<_> = (0..10).map(|_| tokio::spawn(make())).collect();
        within(setup.server.wait_for(|count| count.api_requests == 11)).await;
        // The 401 for a revoked token arrives now, after its caller was dropped.
        setup.server.revoke_all();
        for task in &running {
            task.abort();
        }
        for task in running {
            assert!(within(task).await.unwrap_err().is_cancelled());
        }
        assert_eq!(calls.alive(), 0, "{adapter:?}");
        within(setup.server.wait_for(|count| count.abandoned == 10)).await;
        gate.release();
        assert!(calls.provider.cached().is_some());
        // The next call is rejected, and the one after it succeeds.
        assert_eq!(within(make()).await.unwrap(), 401, "{adapter:?}");
        assert_eq!(within(make()).await.unwrap(), 200, "{adapter:?}");
        assert_eq!(setup.token_requests(), 2);
    }
}

#[tokio::test]
async fn a_caller_dropped_while_waiting_for_capacity_frees_it() {
    let setup = Setup::start();
    let provider = setup.provider();
    let permits = Arc::new(Semaphore::new(1));
    let mut service = BearerService::new(ConcurrencyLimit::with_semaphore(hyper(), permits.clone()), provider.clone());
    let get = || Request::get(setup.api("orders")).body(Full::<Bytes>::default()).unwrap();
    let mut call = Box::pin(within(service.ready()).await.unwrap().call(get()));
    assert!(poll_once(&mut call).await.is_pending(), "cold");
    let taken = permits.acquire().await.unwrap();
    within(provider.token()).await.unwrap();
    assert!(poll_once(&mut call).await.is_pending(), "there is a token, and no room");
    drop(call);
    drop(taken);
    assert_eq!(permits.available_permits(), 1);
    assert_eq!(within(service.oneshot(get())).await.unwrap().status(), 200);
    assert_eq!((setup.server.count().api_requests, setup.token_requests()), (1, 1));
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A call through a client of this runtime, because pooled connections belong to a runtime.
fn call(runtime: &Runtime, setup: &Setup, provider: &TokenProvider) {
    for adapter in Adapter::BOTH {
        runtime.block_on(within(adapter.client(provider).succeed(&setup.api("orders"))));
    }
}

fn refresh(runtime: &Runtime, provider: &TokenProvider) {
    runtime.block_on(within(provider.refresh_now())).unwrap();
}

#[test]
fn l11_one_provider_serves_several_runtimes_in_turn() {
    let setup = Setup::start();
    // The default transport: reqwest with its own connections.
    let provider = setup.provider();
    let (first, second) = (runtime(), runtime());
    call(&first, &setup, &provider);
    refresh(&first, &provider);
    // The first runtime exists but is no longer driven, so its connections make no progress.
    refresh(&second, &provider);
    call(&second, &setup, &provider);
    refresh(&first, &provider);
    drop(first);
    refresh(&second, &provider);
    drop(second);
    let third = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    refresh(&third, &provider);
    call(&third, &setup, &provider);
    let count = setup.server.count();
    assert_eq!((count.token_requests, count.tokens_issued, count.api_accepted), (6, 6, 6));
}

#[test]
fn l11_a_runtime_shut_down_mid_fetch_costs_one_attempt() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = setup.provider();
        let url = setup.api("orders");
        let gate = setup.server.token_endpoint().hold();
        let (first, second) = (runtime(), runtime());
        let mut waiting = Box::pin(provider.token());
        first.block_on(within(async {
            let client = adapter.client(&provider);
            let mut call = Box::pin(client.get(&url));
            assert!(poll_once(&mut call).await.is_pending());
            assert!(poll_once(&mut waiting).await.is_pending());
            setup.server.wait_for_token_requests(1).await;
        }));
        drop(first);
        // The server notices after a while that the first request was aborted. A response before that would hide it.
        second.block_on(within(setup.server.wait_for(|count| count.abandoned == 1)));
        gate.release();
        // The waiter continues in another runtime.
        second.block_on(within(waiting)).unwrap();
        call(&second, &setup, &provider);
        assert_eq!(setup.token_requests(), 2, "{adapter:?}");
    }
}

#[test]
fn l11_a_fetch_in_an_idle_runtime_is_replaced_when_overdue() {
    let setup = Setup::start();
    let provider = setup.provider();
    let gate = setup.server.token_endpoint().hold();
    let (first, second) = (runtime(), runtime());
    first.block_on(within(async {
        let mut token = provider.token();
        assert!(poll_once(&mut token).await.is_pending());
        setup.server.wait_for_token_requests(1).await;
    }));
    gate.release();
    second.block_on(within(async {
        let client = Adapter::Tower.client(&provider);
        let url = setup.api("orders");
        let taken_over = async {
            // The fetch and the call, nothing else.
            setup.clock.wait_for_sleepers(2).await;
            setup.clock.advance(11 * SECOND);
        };
        tokio::join!(client.succeed(&url), taken_over);
    }));
    assert_eq!(setup.token_requests(), 2);
    // When the first runtime is driven again, its late token changes nothing.
    let token = provider.cached().unwrap();
    first.block_on(async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(provider.cached().unwrap().secret(), token.secret());
}

#[test]
fn l11_the_reqwest_transport_outside_a_runtime_never_panics() {
    let setup = Setup::start();
    let provider = setup.provider();
    let mut token = pin!(provider.token());
    let Poll::Ready(Err(error)) = token.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("expected an error at once")
    };
    assert!(error.to_string().contains("runtime"), "{error}");
    // With a runtime it recovers.
    setup.clock.advance(provider.status().cool_down);
    call(&runtime(), &setup, &provider);
}

#[test]
fn l11_a_tower_transport_of_a_dead_runtime_never_panics() {
    let setup = Setup::start();
    let endpoint = setup.endpoint().transport(transport::service::<_, Full<Bytes>>(hyper()));
    let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
    let first = runtime();
    refresh(&first, &provider);
    drop(first);
    // The pooled connection ended with its runtime, so the request is made once more, as for any closed connection.
    refresh(&runtime(), &provider);
}
