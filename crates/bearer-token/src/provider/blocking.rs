//! Waiting without `await`.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tokio::task::coop;

use super::{TokenFuture, TokenProvider};
use crate::{
    bearer::Bearer,
    error::{Error, ErrorKind},
};

impl TokenProvider {
    /// The same as [`token`](Self::token) for threads without `await`: holds the thread until there is a usable bearer.
    /// While there is one it returns at once, from anywhere.
    ///
    /// The deadlines are the provider's own ([`Policy::fetch_timeout`](crate::Policy::fetch_timeout)). Where the fetch
    /// runs is the [platform](crate::TokenProviderBuilder::platform)'s choice:
    ///
    /// | called | the fetch runs |
    /// |---|---|
    /// | with `Platform::with_spawn(Handle)` | in that runtime |
    /// | in `spawn_blocking` or `block_in_place` | in the runtime around it |
    /// | elsewhere | on this thread. Sources that need a runtime fail with an error that says so: reqwest as the transport does |
    /// | in async code of tokio | nowhere: an error, instead of a runtime that stands still |
    ///
    /// For `reqwest::blocking` and other clients that block, keep a small runtime for the token requests:
    ///
    /// ```
    /// use bearer_token::{Authorized, Destination, Error, TokenProvider, platform::Platform};
    /// use http::{HeaderMap, header::AUTHORIZATION};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let source = bearer_token::StaticToken::new("2YotnFZFEjr1zCsicMWpAA");
    /// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    /// let provider = TokenProvider::builder(source)
    ///     .allow_origin("https://api.example.com")
    ///     .platform(Platform::system().with_spawn(runtime.handle().clone()))
    ///     .build()?;
    ///
    /// /// Before each request: `authorize(&provider, scheme, authority, request.headers_mut())?`.
    /// fn authorize(provider: &TokenProvider, scheme: &str, authority: &str, headers: &mut HeaderMap) -> Result<(), Error> {
    ///     // It is asked first, as it knows whether the origin may have a token at all.
    ///     if provider.authorize_headers(Destination::new(scheme, authority), headers)? == Authorized::NotReady {
    ///         headers.insert(AUTHORIZATION, provider.token_blocking()?.header_value().clone());
    ///     }
    ///     Ok(())
    /// }
    /// let mut headers = HeaderMap::new();
    /// authorize(&provider, "https", "api.example.com", &mut headers)?;
    /// assert_eq!(headers[AUTHORIZATION], "Bearer 2YotnFZFEjr1zCsicMWpAA");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token); and of kind [`Config`](ErrorKind::Config) in async code.
    pub fn token_blocking(&self) -> Result<Bearer, Error> {
        self.token().wait()
    }
}

impl TokenFuture {
    /// Holds the thread until the future is ready; see [`TokenProvider::token_blocking`].
    ///
    /// # Errors
    ///
    /// As the future; and of kind [`Config`](ErrorKind::Config) in async code.
    pub fn wait(self) -> Result<Bearer, Error> {
        let mut future = pin!(self);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(result) => return result,
                Poll::Pending if is_async() => return Err(refused()),
                Poll::Pending => thread::park(),
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Whether a task of tokio is being polled on this thread: to hold it could be to wait for oneself.
///
/// Where a thread may be held tokio sets no budget: outside of runtimes, in `spawn_blocking` and in `block_in_place`.
/// Where it may not there is one, which can be used up. tokio offers no other way to ask that does not panic. What this
/// does not notice, `unconstrained` tasks and other executors, is held until the provider's deadlines end it.
fn is_async() -> bool {
    /// tokio's is 128.
    const ENOUGH: u32 = 1024;

    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(before) = coop::poll_proceed(&mut cx) else { return true };
    let used_up = (0..ENOUGH).any(|_| match coop::poll_proceed(&mut cx) {
        Poll::Ready(unit) => {
            unit.made_progress();
            false
        }
        Poll::Pending => true,
    });
    // Gives back what was used.
    drop(before);
    used_up
}

fn refused() -> Error {
    Error::new(
        ErrorKind::Config,
        "a token was waited for in a way that holds the thread, inside async code of tokio, where that could hold up the \
         fetch itself: use `.token().await`, or call it inside `spawn_blocking`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessToken, FetchContext, platform::Platform};

    /// A source that needs a runtime which is driven.
    fn provider(platform: Platform) -> TokenProvider {
        let source = async |_cx: FetchContext| {
            if tokio::runtime::Handle::try_current().is_ok() {
                tokio::task::yield_now().await;
            }
            Ok(AccessToken::new("token"))
        };
        TokenProvider::builder(source).platform(platform).build().unwrap()
    }

    fn runtimes() -> [tokio::runtime::Runtime; 2] {
        [
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap(),
        ]
    }

    fn secret(result: Result<Bearer, Error>) -> String {
        result.unwrap().secret().to_owned()
    }

    #[test]
    fn a_thread_without_a_runtime_waits_on_its_own() {
        assert_eq!(secret(provider(Platform::system()).token_blocking()), "token");
        assert_eq!(secret(provider(Platform::system()).refresh_now().wait()), "token");
    }

    #[test]
    fn a_thread_without_a_runtime_waits_for_a_fetch_in_the_platforms_runtime() {
        let [_, runtime] = runtimes();
        let provider = provider(Platform::system().with_spawn(runtime.handle().clone()));
        assert_eq!(secret(provider.token_blocking()), "token");
    }

    #[test]
    fn a_thread_that_a_runtime_lends_for_blocking_waits_for_a_fetch_in_it() {
        for runtime in runtimes() {
            let provider = provider(Platform::system());
            #[allow(clippy::disallowed_methods, reason = "what a user does")]
            let result = runtime.block_on(async move {
                tokio::task::spawn_blocking(move || {
                    let result = provider.token_blocking();
                    (result, is_async())
                })
                .await
                .unwrap()
            });
            assert_eq!((secret(result.0), result.1), ("token".to_owned(), false));
        }
        let [_, runtime] = runtimes();
        let provider = provider(Platform::system());
        let waited = provider.clone();
        let blocked = async move { tokio::task::block_in_place(|| waited.token_blocking()) };
        assert_eq!(secret(runtime.block_on(runtime.spawn(blocked)).unwrap()), "token");
    }

    #[test]
    fn in_async_code_a_wait_is_an_error_and_not_a_deadlock_and_a_cached_token_is_there_all_the_same() {
        async fn ask() -> [String; 3] {
            // Held until it was waited for in vain: a runtime with other threads could be faster.
            let gate = Arc::new(tokio::sync::Semaphore::new(0));
            let held = gate.clone();
            let source = move |_cx: FetchContext| {
                let gate = held.clone();
                async move {
                    drop(gate.acquire().await);
                    Ok(AccessToken::new("token"))
                }
            };
            let provider = TokenProvider::builder(source).build().unwrap();
            let refused = provider.token_blocking().unwrap_err();
            gate.add_permits(1);
            assert_eq!(refused.kind(), ErrorKind::Config);
            // Nothing of the task's budget is gone, and the fetch goes on.
            assert!(coop::has_budget_remaining());
            let awaited = secret(provider.token().await);
            [refused.to_string(), awaited, secret(provider.token_blocking())]
        }
        for runtime in runtimes() {
            for [refused, awaited, cached] in [runtime.block_on(ask()), runtime.block_on(runtime.spawn(ask())).unwrap()]
            {
                assert!(refused.contains("`.token().await`"), "{refused}");
                assert_eq!((awaited.as_str(), cached.as_str()), ("token", "token"));
            }
        }
        // What is around a runtime is not in it.
        let [runtime, _] = runtimes();
        let _inside = runtime.enter();
        assert!(!is_async());
    }
}
