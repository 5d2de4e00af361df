//! A full map.

use super::*;

#[tokio::test]
async fn l66_the_map_never_holds_more_than_its_bound() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_providers(100).build().unwrap();
    for tenant in 0..2_000 {
        assert_eq!(secret(&tenants, tenant).await.unwrap(), format!("token-of-{tenant}"));
        assert!(tenants.len() <= 100, "{}", tenants.len());
    }
    assert_eq!(bench.fetches(), 2_000);
}

#[tokio::test]
async fn a_tenant_in_use_keeps_its_place_among_passers_by() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_providers(64).build().unwrap();
    for tenant in 0..2_000 {
        secret(&tenants, tenant + 10).await.unwrap();
        for regular in 0..5 {
            secret(&tenants, regular).await.unwrap();
        }
    }
    let again = (0..5).map(|regular| bench.fetches_of(regular)).sum::<u64>();
    // An approximation of the least recently used may err now and then.
    assert!(again <= 50, "{again} fetches for five tenants that were used all the time");
}

#[tokio::test]
async fn l66_a_provider_whose_clone_is_held_is_not_evicted() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_providers(8).build().unwrap();
    let held = tenants.get(&1).unwrap();
    held.token().await.unwrap();
    for tenant in 2..200 {
        secret(&tenants, tenant).await.unwrap();
    }
    assert_eq!(secret(&tenants, 1).await.unwrap(), "token-of-1");
    assert_eq!(bench.fetches_of(1), 1);
}

#[tokio::test]
async fn l66_a_provider_with_a_flight_is_not_evicted() {
    let bench = Bench::hanging(|tenant| tenant < 4);
    let tenants = bench.tenants().max_providers(8).build().unwrap();
    for tenant in 0..4 {
        // The caller starts the fetch, and goes away.
        assert!(poll_once(&mut tenants.token(&tenant).unwrap()).is_pending());
    }
    while bench.fetches() < 4 {
        tokio::task::yield_now().await;
    }
    for tenant in 4..200 {
        secret(&tenants, tenant).await.unwrap();
    }
    for tenant in 0..4 {
        assert!(poll_once(&mut tenants.token(&tenant).unwrap()).is_pending());
        assert_eq!(bench.fetches_of(tenant), 1, "tenant {tenant}");
    }
}

#[tokio::test]
async fn a_map_whose_providers_are_all_in_use_says_so() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_providers(3).build().unwrap();
    let held: Vec<_> = (0..3).map(|tenant| tenants.get(&tenant).unwrap()).collect();
    let error = tenants.get(&3).unwrap_err();
    assert!(error.to_string().contains("holds 3 providers, which is its bound"), "{error}");
    assert!(error.is_transient());
    drop(held);
    assert_eq!(secret(&tenants, 3).await.unwrap(), "token-of-3");
}

#[tokio::test]
async fn an_idle_provider_is_evicted_after_its_time() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_idle(600 * SECOND).build().unwrap();
    for tenant in 0..50 {
        secret(&tenants, tenant).await.unwrap();
    }
    tenants.evict_idle();
    for _ in 0..3 {
        bench.clock.advance(400 * SECOND);
        secret(&tenants, 7).await.unwrap();
        tenants.evict_idle();
    }
    assert_eq!(tenants.len(), 1);
    assert_eq!(bench.fetches_of(7), 1);
}

#[tokio::test]
async fn the_idle_time_begins_with_the_first_look_after_a_use() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_idle(600 * SECOND).build().unwrap();
    secret(&tenants, 7).await.unwrap();
    for (time, expected) in [(3_600, 1), (599, 1), (1, 0)] {
        bench.clock.advance(time * SECOND);
        tenants.evict_idle();
        assert_eq!(tenants.len(), expected, "after {time} s more");
    }
}

#[tokio::test]
async fn new_keys_evict_idle_providers_within_twice_the_time() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_idle(HOUR).build().unwrap();
    // A new tenant a minute, which comes once, beside one that comes each minute.
    for tenant in 1..=600 {
        secret(&tenants, 0).await.unwrap();
        secret(&tenants, tenant).await.unwrap();
        assert!(tenants.len() <= 122, "{} after {tenant} minutes", tenants.len());
        bench.clock.advance(60 * SECOND);
    }
    assert!(tenants.len() >= 60, "{}: evicted before its time", tenants.len());
}

#[test]
fn no_tenant_gets_two_providers_across_threads() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_providers(16).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let tenants = &tenants;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                for _ in 0..20_000 {
                    let tenant = random.u64(0..40);
                    let Ok(one) = tenants.get(&tenant) else { continue };
                    // While the first is held, a second look finds the same.
                    let other = tenants.get(&tenant).unwrap();
                    assert_eq!(id(&one), id(&other), "tenant {tenant}");
                    assert!(tenants.len() <= 16, "{}", tenants.len());
                }
            });
        }
    });
}

/// What distinguishes one provider from another.
fn id(provider: &TokenProvider) -> String {
    let text = format!("{provider:?}");
    text.split("status").next().unwrap().to_owned()
}
