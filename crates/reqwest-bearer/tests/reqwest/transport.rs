//! Token requests through reqwest clients.

use std::{error::Error as _, time::Duration};

use bearer_token::{Error, ErrorKind, Retry, transport::Transport};
use bytes::Bytes;
use http::Request;
use reqwest::{Client, ClientBuilder, Proxy, redirect::Policy, retry};
use reqwest_bearer::{ClientTransport, MiddlewareTransport};
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::server::{Server, ok, redirect, trusting};

fn build(builder: ClientBuilder) -> Client {
    builder.redirect(Policy::none()).retry(retry::never()).build().unwrap()
}

fn request(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"planted-body")).unwrap()
}

/// The error of both transports, which must be the same.
async fn error_of(client: Client, url: &str) -> Error {
    let error = ClientTransport::new(client.clone()).send(request(url)).await.unwrap_err();
    let other = MiddlewareTransport::new(client.into()).send(request(url)).await.unwrap_err();
    assert_eq!((error.to_string(), error.kind()), (other.to_string(), other.kind()));
    let mut shown = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(source) = next {
        shown += &format!(" {source} {source:?}");
        next = source.source();
    }
    assert!(!shown.contains("planted"), "{shown}");
    error
}

async fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

// shows: 9700/4.12
#[tokio::test]
async fn any_status_is_a_response_and_redirects_are_not_followed() {
    let server = Server::start("localhost", |_, _| redirect("/elsewhere")).await;
    let url = format!("https://localhost:{}/token", server.port);
    let response = ClientTransport::new(build(server.client())).send(request(&url)).await.unwrap();
    assert_eq!((response.status().as_u16(), server.requests().len()), (307, 1));
}

#[tokio::test]
async fn l17_a_client_that_follows_redirects_is_found_out() {
    let server =
        Server::start(
            "localhost",
            |_, head| {
                if head.starts_with("POST /token") { redirect("/elsewhere") } else { ok() }
            },
        )
        .await;
    let client = server.client().build().unwrap();
    let error = error_of(client, &format!("https://localhost:{}/token?planted", server.port)).await;
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Response, Retry::AfterChange));
    assert!(error.to_string().contains("Policy::none()"), "{error}");
}

#[tokio::test]
async fn each_cause_is_told_apart() {
    let server = Server::start("localhost", |_, _| ok()).await;
    let stranger = Server::start("planted.example.com", |_, _| ok()).await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = plain.accept().await.unwrap();
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 planted\r\n\r\n").await);
            while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
        }
    });
    let (port, closed) = (server.port, unused_port().await);
    let proxied = |builder: ClientBuilder, port: u16| {
        build(builder.proxy(Proxy::all(format!("http://user:planted@127.0.0.1:{port}")).unwrap()))
    };
    for (client, url, said) in [
        (build(server.client()), format!("https://127.0.0.1:{closed}/planted"), "connection refused; check the port"),
        (build(server.client()), "https://no-such-host.invalid/planted".into(), "host name could not be resolved"),
        (build(server.client()), format!("https://localhost:{}/planted", stranger.port), "not trusted here"),
        (
            build(trusting(&stranger.certificate)),
            format!("https://localhost:{}/planted", stranger.port),
            "its certificate is for another host name",
        ),
        (build(server.client()), format!("https://127.0.0.1:{port}/planted"), "certificate is for another host name"),
        (build(server.client()), format!("https://localhost:{plain_port}/planted"), "does not speak TLS on this port"),
        (
            proxied(Client::builder().tls_certs_only([]), plain_port),
            "https://as.example.com/planted".into(),
            "the proxy did not connect; check the proxy's address",
        ),
    ] {
        let error = error_of(client, &url).await;
        assert_eq!(error.kind(), ErrorKind::Transport, "{url}: {error}");
        assert!(error.to_string().contains(said), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_timeout_of_the_client_says_so() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/planted", silent.local_addr().unwrap());
    let builder = Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_millis(50));
    let error = error_of(build(builder), &url).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("it timed out"), "{error}");
}
