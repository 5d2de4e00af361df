//! Fetches whose caller goes away at each of their awaits, over a store that receives their calls late.

use std::{future::Future, pin::pin, task::Poll};

use bytes::Bytes;
use http::{Request, Response};

use super::*;
use crate::{
    oauth::{ClientAuth, RefreshToken, TokenEndpoint},
    source::{FetchContext, TokenSource},
    test_support::first_fetch,
    token::AccessToken,
    transport::Transport,
};

/// A store that receives each call after some steps.
#[derive(Clone)]
struct Late {
    store: MemorySharedStore,
    steps: usize,
    /// Whether it receives a call whose caller is gone by then.
    arrives: bool,
}

impl Late {
    async fn call<T: Send + 'static>(&self, call: impl Future<Output = T> + Send + 'static) -> T {
        let steps = self.steps;
        if !self.arrives {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
            return call.await;
        }
        #[allow(clippy::disallowed_methods, reason = "the way to the store outlasts its caller")]
        let arrived = tokio::spawn(async move {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
            call.await
        });
        arrived.await.unwrap()
    }
}

impl SharedStore for Late {
    const ORDER: Order = Order::Linearizable;

    async fn read(&self, key: &StoreKey) -> Result<Option<Snapshot>, Down> {
        let (store, key) = (self.store.clone(), key.clone());
        self.call(async move { store.read(&key).await }).await
    }

    async fn lease(&self, key: &StoreKey, seen: Version, ttl: Duration) -> Result<Leased, Down> {
        let (store, key) = (self.store.clone(), key.clone());
        self.call(async move { store.lease(&key, seen, ttl).await }).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        let (store, key, record) = (self.store.clone(), key.clone(), record.to_vec());
        self.call(async move { store.save(&key, &record, life, fence, seen).await }).await
    }

    async fn release(&self, key: &StoreKey, fence: Fence) -> Result<(), Down> {
        let (store, key) = (self.store.clone(), key.clone());
        self.call(async move { store.release(&key, fence).await }).await
    }
}

/// A server that rotates, and what it received.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Vec<String>>>);

impl Transport for Server {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let number = {
            let mut received = lock(&self.0);
            received.push(String::from_utf8_lossy(request.body()).into_owned());
            received.len() + 1
        };
        tokio::task::yield_now().await;
        let body =
            format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":60,"refresh_token":"r{number}"}}"#);
        Ok(Response::builder().header("content-type", "application/json").body(body.into()).unwrap())
    }
}

impl Server {
    /// The refresh tokens that it received.
    fn received(&self) -> Vec<String> {
        let of = |body: &String| body.split("refresh_token=").nth(1).map(|rest| rest.chars().take(2).collect());
        lock(&self.0).iter().filter_map(of).collect()
    }
}

struct Scene {
    world: World,
    store: Late,
    server: Server,
}

impl Scene {
    async fn new(steps: usize) -> Self {
        let world = World::new();
        let store = Late { store: world.store.clone(), steps, arrives: true };
        let scene = Scene { world, store, server: Server::default() };
        scene.host().put(&scene.world.platform, Some(&token("r1"))).await.unwrap();
        scene
    }

    fn host(&self) -> SharedRefreshToken<Late> {
        SharedRefreshToken::new(self.store.clone(), SealingKeys::new(KEY), "consent").lease_for(LEASE)
    }

    fn source(&self, auth: ClientAuth) -> TokenEndpoint {
        let grant = RefreshToken::new(self.host());
        let builder = TokenEndpoint::builder("https://as.example.com/token", grant);
        builder.client_auth(auth).transport(self.server.clone()).build().unwrap()
    }

    fn cx(&self) -> FetchContext {
        first_fetch(self.world.platform.clone())
    }

    /// Lets all tasks run, those that wait for a lease as well.
    async fn settle(&self) {
        for _ in 0..8 {
            for _ in 0..400 {
                tokio::task::yield_now().await;
            }
            self.world.clock.advance(Duration::from_millis(250));
        }
    }

    /// Whether another host gets the lease without waiting for its end.
    async fn lease_is_free(&self) -> bool {
        let other = self.host();
        let mut lease = pin!(other.lease(&self.world.platform));
        for _ in 0..50 {
            if std::future::poll_fn(|cx| Poll::Ready(lease.as_mut().poll(cx).is_ready())).await {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    /// What another host gets, when a lease that was left behind has ended.
    async fn other_host(&self) -> Result<AccessToken, Error> {
        self.settle().await;
        self.world.clock.advance(LEASE);
        self.source(ClientAuth::public("app")).fetch(self.cx()).await
    }
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_request_uses_nothing_up() {
    for steps in [0, 1, 5, 40] {
        let (mut unsent, mut sent) = (0, 0);
        for polls in 0.. {
            let scene = Scene::new(steps).await;
            let source = scene.source(ClientAuth::public("app"));
            {
                let mut fetch = pin!(source.fetch(scene.cx()));
                let mut is_done = false;
                for _ in 0..polls {
                    is_done = std::future::poll_fn(|cx| Poll::Ready(fetch.as_mut().poll(cx).is_ready())).await;
                    if is_done {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                if is_done {
                    break;
                }
            }
            let was_sent = !scene.server.received().is_empty();
            let result = scene.other_host().await;
            if was_sent {
                sent += 1;
                // It saw the successor, or the token may be used up.
                assert!(result.is_ok() == (scene.server.received() == ["r1", "r2"]), "{steps} {polls}: {result:?}");
                assert!(scene.server.received().len() < 2 || result.is_ok(), "{steps} {polls}");
            } else {
                unsent += 1;
                result.unwrap_or_else(|error| panic!("late by {steps}, cancelled after {polls}: {error}"));
                assert_eq!(scene.server.received(), ["r1"]);
            }
        }
        assert!(unsent > 4 * steps.max(1) && sent > 0, "{steps}: {unsent} {sent}");
    }
}

/// Also if the store never receives the call that was under way, such as that of the mark.
#[tokio::test]
async fn a_caller_that_leaves_before_the_request_leaves_no_lease() {
    for polls in 0.. {
        assert!(polls < 200, "it is never sent");
        let mut scene = Scene::new(1).await;
        scene.store.arrives = false;
        let source = scene.source(ClientAuth::public("app"));
        {
            let mut fetch = pin!(source.fetch(scene.cx()));
            for _ in 0..polls {
                assert!(std::future::poll_fn(|cx| Poll::Ready(fetch.as_mut().poll(cx).is_pending())).await);
                tokio::task::yield_now().await;
                if !scene.server.received().is_empty() {
                    return;
                }
            }
        }
        scene.settle().await;
        assert!(scene.lease_is_free().await, "cancelled after {polls} polls");
    }
}

/// The mark is made before the request is, and the request may fail for want of the client's secret.
#[tokio::test]
async fn a_request_that_cannot_be_made_uses_nothing_up() {
    let scene = Scene::new(1).await;
    let signer = |_cx: FetchContext| async { Err::<AccessToken, _>(Error::new(ErrorKind::Source, "there is no key")) };
    let auth = ClientAuth::assertion_from("app", signer);
    scene.source(auth).fetch(scene.cx()).await.unwrap_err();
    scene.other_host().await.unwrap();
    assert_eq!(scene.server.received(), ["r1"]);
}

/// A replacement that is dropped leaves a lease behind only if it never heard of the grant.
#[tokio::test]
async fn a_replacement_that_is_dropped_releases_its_lease() {
    for arrives in [true, false] {
        for polls in 1.. {
            assert!(polls < 40, "it never ended");
            let mut scene = Scene::new(1).await;
            scene.store.arrives = arrives;
            let host = scene.host();
            let is_done = {
                let next = token("r9");
                let mut put = pin!(host.put(&scene.world.platform, Some(&next)));
                let mut is_done = false;
                for _ in 0..polls {
                    is_done |= std::future::poll_fn(|cx| Poll::Ready(put.as_mut().poll(cx).is_ready())).await;
                    if is_done {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                is_done
            };
            if is_done {
                break;
            }
            scene.settle().await;
            if arrives {
                // A lease whose grant was never heard ends by itself.
                scene.world.clock.advance(LEASE);
            }
            assert!(scene.lease_is_free().await, "dropped after {polls} polls: the lease is held");
        }
    }
}

/// The settling of one use runs beside the next use of the same clone.
#[tokio::test]
async fn the_end_of_a_refused_use_does_not_take_the_next_lease() {
    for steps in [0, 1, 5] {
        let scene = Scene::new(steps).await;
        let (host, platform) = (scene.host(), &scene.world.platform);
        let mut uses = pin!(async {
            for _ in 0..5 {
                let lease = host.lease(platform).await.unwrap();
                host.prepare(platform).await.unwrap();
                host.not_used_up();
                drop(lease);
            }
        });
        for turn in 0.. {
            assert!(turn < 10_000, "late by {steps}: it waits");
            if std::future::poll_fn(|cx| Poll::Ready(uses.as_mut().poll(cx).is_ready())).await {
                break;
            }
            tokio::task::yield_now().await;
            scene.world.clock.advance(Duration::from_millis(1));
        }
    }
}
