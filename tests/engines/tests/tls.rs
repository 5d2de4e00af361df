//! Connections by TLS to Redis and PostgreSQL, whose certificates a private CA has signed.

#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{path::Path, sync::Arc, time::Duration};

use bearer_token::store::SharedStore;
use bearer_token_postgres::PostgresStore;
use bearer_token_redis::{Connection, RedisStore};
use engines::{
    fleet::Worker,
    job::Store,
    records::{granted, key},
    redis_server::RedisServer,
    sentinel::{NAME, TlsGroup},
    tls::{self, Files},
    until,
    world::World,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Starts a replica that trusts the CA, and another one. They share a token only over the store.
async fn replicas_share_a_token(store: Store, ca: &Path) {
    let world = World::new(Duration::from_secs(600));
    let job = world.job(store);
    let starts_without_a_request = async |ca: &Path| {
        let before = world.requests();
        let worker = Worker::start_in(&job, [("SSL_CERT_FILE", ca)]);
        until("the replica has a token", Duration::from_secs(30), async || worker.is_ready()).await;
        assert_eq!(worker.stop().failed, 0);
        world.requests() == before
    };
    // On a busy machine the first connection may take longer than the 100 ms after which a replica fetches for itself.
    let limit = Duration::from_secs(60);
    until("a replica finds the token of another one", limit, async || starts_without_a_request(ca).await).await;
    // One that does not trust the CA gets no record, and fetches for itself.
    let other = TempDir::new().unwrap();
    assert!(!starts_without_a_request(&Files::make(other.path()).ca).await);
}

async fn redis() -> (RedisServer, TempDir, Files, u16) {
    let directory = TempDir::new().unwrap();
    let files = Files::make(directory.path());
    let (server, port) = tls::redis(&files, "no").await;
    (server, directory, files, port)
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_by_tls_is_verified_with_the_cas_of_the_system() {
    let (_server, _directory, files, port) = redis().await;
    replicas_share_a_token(Store::Redis { url: format!("rediss://localhost:{port}") }, &files.ca).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_by_tls_accepts_a_client_with_its_own_ca() {
    let (_server, _directory, files, port) = redis().await;
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(std::fs::read(&files.ca).unwrap()) };
    let client = redis::Client::build_with_tls(format!("rediss://localhost:{port}"), certificates).unwrap();
    let store = RedisStore::new(Connection::to_client(client));
    granted(&store, &key(1), bearer_token::store::Version::ABSENT).await;
    // Without that CA, nothing is sent.
    let store = RedisStore::from_url(format!("rediss://localhost:{port}")).unwrap();
    store.read(&key(1)).await.unwrap_err();
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn postgresql_by_tls_is_verified_with_the_cas_of_the_system() {
    let directory = TempDir::new().unwrap();
    let files = Files::make(directory.path());
    let server = tls::postgres(&files, "").await;
    server.store().create_table().await.unwrap();
    server.query("CREATE ROLE replica LOGIN");
    server.query("GRANT ALL ON bearer_token TO replica");
    let url = format!("postgres://replica@localhost:{}/postgres?sslmode=require", server.port());
    replicas_share_a_token(Store::Table { url }, &files.ca).await;
    let log = std::fs::read_to_string(server.log()).unwrap();
    assert!(log.contains("INSERT INTO bearer_token"), "the statements arrived");
}

#[tokio::test]
#[ignore = "needs redis-server and redis-sentinel"]
async fn sentinels_by_tls_name_a_master_by_tls() {
    let directory = TempDir::new().unwrap();
    let files = Files::make(directory.path());
    let group = TlsGroup::start(&files).await;
    let store = Store::Sentinel { urls: vec![group.url()], name: NAME.to_owned() };
    replicas_share_a_token(store.clone(), &files.ca).await;
    group.fail_over().await;
    replicas_share_a_token(store, &files.ca).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_accepts_the_certificate_of_a_client() {
    let directory = TempDir::new().unwrap();
    let files = Files::make(directory.path());
    let (_server, port) = tls::redis(&files, "yes").await;
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let read = |path: &Path| std::fs::read(path).unwrap();
    let store = |with_certificate: bool| {
        let certificate =
            redis::ClientTlsConfig { client_cert: read(&files.client.0), client_key: read(&files.client.1) };
        let client_tls = with_certificate.then_some(certificate);
        let certificates = redis::TlsCertificates { client_tls, root_cert: Some(read(&files.ca)) };
        let client = redis::Client::build_with_tls(format!("rediss://localhost:{port}"), certificates).unwrap();
        RedisStore::new(Connection::to_client(client))
    };
    granted(&store(true), &key(1), bearer_token::store::Version::ABSENT).await;
    let refused = store(false).read(&key(1)).await.unwrap_err().to_string();
    assert!(refused.contains("Redis gave no answer"), "{refused}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn postgresql_accepts_the_certificate_of_a_client() {
    let directory = TempDir::new().unwrap();
    let files = Files::make(directory.path());
    let server = tls::postgres(&files, "replica").await;
    server.store().create_table().await.unwrap();
    server.query("CREATE ROLE replica LOGIN");
    server.query("GRANT ALL ON bearer_token TO replica");
    let pem = |path: &Path| std::fs::read(path).unwrap();
    let store = |with_certificate: bool| {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem(&files.ca)).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(roots);
        let chain = vec![CertificateDer::from_pem_slice(&pem(&files.client.0)).unwrap()];
        let tls = if with_certificate {
            tls.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&pem(&files.client.1)).unwrap()).unwrap()
        } else {
            tls.with_no_client_auth()
        };
        let config = format!("postgres://replica@localhost:{}/postgres?sslmode=require", server.port());
        PostgresStore::new(config.parse().unwrap(), MakeRustlsConnect::new(tls)).test_server()
    };
    granted(&store(true), &key(1), bearer_token::store::Version::ABSENT).await;
    let refused = store(false).read(&key(1)).await.unwrap_err().to_string();
    assert!(refused.contains("28000") && refused.contains("pg_hba.conf"), "{refused}");
}
