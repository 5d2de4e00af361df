//! One runtime, several, an ended one, an idle one, none.

use std::sync::atomic::{AtomicUsize, Ordering};

use bearer_token::platform::{BoxFuture, Spawn};
use bearer_token_testing::Outcome;
use tokio::runtime::{Builder, Runtime};

use super::*;

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn l11_a_provider_built_outside_a_runtime_works_inside() {
    for runtime in [current_thread(), multi_thread()] {
        let bench = Bench::new();
        assert_eq!(bench.sent(), None);
        assert_eq!(secret(runtime.block_on(bench.provider.token())), Ok("token-1".into()));
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
    }
}

#[test]
fn l11_a_provider_works_after_its_first_runtime_ended() {
    let bench = Bench::new();
    let first = multi_thread();
    assert_eq!(secret(first.block_on(bench.provider.token())), Ok("token-1".into()));
    drop(first);
    bench.clock.advance(STALE);
    let second = current_thread();
    second.block_on(async {
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
        settle().await;
        assert_eq!(bench.sent().as_deref(), Some("token-2"));
    });
    bench.clock.advance(HOUR);
    assert_eq!(secret(second.block_on(bench.provider.token())), Ok("token-3".into()));
}

#[test]
fn l11_an_idle_runtime_delays_a_flight_until_overdue() {
    for polled in [false, true] {
        let bench = Bench::new();
        let (idle, live) = (current_thread(), current_thread());
        let gate = bench.source.hold();
        // The driver is spawned there, and stops when `block_on` returns, polled or not.
        let first = idle.block_on(async {
            let caller = bench.waiting();
            if polled {
                bench.source.wait_for_fetches(1).await;
            }
            caller
        });
        live.block_on(async {
            let callers = [bench.waiting(), bench.waiting(), first];
            drop(gate);
            let others = usize::from(polled);
            bench.advance_with(3 + others, 10 * SECOND).await;
            settle().await;
            assert_eq!(bench.started(), u64::from(polled), "its time is not over yet");
            bench.clock.advance(SECOND);
            for caller in callers {
                assert_eq!(secret(caller.await), Ok(format!("token-{}", 1 + others)));
            }
        });
        let (fetched, started) = (bench.sent(), bench.started());
        // When the runtime is driven again, the old driver is too late and changes nothing.
        idle.block_on(settle());
        assert_eq!(bench.sent(), fetched);
        assert_eq!(bench.started(), started, "what had not begun in time does not begin");
        assert_eq!(bench.provider.status().failures_in_a_row, 0);
        drop(idle);
        assert_eq!(bench.sent(), fetched);
    }
}

#[test]
fn l11_a_refresh_stuck_in_an_idle_runtime_is_replaced() {
    let bench = Bench::new();
    let (idle, live) = (current_thread(), current_thread());
    live.block_on(bench.provider.token()).unwrap();
    bench.clock.advance(STALE);
    idle.block_on(async { assert!(bench.sent().is_some()) });
    live.block_on(async {
        for _ in 0..11 {
            assert_eq!(bench.sent().as_deref(), Some("token-1"));
            settle().await;
            bench.clock.advance(SECOND);
        }
        assert_eq!(bench.started(), 1);
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
        settle().await;
        assert_eq!(bench.sent().as_deref(), Some("token-2"));
    });
}

#[test]
fn l11_a_stopped_runtime_hands_the_fetch_to_waiters() {
    for runtime in [current_thread(), multi_thread()] {
        for outcome in [Outcome::numbered(), Outcome::error(Error::new(ErrorKind::Refused, "no"))] {
            let bench = Bench::new();
            bench.source.push(Outcome::hang());
            bench.source.push(outcome);
            let stops = if matches!(runtime.handle().runtime_flavor(), tokio::runtime::RuntimeFlavor::CurrentThread) {
                current_thread()
            } else {
                multi_thread()
            };
            let first = stops.block_on(async {
                let caller = bench.waiting();
                bench.source.wait_for_fetches(1).await;
                caller
            });
            runtime.block_on(async {
                let second = bench.waiting();
                // Dropping a runtime is not allowed inside another.
                thread::scope(|scope| scope.spawn(|| drop(stops)).join().unwrap());
                let (first, second) = (secret(first.await), secret(second.await));
                assert_eq!(first, second);
                assert!(matches!(first.as_deref(), Ok("token-2") | Err(ErrorKind::Refused)), "{first:?}");
            });
            let counts = bench.source.count();
            assert_eq!((counts.started, counts.aborted, counts.peak), (2, 1, 1));
        }
    }
}

#[test]
fn l11_without_a_runtime_waiters_fetch_themselves() {
    let bench = Bench::new();
    assert_eq!(secret(block_on(bench.provider.token())), Ok("token-1".into()));
    // Without a place for a background refresh, the token is used until it expires, and no fetch is wasted.
    bench.clock.advance(STALE);
    for _ in 0..100 {
        assert_eq!(bench.sent().as_deref(), Some("token-1"));
        assert_eq!(secret(block_on(bench.provider.token())), Ok("token-1".into()));
    }
    assert_eq!(bench.started(), 1);
    bench.clock.advance(HOUR);
    assert_eq!(secret(block_on(bench.provider.token())), Ok("token-2".into()));
    bench.source.push(Outcome::error(Error::new(ErrorKind::Transport, "no route")));
    bench.clock.advance(HOUR);
    assert_eq!(secret(block_on(bench.provider.token())), Err(ErrorKind::Transport));
}

#[test]
fn l11_without_any_runtime_many_threads_still_share_one_fetch() {
    let bench = Bench::new();
    let gate = bench.source.hold();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..20).map(|_| scope.spawn(|| secret(block_on(bench.provider.token())))).collect();
        block_on(bench.clock.wait_for_sleepers(21));
        gate.release();
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Ok("token-1".into()));
        }
    });
    assert_eq!(bench.started(), 1);
}

#[test]
fn l11_without_a_runtime_another_waiter_continues_the_fetch() {
    let bench = Bench::new();
    bench.source.push(Outcome::hang());
    let driver = bench.waiting();
    assert_eq!(bench.started(), 1);
    let other = bench.waiting();
    drop(driver);
    assert_eq!(secret(block_on(other)), Ok("token-2".into()));
    assert_eq!(bench.source.count().aborted, 1);
}

#[test]
fn l11_without_a_runtime_a_hung_fetch_ends_in_time() {
    let bench = Bench::new();
    bench.source.push(Outcome::hang());
    let caller = bench.waiting();
    bench.clock.advance(10 * SECOND);
    assert_eq!(secret(block_on(caller)), Err(ErrorKind::Timeout));
}

#[test]
fn l11_a_waiter_moves_from_one_runtime_to_another() {
    let bench = Bench::new();
    let (first, second) = (multi_thread(), current_thread());
    let gate = bench.source.hold();
    let caller = first.block_on(async { bench.waiting() });
    let caller = second.block_on(async { waiting(caller) });
    gate.release();
    assert_eq!(secret(block_on(caller)), Ok("token-1".into()));
}

#[test]
fn l11_a_provider_with_its_own_runtime_refreshes_anywhere() {
    let runtime = multi_thread();
    let bench = Bench::with(steady(), |platform| platform.with_spawn(runtime.handle().clone()));
    assert_eq!(secret(block_on(bench.provider.token())), Ok("token-1".into()));
    bench.clock.advance(STALE);
    assert_eq!(bench.sent().as_deref(), Some("token-1"));
    block_on(bench.source.wait_for(|counts| counts.finished == 2));
    // The fetch is done or about to be: this call joins it, or starts the next.
    assert!(secret(block_on(bench.provider.refresh_now())).is_ok());
    assert_ne!(bench.sent().as_deref(), Some("token-1"));
    // A runtime that was shut down counts as none.
    drop(runtime);
    bench.clock.advance(HOUR);
    assert!(block_on(bench.provider.token()).is_ok());
}

#[test]
fn l11_a_spawner_that_drops_tasks_blocks_no_caller() {
    #[derive(Clone, Default)]
    struct Dropping(Arc<AtomicUsize>);
    impl Spawn for Dropping {
        fn spawn(&self, task: BoxFuture<()>) -> Result<(), BoxFuture<()>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            drop(task);
            Ok(())
        }
    }
    let spawner = Dropping::default();
    let bench = Bench::with(steady(), |platform| platform.with_spawn(spawner.clone()));
    assert_eq!(secret(block_on(bench.provider.token())), Ok("token-1".into()));
    bench.clock.advance(STALE);
    let before = spawner.0.load(Ordering::SeqCst);
    for _ in 0..3 {
        for _ in 0..1_000 {
            assert_eq!(bench.sent().as_deref(), Some("token-1"));
        }
        bench.clock.advance(SECOND);
    }
    assert_eq!(spawner.0.load(Ordering::SeqCst) - before, 3);
    assert_eq!(bench.started(), 1, "a driver that is never polled fetches nothing");
}

#[test]
fn l11_a_runtime_without_timers_is_no_obstacle() {
    let untimed = Builder::new_current_thread().build().unwrap();
    let source = ScriptedSource::new();
    // The system's clock needs timers, which this runtime lacks.
    let provider = TokenProvider::builder(source).build().unwrap();
    let caller = untimed.block_on(async { provider.token().await });
    assert_eq!(secret(caller), Ok("token-1".into()));
}
