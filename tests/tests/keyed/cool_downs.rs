//! Failing tenants.

use bearer_token::ErrorKind;

use super::*;

fn down(_: u64) -> Result<AccessToken, Error> {
    Err(Error::new(ErrorKind::Unavailable, "the authorization server is down"))
}

#[tokio::test]
async fn l66_a_cool_down_survives_its_eviction() {
    let bench = Bench::replying(down);
    let tenants = bench.tenants().max_providers(32).build().unwrap();
    for _ in 0..5 {
        for tenant in 0..48 {
            assert_eq!(secret(&tenants, tenant).await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }
    for tenant in 0..48 {
        assert_eq!(bench.fetches_of(tenant), 1, "tenant {tenant}");
    }
    // And it grows from failure to failure as that of one provider does.
    bench.clock.advance(2 * SECOND);
    for tenant in 0..48 {
        let _ = secret(&tenants, tenant).await;
    }
    assert_eq!(bench.fetches(), 96);
    let status = tenants.status(3);
    assert_eq!(status.cooling_down, 32);
    assert!(status.failing.iter().all(|(_, status)| status.failures_in_a_row == 2), "{status:?}");
}

#[tokio::test]
async fn l66_retain_keeps_the_cool_down_and_remove_ends_it() {
    let bench = Bench::replying(down);
    let tenants = bench.tenants().build().unwrap();
    secret(&tenants, 7).await.unwrap_err();
    tenants.retain(|_, status| status.failures_in_a_row == 0);
    assert_eq!(tenants.len(), 0);
    secret(&tenants, 7).await.unwrap_err();
    assert_eq!(bench.fetches_of(7), 1);
    assert!(tenants.remove(&7));
    secret(&tenants, 7).await.unwrap_err();
    assert_eq!(bench.fetches_of(7), 2);
}

#[tokio::test]
async fn a_failed_build_is_remembered_like_a_failed_fetch() {
    let bench = Bench::new();
    let builds = bench.builds.clone();
    let tenants = KeyedProviders::<String>::builder(move |tenant| {
        builds.fetch_add(1, Ordering::SeqCst);
        Err(Error::new(ErrorKind::Source, format!("no tenant is called {tenant}")))
    })
    .platform(bench.platform.clone())
    .build()
    .unwrap();
    for _ in 0..10 {
        assert!(tenants.get("acme").unwrap_err().to_string().contains("no tenant is called acme"));
    }
    assert_eq!(bench.builds(), 1);
    assert_eq!(tenants.len(), 0, "it takes no place");
    bench.clock.advance(2 * SECOND);
    assert!(tenants.get("acme").is_err());
    assert_eq!(bench.builds(), 2);
    bench.clock.advance(SECOND / 2);
    assert!(tenants.get("acme").is_err());
    assert_eq!(bench.builds(), 2, "the second wait is longer");
    // A tenant that was added meanwhile need not wait.
    assert!(!tenants.remove("acme"));
    assert!(tenants.get("acme").is_err());
    assert_eq!(bench.builds(), 3);
}

/// A map of tenants none of which exists. Each call of the build function does this first.
fn without_tenants(bench: &Bench, during: impl Fn(u64) + Send + Sync + 'static) -> KeyedProviders<u64> {
    let builds = bench.builds.clone();
    KeyedProviders::builder(move |_: &u64| {
        during(builds.fetch_add(1, Ordering::SeqCst));
        Err(Error::new(ErrorKind::Source, "there is no such tenant"))
    })
    .platform(bench.platform.clone())
    .build()
    .unwrap()
}

#[test]
fn l66_builds_that_fail_at_once_count_as_one_failure() {
    let (bench, together) = (Bench::new(), std::sync::Barrier::new(8));
    let tenants = without_tenants(&bench, move |build| {
        if build < 8 {
            together.wait();
        }
    });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| tenants.get(&7).unwrap_err());
        }
    });
    assert_eq!(bench.builds(), 8);
    assert!(tenants.get(&7).is_err());
    assert_eq!(bench.builds(), 8, "it is remembered");
    // The first wait is a second, and the eighth would be a minute.
    bench.clock.advance(2 * SECOND);
    assert!(tenants.get(&7).is_err());
    assert_eq!(bench.builds(), 9);
}

#[test]
fn the_wait_begins_at_the_end_of_a_slow_build() {
    let bench = Bench::new();
    let clock = bench.clock.clone();
    let tenants = without_tenants(&bench, move |_| clock.advance(5 * SECOND));
    for _ in 0..3 {
        assert!(tenants.get(&7).is_err());
    }
    assert_eq!(bench.builds(), 1);
}

#[test]
fn a_failed_build_beside_a_provider_is_not_remembered() {
    let bench = Bench::new();
    let map = Arc::new(std::sync::OnceLock::<KeyedProviders<u64>>::new());
    let (inner, seen) = (bench.clone(), map.clone());
    let tenants = KeyedProviders::builder(move |&tenant: &u64| {
        if inner.builds.fetch_add(1, Ordering::SeqCst) == 0 {
            // Another caller is faster, and succeeds.
            seen.get().unwrap().get(&tenant)?;
            return Err(Error::new(ErrorKind::Source, "the table of tenants is down"));
        }
        Ok(TokenProvider::builder(inner.source(tenant)).platform(inner.platform.clone()))
    });
    let tenants = map.get_or_init(|| tenants.platform(bench.platform.clone()).build().unwrap());
    assert!(tenants.get(&7).is_ok(), "the provider of the other");
    tenants.retain(|_, _| false);
    assert!(tenants.get(&7).is_ok(), "no error of the time before");
    assert_eq!(bench.builds(), 3);
}

#[tokio::test]
async fn l66_failed_builds_push_out_no_cool_down() {
    let bench = Bench::replying(down);
    let inner = bench.clone();
    let tenants = KeyedProviders::<u64>::builder(move |&tenant| {
        if tenant >= 48 {
            return Err(Error::new(ErrorKind::Source, "there is no such tenant"));
        }
        Ok(TokenProvider::builder(inner.source(tenant)).platform(inner.platform.clone()))
    });
    let tenants = tenants.max_providers(32).platform(bench.platform.clone()).build().unwrap();
    for tenant in 0..48 {
        secret(&tenants, tenant).await.unwrap_err();
    }
    // A client invents keys, far more than are remembered.
    assert!((1_000..11_000).all(|tenant| tenants.get(&tenant).is_err()));
    for tenant in 0..48 {
        secret(&tenants, tenant).await.unwrap_err();
        assert_eq!(bench.fetches_of(tenant), 1, "tenant {tenant}");
    }
}
