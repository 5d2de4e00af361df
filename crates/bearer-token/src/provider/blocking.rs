//! Waiting without `await`.
//!
//! A thread that blocks inside of a runtime may be the one that the runtime needs in order to bring what it waits for.
//! tokio panics in such places; a library must not. So there are two guards. In async code a wait that is not over at
//! once is an error that says what to do. Everywhere else the thread is [held](crate::platform): the fetch is polled on
//! it, and a helper thread keeps the time. So the wait ends at the provider's own deadline (`L11`).

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tokio::task::coop;

use super::{TokenFuture, TokenProvider};
use crate::{error::Error, platform::hold, provider::bearer::Bearer};

impl TokenProvider {
    /// The same as [`token`](Self::token) for synchronous code: blocks the thread until there is a usable bearer. While
    /// there is one it returns at once, from anywhere.
    ///
    /// The call ends at the provider's own deadlines ([`Policy::fetch_timeout`](crate::Policy::fetch_timeout)), which
    /// need no runtime. So it does not hang if a runtime is not driven, for example after its `block_on` has returned.
    /// If such a runtime holds a fetch in progress, this thread waits until one second after that fetch's deadline, and
    /// then fetches itself. The [platform](crate::TokenProviderBuilder::platform) decides where the fetch runs:
    ///
    /// | called | the fetch runs |
    /// |---|---|
    /// | with `Platform::with_spawn(Handle)` | in that runtime |
    /// | in `spawn_blocking` or `block_in_place` | on this thread, with the connections of the runtime around it |
    /// | inside a runtime that is not driven | on this thread. Connections need the runtime, so they end at the deadline |
    /// | elsewhere | on this thread. Sources that need a runtime fail with an error that says so: reqwest as the transport does |
    /// | in async code of tokio | an error, because blocking would stop the runtime |
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
    ///         provider.token_blocking()?.attach(headers);
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
    /// As [`token`](Self::token); and of kind [`Config`](crate::ErrorKind::Config) in async code.
    pub fn token_blocking(&self) -> Result<Bearer, Error> {
        self.token().wait()
    }
}

impl TokenFuture {
    /// Blocks the thread until the future is ready; see [`TokenProvider::token_blocking`].
    ///
    /// # Errors
    ///
    /// As the future; and of kind [`Config`](crate::ErrorKind::Config) in async code.
    pub fn wait(self) -> Result<Bearer, Error> {
        // To ask where this is called costs more than a token that is there.
        if let Some(bearer) = self.served() {
            return Ok(bearer);
        }
        let mut future = pin!(self);
        if is_async() {
            // A failure is known at once; otherwise the fetch continues without this caller.
            return match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => result,
                Poll::Pending => Err(refused()),
            };
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            match hold(|| future.as_mut().poll(&mut cx)) {
                Poll::Ready(result) => return result,
                Poll::Pending => thread::park(),
            }
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Whether tokio is polling a task on this thread. Blocking could then wait for a task of the same thread.
///
/// tokio sets a coop budget only where a thread must not block: it sets none outside of runtimes, in `spawn_blocking`
/// and in `block_in_place`. So this looks whether there is a budget. tokio has no other way to ask that does not panic.
/// It does not notice `unconstrained` tasks and other executors. Those block until the provider's deadlines.
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

/// The error of a wait in async code.
fn refused() -> Error {
    Error::config(
        "a token was waited for in a way that holds the thread, inside async code of tokio, where that could hold up \
         the fetch itself: use `.token().await`, or call it inside `spawn_blocking`",
        [],
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "what helpers of tests find wrong must end the test")]
    #![allow(clippy::disallowed_methods, reason = "what users do, and a guard against hanging")]

    use std::{future::pending, sync::mpsc, time::Duration};

    use tokio::{runtime::Runtime, task::unconstrained};

    use super::*;
    use crate::{AccessToken, ErrorKind, FetchContext, Policy, TokenProviderBuilder, platform::Platform};

    /// Ends a test that hangs, which no timeout of an executor would. A test that is well never gets near it.
    fn guarded<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, watched) = mpsc::channel();
        let thread = thread::spawn(move || done.send(test()));
        match watched.recv_timeout(Duration::from_secs(30)) {
            Ok(value) => value,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the thread hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
        }
    }

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

    fn runtimes() -> [Runtime; 2] {
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
    fn without_a_runtime_the_platforms_runtime_fetches() {
        let [_, runtime] = runtimes();
        let provider = provider(Platform::system().with_spawn(runtime.handle().clone()));
        assert_eq!(secret(provider.token_blocking()), "token");
    }

    #[test]
    fn a_blocking_thread_waits_for_its_runtimes_fetch() {
        for runtime in runtimes() {
            let provider = provider(Platform::system());
            let blocked = async move {
                tokio::task::spawn_blocking(move || {
                    let result = provider.token_blocking();
                    (result, is_async())
                })
                .await
                .unwrap()
            };
            let (result, refused) = guarded(move || runtime.block_on(blocked));
            assert_eq!((secret(result), refused), ("token".to_owned(), false));
        }
        let [_, runtime] = runtimes();
        let provider = provider(Platform::system());
        let blocked = async move { tokio::task::block_in_place(|| provider.token_blocking()) };
        let result = guarded(move || runtime.block_on(runtime.spawn(blocked)).unwrap());
        assert_eq!(secret(result), "token");
    }

    #[test]
    fn in_async_code_a_wait_is_an_error_unless_cached() {
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
            let asked = guarded(move || [runtime.block_on(ask()), runtime.block_on(runtime.spawn(ask())).unwrap()]);
            for [refused, awaited, cached] in asked {
                assert!(refused.contains("`.token().await`"), "{refused}");
                assert_eq!((awaited.as_str(), cached.as_str()), ("token", "token"));
            }
        }
        // What is around a runtime is not in it.
        let [runtime, _] = runtimes();
        let _inside = runtime.enter();
        assert!(!is_async());
    }

    /// A provider whose source never completes, and one whose source needs no runtime.
    fn hung_and_ready(platform: &Platform) -> [TokenProvider; 2] {
        let policy = Policy::default().fetch_timeout(Duration::from_millis(50));
        let build =
            |source: TokenProviderBuilder| source.policy(policy.clone()).platform(platform.clone()).build().unwrap();
        let ready = TokenProvider::builder(async |_cx: FetchContext| Ok(AccessToken::new("token")));
        [build(TokenProvider::builder(async |_cx: FetchContext| pending().await)), build(ready)]
    }

    type Wait = fn(TokenProvider) -> Result<Bearer, Error>;

    /// Where a thread waits although the runtime around it is not driven, or the thread itself should drive it.
    fn held_in_vain() -> [(&'static str, Wait); 5] {
        struct OnDrop(TokenProvider, mpsc::Sender<Result<Bearer, Error>>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                let _ = self.1.send(self.0.token_blocking());
            }
        }
        fn current_thread() -> Runtime {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
        }
        fn spawn_blocking(provider: TokenProvider) -> impl Future<Output = Result<Bearer, Error>> {
            let task = tokio::task::spawn_blocking(move || provider.token_blocking());
            async { task.await.unwrap() }
        }
        [
            ("entered", |provider| {
                let runtime = current_thread();
                let _inside = runtime.enter();
                provider.token_blocking()
            }),
            ("unconstrained", |provider| current_thread().block_on(unconstrained(async { provider.token_blocking() }))),
            ("block_on has returned", |provider| {
                let runtime = current_thread();
                let (done, result) = mpsc::channel();
                let waiting = {
                    let _inside = runtime.enter();
                    spawn_blocking(provider)
                };
                // Driven for a moment, and never again.
                runtime.block_on(tokio::task::yield_now());
                let waiter = thread::spawn(move || futures_wait(waiting, &done));
                let result = result.recv().unwrap();
                waiter.join().unwrap();
                result
            }),
            ("another caller's fetch is in a runtime that stands still", |provider| {
                let runtime = current_thread();
                let mut other = provider.token();
                runtime.block_on(std::future::poll_fn(|cx| {
                    assert!(pin!(&mut other).poll(cx).is_pending());
                    Poll::Ready(())
                }));
                let _inside = runtime.enter();
                provider.token_blocking()
            }),
            ("dropped with its runtime", |provider| {
                let (done, result) = mpsc::channel();
                let dropped = OnDrop(provider, done);
                let runtime = current_thread();
                runtime.block_on(async {
                    drop(tokio::spawn(async {
                        let _dropped = dropped;
                        pending::<()>().await;
                    }));
                    tokio::task::yield_now().await;
                });
                drop(runtime);
                result.recv().unwrap()
            }),
        ]
    }

    /// Waits without a runtime.
    fn futures_wait<T>(future: impl Future<Output = T>, done: &mpsc::Sender<T>) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return done.send(value).unwrap(),
                Poll::Pending => thread::park(),
            }
        }
    }

    #[test]
    fn l11_a_wait_in_an_idle_runtime_ends_by_the_deadline() {
        // Side by side, as each takes its time.
        let running = held_in_vain().map(|(case, wait)| {
            let [hung, ready] = hung_and_ready(&Platform::system());
            (
                case,
                thread::spawn(move || guarded(move || wait(hung))),
                thread::spawn(move || guarded(move || wait(ready))),
            )
        });
        for (case, hung, ready) in running {
            assert_eq!(hung.join().unwrap().unwrap_err().kind(), ErrorKind::Timeout, "{case}");
            assert_eq!(secret(ready.join().unwrap()), "token", "{case}");
        }
    }

    #[test]
    fn l11_an_idle_platform_runtime_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let [hung, ready] = hung_and_ready(&Platform::system().with_spawn(runtime.handle().clone()));
        let hung = thread::spawn(move || guarded(move || hung.token_blocking()));
        assert_eq!(secret(guarded(move || ready.token_blocking())), "token");
        assert_eq!(hung.join().unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
}
