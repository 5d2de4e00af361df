//! The transport that its builder makes: safe, whatever is set.

use std::time::Duration;

use bearer_token::{Error, ErrorKind, Problem, transport::Transport};
use bytes::Bytes;
use http::{Request, Response};
use reqwest::{Proxy, redirect::Policy, retry};
use reqwest_bearer::{ClientTransport, ClientTransportBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::server::{Server, ok, redirect};

async fn send(builder: ClientTransportBuilder, url: &str) -> Result<Response<Bytes>, Error> {
    builder.build().unwrap().send(Request::post(url).body(Bytes::from_static(b"planted-body")).unwrap()).await
}

/// Everything that is set here would make token requests unsafe.
fn unsafe_client() -> ClientTransportBuilder {
    ClientTransport::builder().configure(|client| {
        #[allow(clippy::redundant_closure_for_method_calls, reason = "the type of the argument cannot be named")]
        let retries = retry::for_host("localhost").classify_fn(|request| request.retryable());
        client.redirect(Policy::limited(5)).retry(retries).timeout(Duration::from_secs(3600))
    })
}

#[tokio::test]
async fn a_ca_keeps_redirects_off() {
    let server = Server::start("localhost", |_, _| redirect("/elsewhere")).await;
    let url = format!("https://localhost:{}/token", server.port);
    let certificate = server.certificate.clone();
    for builder in [unsafe_client().no_proxy().ca(certificate.clone()), unsafe_client().no_proxy().only_ca(certificate)]
    {
        assert_eq!(send(builder, &url).await.unwrap().status(), 307);
    }
    assert_eq!(server.requests().len(), 2);
    // Without the CA there is no connection.
    let error = send(unsafe_client().no_proxy(), &url).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::Transport, 2));
}

#[tokio::test]
async fn an_identity_is_sent_and_nothing_is_retried() {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let pem = format!("{}{}", cert.pem(), signing_key.serialize_pem());
    let server = Server::start("localhost", |_, _| "HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let builder = unsafe_client().no_proxy().only_ca(server.certificate.clone()).identity(pem);
    let response = send(builder, &format!("https://localhost:{}/token", server.port)).await.unwrap();
    assert_eq!((response.status().as_u16(), server.requests().len()), (503, 1));
}

#[tokio::test]
async fn a_proxy_is_for_https_alone() {
    let server = Server::start("localhost", |_, _| ok()).await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_url = format!("http://{}", proxy.local_addr().unwrap());
    let seen = tokio::spawn(async move {
        let (mut stream, _) = proxy.accept().await.unwrap();
        let mut head = [0; 1024];
        let length = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 403 no\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let build = || ClientTransport::builder().proxy(&proxy_url).only_ca(server.certificate.clone());
    // Plain http does not pass the proxy, which could read it.
    assert_eq!(send(build(), &format!("http://localhost:{}/token", server.port)).await.unwrap().status(), 200);
    let error = send(build(), &format!("https://localhost:{}/token", server.port)).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (ErrorKind::Transport, 1));
    let head = seen.await.unwrap();
    assert!(head.starts_with(&format!("CONNECT localhost:{} ", server.port)) && !head.contains("planted"), "{head}");
}

#[tokio::test]
async fn no_proxy_takes_away_what_configure_added() {
    let server = Server::start("localhost", |_, _| ok()).await;
    let nowhere = "http://127.0.0.1:9";
    let builder = || {
        let builder = ClientTransport::builder().configure(move |client| client.proxy(Proxy::all(nowhere).unwrap()));
        builder.only_ca(server.certificate.clone()).no_proxy()
    };
    for scheme in ["http", "https"] {
        assert_eq!(send(builder(), &format!("{scheme}://localhost:{}/", server.port)).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_silent_server_and_an_endless_response_are_cut_off() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", silent.local_addr().unwrap());
    let builder = unsafe_client().no_proxy().timeout(Duration::from_millis(50));
    assert_eq!(send(builder, &url).await.unwrap_err().kind(), ErrorKind::Timeout);

    let flood = "x".repeat(4 << 20);
    let respond = move |_: bool, _: &str| format!("HTTP/1.1 200 ok\r\ncontent-length: {}\r\n\r\n{flood}", flood.len());
    let server = Server::start("localhost", respond).await;
    let error = send(unsafe_client().no_proxy(), &format!("http://localhost:{}/", server.port)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
}

#[test]
fn certificates_that_are_none_are_problems() {
    let marker = "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n";
    let builder = ClientTransport::builder().ca("planted").only_ca(marker).identity(marker);
    assert!(!format!("{builder:?}").contains("planted"));
    let error = builder.build().unwrap_err();
    let paths: Vec<&str> = error.problems().iter().map(Problem::path).collect();
    assert_eq!((paths, error.kind()), (vec!["ca", "only_ca", "identity"], ErrorKind::Config));
    assert!(!format!("{error} {error:?}").contains("planted"));
}
