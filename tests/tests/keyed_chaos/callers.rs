//! Callers: each uses the map in every way that it has, one after another, and gives up now and then.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bearer_token::{Authorized, Error, ErrorKind, KeyedProviders, Select, Selected, platform::BoxFuture};
use http::{HeaderMap, Request, Response, StatusCode, header::AUTHORIZATION};
use tower::{Layer, Service, ServiceExt};
use tower_bearer::{BearerLayer, BearerService, BoxError};

use super::tenants::{BOUND, INVENTED, ORIGIN, Planted, REFUSED, Shared, TENANTS};

const MILLI: Duration = Duration::from_millis(1);

/// Requests of a tenant after all trouble, one each two seconds.
const RECOVERY_TRIES: u32 = 200;

/// The API as a service.
#[derive(Clone)]
pub(crate) struct Api(Shared);

impl Service<Request<()>> for Api {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        Box::pin(self.0.clone().call_api(request))
    }
}

/// What the selector of a request does.
#[derive(Clone, Copy)]
enum Pick {
    Key(u64),
    Refuse,
    Panic,
}

type Client = BearerService<Api, Select<u64>>;

/// A client with a real adapter, which chooses the key of each request.
fn client(course: &Shared, map: &KeyedProviders<u64>) -> Client {
    let seen = course.clone();
    let select = map.select(move |head| match head.extension::<Pick>() {
        None => Ok(Selected::NoToken),
        Some(Pick::Key(key)) if *key < TENANTS && seen.is_planted(Planted::SelectorMixesUp) => {
            Ok(Selected::Owned((key + 1) % TENANTS))
        }
        Some(Pick::Key(key)) => Ok(Selected::Key(key)),
        Some(Pick::Refuse) => Err(Error::new(ErrorKind::Source, "there is no tenant in the request")),
        // Without a message on standard error.
        Some(Pick::Panic) => resume_unwind(Box::new("planned")),
    });
    BearerLayer::new(select).layer(Api(course.clone()))
}

/// One of the tasks that call.
pub(crate) struct Caller {
    course: Shared,
    maps: Vec<(KeyedProviders<u64>, Client)>,
    /// How many calls have ended, of all callers.
    ended: Arc<AtomicU64>,
}

impl Caller {
    pub(crate) fn new(course: &Shared, maps: &[KeyedProviders<u64>], ended: &Arc<AtomicU64>) -> Self {
        let maps = maps.iter().map(|map| (map.clone(), client(course, map))).collect();
        Caller { course: course.clone(), maps, ended: ended.clone() }
    }

    /// Calls so often.
    pub(crate) async fn call(self, times: u64) {
        for _ in 0..times {
            let patience = match self.course.below(4) {
                0 => MILLI * self.course.below(3_000) as u32,
                _ => self.course.limit,
            };
            tokio::select! {
                biased;
                () = self.once() => {}
                () = self.course.sleep(patience) => {
                    let limit = self.course.limit;
                    self.course.oracle.require(patience < limit, || format!("a call never ended: {limit:?} passed"));
                    self.course.oracle.saw("cancelled");
                }
            }
            self.ended.fetch_add(1, Ordering::Relaxed);
            self.course.sleep(MILLI * self.course.below(400) as u32).await;
        }
    }

    async fn once(&self) {
        let course = &self.course;
        let (map, client) = &self.maps[course.below(self.maps.len() as u64) as usize];
        // Half of the calls are for few tenants.
        let tenant = if course.one_in(2) { course.below(4) } else { course.below(TENANTS) };
        match course.below(100) {
            0..50 => drop(self.request(client, tenant).await),
            50..65 => self.by_hand(map, tenant).await,
            65..73 => self.token(map, tenant).await,
            73..78 => self.keep_clone(map, tenant).await,
            78..80 => {
                course.oracle.saw("warmed up");
                let keys: Vec<_> = (0..3).map(|more| (tenant + more) % TENANTS).collect();
                let failed: Vec<_> = map.warm_up(keys.clone(), 2).await.into_iter().map(|(key, _)| key).collect();
                let is_one = |key: &u64| keys.contains(key) && failed.iter().filter(|other| *other == key).count() == 1;
                course.oracle.require(failed.iter().all(is_one), || format!("{failed:?} of {keys:?} failed"));
            }
            80..92 => {
                // Some of them are only found out by the authorization server.
                let invented =
                    if course.one_in(3) { INVENTED + course.below(3) } else { REFUSED + course.below(1 << 40) };
                let result = self.request(client, invented).await;
                course.oracle.require(result.is_err(), || format!("a token for {invented}"));
            }
            92..95 => {
                course.oracle.saw("no token");
                let request = Request::get(ORIGIN).body(()).unwrap();
                let result = client.clone().oneshot(request).await;
                course.oracle.require(result.is_ok(), || format!("a request without a token: {result:?}"));
            }
            95..98 => self.fails(client, Pick::Refuse, ErrorKind::Source, "refused by its selector").await,
            _ => self.fails(client, Pick::Panic, ErrorKind::Panicked, "selector panicked").await,
        }
    }

    /// A request through the adapter. Returns its status.
    pub(crate) async fn request(&self, client: &Client, tenant: u64) -> Result<StatusCode, BoxError> {
        let asked = self.course.oracle.asks(tenant);
        let request = Request::get(ORIGIN).extension(asked).extension(Pick::Key(tenant)).body(()).unwrap();
        let result = client.clone().oneshot(request).await;
        if let Some(error) = result.as_ref().err().and_then(|error| error.downcast_ref::<Error>()) {
            self.look_at(error);
        }
        Ok(result?.status())
    }

    /// A request that its selector fails.
    async fn fails(&self, client: &Client, pick: Pick, kind: ErrorKind, what: &'static str) {
        let request = Request::get(ORIGIN).extension(pick).body(()).unwrap();
        let result = client.clone().oneshot(request).await;
        let found = result.err().and_then(|error| error.downcast_ref::<Error>().map(Error::kind));
        self.course.oracle.saw(what);
        self.course.oracle.require(found == Some(kind), || format!("{what}: {found:?}"));
    }

    /// As an adapter of one's own does it.
    async fn by_hand(&self, map: &KeyedProviders<u64>, tenant: u64) {
        let asked = self.course.oracle.asks(tenant);
        let mut request = Request::get(ORIGIN).extension(asked).body(()).unwrap();
        match map.authorize(&tenant, &mut request) {
            Ok(Authorized::Inserted(ticket)) => {
                self.course.oracle.saw("attached by hand");
                let token = request.headers()[AUTHORIZATION].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
                self.course.oracle.carries(asked, &token);
                if self.course.one_in(20) {
                    ticket.reject(&HeaderMap::new());
                }
            }
            Ok(Authorized::NotReady) => self.token(map, tenant).await,
            Ok(other) => self.course.oracle.require(false, || format!("{other:?} for {tenant}")),
            Err(error) => self.look_at(&error),
        }
    }

    async fn token(&self, map: &KeyedProviders<u64>, tenant: u64) {
        let asked = self.course.oracle.asks(tenant);
        let token = match map.token(&tenant) {
            Ok(token) => token.await,
            Err(error) => Err(error),
        };
        match token {
            Ok(bearer) => self.course.oracle.carries(asked, bearer.secret()),
            Err(error) => self.look_at(&error),
        }
    }

    /// A clone outside of the map. It outlives removals, so its credential may be an old one.
    async fn keep_clone(&self, map: &KeyedProviders<u64>, tenant: u64) {
        let asked = self.course.oracle.asks(tenant);
        let provider = match map.get(&tenant) {
            Ok(provider) => provider,
            Err(error) => return self.look_at(&error),
        };
        self.course.oracle.saw("kept clone");
        for _ in 0..3 {
            if let Ok(bearer) = provider.token().await {
                self.course.oracle.carries(asked, bearer.secret());
            }
            self.course.sleep(MILLI * self.course.below(2_000) as u32).await;
        }
        if self.course.is_planted(Planted::LeakedProvider) {
            self.course.leak(provider);
        }
    }

    /// What an error may say.
    fn look_at(&self, error: &Error) {
        let text = error.to_string();
        if text.contains("which is its bound") {
            self.course.oracle.saw("map full");
        }
        if text.contains("was shut down") {
            self.course.oracle.saw("late");
        }
        // Calls in progress keep clones: without as many of them, a map is not full.
        self.course.oracle.require(!text.contains("its bound") || self.course.oracle.alive() >= BOUND, || text.clone());
    }

    /// Every tenant gets a token, in the end: once the longest cool-down is over, that of the build function.
    pub(crate) async fn recover(self) {
        for tenant in 0..TENANTS {
            let mut last = None;
            for _ in 0..RECOVERY_TRIES {
                let result = self.request(&self.maps[0].1, tenant).await;
                if matches!(result, Ok(StatusCode::OK)) {
                    last = None;
                    break;
                }
                last = Some(result);
                self.course.sleep(MILLI * 2_000).await;
            }
            self.course.oracle.require(last.is_none(), || format!("tenant {tenant} does not recover: {last:?}"));
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}
