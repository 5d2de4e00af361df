//! A TLS server on loopback, with certificates made for the test.

use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::server::{read_request, response};

/// A CA that a test trusts, or not.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key.
pub(super) struct Leaf {
    pub(super) certificate: rcgen::Certificate,
    pub(super) key: KeyPair,
}

impl Ca {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a host, valid in these years.
    pub(super) fn issue(&self, host: &str, from: i32, until: i32) -> Leaf {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        Leaf { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// A certificate that signed itself, with or without the mark of a CA.
pub(super) fn self_signed(host: &str, is_ca: bool) -> Leaf {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    Leaf { certificate: params.self_signed(&key).unwrap(), key }
}

impl Leaf {
    /// What a client presents: certificate and key.
    pub(super) fn identity_pem(&self) -> String {
        format!("{}{}", self.certificate.pem(), self.key.serialize_pem())
    }
}

/// What a server does differently from a usual one.
#[derive(Default)]
pub(super) struct Demands<'a> {
    /// Requires a client certificate from this CA.
    pub(super) clients_of: Option<&'a Ca>,
    pub(super) versions: Option<&'static [&'static SupportedProtocolVersion]>,
    pub(super) provider: Option<CryptoProvider>,
}

/// What a server saw of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Connection {
    /// The client's certificate.
    pub(super) client: Option<CertificateDer<'static>>,
    pub(super) requests: usize,
    pub(super) is_closed: bool,
}

/// A server that responds to every request with `{}`.
pub(super) struct TlsServer {
    pub(super) url: String,
    pub(super) port: u16,
    connections: Arc<Mutex<Vec<Connection>>>,
    _tasks: JoinSet<()>,
}

impl TlsServer {
    pub(super) async fn start(leaf: &Leaf, demands: Demands<'_>) -> TlsServer {
        let provider = Arc::new(demands.provider.unwrap_or_else(aws_lc_rs::default_provider));
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(demands.versions.unwrap_or(rustls::ALL_VERSIONS))
            .unwrap();
        let config = match demands.clients_of {
            None => config.with_no_client_auth(),
            Some(ca) => config.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider).build().unwrap(),
            ),
        };
        let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).unwrap();
        let config = config.with_single_cert(vec![leaf.certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections: Arc<Mutex<Vec<Connection>>> = Arc::default();
        let seen = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut tasks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                let seen = Arc::clone(&seen);
                tasks.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let client = stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned());
                    let index = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(Connection { client, ..Connection::default() });
                        seen.len() - 1
                    };
                    while read_request(&mut stream).await.is_some() {
                        seen.lock().unwrap()[index].requests += 1;
                        stream.write_all(&response("200 OK", "{}")).await.unwrap();
                    }
                    seen.lock().unwrap()[index].is_closed = true;
                });
            }
        });
        TlsServer { url: format!("https://localhost:{port}/token?planted-query"), port, connections, _tasks: tasks }
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        self.connections.lock().unwrap().clone()
    }
}
