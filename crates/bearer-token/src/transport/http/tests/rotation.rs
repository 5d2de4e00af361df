//! Certificates that are replaced while the transport is in use.

use std::{fs, path::PathBuf};

use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use super::{
    tls::{Ca, Connection, Demands, Leaf, TlsServer},
    *,
};
use crate::value::Value;

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Directory(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn pem(&self, name: &str) -> Value {
        Value::file(self.path(name))
    }
}

async fn send(transport: &HttpTransport, server: &TlsServer) -> Result<(), Error> {
    let request = Request::post(&server.url).body(Bytes::new()).unwrap();
    transport.send(request).await.map(|response| assert_eq!(response.status(), 200))
}

#[tokio::test]
async fn a_changed_ca_counts_from_the_next_request() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let before = TlsServer::start(&old.issue("localhost", 2020, 2120), Demands::default()).await;
    let after = TlsServer::start(&new.issue("localhost", 2020, 2120), Demands::default()).await;
    let directory = Directory::new();
    directory.write("ca.pem", &old.pem());
    let transport = HttpTransport::builder().only_ca(directory.pem("ca.pem")).no_proxy().build().unwrap();
    send(&transport, &before).await.unwrap();
    let error = send(&transport, &after).await.unwrap_err();
    assert!(error.to_string().contains("issued by a CA that is not trusted here"), "{error}");

    directory.write("ca.pem", &new.pem()[..100]);
    send(&transport, &before).await.unwrap();
    assert_eq!(before.connections().len(), 1, "a half-written file changes nothing");

    directory.write("ca.pem", &format!("{}{}", old.pem(), new.pem()));
    send(&transport, &after).await.unwrap();
    send(&transport, &before).await.unwrap();

    directory.write("ca.pem", &new.pem());
    send(&transport, &after).await.unwrap();
    let error = send(&transport, &before).await.unwrap_err();
    assert!(error.to_string().contains("issued by a CA that is not trusted here"), "{error}");
}

#[tokio::test]
async fn a_changed_client_certificate_is_used_with_its_key_only() {
    let ca = Ca::new("ca");
    let demands = Demands { clients_of: Some(&ca), ..Demands::default() };
    let server = TlsServer::start(&ca.issue("localhost", 2020, 2120), demands).await;
    let (old, new) = (ca.issue("old", 2020, 2120), ca.issue("new", 2020, 2120));
    let directory = Directory::new();
    let certificate = |leaf: &Leaf| directory.write("tls.crt", &leaf.certificate.pem());
    let key = |leaf: &Leaf| directory.write("tls.key", &leaf.key.serialize_pem());
    certificate(&old);
    key(&old);
    let transport = HttpTransport::builder()
        .only_ca(ca.pem())
        .certificate(directory.pem("tls.crt"))
        .key(directory.pem("tls.key"))
        .no_proxy()
        .build()
        .unwrap();
    let seen = |leaf: &Leaf, requests, is_closed| Connection {
        client: Some(CertificateDer::clone(leaf.certificate.der())),
        requests,
        is_closed,
    };
    send(&transport, &server).await.unwrap();
    assert_eq!(server.connections(), [seen(&old, 1, false)]);

    certificate(&new);
    send(&transport, &server).await.unwrap();
    assert_eq!(server.connections(), [seen(&old, 2, false)], "without its key the new one is not used");

    key(&new);
    send(&transport, &server).await.unwrap();
    // The client has dropped the idle connection; its end arrives a moment later.
    while !server.connections()[0].is_closed {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.connections(), [seen(&old, 2, true), seen(&new, 1, false)]);
}

#[tokio::test]
async fn clones_and_requests_at_once_see_one_change() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let server = TlsServer::start(&new.issue("localhost", 2020, 2120), Demands::default()).await;
    let directory = Directory::new();
    directory.write("ca.pem", &old.pem());
    let transport = HttpTransport::builder().only_ca(directory.pem("ca.pem")).no_proxy().build().unwrap();
    send(&transport, &server).await.unwrap_err();
    directory.write("ca.pem", &new.pem());
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (transport, url) = (transport.clone(), server.url.clone());
        requests.spawn(async move {
            let request = Request::post(url).body(Bytes::new()).unwrap();
            transport.send(request).await.unwrap().status()
        });
    }
    assert!(requests.join_all().await.iter().all(|status| *status == 200));
}

#[test]
fn what_is_set_is_shown_without_any_key() {
    let ca = Ca::new("ca");
    let leaf = ca.issue("planted", 2020, 2120);
    let directory = Directory::new();
    directory.write("tls.pem", &leaf.identity_pem());
    let builder = HttpTransport::builder().ca(ca.pem()).certificate(directory.pem("tls.pem"));
    let shown = format!("{builder:?}");
    let transport = format!("{:?}", builder.key(leaf.key.serialize_pem()).build().unwrap());
    for shown in [shown, transport] {
        assert!(shown.contains("tls.pem"), "{shown}");
        for secret in leaf.key.serialize_pem().lines().chain(ca.pem().lines()).filter(|line| !line.contains("---")) {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
