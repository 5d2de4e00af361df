//! What replicas may share, where the transport is the user's own.
#![cfg(test)]

use bearer_token::{
    Error,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    shared::{Fleet, SealingKeys},
    store::MemorySharedStore,
    transport::{self, Transport},
};
use reqwest_bearer::{ClientTransport, MiddlewareTransport, reqwest_middleware::ClientBuilder};

fn share(transport: impl Transport) -> Result<(), Error> {
    let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
    let fleet = Fleet::builder(MemorySharedStore::new(), keys).build().unwrap();
    let source = TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new())
        .client_auth(ClientAuth::none())
        .transport(transport)
        .build()
        .unwrap();
    fleet.share(source.clone()).map(drop)?;
    drop(fleet.share_as("orders", source));
    Ok(())
}

/// Such a client may have a certificate or headers of one tenant, and two of them look alike.
#[test]
fn a_client_of_the_users_own_needs_a_name() {
    let client = || reqwest::Client::builder().no_proxy().build().unwrap();
    let service = tower::service_fn(async |_: http::Request<http_body_util::Full<bytes::Bytes>>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    for refused in [
        share(ClientTransport::new(client())),
        share(MiddlewareTransport::new(ClientBuilder::new(client()).build())),
        share(transport::service(service)),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("transport") && error.contains("Fleet::share_as"), "{error}");
    }
    share(transport::HttpTransport::new()).unwrap();
}
