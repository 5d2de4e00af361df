//! Runs warm requests of tenants under callgrind: `one_of_many CONTENDER KEYS REQUESTS`. With one key, it is the same
//! one of 10,000 tenants each time, with more it is the next one.
//!
//! The contenders are `nothing`, `unkeyed`, `keyed` and `map`. Collect inside of `hot_loop`:
//!
//! ```text
//! valgrind --tool=callgrind --collect-atstart=no '--toggle-collect=*hot_loop*' one_of_many keyed 1 2048
//! ```

use std::{convert::Infallible, hint::black_box};

use http::Request;
use lab::{
    drive::at_once,
    tenants::{self, PlainMap},
    warm::{Noop, Replies},
};
use tokio::runtime;
use tower::{Layer, Service};
use tower_bearer::BearerLayer;

const TENANTS: usize = 10_000;
/// Requests that are made before they are sent.
const FEW: usize = 16;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let contender = arguments.next().expect("a contender");
    let [keys, requests] = [(); 2].map(|()| arguments.next().and_then(|text| text.parse().ok()).expect("a number"));
    Replies::Bare.begin();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let noop = Noop::<Infallible>::new();
    match &*contender {
        "nothing" => run(noop, keys, requests),
        "unkeyed" => run(BearerLayer::new(tenants::unkeyed(&runtime)).layer(noop), keys, requests),
        "keyed" => {
            let map = tenants::with_tokens(&runtime, TENANTS);
            run(BearerLayer::new(tenants::by_tenant(&map)).layer(noop), keys, requests);
        }
        "map" => run(PlainMap::of(TENANTS), keys, requests),
        other => panic!("found the contender {other}; expected nothing, unkeyed, keyed or map"),
    }
}

fn run<S>(mut service: S, keys: usize, requests: usize)
where
    S: Service<Request<()>>,
{
    let mut next = tenants::round_robin(keys);
    // Not collected: the first requests of a tenant do more.
    for _ in 0..TENANTS {
        drop(black_box(at_once(service.call(tenants::request(next())))));
    }
    for _ in 0..requests / FEW {
        hot_loop(&mut service, std::array::from_fn(|_| tenants::request(next())));
    }
}

/// callgrind collects inside this function. It must not contain a closure, whose name would include this one's.
#[inline(never)]
fn hot_loop<S>(service: &mut S, requests: [Request<()>; FEW])
where
    S: Service<Request<()>>,
{
    for request in requests {
        drop(black_box(at_once(service.call(request))));
    }
}
