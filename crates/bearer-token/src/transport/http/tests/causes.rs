//! Each cause of a failed connection, told apart in the sentence.

use std::net::Ipv4Addr;

use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    server::{Act, Server, response},
    tls::{Ca, Demands, Leaf, TlsServer, self_signed},
    *,
};

/// One version each.
const TLS12_ONLY: &[&SupportedProtocolVersion] = &[&TLS12];
const TLS13_ONLY: &[&SupportedProtocolVersion] = &[&TLS13];

async fn error_of(transport: HttpTransport, url: &str) -> Error {
    let request = Request::post(url).body(Bytes::from_static(b"planted-body")).unwrap();
    let error = transport.send(request).await.unwrap_err();
    assert!(!shown(&error).contains("planted"), "{}", shown(&error));
    error
}

fn trusting(ca: &Ca) -> HttpTransportBuilder {
    HttpTransport::builder().only_ca(ca.pem()).no_proxy()
}

/// Both what was found and what to change, as a transport error that may pass.
fn assert_says(error: &Error, parts: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    assert!(error.is_transient());
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is missing in: {error}");
    }
}

async fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// A listener that does this with each connection.
async fn listen<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut tasks = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tasks.spawn(serve(stream));
        }
    });
    (port, tasks)
}

mod without_tls {
    use super::*;

    #[tokio::test]
    async fn a_name_that_does_not_exist() {
        let ca = Ca::new("trusted");
        for url in ["http://no-such-host.invalid/token", "https://no-such-host.invalid/token"] {
            let error = error_of(trusting(&ca).build().unwrap(), url).await;
            assert_says(&error, &["no-such-host.invalid: its host name could not be resolved", "DNS"]);
        }
    }

    #[tokio::test]
    async fn a_port_on_which_nothing_listens() {
        let ca = Ca::new("trusted");
        let port = unused_port().await;
        for scheme in ["http", "https"] {
            let error = error_of(trusting(&ca).build().unwrap(), &format!("{scheme}://127.0.0.1:{port}/token")).await;
            assert_says(&error, &[&format!("to {scheme}://127.0.0.1:{port}: connection refused; check the port")]);
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_reset() {
        async fn reset(stream: TcpStream) {
            let mut stream = stream;
            stream.read(&mut [0; 1]).await.unwrap_or_default();
            // tokio's newer name for it is missing in the lowest version that is allowed.
            #[allow(deprecated)]
            stream.set_linger(Some(Duration::ZERO)).unwrap();
        }
        let ca = Ca::new("trusted");
        let (port, _tasks) = listen(reset).await;
        for scheme in ["http", "https"] {
            let error = error_of(trusting(&ca).build().unwrap(), &format!("{scheme}://127.0.0.1:{port}/token")).await;
            assert_says(&error, &["the connection was reset; check the port, and the firewalls and proxies"]);
        }
    }

    #[tokio::test]
    async fn a_connection_that_does_not_open_in_time() {
        // A listener whose queue is full accepts no more connections, and the handshake below gets no response.
        let (port, _tasks) =
            listen(|mut stream| async move { while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} })
                .await;
        let ca = Ca::new("trusted");
        let transport = trusting(&ca).connect_timeout(Duration::from_millis(50)).build().unwrap();
        let error = error_of(transport, &format!("https://127.0.0.1:{port}/token")).await;
        assert_says(&error, &["it timed out after 50ms", "firewalls that drop packets", "`connect_timeout`"]);
    }
}

mod certificates {
    use super::*;

    async fn error_with(leaf: &Leaf, trusted: &Ca) -> Error {
        let server = TlsServer::start(leaf, Demands::default()).await;
        let transport = trusting(trusted).build().unwrap();
        error_of(transport, &server.url).await
    }

    #[tokio::test]
    async fn one_that_is_trusted_connects() {
        let ca = Ca::new("trusted");
        for versions in [TLS12_ONLY, TLS13_ONLY] {
            let demands = Demands { versions: Some(versions), ..Demands::default() };
            let server = TlsServer::start(&ca.issue("localhost", 2020, 2120), demands).await;
            let request = || Request::post(&server.url).body(Bytes::new()).unwrap();
            let transport = trusting(&ca).build().unwrap();
            assert_eq!(transport.send(request()).await.unwrap().status(), 200);
            assert_eq!(transport.send(request()).await.unwrap().status(), 200);
        }
    }

    // shows: 6749/10.9 6750/5.2a 8414/6.1 9728/7.3a
    #[tokio::test]
    async fn one_of_an_unknown_ca() {
        // Also of one that has the name of a trusted one, as after a CA was made anew.
        for name in ["planted", "trusted"] {
            let leaf = Ca::new(name).issue("localhost", 2020, 2120);
            let error = error_with(&leaf, &Ca::new("trusted")).await;
            assert_says(
                &error,
                &["issued by a CA that is not trusted here", "`SSL_CERT_FILE`", "the transport's `ca`"],
            );
        }
    }

    #[tokio::test]
    async fn one_that_signed_itself() {
        let error = error_with(&self_signed("localhost", false), &Ca::new("trusted")).await;
        assert_says(&error, &["issued by a CA that is not trusted here"]);
        let error = error_with(&self_signed("localhost", true), &Ca::new("trusted")).await;
        assert_says(&error, &["is the certificate of a CA", "`CA:FALSE`"]);
    }

    // shows: 6749/10.9
    #[tokio::test]
    async fn one_that_expired_or_is_not_valid_yet() {
        let ca = Ca::new("trusted");
        let error = error_with(&ca.issue("localhost", 2020, 2021), &ca).await;
        assert_says(&error, &["its certificate expired (", " days ago); renew it on the server", "clock"]);
        let error = error_with(&ca.issue("localhost", 2110, 2120), &ca).await;
        assert_says(&error, &["its certificate is not valid yet (", " days left)", "clock"]);
    }

    #[tokio::test]
    async fn one_for_another_host() {
        let ca = Ca::new("trusted");
        let error = error_with(&ca.issue("planted.example.com", 2020, 2120), &ca).await;
        assert_says(&error, &["its certificate is for another host name; use a host name"]);
    }
}

mod tls_itself {
    use super::*;

    #[tokio::test]
    async fn a_server_without_tls_on_the_port() {
        for reply in ["HTTP/1.1 400 planted\r\n\r\nplanted", "220 planted ESMTP\r\n", "SSH-2.0-planted\r\n"] {
            let (port, _tasks) = listen(move |mut stream| async move {
                stream.write_all(reply.as_bytes()).await.unwrap();
                while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
            })
            .await;
            let transport = trusting(&Ca::new("trusted")).build().unwrap();
            let error = error_of(transport, &format!("https://127.0.0.1:{port}/token")).await;
            assert_says(&error, &["the server does not speak TLS on this port", "whether the URL is `https`"]);
        }
    }

    #[tokio::test]
    async fn a_server_that_closes_the_connection() {
        let (port, _tasks) = listen(|mut stream| async move {
            stream.read(&mut [0; 4096]).await.unwrap_or_default();
        })
        .await;
        let transport = trusting(&Ca::new("trusted")).build().unwrap();
        let error = error_of(transport, &format!("https://127.0.0.1:{port}/token")).await;
        assert_says(&error, &["the server closed the connection early"]);
    }

    #[tokio::test]
    async fn alerts_of_the_server() {
        // Level fatal, and the description of RFC 8446 section 6.
        for (alert, said) in [
            (70, "accepts neither TLS 1.2 nor TLS 1.3"),
            (40, "the server ended the TLS handshake; check its TLS settings; if it requires a client certificate"),
            (112, "the server does not know this host name"),
            (116, "the server requires a client certificate"),
            (48, "the server rejected the client certificate"),
            (71, "shares no TLS algorithm"),
            (80, "TLS failed"),
        ] {
            let (port, _tasks) = listen(move |mut stream| async move {
                let _request = stream.read(&mut [0; 4096]).await.unwrap();
                stream.write_all(&[21, 3, 3, 0, 2, 2, alert]).await.unwrap();
                while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
            })
            .await;
            let transport = trusting(&Ca::new("trusted")).build().unwrap();
            let error = error_of(transport, &format!("https://127.0.0.1:{port}/token")).await;
            assert_says(&error, &[said]);
        }
    }

    #[tokio::test]
    async fn a_client_certificate_that_is_required() {
        let ca = Ca::new("trusted");
        for versions in [TLS12_ONLY, TLS13_ONLY] {
            let demands = || Demands { clients_of: Some(&ca), versions: Some(versions), ..Demands::default() };
            let server = TlsServer::start(&ca.issue("localhost", 2020, 2120), demands()).await;
            let error = error_of(trusting(&ca).build().unwrap(), &server.url).await;
            assert_says(&error, &["client certificate", "the transport's `certificate` and `key`"]);

            let stranger = Ca::new("unknown").issue("client", 2020, 2120);
            let transport = trusting(&ca).certificate(stranger.identity_pem()).build().unwrap();
            let error = error_of(transport, &server.url).await;
            assert_says(&error, &["the server rejected the client certificate"]);

            let client = ca.issue("client", 2020, 2120);
            let transport = trusting(&ca).certificate(client.identity_pem()).build().unwrap();
            let request = Request::post(&server.url).body(Bytes::new()).unwrap();
            assert_eq!(transport.send(request).await.unwrap().status(), 200);
        }
    }
}

mod proxies {
    use super::*;

    const TARGET: &str = "https://as.example.com/token?planted";

    async fn error_through(proxy: &str, url: &str) -> Error {
        error_of(HttpTransport::builder().proxy(proxy).only_ca(Ca::new("t").pem()).build().unwrap(), url).await
    }

    // shows: 9110/11.7
    #[tokio::test]
    async fn one_that_is_down_is_named_without_its_password() {
        let port = unused_port().await;
        let error = error_through(&format!("http://user:planted@127.0.0.1:{port}"), TARGET).await;
        assert_says(
            &error,
            &[
                &format!("no connection to the proxy http://127.0.0.1:{port} for the token request to"),
                "to https://as.example.com: connection refused",
                "`HttpTransport::builder().proxy(..)`",
            ],
        );
        let error = error_through("http://no-such-proxy.invalid:3128", TARGET).await;
        assert_says(&error, &["to the proxy http://no-such-proxy.invalid:3128", "host name could not be resolved"]);
    }

    // shows: 9110/11.7
    #[tokio::test]
    async fn one_that_opens_no_tunnel() {
        for (reply, parts) in [
            ("HTTP/1.1 407 planted\r\nx: planted\r\n\r\n", &["requires credentials", "user:password@"][..]),
            ("HTTP/1.1 403 planted\r\n\r\n", &["refused the connection (HTTP status 403)", "allow the host"]),
            ("HTTP/1.1 502 planted\r\n\r\nplanted", &["could not connect to the server (HTTP status 502)"]),
            ("planted\r\n\r\n", &["is not an HTTP proxy"]),
            ("", &["the proxy closed the connection"]),
        ] {
            let (port, _tasks) = listen(move |mut stream| async move {
                let _request = stream.read(&mut [0; 4096]).await.unwrap();
                stream.write_all(reply.as_bytes()).await.unwrap();
            })
            .await;
            let error = error_through(&format!("http://user:planted@127.0.0.1:{port}"), TARGET).await;
            assert_says(&error, parts);
            assert_says(&error, &[&format!("http://127.0.0.1:{port}"), "https://as.example.com"]);
        }
    }

    /// Opens a tunnel to whatever is asked for on this machine, and notes the head of the request.
    async fn tunnel(mut stream: TcpStream, seen: tokio::sync::mpsc::UnboundedSender<String>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let port = head.split([':', ' ']).nth(2).unwrap().parse().unwrap();
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        seen.send(head).unwrap();
        drop(tokio::io::copy_bidirectional(&mut stream, &mut server).await);
    }

    #[tokio::test]
    async fn a_tunnel_carries_tls_and_shows_the_host_only() {
        let ca = Ca::new("trusted");
        let server = TlsServer::start(&ca.issue("localhost", 2020, 2120), Demands::default()).await;
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let (port, _tasks) = listen(move |stream| tunnel(stream, sender.clone())).await;
        let proxied = || HttpTransport::builder().proxy(format!("user:planted@127.0.0.1:{port}"));
        let transport = proxied().only_ca(ca.pem()).build().unwrap();
        let request = Request::post(&server.url).body(Bytes::new()).unwrap();
        assert_eq!(transport.send(request).await.unwrap().status(), 200);
        let expected = format!(
            "CONNECT localhost:{0} HTTP/1.1\r\nHost: localhost:{0}\r\nProxy-Authorization: Basic dXNlcjpwbGFudGVk\r\n\r\n",
            server.port
        );
        assert_eq!(seen.recv().await.unwrap(), expected);

        // What goes wrong behind the proxy says so.
        let error = error_of(proxied().only_ca(Ca::new("other").pem()).build().unwrap(), &server.url).await;
        assert_says(
            &error,
            &[&format!("through the proxy http://127.0.0.1:{port}: its certificate was issued by a CA that is not")],
        );
    }

    #[tokio::test]
    async fn plain_http_never_goes_through_a_proxy() {
        let server = Server::start([Act::Respond(response("200 OK", "{}"))]).await;
        let port = unused_port().await;
        let transport = HttpTransport::builder().proxy(format!("http://127.0.0.1:{port}")).build().unwrap();
        assert_eq!(transport.send(server.request()).await.unwrap().status(), 200);
    }
}
