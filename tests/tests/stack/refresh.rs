//! While there is a usable token, no caller waits and no call fails.

use bearer_token::ProviderState;
use bearer_token_testing::{Fault, Tokens};

use crate::support::{Adapter, SECOND, Setup, poll_once, until, within};

#[tokio::test]
async fn l01_a_background_refresh_delays_no_request() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        setup.server.issue(Tokens::jwt().lifetime(3_600 * SECOND));
        let provider = setup.provider();
        let client = adapter.client(&provider);
        let url = setup.api("orders");
        within(client.succeed(&url)).await;
        assert_eq!(provider.status().state, ProviderState::Fresh);

        // Due at 4/5 of the lifetime.
        setup.clock.advance(2_900 * SECOND);
        assert_eq!(provider.status().state, ProviderState::Stale);
        let gate = setup.server.token_endpoint().hold();
        for _ in 0..20 {
            within(client.succeed(&url)).await;
        }
        within(setup.server.wait_for_token_requests(2)).await;
        for _ in 0..20 {
            within(client.succeed(&url)).await;
        }
        let old = setup.authorizations();
        assert!(old.iter().all(|value| *value == old[0] && value.is_some()), "{adapter:?}");
        assert_eq!((old.len(), setup.token_requests()), (41, 2), "{adapter:?}: one refresh, however many notice");

        // Joins the refresh to see its end.
        let mut refreshed = provider.refresh_now();
        assert!(poll_once(&mut refreshed).await.is_pending());
        gate.release();
        within(refreshed).await.unwrap();
        within(client.succeed(&url)).await;
        let new = setup.authorizations().pop().unwrap();
        assert_ne!(new, old[0], "{adapter:?}");
        assert_eq!((setup.token_requests(), provider.status().state), (2, ProviderState::Fresh));
    }
}

#[tokio::test]
async fn l06_a_valid_token_survives_an_outage() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        setup.server.issue(Tokens::jwt().lifetime(3_600 * SECOND));
        let provider = setup.provider();
        let client = adapter.client(&provider);
        let url = setup.api("orders");
        within(client.succeed(&url)).await;
        setup.clock.advance(2_900 * SECOND);
        setup.server.token_endpoint().always(Fault::status(503));
        for _ in 0..600 {
            within(client.succeed(&url)).await;
            // An attempt in progress may end before the clock moves.
            within(until(|| u64::from(provider.status().failures_in_a_row) + 1 >= setup.token_requests())).await;
            setup.clock.advance(SECOND);
        }
        let tried = setup.token_requests() - 1;
        assert!((5..=40).contains(&tried), "{adapter:?}: {tried} attempts in ten minutes");
        let status = provider.status();
        assert_eq!(
            (status.state, status.last_error.unwrap().kind()),
            (ProviderState::Stale, bearer_token::ErrorKind::Unavailable)
        );

        setup.server.token_endpoint().recover();
        setup.clock.advance(60 * SECOND);
        within(client.succeed(&url)).await;
        within(until(|| provider.status().last_error.is_none())).await;
        within(client.succeed(&url)).await;
        let authorizations = setup.authorizations();
        assert_eq!(authorizations.iter().flatten().count(), 603);
        assert_ne!(authorizations.last(), authorizations.first(), "{adapter:?}: recovered");
        assert_eq!(setup.server.count().api_rejected, 0);
    }
}

#[tokio::test]
async fn l29_during_an_outage_a_revoked_token_stays_in_service() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = setup.provider();
        let client = adapter.client(&provider);
        let url = setup.api("orders");
        within(client.succeed(&url)).await;
        setup.server.token_endpoint().always(Fault::status(503));
        // One endpoint responds with 401 for no reason; the others work.
        setup.server.api().next(Fault::invalid_token());
        assert_eq!(within(client.get(&url)).await.unwrap().status, 401);
        within(until(|| provider.status().last_error.is_some())).await;
        for _ in 0..20 {
            within(client.succeed(&url)).await;
        }
        assert_eq!(setup.token_requests(), 2, "{adapter:?}");
    }
}
