//! Many tenants of one authorization server over TLS: `tenants URL COUNT` prints the bytes that each tenant with a
//! token has, the milliseconds that its first token took, and those of as many requests by the bare transport.

use std::{alloc::System, time::Instant};

use bearer_token::{
    KeyedProviders, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    transport::{HttpTransport, Transport},
};
use bytes::Bytes;
use http::{
    Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use lab::warm::ORIGIN;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::{runtime, task::JoinSet};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const AT_ONCE: usize = 64;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("a URL");
    let count: usize = arguments.next().and_then(|text| text.parse().ok()).expect("a number");
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");

    let endpoint = url.clone();
    let tenants = KeyedProviders::builder(move |&tenant: &usize| {
        let source = TokenEndpoint::builder(&*endpoint, ClientCredentials::new())
            .client_auth(ClientAuth::basic(format!("tenant-{tenant}"), "client-secret"))
            .build()?;
        Ok(TokenProvider::builder(source).allow_origin(ORIGIN))
    });
    let tenants = tenants.max_providers(2 * count).build().expect("a map");
    // What all share, and the connections that both ways use, are there before anything is measured.
    let first = runtime.block_on(tenants.warm_up(0..AT_ONCE, AT_ONCE));
    assert!(first.is_empty(), "no token: {:?}", first.first());
    runtime.block_on(bare(&url, AT_ONCE));

    let started = Instant::now();
    runtime.block_on(bare(&url, count));
    let network = started.elapsed();

    let region = Region::new(ALLOCATOR);
    let started = Instant::now();
    let failed = runtime.block_on(tenants.warm_up(AT_ONCE..AT_ONCE + count, AT_ONCE));
    let took = started.elapsed();
    let change = region.change();
    assert!(failed.is_empty(), "{} tenants got no token: {:?}", failed.len(), failed.first());
    let bytes = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    let each = |seconds: f64| seconds * 1e3 / count as f64;
    println!("{} {} {}", bytes / count as f64, each(took.as_secs_f64()), each(network.as_secs_f64()));
}

/// Token requests without a provider, as many at once.
async fn bare(url: &str, count: usize) {
    let mut running = JoinSet::new();
    for _ in 0..AT_ONCE {
        let url = url.to_owned();
        running.spawn(async move {
            let transport = HttpTransport::shared();
            for _ in 0..count / AT_ONCE {
                let request = Request::post(&url)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .header(ACCEPT, "application/json")
                    .body(Bytes::from_static(b"grant_type=client_credentials"));
                let response = transport.send(request.expect("a valid request")).await.expect("a response");
                assert!(response.status().is_success(), "no token");
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic");
    }
}
