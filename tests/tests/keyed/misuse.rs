//! Build functions and settings that are wrong.

use std::{
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bearer_token::ErrorKind;

use super::*;

#[test]
fn settings_that_cannot_work_are_named_all_at_once() {
    let bench = Bench::new();
    let tenants = bench.tenants().max_providers(0).max_idle(Duration::ZERO).max_concurrent_fetches(0);
    let error = tenants.build().map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let paths: Vec<_> = error.problems().iter().map(|problem| problem.path().to_owned()).collect();
    assert_eq!(paths, ["max_providers", "max_idle", "max_concurrent_fetches"]);
    assert!(bench.tenants().max_providers(usize::MAX).build().is_err());
}

#[test]
fn a_panicking_build_fails_its_key_only() {
    let tenants = KeyedProviders::<u64>::builder(|&tenant| {
        assert_ne!(tenant, 1, "this one panics");
        Ok(TokenProvider::builder(bearer_token::StaticToken::new("token")))
    })
    .build()
    .unwrap();
    let error = tenants.get(&1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("builds the provider of a key panicked"), "{error}");
    assert!(tenants.get(&2).is_ok());
}

#[test]
fn a_build_function_may_use_the_map_for_other_keys() {
    static TENANTS: OnceLock<KeyedProviders<u64>> = OnceLock::new();
    let tenants = KeyedProviders::<u64>::builder(|&tenant| match tenant {
        0 => Ok(TokenProvider::builder(bearer_token::StaticToken::new("root"))),
        _ => Ok(TokenProvider::builder(TENANTS.get().unwrap().get(&(tenant - 1))?)),
    })
    .build()
    .unwrap();
    let tenants = TENANTS.get_or_init(|| tenants);
    assert!(tenants.get(&3).is_ok());
    assert_eq!(tenants.len(), 4);
}

/// An operator replaces the credential of a tenant while its provider is built from the old one.
#[test]
fn a_key_that_is_removed_meanwhile_is_built_anew() {
    static TENANTS: OnceLock<KeyedProviders<u64>> = OnceLock::new();
    static CREDENTIAL: AtomicU64 = AtomicU64::new(1);
    let tenants = KeyedProviders::<u64>::builder(|tenant| {
        let credential = CREDENTIAL.load(Ordering::Relaxed);
        if credential < 3 {
            CREDENTIAL.store(credential + 1, Ordering::Relaxed);
            TENANTS.get().unwrap().remove(tenant);
        }
        match credential {
            1 => Ok(TokenProvider::builder(bearer_token::StaticToken::new("old"))),
            2 => Err(Error::new(ErrorKind::Source, "the old credential is unreadable")),
            _ => Ok(TokenProvider::builder(bearer_token::StaticToken::new("new"))),
        }
    });
    let tenants = TENANTS.get_or_init(|| tenants.build().unwrap());
    // The first provider is not kept, and the error of the second build is not remembered.
    assert!(tenants.get(&7).unwrap_err().to_string().contains("unreadable"));
    assert_eq!(tenants.get(&7).unwrap().token_blocking().unwrap().secret(), "new");
}

#[test]
fn the_removal_of_another_key_refuses_no_provider() {
    static TENANTS: OnceLock<KeyedProviders<u64>> = OnceLock::new();
    let bench = Bench::new();
    let inner = bench.clone();
    let tenants = KeyedProviders::<u64>::builder(move |&tenant| {
        inner.builds.fetch_add(1, Ordering::SeqCst);
        TENANTS.get().unwrap().remove(&(tenant + 1));
        Ok(TokenProvider::builder(inner.source(tenant)).platform(inner.platform.clone()))
    });
    // They share a table.
    let tenants = TENANTS.get_or_init(|| tenants.max_providers(4).build().unwrap());
    assert!(tenants.get(&1).is_ok());
    assert_eq!(bench.builds(), 1);
}

#[test]
fn a_build_function_that_removes_its_key_comes_to_an_end() {
    static TENANTS: OnceLock<KeyedProviders<u64>> = OnceLock::new();
    static BUILDS: AtomicU64 = AtomicU64::new(0);
    let tenants = KeyedProviders::<u64>::builder(|tenant| {
        BUILDS.fetch_add(1, Ordering::Relaxed);
        TENANTS.get().unwrap().remove(tenant);
        Ok(TokenProvider::builder(bearer_token::StaticToken::new("token")))
    });
    let tenants = TENANTS.get_or_init(|| tenants.build().unwrap());
    assert!(tenants.get(&7).is_ok());
    assert_eq!((BUILDS.load(Ordering::Relaxed), tenants.len()), (8, 1));
}

#[test]
fn a_key_that_needs_itself_is_an_error() {
    static TENANTS: OnceLock<KeyedProviders<u64>> = OnceLock::new();
    let tenants =
        KeyedProviders::<u64>::builder(|tenant| Ok(TokenProvider::builder(TENANTS.get().unwrap().get(tenant)?)))
            .build()
            .unwrap();
    let error = TENANTS.get_or_init(|| tenants).get(&1).unwrap_err();
    assert!(error.to_string().contains("does a key need itself?"), "{error}");
}

#[tokio::test]
async fn a_million_invented_keys_stay_within_the_bound() {
    static REFUSALS: AtomicU64 = AtomicU64::new(0);
    let known = |tenant: u64| tenant < 10;
    let bench = Bench::new();
    let inner = bench.clone();
    let tenants = KeyedProviders::<u64>::builder(move |&tenant| {
        if !known(tenant) {
            REFUSALS.fetch_add(1, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Source, "there is no such tenant"));
        }
        Ok(TokenProvider::builder(inner.source(tenant)).platform(inner.platform.clone()))
    })
    .max_providers(1_000)
    .platform(bench.platform.clone())
    .build()
    .unwrap();
    for tenant in 0..1_000_000 {
        assert_eq!(tenants.get(&tenant).is_ok(), known(tenant));
    }
    assert_eq!((tenants.len(), REFUSALS.load(Ordering::Relaxed)), (10, 999_990));
    // The clock stands still, so an error that is remembered saves the call. The last ones are, the first ones are not.
    for tenant in (999_500..1_000_000).chain(10..100_000) {
        assert_eq!(tenants.get(&tenant).is_ok(), known(tenant));
    }
    assert_eq!(REFUSALS.load(Ordering::Relaxed), 999_990 + 99_990);
    assert_eq!(secret(&tenants, 3).await.unwrap(), "token-of-3");
}

/// A key whose clones panic on demand, if it is one of the first.
#[derive(PartialEq, Eq, Hash)]
struct Fragile(u64);

static BREAKS: AtomicBool = AtomicBool::new(false);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0 >= 8 || !BREAKS.load(Ordering::Relaxed), "this one cannot be cloned");
        Fragile(self.0)
    }
}

#[test]
fn a_key_that_panics_during_an_eviction_keeps_its_provider() {
    let built = Arc::new(AtomicU64::new(0));
    let count = built.clone();
    let tenants = KeyedProviders::<Fragile>::builder(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(TokenProvider::builder(bearer_token::StaticToken::new("token")))
    })
    .max_providers(8)
    .build()
    .unwrap();
    let all = || (0..8).map(|tenant| tenants.get(&Fragile(tenant)).unwrap().token_blocking().unwrap().ticket());
    let before: Vec<_> = all().collect();
    BREAKS.store(true, Ordering::Relaxed);
    for tenant in 8..16 {
        catch_unwind(AssertUnwindSafe(|| tenants.get(&Fragile(tenant)).is_ok())).unwrap_err();
    }
    BREAKS.store(false, Ordering::Relaxed);
    let builds = built.load(Ordering::Relaxed);
    assert_eq!(all().collect::<Vec<_>>(), before);
    assert_eq!((built.load(Ordering::Relaxed), tenants.len()), (builds, 8));
    assert!(tenants.get(&Fragile(16)).is_ok(), "the map goes on");
    assert_eq!(tenants.len(), 8);
}

/// A key that collides with all others. An attacker that knows the hash could send such keys.
#[derive(Clone, PartialEq, Eq)]
struct Colliding(u64);

impl Hash for Colliding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        7.hash(state);
    }
}

#[test]
fn l66_keys_that_collide_evict_each_other_and_stay_few() {
    let tenants = KeyedProviders::<Colliding>::builder(|key| {
        Ok(TokenProvider::builder(bearer_token::StaticToken::new(format!("token-of-{}", key.0))))
    })
    .max_providers(10_000)
    .build()
    .unwrap();
    for tenant in 0..3_000 {
        let bearer = tenants.get(&Colliding(tenant)).unwrap().token_blocking().unwrap();
        assert_eq!(bearer.secret(), format!("token-of-{tenant}"));
        assert!(tenants.len() <= 256, "{}", tenants.len());
    }
    assert_eq!(tenants.len(), 256);
}
