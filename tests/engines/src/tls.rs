//! Servers with TLS, and the certificates of a private CA for them, made for one test.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use crate::{postgres_server::PostgresServer, process::free_port, redis_server::RedisServer};

/// A Redis server that also listens with TLS, on the port that is returned. It may ask clients for a certificate
/// (`yes`), or not (`no`).
pub async fn redis(files: &Files, asks_clients: &str) -> (RedisServer, u16) {
    let port = free_port();
    let arguments = arguments(files, port, asks_clients);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    (RedisServer::start_with(&arguments).await, port)
}

/// The arguments of a Redis server that listens with TLS.
pub fn arguments(files: &Files, port: u16, asks_clients: &str) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let arguments = [
        ("--tls-port", port.to_string()),
        ("--tls-ca-cert-file", text(&files.ca)),
        ("--tls-cert-file", text(&files.certificate)),
        ("--tls-key-file", text(&files.key)),
        ("--tls-auth-clients", asks_clients.to_owned()),
    ];
    arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// A PostgreSQL server that also accepts TLS. It lets a client in who has a certificate with the name of the role, if
/// these are the names of such roles.
pub async fn postgres(files: &Files, roles_with_certificates: &str) -> PostgresServer {
    let server = PostgresServer::start_with(|data| {
        let copy = |path: &Path| {
            let to = data.join(path.file_name().unwrap());
            fs::copy(path, &to).unwrap();
            to.display().to_string()
        };
        let [certificate, key, ca] = [&files.certificate, &files.key, &files.ca].map(|file| copy(file));
        let files = [("ssl_cert_file", certificate), ("ssl_key_file", key), ("ssl_ca_file", ca)];
        let files = files.map(|(name, file)| format!("{name}={file}"));
        ["ssl=on".to_owned()].into_iter().chain(files).collect()
    })
    .await;
    if !roles_with_certificates.is_empty() {
        let file = server.data().join("pg_hba.conf");
        let rules = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("hostssl all {roles_with_certificates} all cert\n{rules}")).unwrap();
        server.query("SELECT pg_reload_conf()");
    }
    server
}

/// The files of a server at `localhost`.
pub struct Files {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The certificate of a client whose name is `replica`, of the same CA, and its key.
    pub client: (PathBuf, PathBuf),
}

impl Files {
    /// Makes a CA, and a certificate of it.
    pub fn make(directory: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "CA of one test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        // Sentinels and replicas connect with it as well.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "replica");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client_key = KeyPair::generate().unwrap();
        let client = params.signed_by(&client_key, &ca).unwrap();
        let file = |name: &str, content: String| {
            let path = directory.join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        Files {
            ca: file("ca.pem", ca.pem()),
            certificate: file("server.pem", certificate.pem()),
            key: file("server.key", key.serialize_pem()),
            client: (file("client.pem", client.pem()), file("client.key", client_key.serialize_pem())),
        }
    }
}
