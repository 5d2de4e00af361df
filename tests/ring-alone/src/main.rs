//! A program whose rustls has ring alone works beside bearer-token, and bearer-token uses its ring.
//!
//! `.ci/run` runs it. With the feature `rustls-aws-lc-rs`, the `ClientConfig::builder()` of the program would panic.

use bearer_token::{
    ErrorKind, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    transport::HttpTransport,
};
use tokio::{io::AsyncReadExt, net::TcpListener};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Without any cryptography installed: an error that says what to do, and no panic.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("loopback").port();
    let ca = include_str!("../../tests/grpc/tls/authority.pem");
    let transport = HttpTransport::builder().only_ca(ca).no_proxy().build().expect("a transport");
    let source = || {
        TokenEndpoint::builder(format!("https://localhost:{port}/token"), ClientCredentials::new())
            .client_auth(ClientAuth::basic("client", "secret"))
            .transport(transport.clone())
            .build()
            .expect("a token endpoint")
    };
    let provider = || TokenProvider::builder(source()).build().expect("a provider");
    let error = provider().token().await.expect_err("there is no cryptography");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("`rustls-aws-lc-rs`"), "{error}");

    // The program's own TLS, which chooses ring by itself as the only one that is compiled in.
    let roots = rustls::RootCertStore::empty();
    let _own = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();

    // Now ring is the cryptography of the process, and of token requests: they begin a TLS handshake with it.
    let hello = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.read_u8().await.expect("a byte")
    });
    let error = provider().token().await.expect_err("the server speaks no TLS");
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    assert_eq!(hello.await.expect("the server"), 0x16, "a TLS handshake begins with this byte");
    println!("ring alone: its own TLS works, and so does ours");
}
