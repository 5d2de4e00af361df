//! Connections to an engine that is a list of what was done, in paused time.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    task::{Context, Waker},
};

use tokio::{
    runtime::{Builder, Runtime},
    time::{advance, sleep},
};

use super::*;

/// An engine whose times are set, in milliseconds. The connections are numbered.
#[derive(Default)]
struct Engine {
    made: AtomicU32,
    asked: AtomicU32,
    connects_in: AtomicU64,
    answers_in: AtomicU64,
    is_down: AtomicU32,
}

#[allow(clippy::disallowed_methods, reason = "paused time")]
impl Connector for Arc<Engine> {
    type Connection = u32;
    type Error = &'static str;

    async fn connect(&self) -> Result<u32, &'static str> {
        sleep(Duration::from_millis(self.connects_in.load(Relaxed))).await;
        match self.is_down.load(Relaxed) {
            0 => Ok(self.made.fetch_add(1, Relaxed) + 1),
            _ => Err("refused"),
        }
    }

    async fn answers(&self, _: &u32) -> bool {
        self.asked.fetch_add(1, Relaxed);
        sleep(Duration::from_millis(self.answers_in.load(Relaxed))).await;
        true
    }
}

fn world() -> (Arc<Engine>, Connections<Arc<Engine>>) {
    let engine = Arc::new(Engine::default());
    (Arc::clone(&engine), Connections::new(engine))
}

/// One call, and which connection served it.
async fn call(connections: &Connections<Arc<Engine>>) -> Result<u32, NotConnected<&'static str>> {
    let in_use = connections.get().await?;
    let connection = *in_use.connection();
    in_use.answered();
    Ok(connection)
}

/// One call, and how many milliseconds it took.
#[allow(clippy::disallowed_methods, reason = "paused time")]
async fn timed(connections: &Connections<Arc<Engine>>) -> (u32, u128) {
    let asked = Instant::now();
    (call(connections).await.unwrap(), asked.elapsed().as_millis())
}

mod one_runtime {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_share_a_connection_until_one_is_not_answered() {
        let (engine, connections) = world();
        let all = [call(&connections), call(&connections), call(&connections)];
        for call in all {
            assert_eq!(call.await.unwrap(), 1);
        }
        drop(connections.get().await.unwrap());
        assert_eq!(call(&connections).await.unwrap(), 2);
        assert_eq!(engine.asked.load(Relaxed), 0, "it was never idle");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_at_the_same_time_wait_for_one_attempt() {
        let (engine, connections) = world();
        engine.connects_in.store(10, Relaxed);
        let connections = Arc::new(connections);
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let connections = Arc::clone(&connections);
            calls.spawn(async move { call(&connections).await.unwrap() });
        }
        assert!(calls.join_all().await.iter().all(|connection| *connection == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_is_down_is_tried_again() {
        let (engine, connections) = world();
        engine.is_down.store(1, Relaxed);
        assert!(matches!(call(&connections).await, Err(NotConnected::Failed("refused"))));
        engine.is_down.store(0, Relaxed);
        assert_eq!(call(&connections).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    #[allow(clippy::disallowed_methods, reason = "paused time")]
    async fn an_attempt_goes_on_after_its_caller_gave_up() {
        let (engine, connections) = world();
        engine.connects_in.store(300, Relaxed);
        assert!(tokio::time::timeout(Duration::from_millis(95), call(&connections)).await.is_err());
        advance(Duration::from_millis(300)).await;
        assert_eq!(timed(&connections).await, (1, 0));
    }

    #[tokio::test(start_paused = true)]
    #[allow(clippy::disallowed_methods, reason = "paused time")]
    async fn an_attempt_that_failed_unseen_is_made_again() {
        let (engine, connections) = world();
        engine.connects_in.store(300, Relaxed);
        engine.is_down.store(1, Relaxed);
        assert!(tokio::time::timeout(Duration::from_millis(95), call(&connections)).await.is_err());
        sleep(Duration::from_secs(60)).await;
        engine.connects_in.store(10, Relaxed);
        engine.is_down.store(0, Relaxed);
        assert_eq!(timed(&connections).await, (1, 10));
    }
}

mod idle {
    use super::*;

    async fn world_with_an_idle_connection() -> (Arc<Engine>, Connections<Arc<Engine>>) {
        let (engine, connections) = world();
        engine.connects_in.store(10, Relaxed);
        assert_eq!(call(&connections).await.unwrap(), 1);
        advance(IDLE).await;
        (engine, connections)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_works_is_asked_once_and_kept() {
        let (engine, connections) = world_with_an_idle_connection().await;
        engine.answers_in.store(2, Relaxed);
        assert_eq!(timed(&connections).await, (1, 2));
        assert_eq!(timed(&connections).await, (1, 0), "it is not idle any more");
        advance(IDLE - Duration::from_millis(1)).await;
        assert_eq!(timed(&connections).await, (1, 0));
        assert_eq!(engine.asked.load(Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_replaced_within_the_deadline_of_the_call() {
        let (engine, connections) = world_with_an_idle_connection().await;
        engine.answers_in.store(u64::from(u32::MAX), Relaxed);
        let (connection, took) = timed(&connections).await;
        assert_eq!((connection, took), (2, 35));
        assert_eq!(timed(&connections).await, (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_connection_wins_over_a_slower_new_one() {
        let (engine, connections) = world_with_an_idle_connection().await;
        engine.answers_in.store(40, Relaxed);
        engine.connects_in.store(120, Relaxed);
        assert_eq!(timed(&connections).await, (1, 40));
        assert_eq!(engine.made.load(Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    #[allow(clippy::disallowed_methods, reason = "paused time")]
    async fn a_silent_connection_to_an_engine_that_is_down_fails() {
        let (engine, connections) = world_with_an_idle_connection().await;
        engine.answers_in.store(u64::from(u32::MAX), Relaxed);
        engine.is_down.store(1, Relaxed);
        let asked = Instant::now();
        assert!(matches!(call(&connections).await, Err(NotConnected::Failed("refused"))));
        assert_eq!(asked.elapsed(), LAST_CHANCE);
        engine.is_down.store(0, Relaxed);
        assert_eq!(call(&connections).await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_connection_is_kept_after_its_rival_was_refused() {
        for answers_in in [30, 40, 79] {
            let (engine, connections) = world_with_an_idle_connection().await;
            engine.answers_in.store(answers_in, Relaxed);
            engine.is_down.store(1, Relaxed);
            assert_eq!(timed(&connections).await, (1, u128::from(answers_in)));
            assert_eq!(timed(&connections).await, (1, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rival_that_fails_late_takes_nothing_from_the_old_one() {
        let (engine, connections) = world_with_an_idle_connection().await;
        engine.connects_in.store(200, Relaxed);
        engine.is_down.store(1, Relaxed);
        engine.answers_in.store(150, Relaxed);
        assert_eq!(timed(&connections).await, (1, 150));
    }
}

mod several_runtimes {
    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn each_has_a_connection_and_one_that_stands_still_holds_up_no_other() {
        let (_, connections) = world();
        let (stopped, driven) = (runtime(), runtime());
        let mut begun = pin!(call(&connections));
        {
            let _guard = stopped.enter();
            assert!(begun.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(driven.block_on(call(&connections)).unwrap(), 1);
        assert_eq!(stopped.block_on(begun).unwrap(), 2);
        assert_eq!(driven.block_on(call(&connections)).unwrap(), 1);
    }

    #[test]
    fn no_more_than_the_limit_have_one() {
        let (engine, connections) = world();
        for _ in 0..MOST_RUNTIMES + 2 {
            runtime().block_on(call(&connections)).unwrap();
        }
        assert_eq!(connections.lock().runtimes.len(), MOST_RUNTIMES);
        assert_eq!(engine.made.load(Relaxed) as usize, MOST_RUNTIMES + 2);
    }

    #[test]
    fn at_the_limit_the_oldest_connection_goes() {
        let (engine, connections) = world();
        let all: Vec<_> = (0..MOST_RUNTIMES)
            .map(|_| Builder::new_current_thread().enable_all().start_paused(true).build().unwrap())
            .collect();
        for (runtime, made) in all.iter().zip(1..) {
            assert_eq!(runtime.block_on(call(&connections)).unwrap(), made);
        }
        // The first one is made anew, so the second is the oldest, and the others are kept.
        all[0].block_on(async {
            advance(IDLE).await;
            call(&connections).await.unwrap();
        });
        runtime().block_on(call(&connections)).unwrap();
        let made = engine.made.load(Relaxed);
        for runtime in all[2..].iter().chain(&all[..1]) {
            assert!(runtime.block_on(call(&connections)).unwrap() < made);
        }
        assert_eq!(engine.made.load(Relaxed), made);
        assert_eq!(all[1].block_on(call(&connections)).unwrap(), made + 1);
    }

    #[test]
    fn a_runtime_that_ended_in_an_attempt_leaves_an_error() {
        let (engine, connections) = world();
        engine.connects_in.store(60_000, Relaxed);
        let ended = runtime();
        let mut begun = pin!(call(&connections));
        {
            let _guard = ended.enter();
            assert!(begun.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(ended);
        assert!(matches!(runtime().block_on(begun), Err(NotConnected::NoRuntime)));
        let outside = call(&connections);
        let outside = pin!(outside).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(outside, Poll::Ready(Err(NotConnected::NoRuntime))));
    }
}
