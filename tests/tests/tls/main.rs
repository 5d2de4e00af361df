//! Both ends over TLS, with a private CA: the token endpoint and the API, each with and without client certificates,
//! and each with a mistake, through tower with hyper-rustls and through reqwest.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use bearer_token::{
    Error, ErrorKind, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint, TokenEndpointBuilder},
    transport::{HttpTransport, service},
};
use reqwest_bearer::ClientTransport;
use tests::tls::Ca;

use self::{
    clients::{Trust, hyper_client, reqwest_client},
    server::{Flaw, Identity, Server, identity},
};

mod clients;
mod cold;
mod server;

/// What carries token requests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Transport {
    Own,
    HyperRustls,
    Reqwest,
}

const TRANSPORTS: [Transport; 3] = [Transport::Own, Transport::HyperRustls, Transport::Reqwest];

/// What calls the API.
#[derive(Clone, Copy, Debug)]
enum Client {
    TowerAndHyperRustls,
    Reqwest,
}

const CLIENTS: [Client; 2] = [Client::TowerAndHyperRustls, Client::Reqwest];

fn endpoint(url: &str, transport: Transport, trust: &Trust) -> TokenEndpoint {
    let builder = TokenEndpoint::builder(format!("{url}/token"), ClientCredentials::new())
        .client_auth(ClientAuth::basic("id", "planted-secret"));
    let builder: TokenEndpointBuilder = match transport {
        Transport::Own => {
            let own = HttpTransport::builder().only_ca(trust.ca.as_str()).no_proxy();
            let own = match &trust.identity {
                Some(Identity { certificate, key }) => own.certificate(certificate.as_str()).key(key.as_str()),
                None => own,
            };
            builder.transport(own.build().unwrap())
        }
        Transport::HyperRustls => builder.transport(service(hyper_client(trust))),
        Transport::Reqwest => builder.transport(ClientTransport::new(reqwest_client(trust))),
    };
    builder.build().unwrap()
}

fn provider(url: &str, transport: Transport, trust: &Trust, api: &str) -> TokenProvider {
    TokenProvider::builder(endpoint(url, transport, trust)).allow_origin(api).build().unwrap()
}

/// The status of the API's response, or the error as its user sees it, and the token error in it.
async fn call(
    client: Client,
    api: &str,
    trust: &Trust,
    provider: TokenProvider,
) -> Result<u16, (String, Option<Error>)> {
    match client {
        Client::TowerAndHyperRustls => clients::call_with_tower(api, trust, provider).await,
        Client::Reqwest => clients::call_with_reqwest(api, trust, provider).await,
    }
}

#[tokio::test]
async fn a_private_ca_and_client_certificates_work_at_both_ends() {
    let ca = Ca::new("private");
    for is_mutual in [false, true] {
        let (authorization, api) =
            (Server::start(&ca, Flaw::None, is_mutual).await, Server::start(&ca, Flaw::None, is_mutual).await);
        let trust = Trust { ca: ca.pem(), identity: is_mutual.then(|| identity(&ca, "client")) };
        for (transport, client) in
            TRANSPORTS.into_iter().flat_map(|transport| CLIENTS.map(|client| (transport, client)))
        {
            let provider = provider(&authorization.url, transport, &trust, &api.url);
            let status = call(client, &api.url, &trust, provider).await;
            assert_eq!(status.map_err(|(text, _)| text), Ok(200), "{transport:?} {client:?} {is_mutual}");
        }
        for server in [&authorization, &api] {
            let seen = server.take();
            assert!(!seen.is_empty() && seen.iter().all(|has_certificate| *has_certificate == is_mutual), "{seen:?}");
        }
    }
}

/// Each mistake: what the server does, and what the client lacks.
fn mistakes(ca: &Ca) -> [(Flaw, Trust, bool, &'static [&'static str]); 4] {
    let other = Ca::new("planted-ca");
    let trust = || Trust { ca: ca.pem(), identity: None };
    [
        (
            Flaw::None,
            Trust { ca: other.pem(), identity: None },
            false,
            &["issued by a CA that is not trusted here", "`ca`"],
        ),
        (Flaw::Expired, trust(), false, &["its certificate expired", "clock"]),
        (Flaw::OtherHost, trust(), false, &["its certificate is for another host name", "use a host name in the URL"]),
        (Flaw::None, trust(), true, &["client certificate", "`certificate` and `key`"]),
    ]
}

// shows: 6750/5.2a 6750/5.3b 8414/6.1 9728/7.3a
#[tokio::test]
async fn a_certificate_that_is_wrong_is_a_clear_error() {
    let ca = Ca::new("private");
    let api = Server::start(&ca, Flaw::None, false).await;
    for (flaw, trust, is_mutual, parts) in mistakes(&ca) {
        let authorization = Server::start(&ca, flaw, is_mutual).await;
        for transport in TRANSPORTS {
            let provider = provider(&authorization.url, transport, &trust, &api.url);
            let error = provider.token().await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true), "{transport:?}: {error}");
            let text = format!("{error} {error:?}");
            for part in parts {
                assert!(text.contains(part), "`{part}` is missing for {transport:?} {flaw:?}: {error}");
            }
            assert!(text.contains(&authorization.url) && !text.contains("planted"), "{text}");
            // The requests to the API are not sent.
            let failed = call(Client::Reqwest, &api.url, &Trust { ca: ca.pem(), identity: None }, provider).await;
            assert_eq!(failed.unwrap_err().1.map(|error| error.kind()), Some(ErrorKind::Transport));
        }
        assert!(authorization.take().is_empty(), "{flaw:?}");
    }
    assert!(api.take().is_empty());
}

#[tokio::test]
async fn a_wrong_certificate_of_the_api_is_the_clients_own_error() {
    let ca = Ca::new("private");
    let authorization = Server::start(&ca, Flaw::None, false).await;
    for (index, (flaw, trust, is_mutual, _)) in mistakes(&ca).into_iter().enumerate() {
        let api = Server::start(&ca, flaw, is_mutual).await;
        for client in CLIENTS {
            let usual = Trust { ca: ca.pem(), identity: None };
            let provider = provider(&authorization.url, Transport::Own, &usual, &api.url);
            let (text, token_error) = call(client, &api.url, &trust, provider.clone()).await.unwrap_err();
            assert!(token_error.is_none(), "{text}");
            let words = [
                &["unknownissuer"][..],
                &["expired"],
                &["not valid for name", "notvalidforname"],
                // The client may learn of it only by a closed connection.
                &["certificaterequired", "connection", "closed"],
            ];
            let found = text.to_lowercase();
            assert!(words[index].iter().any(|word| found.contains(word)), "{client:?} {flaw:?}: {text}");
            // The token is not the cause, so it stays in service.
            assert!(provider.cached().is_some(), "{client:?} {flaw:?}");
            assert!(!text.contains("planted-secret") && !text.contains("planted-token"), "{text}");
        }
        assert!(api.take().is_empty(), "{flaw:?}");
    }
}
