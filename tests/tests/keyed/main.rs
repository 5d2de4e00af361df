//! A provider for each key, under a manual clock. No test waits for real time.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bound;
mod cool_downs;
mod hot_keys;
mod limits;
mod misuse;
mod over_tls;
mod selectors;
mod steps;
mod tenants;
mod whole_map;

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bearer_token::{
    AccessToken, Authorized, Error, FetchContext, KeyedProviders, KeyedProvidersBuilder, TokenProvider,
    platform::Platform,
};
use bearer_token_testing::ManualClock;
use http::{Request, header::AUTHORIZATION};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// What the authorization server of a tenant does with a token request.
type Reply = dyn Fn(u64) -> Result<AccessToken, Error> + Send + Sync;

type Fetch = Pin<Box<dyn Future<Output = Result<AccessToken, Error>> + Send>>;

/// A map of providers, and everything around it in the hands of the test.
#[derive(Clone)]
struct Bench {
    clock: ManualClock,
    platform: Platform,
    builds: Arc<AtomicU64>,
    fetches: Arc<Mutex<HashMap<u64, u64>>>,
    reply: Arc<Reply>,
    /// Whether fetches wait for ever.
    hangs: Arc<dyn Fn(u64) -> bool + Send + Sync>,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new();
        Bench {
            platform: Platform::system().with_clock(clock.clone()),
            clock,
            builds: Arc::default(),
            fetches: Arc::default(),
            reply: Arc::new(|tenant| Ok(AccessToken::new(format!("token-of-{tenant}")).expires_in(HOUR))),
            hangs: Arc::new(|_| false),
        }
    }

    fn replying(reply: impl Fn(u64) -> Result<AccessToken, Error> + Send + Sync + 'static) -> Self {
        Bench { reply: Arc::new(reply), ..Bench::new() }
    }

    fn hanging(hangs: impl Fn(u64) -> bool + Send + Sync + 'static) -> Self {
        Bench { hangs: Arc::new(hangs), ..Bench::new() }
    }

    fn tenants(&self) -> KeyedProvidersBuilder<u64> {
        let bench = self.clone();
        let builder = KeyedProviders::builder(move |&tenant: &u64| {
            bench.builds.fetch_add(1, Ordering::SeqCst);
            let source = bench.source(tenant);
            let builder = TokenProvider::builder(source).allow_origin("https://api.example.com");
            Ok(builder.platform(bench.platform.clone()))
        });
        builder.platform(self.platform.clone())
    }

    fn source(&self, tenant: u64) -> impl Fn(FetchContext) -> Fetch + use<> {
        let Bench { fetches, reply, hangs, .. } = self.clone();
        move |_cx| {
            let (fetches, reply, hangs) = (fetches.clone(), reply.clone(), hangs.clone());
            Box::pin(async move {
                *fetches.lock().unwrap().entry(tenant).or_default() += 1;
                if hangs(tenant) {
                    std::future::pending::<()>().await;
                }
                reply(tenant)
            })
        }
    }

    fn fetches(&self) -> u64 {
        self.fetches.lock().unwrap().values().sum()
    }

    fn fetches_of(&self, tenant: u64) -> u64 {
        self.fetches.lock().unwrap().get(&tenant).copied().unwrap_or_default()
    }

    fn builds(&self) -> u64 {
        self.builds.load(Ordering::SeqCst)
    }
}

/// The `Authorization` that a request for a tenant carries, if it may go out at once.
fn sent(tenants: &KeyedProviders<u64>, tenant: u64) -> Option<String> {
    let mut request = Request::get("https://api.example.com/orders").body(()).unwrap();
    match tenants.authorize(&tenant, &mut request).unwrap() {
        Authorized::Inserted(_) => Some(request.headers()[AUTHORIZATION].to_str().unwrap().to_owned()),
        _ => None,
    }
}

async fn secret(tenants: &KeyedProviders<u64>, tenant: u64) -> Result<String, Error> {
    tenants.token(&tenant)?.await.map(|bearer| bearer.secret().to_owned())
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
