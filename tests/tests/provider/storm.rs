//! Random callers, failures and clock steps, all at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bearer_token::{AccessToken, FetchContext};
use bearer_token_testing::Outcome;

use super::*;

/// A small generator whose failures can be repeated. No test depends on what it draws.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_never_cause_two_fetches_or_send_expired_tokens() {
    // Long enough that no flight is overdue, however far the clock runs ahead of its driver.
    let bench = Arc::new(Bench::with(steady().fetch_timeout(1_000 * HOUR).refresh_timeout(1_000 * HOUR), |p| p));
    let failing = Arc::new(AtomicU64::new(0));
    let told = failing.clone();
    let clock = bench.clock.clone();
    bench.source.otherwise(Outcome::call(move |cx: &FetchContext| {
        if told.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
            return Err(Error::new(ErrorKind::Unavailable, "every fifth time"));
        }
        // Each token states the moment of its expiry.
        let expires = cx.started().after(20 * SECOND).monotonic().as_nanos();
        Ok(AccessToken::new(expires.to_string()).expires_in(20 * SECOND))
    }));
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 1..=8_u64 {
        let (bench, over, served) = (bench.clone(), over.clone(), served.clone());
        let clock = clock.clone();
        tasks.spawn(async move {
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            while !over.load(Ordering::Relaxed) {
                let before = bearer_token::platform::Clock::now(&clock).monotonic().as_nanos();
                let sent = bench.request();
                if let Some((token, ticket)) = sent {
                    served.fetch_add(1, Ordering::Relaxed);
                    assert!(token.parse::<u128>().unwrap() > before, "it had expired when it was asked for");
                    if dice.roll(50) == 0 {
                        let _ = ticket.reject(&HeaderMap::new());
                    }
                }
                match dice.roll(20) {
                    0 => drop(bench.provider.token().await),
                    1 => {
                        let mut dropped = bench.provider.token();
                        let _ = poll_once(&mut dropped);
                    }
                    2 => drop(bench.provider.status()),
                    3 if dice.roll(20) == 0 => drop(bench.provider.refresh_now().await),
                    _ => tokio::task::yield_now().await,
                }
            }
        });
    }
    let mut dice = Dice(42);
    let mut steps = 0;
    while steps < 1_000 || served.load(Ordering::Relaxed) < 5_000 {
        steps += 1;
        assert!(steps < 1_000_000, "no caller makes progress");
        bench.clock.advance(Duration::from_millis(dice.roll(1_000)));
        settle().await;
    }
    over.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    assert_eq!(bench.source.count().peak, 1);
    assert!(bench.started() > 2);
    // Afterwards the provider works as at the start.
    bench.clock.advance(HOUR);
    let last = bench.provider.token().await;
    let again = async || {
        bench.clock.advance(HOUR);
        bench.provider.token().await
    };
    assert!(last.is_ok() || again().await.is_ok());
}
