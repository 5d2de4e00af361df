//! The last key changes during one use of the token. The use ends in the record in which it began.

use super::*;

const NEW: &str = "ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";

/// A store that knows no fences of an absent key, as Redis does. So it accepts any.
#[derive(Clone)]
struct Unfenced(MemorySharedStore);

impl SharedStore for Unfenced {
    const ORDER: Order = Order::Linearizable;

    async fn save(
        &self,
        key: &StoreKey,
        record: &[u8],
        life: Duration,
        fence: Fence,
        seen: Version,
    ) -> Result<Saved, Down> {
        match self.0.save(key, record, life, fence, seen).await? {
            Saved::Fenced if self.0.read(key).await?.is_none() => {
                let Leased::Granted(own) = self.0.lease(key, seen, LEASE).await? else { panic!("it is free") };
                self.0.save(key, record, life, own, seen).await
            }
            saved => Ok(saved),
        }
    }

    forward!(0: read, lease, release);
}

/// A host whose file of keys changes.
struct Changing {
    world: World,
    host: SharedRefreshToken<Unfenced>,
    directory: tempfile::TempDir,
}

impl Changing {
    async fn new() -> Self {
        let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
        let keys = SealingKeys::file(directory.path().join("keys"));
        let host = SharedRefreshToken::new(Unfenced(world.store.clone()), keys, "consent").lease_for(LEASE);
        let changing = Changing { world, host, directory };
        changing.keys(KEY);
        changing.host.put(&changing.world.platform, Some(&token("1"))).await.unwrap();
        changing
    }

    fn keys(&self, keys: &str) {
        std::fs::write(self.directory.path().join("keys"), keys).unwrap();
    }

    /// What hosts find that have these keys.
    async fn found(&self, keys: &str) -> Found {
        let host = SharedRefreshToken::new(self.world.store.clone(), SealingKeys::new(keys), "consent");
        host.load_found(&self.world.platform).await.unwrap()
    }
}

#[tokio::test]
async fn the_mark_is_made_where_the_lease_is() {
    let changing = Changing::new().await;
    let platform = &changing.world.platform;
    let _lease = changing.host.lease(platform).await.unwrap();
    changing.keys(NEW);
    assert_eq!(changing.host.load(platform).await.unwrap(), Some(token("1")));
    changing.host.prepare(platform).await.unwrap();
    assert!(changing.found(KEY).await.content.mark.is_some());
    assert_eq!(changing.found(NEW).await.version, Version::ABSENT);
}

#[tokio::test]
async fn the_successor_is_saved_where_the_mark_is() {
    let changing = Changing::new().await;
    let platform = &changing.world.platform;
    let lease = changing.world.begin(&changing.host).await.unwrap();
    // The first key may change as well: other hosts open it then.
    for keys in [format!("{NEW}\n{KEY}"), NEW.to_owned()] {
        changing.keys(&keys);
        let seen = changing.host.load(platform).await.unwrap();
        let next = token(&keys);
        assert!(changing.host.swap(platform, seen.as_ref(), Some(&next)).await.unwrap());
        assert_eq!(changing.found(&format!("{NEW}\n{KEY}")).await.content.token, Some(next));
    }
    assert_eq!(changing.found(NEW).await.version, Version::ABSENT);
    drop(lease);
    changing.world.settle().await;
    // The next use has the keys of now.
    assert_eq!(changing.world.begin(&changing.host).await.unwrap().1, None);
}

#[tokio::test]
async fn a_harmless_mark_and_the_lease_end_where_they_are() {
    let changing = Changing::new().await;
    let platform = &changing.world.platform;
    let lease = changing.world.begin(&changing.host).await.unwrap();
    changing.host.not_used_up();
    changing.keys(NEW);
    drop(lease);
    changing.world.settle().await;
    assert_eq!(changing.found(KEY).await.content.mark, None);
    changing.keys(KEY);
    let lease = changing.host.lease(platform).await.unwrap();
    changing.keys(NEW);
    drop(lease);
    changing.world.settle().await;
    changing.keys(KEY);
    let until = platform.now().monotonic();
    assert!(platform.before(until, changing.world.host().lease(platform)).await.is_some(), "the lease was released");
}

#[tokio::test]
async fn a_new_consent_goes_to_the_name_of_now() {
    let changing = Changing::new().await;
    let platform = &changing.world.platform;
    let _lease = changing.host.lease(platform).await.unwrap();
    changing.keys(NEW);
    changing.host.put(platform, Some(&token("new"))).await.unwrap();
    assert_eq!(changing.found(NEW).await.content.token, Some(token("new")));
}
