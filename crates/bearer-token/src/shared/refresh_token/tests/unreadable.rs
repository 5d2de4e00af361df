//! Records that are in the store and cannot be read. A new consent replaces them.

use super::*;
use crate::oauth::RefreshToken;

const NEW: &str = "ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";

/// Puts these bytes under the name of the record.
async fn plant(world: &World, record: &[u8]) -> StoreKey {
    let key = world.host().inner.sealing(&world.platform).await.unwrap().key;
    let seen = world.store.read(&key).await.unwrap().map_or(Version::ABSENT, |found| found.version);
    let Leased::Granted(fence) = world.store.lease(&key, seen, LEASE).await.unwrap() else { panic!("it is free") };
    world.store.save(&key, record, LEASE * 1000, fence, seen).await.unwrap();
    key
}

/// The bytes that a replica has saved which already seals with the next key.
async fn sealed_by_next_key(world: &World) -> Vec<u8> {
    let keys = SealingKeys::new(format!("{NEW}\n{KEY}"));
    let next = SharedRefreshToken::new(world.store.clone(), keys, "consent");
    next.put(&world.platform, Some(&token("of the next key"))).await.unwrap();
    let key = next.inner.sealing(&world.platform).await.unwrap().key;
    world.store.read(&key).await.unwrap().unwrap().record
}

#[tokio::test]
async fn a_new_consent_replaces_what_cannot_be_read() {
    let world = World::new();
    let mut damaged = sealed_by_next_key(&world).await;
    damaged.truncate(9);
    for record in [sealed_by_next_key(&world).await, damaged, b"garbage".to_vec(), Vec::new()] {
        plant(&world, &record).await;
        let host = world.host();
        let Err(error) = world.begin(&host).await else { panic!("it is not sent") };
        assert!(error.to_string().contains("cannot be opened") && !error.is_transient(), "{error}");
        assert!(host.swap(&world.platform, None, Some(&token("x"))).await.is_err(), "that is no consent");
        host.put(&world.platform, Some(&token("1"))).await.unwrap();
        world.settle().await;
        assert_eq!(use_once(&world, &world.host(), "2").await.unwrap(), "1", "{record:?}");
    }
}

#[tokio::test]
async fn no_record_over_the_limit_is_saved() {
    let world = World::new();
    let host = world.host();
    let error = host.put(&world.platform, Some(&token(&"t".repeat(64 * 1024)))).await.unwrap_err();
    assert!(error.to_string().contains("larger than 64 KiB"), "{error}");
    world.settle().await;
    host.put(&world.platform, Some(&token(&"t".repeat(63 * 1024)))).await.unwrap();
    // One that another program left is replaced.
    plant(&world, &vec![1; 64 * 1024 + 1]).await;
    let error = host.load(&world.platform).await.unwrap_err();
    assert!(error.to_string().contains("larger than 64 KiB"), "{error}");
    host.put(&world.platform, Some(&token("1"))).await.unwrap();
    assert_eq!(host.load(&world.platform).await.unwrap(), Some(token("1")));
}

#[tokio::test]
async fn replace_and_clear_of_the_grant_replace_it_as_well() {
    let world = World::new();
    for record in [sealed_by_next_key(&world).await, b"garbage".to_vec()] {
        let grant = RefreshToken::new(world.host());
        plant(&world, &record).await;
        grant.clear(&world.platform).await.unwrap();
        assert_eq!(world.host().load(&world.platform).await.unwrap(), None);
        plant(&world, &record).await;
        grant.replace(&world.platform, "1").await.unwrap();
        assert_eq!(world.host().load(&world.platform).await.unwrap(), Some(token("1")));
        world.settle().await;
    }
}

/// The host with the next key has begun a use, and keeps its lease.
#[tokio::test]
async fn it_is_replaced_under_a_lease() {
    let world = World::new();
    let keys = SealingKeys::new(format!("{NEW}\n{KEY}"));
    let next = SharedRefreshToken::new(world.store.clone(), keys, "consent").lease_for(LEASE);
    next.put(&world.platform, Some(&token("1"))).await.unwrap();
    let lease = next.lease(&world.platform).await.unwrap();
    let host = world.host();
    let until = world.platform.now().after(SECOND).monotonic();
    let consented = token("new");
    let put = host.put(&world.platform, Some(&consented));
    let ends = async {
        world.settle().await;
        world.clock.advance(SECOND);
    };
    let (put, ()) = tokio::join!(world.platform.before(until, put), ends);
    assert!(put.is_none(), "the lease is held");
    drop(lease);
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_not_replaced() {
    let world = World::new();
    let sealing = world.host().inner.sealing(&world.platform).await.unwrap();
    let newer_content = sealing.seal(b"\x03of a newer version");
    for record in [b"\x02of a newer version".to_vec(), newer_content] {
        let key = plant(&world, &record).await;
        let grant = RefreshToken::new(world.host());
        for refused in [grant.replace(&world.platform, "1").await, grant.clear(&world.platform).await] {
            let error = refused.unwrap_err();
            assert!(error.to_string().contains(key.as_str()) && !error.is_transient(), "{error}");
        }
        assert_eq!(world.store.read(&key).await.unwrap().unwrap().record, record);
    }
}
