//! A private certificate authority, and servers on loopback with its certificates.

#![allow(clippy::unwrap_used, reason = "tests only: a panic is their failure")]

use std::{convert::Infallible, future::Future, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::CertificateDer, server::WebPkiClientVerifier};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

/// The year in which certificates end, unless the test names another.
const UNTIL: i32 = 2120;

/// A CA that clients trust, or not.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate of a CA, and its key.
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: KeyPair,
}

/// What a server asks of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Nothing.
    Anybody,
    /// A certificate of its own CA (mutual TLS).
    WithCertificate,
}

impl Ca {
    /// Makes a CA of this name, with a new key.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(UNTIL, 1, 1));
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The CA's own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for a client.
    pub fn client(&self, name: &str) -> Issued {
        self.issue(name, UNTIL, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Issues a certificate for the server of a host.
    pub fn server(&self, host: &str) -> Issued {
        self.server_until(host, UNTIL)
    }

    /// The same, for a certificate that ends with the year before.
    pub fn server_until(&self, host: &str, year: i32) -> Issued {
        self.issue(host, year, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn issue(&self, name: &str, until: i32, usage: ExtendedKeyUsagePurpose) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        Issued { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    /// The server's end of handshakes.
    pub fn acceptor(&self, issued: &Issued, clients: Clients) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = match clients {
            Clients::Anybody => config.with_no_client_auth(),
            Clients::WithCertificate => {
                let mut roots = RootCertStore::empty();
                roots.add(self.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                config.with_client_cert_verifier(verifier)
            }
        };
        let key = issued.key.serialize_der().try_into().unwrap();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![issued.certificate.der().clone()], key).unwrap()))
    }
}

/// Serves HTTP/1 over TLS on a free port of loopback, and returns the port. It ends when the tasks are dropped.
///
/// `respond` gets each request, with the client's certificate if there was one. `connected` is called for each
/// connection, before its handshake.
pub async fn serve<F>(
    acceptor: TlsAcceptor,
    connected: impl Fn() + Send + 'static,
    respond: impl Fn(Request<Incoming>, Option<CertificateDer<'static>>) -> F + Clone + Send + Sync + 'static,
) -> (u16, JoinSet<()>)
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connected();
            let (acceptor, respond) = (acceptor.clone(), respond.clone());
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let client = stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned());
                let service = service_fn(move |request| {
                    let response = respond(request, client.clone());
                    async { Ok::<_, Infallible>(response.await) }
                });
                // An error is the client's, which closed the connection.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (port, tasks)
}
