//! The first use of a key: its provider is built, and gets a place in the map.

use std::{
    borrow::Borrow,
    cell::Cell,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    Inner,
    bounded_map::{Begun, Removed},
    build_failures::Before,
};
use crate::{
    error::{Error, ErrorKind, Retry},
    platform::Moment,
    provider::{TokenProvider, cache::Failure},
    sync::Ordering,
};

/// How many build functions may be in progress inside each other, on one thread.
const MAX_DEPTH: u32 = 8;

/// How often a provider is built because its key was removed meanwhile. The last one is kept even then: a build
/// function that itself removes its key must come to an end.
const MAX_BUILDS: u32 = 8;

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Inner<K> {
    /// The provider of a key that had none.
    #[cold]
    pub(super) fn build<Q>(&self, key: &Q) -> Result<TokenProvider, Error>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.map.hash(key);
        let before = self.build_failures.before(hash, key, self.platform.now())?;
        let mut key = key.to_owned();
        let mut builds = 1;
        loop {
            let begun = self.map.begin(key.borrow());
            if self.shut_down.load(Ordering::Relaxed) == 1 {
                let message = "the map of providers was shut down: it gives none any more";
                return Err(Error::new(ErrorKind::Abandoned, message).with_retry(Retry::AfterChange));
            }
            let built = self.call(&key);
            // The call may have taken long.
            let now = self.platform.now();
            let provider = match built {
                Ok(provider) => provider,
                Err(error) => return self.keep_failure(hash, &key, before, error, begun, now),
            };
            let begun = (builds < MAX_BUILDS).then_some(begun);
            match self.keep(hash, key, provider, begun, now)? {
                Ok(provider) => return Ok(provider),
                Err(Removed(removed)) => key = removed,
            }
            builds += 1;
        }
    }

    /// Puts a new provider into the map, or finds that another caller was faster, or that the key was removed.
    fn keep(
        &self,
        hash: u64,
        key: K,
        provider: TokenProvider,
        begun: Option<Begun>,
        now: Moment,
    ) -> Result<Result<TokenProvider, Removed<K>>, Error> {
        self.map.sweep_due(now, |provider| last_words(provider, now));
        let Ok(place) = self.map.reserve(&key, now, |provider| last_words(provider, now)) else {
            let message = format!(
                "the map holds {} providers, which is its bound, and all of them are in use; expected one that is not: \
                 raise max_providers, or drop providers that are no longer needed",
                self.map.bound()
            );
            return Err(Error::new(ErrorKind::Source, message));
        };
        let lookup = key.clone();
        let provider = self.map.insert(place, begun, key, provider, now, |provider, failure| {
            provider.inner.cache.resume_cool_down(failure);
        });
        if provider.is_ok() {
            // In this order: a failure that is added later finds the provider.
            self.build_failures.forget(hash, &lookup);
        }
        // If the map was shut down since the look at it, the locks that both take have made that visible.
        if self.shut_down.load(Ordering::Relaxed) == 1 {
            self.map.clear();
        }
        Ok(provider)
    }

    /// Remembers an error of the build function and returns it, unless the key was removed meanwhile, or another caller
    /// has built its provider. That one is returned then.
    fn keep_failure(
        &self,
        hash: u64,
        key: &K,
        before: Before,
        error: Error,
        begun: Begun,
        now: Moment,
    ) -> Result<TokenProvider, Error> {
        self.build_failures.add(hash, key.clone(), before, error.clone(), now, &self.platform);
        // In this order: a removal or a provider that is not seen here comes later, and forgets the error itself.
        let provider = self.map.get(key);
        if provider.is_some() || !self.map.is_current(begun, key) {
            self.build_failures.forget(hash, key);
        }
        provider.ok_or(error)
    }

    /// Calls the build function, which is user code: it may panic, or call itself.
    fn call(&self, key: &K) -> Result<TokenProvider, Error> {
        thread_local! {
            static DEPTH: Cell<u32> = const { Cell::new(0) };
        }
        struct Leave(u32);
        impl Drop for Leave {
            fn drop(&mut self) {
                DEPTH.set(self.0);
            }
        }
        let depth = DEPTH.get();
        if depth >= MAX_DEPTH {
            let message = format!(
                "{MAX_DEPTH} build functions call each other to build one provider; expected an end: does a key need \
                 itself?"
            );
            return Err(Error::config(message, []));
        }
        let _leave = Leave(depth);
        DEPTH.set(depth + 1);
        let built = catch_unwind(AssertUnwindSafe(|| {
            let builder = (self.build)(key)?.keyed(self.keyed.clone(), &self.observers);
            let builder = match &self.sending {
                Some(sending) => builder.sending(sending.clone()),
                None => builder,
            };
            let builder = match &self.limit {
                Some(limit) => builder.fetch_limit(limit.clone()),
                None => builder,
            };
            let provider = builder.build()?;
            if !provider.inner.form.is_usual() {
                self.sends_other_headers.store(1, Ordering::Relaxed);
            }
            Ok(provider)
        }));
        built.unwrap_or_else(|_panic| {
            let message = "the function that builds the provider of a key panicked; the panic's own message went where \
                           panics of this process go";
            Err(Error::new(ErrorKind::Panicked, message))
        })
    }
}

/// The cool-down of a provider that is evicted, if it has one.
pub(super) fn last_words(provider: &TokenProvider, now: Moment) -> Option<Arc<Failure>> {
    provider.inner.cache.failure().filter(|failure| now.monotonic_nanos() < failure.until)
}
