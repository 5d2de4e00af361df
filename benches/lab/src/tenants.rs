//! Tenants: their requests and the time of these, a map of providers for them, and the plain map that is the floor.

use std::{
    collections::HashMap,
    convert::Infallible,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bearer_token::{AccessToken, FetchContext, KeyedProviders, Select, Selected, TokenProvider};
use bytes::Bytes;
use http::{HeaderValue, Request, header::AUTHORIZATION};
use tokio::runtime::Runtime;
use tower::Service;

use crate::{
    drive,
    warm::{self, Noop, ORIGIN, Reply},
};

/// Requests of one turn.
pub const REQUESTS: usize = 2_048;

/// How many requests are made before the clock is read.
const FEW: usize = 16;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tenant(pub String);

pub fn tenant(number: usize) -> Tenant {
    Tenant(format!("tenant-{number:06}"))
}

/// A warm request of a tenant, which is among its extensions.
pub fn request(number: usize) -> Request<()> {
    let mut request = warm::request();
    request.extensions_mut().insert(tenant(number));
    request
}

/// The time that so many requests spend in a service. They are made before, a few at a time.
pub fn time_in<S>(service: &mut S, requests: usize, mut number: impl FnMut() -> usize) -> Duration
where
    S: Service<Request<()>>,
    S::Future: Unpin,
{
    let mut spent = Duration::ZERO;
    let mut responses = Vec::with_capacity(FEW);
    for _ in 0..requests / FEW {
        let mut made: [_; FEW] = std::array::from_fn(|_| Some(request(number())));
        let started = Instant::now();
        for request in &mut made {
            if let Some(request) = request.take() {
                responses.push(drive::at_once(service.call(request)));
            }
        }
        spent += started.elapsed();
        assert!(responses.iter().all(Result::is_ok), "a warm request failed");
        black_box(&mut responses).clear();
    }
    spent
}

/// A number of a key for each request: the next one, which is not the neighbour in memory.
pub fn round_robin(keys: usize) -> impl FnMut() -> usize {
    let mut next = 0;
    move || {
        next = (next + 6_151) % keys;
        next
    }
}

/// Providers whose tokens are made at once, and how many fetches there were.
pub fn tenants(bound: usize) -> (KeyedProviders<Tenant>, Arc<AtomicU64>) {
    let fetches = Arc::new(AtomicU64::new(0));
    let counted = fetches.clone();
    let tenants = KeyedProviders::builder(move |_: &Tenant| {
        let counted = counted.clone();
        let source = move |_cx: FetchContext| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(AccessToken::new(warm::token()).expires_in(Duration::from_secs(3_600))) }
        };
        Ok(TokenProvider::builder(source).allow_origin(ORIGIN))
    });
    (tenants.max_providers(bound).build().expect("a map"), fetches)
}

/// The same, with a token of each tenant.
pub fn with_tokens(runtime: &Runtime, keys: usize) -> KeyedProviders<Tenant> {
    let (map, _) = tenants(keys);
    let failed = runtime.block_on(map.warm_up((0..keys).map(tenant), 64));
    assert!(failed.is_empty(), "{} keys got no token", failed.len());
    map
}

pub fn by_tenant(tenants: &KeyedProviders<Tenant>) -> Select<Tenant> {
    tenants.select(|head| Ok(Selected::key_or_none(head.extension::<Tenant>())))
}

/// A provider by itself, with a token.
pub fn unkeyed(runtime: &Runtime) -> TokenProvider {
    let source = async |_cx: FetchContext| Ok(AccessToken::new(warm::token()).expires_in(Duration::from_secs(3_600)));
    let provider = TokenProvider::builder(source).allow_origin(ORIGIN).build().expect("a provider");
    runtime.block_on(provider.token()).expect("a token");
    provider
}

/// The floor: a map of header values, which knows neither origins nor expiry.
pub struct PlainMap(HashMap<Tenant, HeaderValue>);

impl PlainMap {
    pub fn of(keys: usize) -> Self {
        let value = |number| {
            let text = Bytes::from(format!("Bearer {}", warm::token()).into_bytes());
            let mut value = HeaderValue::from_maybe_shared(text).expect("a valid value");
            value.set_sensitive(true);
            // The first clone moves the count of references to the heap.
            drop(value.clone());
            (tenant(number), value)
        };
        PlainMap((0..keys).map(value).collect())
    }
}

impl Service<Request<()>> for PlainMap {
    type Response = Reply;
    type Error = Infallible;
    type Future = <Noop as Service<Request<()>>>::Future;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        let value = request.extensions().get().and_then(|tenant: &Tenant| self.0.get(tenant)).cloned();
        request.headers_mut().insert(AUTHORIZATION, value.expect("a known tenant"));
        Noop::new().call(request)
    }
}
