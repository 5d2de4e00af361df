//! One refresh token for several clones, sources and processes.

use super::*;

/// A store that counts the leases that it has granted (second field), and those that are held (clones of the third).
#[derive(Clone, Default)]
struct Leased(MemoryStore, Arc<AtomicU64>, Arc<()>);

impl RefreshTokenStore for Leased {
    async fn load(&self, platform: &Platform) -> Result<Option<StoredToken>, Error> {
        assert_eq!(Arc::strong_count(&self.2), 3, "the lease is held");
        self.0.load(platform).await
    }

    async fn swap(
        &self,
        platform: &Platform,
        seen: Option<&StoredToken>,
        next: Option<&StoredToken>,
    ) -> Result<bool, Error> {
        assert_eq!(Arc::strong_count(&self.2), 3, "the lease is held");
        self.0.swap(platform, seen, next).await
    }

    async fn lease(&self, _: &Platform) -> Result<Lease, Error> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Lease::holding(Arc::clone(&self.2)))
    }
}

#[tokio::test]
async fn l11_a_fetch_holds_the_stores_lease_until_the_save() {
    let (script, store, grant) = scene([rotated!("r2"), rotated!("r3")], Leased::default());
    store.0.set(Some(StoredToken::new("r1")));
    for leases in 1..=2 {
        fetch(&script, &grant).await.unwrap();
        assert_eq!((store.1.load(Ordering::Relaxed), Arc::strong_count(&store.2)), (leases, 2), "it is released");
    }
}

/// A transport that lets something happen while a request is on its way.
struct Meanwhile<F>(Script, F);

impl<F: Fn(&Script) + Send + Sync + 'static> Transport for Meanwhile<F> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        (self.1)(&self.0);
        self.0.send(request).await
    }
}

#[tokio::test]
async fn l60_the_token_of_a_faster_process_is_used_at_once() {
    let (script, others, grant) = scene([reply(400, GONE), rotated!("r3")], MemoryStore::new("r1"));
    let meanwhile = Meanwhile(script.clone(), move |script: &Script| {
        if script.bodies().is_empty() {
            others.set(Some(StoredToken::new("r2")));
        }
    });
    let source = TokenEndpoint::builder(URL, grant).transport(meanwhile).build().unwrap();
    assert_eq!(source.fetch(script.context()).await.unwrap().secret(), "for-r3");
    assert_eq!(sent(&script), ["r1", "r2"]);
}

#[tokio::test]
async fn a_store_that_always_changes_ends_a_fetch() {
    let (script, others, grant) = scene(vec![reply(400, GONE); 10], MemoryStore::new("r0"));
    let meanwhile = Meanwhile(script.clone(), move |script: &Script| {
        others.set(Some(StoredToken::new(format!("r{}", script.bodies().len() + 1))));
    });
    let source = TokenEndpoint::builder(URL, grant).transport(meanwhile).build().unwrap();
    let cx = FetchContext::new(script.context().platform().clone(), Duration::from_secs(600), FetchReason::Missing);
    assert_eq!(source.fetch(cx).await.unwrap_err().oauth_code(), Some("invalid_grant"));
    assert_eq!(sent(&script), ["r0", "r1", "r2", "r3"]);
}

// shows: 9700/4.14
#[tokio::test]
async fn l59_two_sources_never_send_the_same_token() {
    let replies = [rotated!("r2"), rotated!("r3"), rotated!("r4"), rotated!("r5")];
    let (script, store, grant) = scene(replies, Moody::new("r1"));
    store.hold();
    let fetches: Vec<_> = (0..4)
        .map(|_| {
            let (source, cx) = (endpoint(&script, &grant), script.context());
            #[allow(clippy::disallowed_methods, reason = "as two providers would")]
            tokio::spawn(async move { source.fetch(cx).await })
        })
        .collect();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sent(&script), ["r1"], "the others wait until its successor is saved");
    store.release();
    for fetch in fetches {
        fetch.await.unwrap().unwrap();
    }
    assert_eq!(sent(&script), ["r1", "r2", "r3", "r4"]);
    assert_eq!(store.token(), "r5");
}

#[tokio::test]
async fn l11_an_undriven_fetch_does_not_block_others() {
    /// Never responds.
    struct Silence;
    impl Transport for Silence {
        async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Error> {
            std::future::pending().await
        }
    }
    let script = Script::new([rotated!("r2")]);
    let grant = RefreshToken::new(MemoryStore::new("r1"));
    let silent = TokenEndpoint::builder(URL, grant.clone()).transport(Silence).build().unwrap();
    let mut frozen = pin!(silent.fetch(script.context()));
    assert!(poll(frozen.as_mut()).is_pending());
    let source = endpoint(&script, &grant);
    {
        let mut waiting = pin!(source.fetch(script.context()));
        assert!(poll(waiting.as_mut()).is_pending(), "it is the other's turn");
    }
    // The deadline of the first, and a second of grace.
    script.clock.advance(Duration::from_secs(11));
    assert_eq!(source.fetch(script.context()).await.unwrap().secret(), "for-r2");
}

/// A store that does not respond when it is asked for a lease, or when it is to save.
struct Hanging {
    in_lease: bool,
}

impl RefreshTokenStore for Hanging {
    async fn load(&self, _: &Platform) -> Result<Option<StoredToken>, Error> {
        Ok(None)
    }

    async fn swap(&self, _: &Platform, _: Option<&StoredToken>, _: Option<&StoredToken>) -> Result<bool, Error> {
        std::future::pending().await
    }

    async fn lease(&self, _: &Platform) -> Result<Lease, Error> {
        if self.in_lease { std::future::pending().await } else { Ok(Lease::free()) }
    }
}

#[test]
fn a_store_that_hangs_ends_a_replacement_after_a_minute() {
    for (in_lease, words) in [(true, "did not grant its lease"), (false, "did not replace the refresh token")] {
        let clock = ManualClock::default();
        let (platform, grant) = (clock.platform(), RefreshToken::new(Hanging { in_lease }));
        // The second one finds that the first has released the refresh token.
        for next in [Some("r1"), None] {
            let mut replacing = pin!(async {
                match next {
                    Some(next) => grant.replace(&platform, next).await,
                    None => grant.clear(&platform).await,
                }
            });
            assert!(poll(replacing.as_mut()).is_pending());
            clock.advance(Duration::from_secs(60));
            assert!(poll(replacing.as_mut()).is_pending());
            clock.advance(Duration::from_secs(1));
            let Poll::Ready(Err(error)) = poll(replacing.as_mut()) else { panic!("it still waits") };
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
