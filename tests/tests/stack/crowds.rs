//! Many callers at once, in a runtime with several threads.

use std::collections::HashSet;

use bearer_token::ErrorKind;
use bearer_token_testing::Fault;
use tokio::task::JoinSet;

use crate::support::{Adapter, Client, Reply, Setup, within};
use tower_bearer::BoxError;

/// Starts this many calls at once.
fn crowd(client: &Client, url: &str, count: usize) -> JoinSet<Result<Reply, BoxError>> {
    let call = |_| {
        let (client, url) = (client.clone(), url.to_owned());
        async move { client.get(&url).await }
    };
    (0..count).map(call).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l01_a_thousand_cold_callers_share_one_token_request() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = setup.provider();
        let gate = setup.server.token_endpoint().hold();
        let calls = crowd(&adapter.http2_client(&provider), &setup.api("orders"), 1_000);
        // All calls wait, each with its own deadline beside the fetch's.
        within(setup.clock.wait_for_sleepers(1_001)).await;
        assert_eq!(setup.server.count().api_requests, 0);
        gate.release();
        for reply in within(calls.join_all()).await {
            assert_eq!(reply.unwrap().status, 200, "{adapter:?}");
        }
        let count = setup.server.count();
        assert_eq!((count.token_requests, count.tokens_issued, count.api_accepted), (1, 1, 1_000), "{adapter:?}");
        assert_eq!(setup.authorizations().into_iter().collect::<HashSet<_>>().len(), 1);
        assert_eq!(setup.clock.sleepers(), 0, "nothing is left waiting");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l02_two_hundred_callers_share_one_failed_request() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        setup.server.token_endpoint().always(Fault::status(503));
        let provider = setup.provider();
        let client = adapter.client(&provider);
        let gate = setup.server.token_endpoint().hold();
        let calls = crowd(&client, &setup.api("orders"), 200);
        within(setup.clock.wait_for_sleepers(201)).await;
        gate.release();
        for result in within(calls.join_all()).await {
            let error = result.unwrap_err();
            let error = reqwest_bearer::token_error(&*error).unwrap();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{adapter:?}");
        }
        // Later callers share the error until the cool-down ends.
        for result in within(crowd(&client, &setup.api("orders"), 50).join_all()).await {
            assert!(reqwest_bearer::token_error(&*result.unwrap_err()).is_some());
        }
        assert_eq!((setup.token_requests(), setup.server.count().api_requests), (1, 0), "{adapter:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l28_a_hundred_late_rejections_cause_one_token_request() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = setup.provider();
        let client = adapter.http2_client(&provider);
        let url = setup.api("orders");
        client.succeed(&url).await;

        let gate = setup.server.api().hold();
        let calls = crowd(&client, &url, 100);
        within(setup.server.wait_for(|count| count.api_requests == 101)).await;
        setup.server.revoke_all();
        gate.release();
        for reply in within(calls.join_all()).await {
            assert_eq!(reply.unwrap().status, 401, "{adapter:?}");
        }
        // The next calls wait for the new token if necessary.
        for reply in within(crowd(&client, &url, 100).join_all()).await {
            assert_eq!(reply.unwrap().status, 200, "{adapter:?}");
        }
        let count = setup.server.count();
        assert_eq!((count.token_requests, count.api_rejected, count.api_accepted), (2, 100, 101), "{adapter:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l28_a_late_rejection_leaves_the_new_bearer_alone() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = setup.provider();
        let client = adapter.client(&provider);
        let url = setup.api("orders");
        client.succeed(&url).await;
        let gate = setup.server.api().hold();
        let late = crowd(&client, &url, 10);
        within(setup.server.wait_for(|count| count.api_requests == 11)).await;
        setup.server.revoke_all();
        within(provider.refresh_now()).await.unwrap();
        let new = provider.cached().unwrap();
        gate.release();
        for reply in within(late.join_all()).await {
            assert_eq!(reply.unwrap().status, 401);
        }
        assert_eq!(provider.cached().unwrap().secret(), new.secret(), "{adapter:?}");
        client.succeed(&url).await;
        assert_eq!(setup.token_requests(), 2, "{adapter:?}");
    }
}
