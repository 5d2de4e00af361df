//! Testing code that uses bearer tokens, with an authorization server in a box and a manual clock.
//!
//! `cargo test --example testing` runs the tests below, which are what this example is about; `cargo run --example
//! testing` runs the program that they test, once.

use anyhow::{Context, ensure};
use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    platform::Platform,
};
use bearer_token_testing::{AuthorizationServer, Client};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::Value;

/// Your code. It takes the values that differ between production and a test: URLs and the platform (its clock).
struct Orders {
    http: ClientWithMiddleware,
    api_url: String,
}

impl Orders {
    fn new(token_url: &str, api_url: &str, platform: Platform) -> anyhow::Result<Self> {
        let source = TokenEndpoint::builder(token_url, ClientCredentials::new())
            .client_auth(ClientAuth::basic("orders", "its secret"))
            .scope("read")
            .build()?;
        let provider = TokenProvider::builder(source).allow_origin(origin(api_url)?).platform(platform).build()?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let http = ClientBuilder::new(http).with(BearerMiddleware::new(provider)).build();
        Ok(Orders { http, api_url: api_url.to_owned() })
    }

    /// Sends at most two requests: the second with a new token, if the first token was rejected.
    async fn get(&self, id: u32) -> anyhow::Result<Value> {
        let url = format!("{}/orders/{id}", self.api_url);
        let mut response = self.http.get(&url).send().await?;
        if response.status() == 401 {
            response = self.http.get(&url).send().await?;
        }
        Ok(response.error_for_status()?.json().await?)
    }
}

fn origin(url: &str) -> anyhow::Result<String> {
    Ok(reqwest::Url::parse(url)?.origin().ascii_serialization())
}

/// A server in a box that knows this client.
fn server(server: AuthorizationServer) -> AuthorizationServer {
    server.register(Client::secret("orders", "its secret").scopes(["read"]));
    server
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = server(AuthorizationServer::start()?);
    let orders = Orders::new(&server.token_url(), &server.api_url(), Platform::system())?;
    let order = orders.get(7).await?;
    println!("order 7: {order:#}");
    ensure!(order["path"].as_str().context("there is no path")?.ends_with("/orders/7"));
    ensure!(server.count().token_requests == 1);
    println!("\nThe tests are what this example is about: cargo test --example testing");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bearer_token::ErrorKind;
    use bearer_token_testing::{Fault, ManualClock};
    use reqwest_bearer::token_error;

    use super::*;

    /// The code under test, its server, and the clock of both.
    fn setup() -> (Orders, AuthorizationServer, ManualClock) {
        let clock = ManualClock::new();
        let server = server(AuthorizationServer::builder().clock(clock.clone()).start().unwrap());
        let platform = Platform::system().with_clock(clock.clone());
        (Orders::new(&server.token_url(), &server.api_url(), platform).unwrap(), server, clock)
    }

    #[tokio::test]
    async fn many_orders_take_one_token() {
        let (orders, server, _) = setup();
        for id in 0..10 {
            orders.get(id).await.unwrap();
        }
        assert_eq!(server.count().token_requests, 1);
        // The request that arrived, with every header.
        let request = server.requests().remove(0);
        assert_eq!(request.parameter("scope").as_deref(), Some("read"));
    }

    #[tokio::test]
    async fn a_revoked_token_stays_unnoticed() {
        let (orders, server, _) = setup();
        orders.get(1).await.unwrap();
        server.revoke_all();
        orders.get(2).await.unwrap();
        assert_eq!((server.count().api_rejected, server.count().tokens_issued), (1, 2));
    }

    #[tokio::test]
    async fn an_hour_later_there_is_a_new_token() {
        let (orders, server, clock) = setup();
        orders.get(1).await.unwrap();
        clock.advance(Duration::from_secs(3600));
        orders.get(2).await.unwrap();
        assert_eq!(server.count().tokens_issued, 2);
    }

    #[tokio::test]
    async fn a_valid_token_survives_an_outage_until_it_expires() {
        let (orders, server, clock) = setup();
        orders.get(1).await.unwrap();
        server.token_endpoint().always(Fault::status(503));
        clock.advance(Duration::from_secs(50 * 60));
        orders.get(2).await.unwrap();

        clock.advance(Duration::from_secs(10 * 60));
        let error = orders.get(3).await.unwrap_err();
        let error = token_error(error.as_ref()).unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);

        server.token_endpoint().recover();
        clock.advance(Duration::from_secs(60));
        orders.get(4).await.unwrap();
    }

    #[tokio::test]
    async fn requests_that_come_at_once_share_the_token_request() {
        let (orders, server, _) = setup();
        // Holds token requests until every caller has asked.
        let gate = server.token_endpoint().hold();
        let both = async { tokio::join!(orders.get(1), orders.get(2)) };
        let ((one, other), ()) = tokio::join!(both, async {
            server.wait_for_token_requests(1).await;
            gate.release();
        });
        one.unwrap();
        other.unwrap();
        assert_eq!(server.count().token_requests, 1);
    }
}
