//! A key that is used again and again is found in front of the map. It must behave like one that is not.

use std::thread;

use bearer_token::{ErrorKind, Rejection, Ticket};
use http::HeaderMap;

use super::*;

/// More than a key needs to get a front.
const OFTEN: usize = 40;

/// Tokens that tell how many there were before: `1.1`, `1.2`, ..
fn counting() -> Bench {
    let fetched = Mutex::new(HashMap::<u64, u64>::new());
    Bench::replying(move |tenant| {
        let mut fetched = fetched.lock().unwrap();
        let number = fetched.entry(tenant).or_default();
        *number += 1;
        Ok(AccessToken::new(format!("{tenant}.{number}")).expires_in(HOUR))
    })
}

async fn hot(bench: &Bench) -> KeyedProviders<u64> {
    let tenants = bench.tenants().build().unwrap();
    secret(&tenants, 1).await.unwrap();
    for _ in 0..OFTEN {
        assert_eq!(sent(&tenants, 1).as_deref(), Some("Bearer 1.1"));
    }
    tenants
}

fn ticket(tenants: &KeyedProviders<u64>, tenant: u64) -> Ticket {
    let mut request = Request::get("https://api.example.com/orders").body(()).unwrap();
    match tenants.authorize(&tenant, &mut request).unwrap() {
        Authorized::Inserted(ticket) => ticket,
        other => panic!("found {other:?}"),
    }
}

#[tokio::test]
async fn its_rejected_token_is_sent_no_more() {
    let bench = counting();
    let tenants = hot(&bench).await;
    bench.clock.advance(60 * SECOND);
    let refused = ticket(&tenants, 1);
    assert_eq!(refused.reject(&HeaderMap::new()), Rejection::Renewing);
    assert_eq!(sent(&tenants, 1), None);
    secret(&tenants, 1).await.unwrap();
    assert_eq!(sent(&tenants, 1).as_deref(), Some("Bearer 1.2"));
    assert_eq!(refused.reject(&HeaderMap::new()), Rejection::Superseded);
    bench.clock.advance(60 * SECOND);
    assert_eq!(tenants.reject_all(), 1);
    assert_eq!(sent(&tenants, 1), None);
}

#[tokio::test]
async fn its_removal_is_seen_at_once() {
    type Remove = fn(&KeyedProviders<u64>);
    let ways: [(&str, Remove); 2] =
        [("remove", |tenants| assert!(tenants.remove(&1))), ("retain", |tenants| tenants.retain(|_, _| false))];
    for (way, remove) in ways {
        let bench = counting();
        let tenants = hot(&bench).await;
        remove(&tenants);
        assert_eq!(sent(&tenants, 1), None, "{way}");
        secret(&tenants, 1).await.unwrap();
        assert_eq!(sent(&tenants, 1).as_deref(), Some("Bearer 1.2"), "{way}");
        assert_eq!(bench.builds(), 2, "{way}");
    }
    let tenants = hot(&counting()).await;
    tenants.shut_down();
    let mut request = Request::get("https://api.example.com/orders").body(()).unwrap();
    let error = tenants.authorize(&1, &mut request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Abandoned);
}

#[tokio::test]
async fn it_is_refreshed_before_it_expires_and_not_sent_after() {
    let bench = counting();
    let tenants = hot(&bench).await;
    bench.clock.advance(59 * 60 * SECOND);
    assert_eq!(sent(&tenants, 1).as_deref(), Some("Bearer 1.1"), "stale");
    while bench.fetches_of(1) < 2 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    assert_eq!(sent(&tenants, 1).as_deref(), Some("Bearer 1.2"));
    bench.clock.advance(HOUR);
    assert_eq!(sent(&tenants, 1), None, "expired");
}

#[tokio::test]
async fn it_is_idle_only_when_it_is_not_used() {
    let bench = counting();
    let tenants = bench.tenants().max_idle(100 * SECOND).build().unwrap();
    secret(&tenants, 1).await.unwrap();
    secret(&tenants, 2).await.unwrap();
    for _ in 0..10 {
        for _ in 0..OFTEN {
            assert!(sent(&tenants, 1).is_some());
        }
        bench.clock.advance(60 * SECOND);
        tenants.evict_idle();
    }
    assert_eq!((tenants.len(), bench.builds()), (1, 2), "the other one was evicted");
    bench.clock.advance(300 * SECOND);
    tenants.evict_idle();
    tenants.evict_idle();
    bench.clock.advance(300 * SECOND);
    tenants.evict_idle();
    assert!(tenants.is_empty());
    assert_eq!(sent(&tenants, 1), None);
}

#[tokio::test]
async fn it_goes_to_no_other_origin_and_spares_the_callers_header() {
    let tenants = hot(&counting()).await;
    let mut request = Request::get("https://other.example.com/").body(()).unwrap();
    assert_eq!(tenants.authorize(&1, &mut request).unwrap(), Authorized::Passed);
    assert!(request.headers().is_empty());
    let own = Request::get("https://api.example.com/").header(AUTHORIZATION, "Basic eDp5");
    let mut request = own.body(()).unwrap();
    assert_eq!(tenants.authorize(&1, &mut request).unwrap(), Authorized::Passed);
    assert_eq!(request.headers()[AUTHORIZATION], "Basic eDp5");
    let mut request = Request::get("http://api.example.com/").body(()).unwrap();
    assert_eq!(tenants.authorize(&1, &mut request).unwrap_err().kind(), ErrorKind::Origin);
}

/// More keys than there are fronts, from several threads, while one of them is revoked again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_thread_gets_another_keys_token_nor_a_revoked_one() {
    const KEYS: u64 = 64;
    let bench = counting();
    let tenants = bench.tenants().build().unwrap();
    assert!(tenants.warm_up(0..KEYS, 64).await.is_empty());
    // The number of the oldest token of key 7 that may still be sent.
    let oldest = Arc::new(AtomicU64::new(1));
    let done = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..3_u64)
        .map(|reader| {
            let (tenants, oldest, done) = (tenants.clone(), oldest.clone(), done.clone());
            thread::Builder::new().spawn(move || {
                let mut random = fastrand::Rng::with_seed(reader);
                let mut seen = 0;
                while done.load(Ordering::SeqCst) == 0 {
                    let key = if random.bool() { 7 } else { random.u64(0..KEYS) };
                    for _ in 0..random.u32(1..8) {
                        let before = oldest.load(Ordering::SeqCst);
                        let Some(header) = sent(&tenants, key) else { continue };
                        let (tenant, number) = header.strip_prefix("Bearer ").unwrap().split_once('.').unwrap();
                        assert_eq!(tenant.parse(), Ok(key));
                        assert!(key != 7 || number.parse::<u64>().unwrap() >= before, "{header}, not {before}");
                        seen += 1;
                    }
                }
                seen
            })
        })
        .collect::<Result<_, _>>()
        .unwrap();
    for round in 1..=200 {
        secret(&tenants, 7).await.unwrap();
        if round % 2 == 0 {
            assert!(tenants.remove(&7));
        } else {
            bench.clock.advance(60 * SECOND);
            assert_eq!(ticket(&tenants, 7).reject(&HeaderMap::new()), Rejection::Renewing);
        }
        oldest.fetch_add(1, Ordering::SeqCst);
    }
    done.store(1, Ordering::SeqCst);
    let seen: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
    assert!(seen > 0);
}
