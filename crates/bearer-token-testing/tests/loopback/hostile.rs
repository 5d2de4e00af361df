//! Hostile input: the server responds or closes the connection, and serves the next client.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use bearer_token_testing::{AuthorizationServer, Client, Issuer, TestKey};

use crate::{JWT_BEARER, call, post, token};

fn start() -> AuthorizationServer {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    server.trust(Issuer::new("app", TestKey::es256().unwrap().verifying_key()).self_signed_audience("x"));
    server
}

#[tokio::test]
async fn the_server_survives_bytes_that_are_not_http() {
    let server = start();
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |length: usize| -> Vec<u8> {
        let step = |_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            noise.to_be_bytes()[0]
        };
        (0..length).map(step).collect()
    };
    let mut inputs: Vec<Vec<u8>> = (0..40).map(|index| random(index * 37)).collect();
    inputs.extend(
        [
            "",
            "\r\n\r\n",
            "POST /token HTTP/1.1\r\n\r\n",
            "POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
            "POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
            "POST /token HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "POST /token HTTP/1.1\r\nhost: x\r\nauthorization: \u{1}\r\n\r\n",
            "GET /api HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \u{e4}\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense",
            "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
            "CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        ]
        .map(|text| text.as_bytes().to_vec()),
    );
    for input in inputs {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        // Either side may be the first to close.
        let _ = stream.write_all(&input);
        let _ = stream.shutdown(Shutdown::Write);
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        assert!(!response.windows(12).any(|window| window == b"HTTP/1.1 200"), "{input:?}");
    }
    assert_eq!(call(&server, &token(&server).await).await.status(), 200);
}

#[tokio::test]
async fn hostile_parameters_and_tokens_are_refused_without_a_panic() {
    let server = start();
    let long = "a".repeat(500_000);
    let dots = ".".repeat(10_000);
    for text in ["", ".", "..", "e30.e30.", "\u{0}", "a.b.c", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJhcHAifQ.", &dots, &long] {
        for form in [
            vec![("grant_type", JWT_BEARER), ("assertion", text)],
            vec![("grant_type", text)],
            vec![("grant_type", "client_credentials"), ("client_id", text), ("client_secret", text)],
            vec![(text, text), ("grant_type", "client_credentials"), ("client_assertion", text)],
        ] {
            let (status, response) = post(&server, &form).await;
            assert!(status.is_client_error() && response["error"].is_string(), "{status} {response}");
        }
        if text.len() < 100_000 && !text.contains('\u{0}') {
            assert_eq!(call(&server, text).await.status(), 401);
        }
    }
    for credentials in ["Basic", "Basic ", "Basic ====", "Basic /w==", "basic Og==", "Digest x", "Bearer "] {
        let request = crate::http().post(server.token_url()).header("authorization", credentials);
        let response = request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
        assert_eq!(response.status(), 401, "{credentials}");
    }
    assert_eq!(call(&server, &token(&server).await).await.status(), 200);
}

#[tokio::test]
async fn large_bodies_and_other_paths_are_refused() {
    let server = start();
    let large = vec![b'a'; 1024 * 1024 + 1];
    for url in [server.token_url(), server.api_url()] {
        let response = crate::http().post(url).body(large.clone()).send().await;
        // The server may respond before the client has sent everything, and then close the connection.
        assert!(response.is_err() || response.is_ok_and(|response| response.status() == 413));
    }
    for path in ["/", "/token/", "/tokens", "/apis", "/api2/x"] {
        let response = crate::http().get(format!("{}{path}", server.issuer())).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
    }
    let counts = server.count();
    assert_eq!((counts.token_requests, counts.api_requests), (0, 0));
}
