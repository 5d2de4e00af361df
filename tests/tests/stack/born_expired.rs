//! Tokens that are expired on arrival, because the two clocks differ.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bearer_token::{AccessToken, FetchContext, platform::Moment};

use crate::support::{Adapter, Setup, within};

/// The lifetimes that these sources state for their tokens.
type Says = fn(AccessToken, &FetchContext) -> AccessToken;

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn l09_a_token_expired_on_arrival_is_sent_once() {
    let table: [(&str, Says); 4] = [
        ("its `exp`, by clocks that do not agree", |token, cx| token.expires_at(cx.started().wall() - HOUR)),
        ("no time at all", |token, _| token.expires_in(Duration::ZERO)),
        ("a time that is over, by its own moment", |token, cx| {
            let started = cx.started();
            let issued = Moment::new(started.monotonic().saturating_sub(HOUR), started.wall() - HOUR);
            token.expires_in(HOUR / 2).issued(issued)
        }),
        ("the beginning of all time", |token, _| token.expires_at(std::time::UNIX_EPOCH)),
    ];
    for adapter in Adapter::BOTH {
        for (what, says) in table {
            let setup = Setup::start();
            let fetches = Arc::new(AtomicU64::new(0));
            let counted = fetches.clone();
            let source = move |cx: FetchContext| {
                let fetch = counted.fetch_add(1, Ordering::SeqCst);
                // Ends the test if nothing else does.
                assert!(fetch < 10, "a storm");
                async move { Ok(says(AccessToken::new(format!("token-{fetch}")), &cx)) }
            };
            let client = adapter.client(&setup.builder(source).build().unwrap());
            // Only the API can judge the token, because its clock may differ.
            for request in 0..3 {
                assert_eq!(within(client.get(&setup.api("orders"))).await.unwrap().status, 401, "{what}");
                assert_eq!(fetches.load(Ordering::SeqCst), request + 1, "{adapter:?}: {what}");
            }
            let sent: Vec<_> = setup.authorizations().into_iter().flatten().collect();
            assert_eq!(sent, ["Bearer token-0", "Bearer token-1", "Bearer token-2"]);
        }
    }
}
