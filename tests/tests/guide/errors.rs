//! The chapter on errors: its `Retry-After`, as a caller meets it.

use std::{future::ready, time::Duration};

use bearer_token::{
    AccessToken, Error, ErrorKind, FetchContext, Policy, Retry, TokenProvider, TokenSource, platform::Platform,
};
use bearer_token_testing::ManualClock;
use http::HeaderValue;

use super::chapter;

// The snippet of the chapter.
/// The `Retry-After` of a 503, in whole seconds and never too early.
fn retry_after(error: &Error, provider: &TokenProvider) -> Option<HeaderValue> {
    let Retry::Later { after } = error.retry() else { return None };
    let left = provider.status().cool_down;
    let wait = if left.is_zero() { after.unwrap_or_default() } else { left };
    Some(HeaderValue::from(wait.as_secs() + 1))
}

#[test]
fn the_chapter_shows_the_function_that_is_tested_here() {
    let function = include_str!("errors.rs").split_once("\nfn retry_after").unwrap().1.split_once("\n}\n").unwrap().0;
    assert!(function.len() > 200 && chapter("errors").contains(&format!("\nfn retry_after{function}\n}}\n")));
}

fn provider(source: impl TokenSource) -> (TokenProvider, ManualClock) {
    let clock = ManualClock::new();
    let platform = Platform::system().with_clock(clock.clone());
    let policy = Policy::default().jitter(false);
    (TokenProvider::builder(source).platform(platform).policy(policy).build().unwrap(), clock)
}

#[tokio::test]
async fn a_later_caller_is_told_a_shorter_wait() {
    let busy = |_cx: FetchContext| {
        let retry = Retry::Later { after: Some(Duration::from_secs(60)) };
        ready(Err::<AccessToken, _>(Error::new(ErrorKind::Unavailable, "the server is busy").with_retry(retry)))
    };
    let (provider, clock) = provider(busy);
    let mut told = Vec::new();
    for passed in [0, 55, 4] {
        clock.advance(Duration::from_secs(passed));
        let error = provider.token().await.unwrap_err();
        told.push(retry_after(&error, &provider).unwrap().to_str().unwrap().parse::<u64>().unwrap());
    }
    assert_eq!(told, [61, 6, 2]);
}

#[tokio::test]
async fn no_time_is_told_where_a_change_is_needed() {
    let refused = |_cx: FetchContext| ready(Err::<AccessToken, _>(Error::new(ErrorKind::Refused, "refused")));
    let (provider, _clock) = provider(refused);
    let error = provider.token().await.unwrap_err();
    assert_eq!(retry_after(&error, &provider), None);
}
