//! Runs contenders: in a loop on one thread, or as tasks on a runtime.

use std::{
    fmt,
    future::Future,
    hint::black_box,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use http::Request;
use tokio::{runtime::Runtime, sync::Barrier};

use crate::warm::{self, Reply};

/// A way to send requests, each of which gets a token.
pub trait Contender: Clone + Send + Sync + 'static {
    /// What a user has before the request is sent.
    type Request: Send;

    /// A request to send.
    fn request(&self) -> Self::Request;

    fn send(&mut self, request: Self::Request) -> impl Future<Output = Result<Reply, Failed>> + Send;
}

impl<A: Attach> Contender for A {
    type Request = Request<()>;

    #[inline]
    fn request(&self) -> Request<()> {
        Attach::request(self)
    }

    #[inline]
    fn send(&mut self, request: Request<()>) -> impl Future<Output = Result<Reply, Failed>> + Send {
        Attach::send(self, request)
    }
}

/// Attaches a token to a request of `http` and sends it to the service that responds at once.
pub trait Attach: Clone + Send + Sync + 'static {
    fn send(&mut self, request: Request<()>) -> impl Future<Output = Result<Reply, Failed>> + Send;

    /// A request to send.
    #[inline]
    fn request(&self) -> Request<()> {
        warm::request()
    }
}

/// The reason why there is no token.
#[derive(Debug)]
pub struct Failed(pub String);

impl Failed {
    pub fn new(error: impl fmt::Display) -> Self {
        Failed(error.to_string())
    }
}

/// A contender with its type erased. Its loops are still compiled for that type.
pub trait Driver: Send + Sync {
    /// Sends one request, which may wait for a token.
    fn send_one(&self) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send>>;

    /// Sends some warm requests, so later ones do nothing for the first time.
    fn warm_up(&mut self);

    /// Sends this many warm requests, one after another.
    fn run(&mut self, requests: u64);

    /// The time that this many warm requests spend in the contender. They are built beforehand, a few at a time.
    /// Responses should be [bare](warm::Replies::Bare).
    fn run_bare(&mut self, requests: u64) -> Duration;

    /// Sends this many requests from each task at once, and returns the time.
    fn contend(&self, runtime: &Runtime, tasks: u64, requests: u64) -> Duration;
}

impl<C: Contender> Driver for C {
    fn send_one(&self) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send>> {
        let mut contender = self.clone();
        Box::pin(async move {
            let request = contender.request();
            contender.send(request).await.map(drop)
        })
    }

    fn warm_up(&mut self) {
        for _ in 0..10 {
            let request = self.request();
            drop(at_once(self.send(request)));
        }
    }

    fn run(&mut self, requests: u64) {
        hot_loop(self, requests);
    }

    fn run_bare(&mut self, requests: u64) -> Duration {
        bare_loop(self, requests)
    }

    fn contend(&self, runtime: &Runtime, tasks: u64, requests: u64) -> Duration {
        runtime.block_on(async {
            let barrier = Arc::new(Barrier::new(tasks as usize + 1));
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    let (mut contender, barrier) = (self.clone(), barrier.clone());
                    tokio::spawn(async move {
                        barrier.wait().await;
                        for request in 0..requests {
                            let made = contender.request();
                            let reply = contender.send(made).await;
                            assert!(reply.is_ok(), "a warm request failed");
                            drop(black_box(reply));
                            // Yields as a real request would, but too rarely to measure task switches.
                            if request % 32 == 31 {
                                tokio::task::yield_now().await;
                            }
                        }
                    })
                })
                .collect();
            barrier.wait().await;
            let started = Instant::now();
            for handle in handles {
                handle.await.expect("a contender panicked");
            }
            started.elapsed()
        })
    }
}

/// callgrind collects inside this function. It must not contain a closure, whose name would include this one's.
#[inline(never)]
fn hot_loop<C: Contender>(contender: &mut C, requests: u64) {
    for _ in 0..requests {
        let request = black_box(contender.request());
        let reply = at_once(contender.send(request));
        assert!(reply.is_ok(), "a warm request failed");
        drop(black_box(reply));
    }
}

#[inline(never)]
fn bare_loop<C: Contender>(contender: &mut C, requests: u64) -> Duration {
    // Few enough to stay in the first cache, and enough that reading the clock does not matter.
    const FEW: usize = 16;

    let mut spent = Duration::ZERO;
    let mut replies = Vec::with_capacity(FEW);
    for _ in 0..requests / FEW as u64 {
        let mut requests: [_; FEW] = std::array::from_fn(|_| Some(contender.request()));
        let started = Instant::now();
        for request in &mut requests {
            if let Some(request) = request.take() {
                replies.push(at_once(contender.send(request)));
            }
        }
        spent += started.elapsed();
        assert!(replies.iter().all(Result::is_ok), "a warm request failed");
        black_box(&mut replies).clear();
    }
    spent
}

/// The output of a future that never waits.
#[inline]
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a warm request had to wait"),
    }
}
