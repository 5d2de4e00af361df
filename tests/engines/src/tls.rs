//! Servers with TLS, and the certificates of a private CA for them, made for one test.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use crate::{postgres_server::PostgresServer, process::free_port, redis_server::RedisServer};

/// A Redis server that also listens with TLS, on the port that is returned.
pub async fn redis(files: &Files) -> (RedisServer, u16) {
    let port = free_port();
    let text = |path: &Path| path.display().to_string();
    let (ca, certificate, key) = (text(&files.ca), text(&files.certificate), text(&files.key));
    let tls_port = port.to_string();
    let files_of = ["--tls-ca-cert-file", &ca, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let arguments = [&["--tls-port", &tls_port, "--tls-auth-clients", "no"][..], &files_of].concat();
    (RedisServer::start_with(&arguments).await, port)
}

/// A PostgreSQL server that also accepts TLS.
pub async fn postgres(files: &Files) -> PostgresServer {
    PostgresServer::start_with(|data| {
        let copy = |path: &Path| {
            let to = data.join(path.file_name().unwrap());
            fs::copy(path, &to).unwrap();
            to.display().to_string()
        };
        let (certificate, key) = (copy(&files.certificate), copy(&files.key));
        ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")].to_vec()
    })
    .await
}

/// The files of a server at `localhost`.
pub struct Files {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Files {
    /// Makes a CA, and a certificate of it.
    pub fn make(directory: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "CA of one test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
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
        }
    }
}
