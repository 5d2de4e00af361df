//! A limit on concurrent fetches.

use std::sync::atomic::AtomicUsize;

use super::*;

#[tokio::test]
async fn no_more_fetches_are_in_progress_than_allowed() {
    let (running, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, most) = (running.clone(), peak.clone());
    let tenants = KeyedProviders::<u64>::builder(move |&tenant| {
        let (now, most) = (now.clone(), most.clone());
        let source = move |_cx: FetchContext| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(AccessToken::new(format!("token-{tenant}")))
            }
        };
        Ok(TokenProvider::builder(source))
    })
    .max_concurrent_fetches(7)
    .build()
    .unwrap();
    let failed = tenants.warm_up(0..500, 100).await;
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!((peak.load(Ordering::SeqCst), tenants.status(1).fresh), (7, 500));
}

#[tokio::test]
async fn a_fetch_that_gets_no_turn_ends_with_its_deadline() {
    let bench = Bench::hanging(|_| true);
    let tenants = bench.tenants().max_concurrent_fetches(1).build().unwrap();
    let mut first = tenants.token(&1).unwrap();
    assert!(poll_once(&mut first).is_pending());
    while bench.fetches() < 1 {
        tokio::task::yield_now().await;
    }
    let mut second = tenants.token(&2).unwrap();
    assert!(poll_once(&mut second).is_pending());
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    bench.clock.advance(10 * SECOND);
    let error = second.await.unwrap_err();
    assert_eq!(error.kind(), bearer_token::ErrorKind::Timeout);
    assert_eq!(bench.fetches_of(2), 0);
    assert!(first.await.is_err());
}

#[tokio::test]
async fn tenants_that_hang_below_the_cap_delay_no_other() {
    let bench = Bench::hanging(|tenant| tenant < 7);
    let tenants = bench.tenants().max_concurrent_fetches(8).build().unwrap();
    let mut hanging: Vec<_> = (0..7).map(|tenant| tenants.token(&tenant).unwrap()).collect();
    for future in &mut hanging {
        assert!(poll_once(future).is_pending());
    }
    while bench.fetches() < 7 {
        tokio::task::yield_now().await;
    }
    // No time passes.
    for tenant in 7..50 {
        assert_eq!(secret(&tenants, tenant).await.unwrap(), format!("token-of-{tenant}"));
    }
}

#[test]
fn a_turn_in_a_dead_runtime_ends_with_its_deadline() {
    let bench = Bench::hanging(|tenant| tenant == 1);
    let tenants = bench.tenants().max_concurrent_fetches(1).build().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asleep = runtime();
    asleep.block_on(async {
        let mut first = tenants.token(&1).unwrap();
        assert!(poll_once(&mut first).is_pending());
        while bench.fetches() < 1 {
            tokio::task::yield_now().await;
        }
    });
    // The runtime exists, and is not driven any more. Its fetch holds the only turn.
    bench.clock.advance(11 * SECOND);
    let token = runtime().block_on(secret(&tenants, 2)).unwrap();
    assert_eq!(token, "token-of-2");
    drop(asleep);
}
