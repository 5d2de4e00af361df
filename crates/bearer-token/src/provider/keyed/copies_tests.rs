//! What a map copies of a bearer is gone when the bearer is.

use http::header::AUTHORIZATION;

use super::*;
use crate::{AccessToken, FetchContext};

fn tenants() -> KeyedProviders<u32> {
    KeyedProviders::builder(|_: &u32| {
        // A fetch that fails keeps the rejected bearer; one that hangs leaves it withdrawn.
        let is_first = AtomicU64::new(1);
        let source = move |_cx: FetchContext| {
            let is_first = is_first.swap(0, Ordering::Relaxed) == 1;
            async move { if is_first { Ok(AccessToken::new("t")) } else { std::future::pending().await } }
        };
        Ok(TokenProvider::builder(source).allow_origin("https://api.example.com"))
    })
    .build()
    .unwrap()
}

fn authorize(tenants: &KeyedProviders<u32>) -> (Authorized, Request<()>) {
    let mut request = Request::get("https://api.example.com/orders").body(()).unwrap();
    (tenants.authorize(&1, &mut request).unwrap(), request)
}

#[tokio::test]
async fn no_copy_outlives_a_rejection() {
    let tenants = tenants();
    drop(tenants.token(&1).unwrap().await.unwrap());
    let map = &tenants.inner.map;
    let hash = map.hash(&1);
    let mut last = None;
    for _ in 0..8 {
        let (authorized, request) = authorize(&tenants);
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer t");
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        let Authorized::Inserted(ticket) = authorized else { panic!("{authorized:?}") };
        last = Some(ticket);
    }
    let is_copied = || {
        let in_front = map.front(hash, &1).is_ok_and(|mut front| !front.parts().unwrap().1.is_empty());
        let in_entry = map.load(hash).find(&1).is_some_and(|entry| !entry.copied().unwrap().is_empty());
        (in_front, in_entry)
    };
    assert_eq!(is_copied(), (true, true));
    assert_eq!(last.unwrap().reject(&HeaderMap::new()), Rejection::Renewing);
    assert_eq!(is_copied(), (false, false));
    assert_eq!(authorize(&tenants).0, Authorized::NotReady);
    assert_eq!(is_copied(), (false, false));
}

#[tokio::test]
async fn a_front_keeps_no_provider_alive() {
    let tenants = tenants();
    drop(tenants.token(&1).unwrap().await.unwrap());
    (0..8).for_each(|_| drop(authorize(&tenants)));
    let weak = Arc::downgrade(&tenants.get(&1).unwrap().inner);
    assert_eq!(weak.strong_count(), 1, "only the map has it, so it can be evicted");
    drop(tenants);
    assert!(weak.upgrade().is_none());
}
