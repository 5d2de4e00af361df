//! The chapter on the life of a token: its tables, against a provider whose clock and randomness are the test's.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bearer_token::{
    AccessToken, Error, ErrorKind, FetchContext, ProviderState, Retry, TokenProvider, TokenSource,
    platform::{Entropy, Platform},
};
use bearer_token_testing::ManualClock;

use super::{chapter, table};

/// Randomness that always draws the same share.
struct Always(u8);

impl Entropy for Always {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(self.0);
        Ok(())
    }
}

const LEAST: u8 = 0;
const MOST: u8 = 255;

fn provider(source: impl TokenSource, draw: u8) -> (TokenProvider, ManualClock) {
    let clock = ManualClock::new();
    let platform = Platform::system().with_clock(clock.clone()).with_entropy(Always(draw));
    (TokenProvider::builder(source).platform(platform).build().unwrap(), clock)
}

/// The state of a provider this long after it fetched a token with this lifetime.
async fn state_at(time: Duration, lifetime: u64, draw: u8) -> ProviderState {
    let source =
        move |_cx: FetchContext| ready(Ok(AccessToken::new("token").expires_in(Duration::from_secs(lifetime))));
    let (provider, clock) = provider(source, draw);
    provider.token().await.unwrap();
    clock.advance(time);
    provider.status().state
}

#[tokio::test]
async fn tokens_change_their_state_at_the_seconds_of_the_table() {
    let rows = table(&chapter("life"), "| lifetime | earliest refresh | latest refresh | sent until |");
    assert!(rows.len() > 3);
    for row in rows {
        let numbers: Vec<u64> = row.iter().map(|cell| cell.parse().unwrap()).collect();
        let [lifetime, earliest, latest, until] = numbers[..] else { panic!("{row:?}") };
        for (draw, second, before, after) in [
            (MOST, earliest, ProviderState::Fresh, ProviderState::Stale),
            (LEAST, latest, ProviderState::Fresh, ProviderState::Stale),
            (LEAST, until, ProviderState::Stale, ProviderState::Empty),
        ] {
            let at = Duration::from_secs(second);
            let moment = Duration::from_millis(1);
            assert_eq!(state_at(at - moment, lifetime, draw).await, before, "{lifetime}: before {second}");
            assert_eq!(state_at(at, lifetime, draw).await, after, "{lifetime}: at {second}");
        }
    }
}

/// The requests that fail in an outage, one request a second, from when the token could be refreshed until it expires.
async fn failures_in_an_outage(lifetime: u64, from: u64, until: u64, draw: u8) -> usize {
    let is_down = Arc::new(AtomicBool::new(false));
    let seen = is_down.clone();
    let source = move |_cx: FetchContext| {
        ready(match seen.load(Relaxed) {
            true => {
                Err(Error::new(ErrorKind::Unavailable, "the server is down").with_retry(Retry::Later { after: None }))
            }
            false => Ok(AccessToken::new("token").expires_in(Duration::from_secs(lifetime))),
        })
    };
    let (provider, clock) = provider(source, draw);
    provider.token().await.unwrap();
    let mut failures = 0;
    for second in 1..=lifetime {
        clock.advance(Duration::from_secs(1));
        is_down.store((from..until).contains(&second), Relaxed);
        failures += usize::from(provider.token().await.is_err());
        // The refresh in the background.
        tokio::task::yield_now().await;
    }
    failures
}

#[tokio::test]
async fn l06_an_outage_that_ends_with_the_token_fails_no_request() {
    for row in table(&chapter("life"), "| lifetime | earliest refresh | latest refresh | sent until |") {
        let numbers: Vec<u64> = row.iter().map(|cell| cell.parse().unwrap()).collect();
        let [lifetime, earliest, latest, until] = numbers[..] else { panic!("{row:?}") };
        // The first wait may outlast a token that serves for a few seconds only.
        if !(60..=3_600).contains(&lifetime) {
            continue;
        }
        for (draw, refresh) in [(LEAST, latest), (MOST, earliest)] {
            for end in (refresh..=until).rev().step_by((until - refresh) as usize / 12) {
                assert_eq!(failures_in_an_outage(lifetime, refresh, end, draw).await, 0, "{lifetime} s, until {end}");
            }
            // It is seen when there is one.
            assert_ne!(failures_in_an_outage(lifetime, refresh, until + 2, draw).await, 0, "{lifetime} s");
        }
    }
}

/// The cool-downs after one failure, after two, and so on.
async fn cool_downs(retry: Retry, draw: u8, number: usize) -> Vec<Duration> {
    let source = move |_cx: FetchContext| ready(Err(Error::new(ErrorKind::Source, "no").with_retry(retry)));
    let (provider, clock) = provider(source, draw);
    let mut waits = Vec::new();
    for _ in 0..number {
        provider.token().await.unwrap_err();
        waits.push(provider.status().cool_down);
        clock.advance(provider.status().cool_down);
    }
    waits
}

#[tokio::test]
async fn cool_downs_are_those_of_the_table() {
    let heading = "| failures in a row | 1 | 2 | 3 | 4 | 5 | 6 | 7 and more |";
    let rows = table(&chapter("life"), heading);
    let told = |row: &[String]| -> Vec<Duration> {
        row[1..].iter().map(|cell| Duration::from_secs(cell.strip_suffix(" s").unwrap().parse().unwrap())).collect()
    };
    let [later, after_change] = &rows[..] else { panic!("{rows:?}") };
    let (later, after_change) = (told(later), told(after_change));
    let halves: Vec<_> = later.iter().map(|wait| *wait / 2).collect();
    assert_eq!(cool_downs(Retry::Later { after: None }, MOST, 7).await, later);
    assert_eq!(cool_downs(Retry::Later { after: None }, LEAST, 7).await, halves);
    for draw in [LEAST, MOST] {
        assert_eq!(cool_downs(Retry::AfterChange, draw, 7).await, after_change);
    }
}
