//! A private CA, and servers with its certificates.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

/// A CA that clients trust, or not.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// What a client presents, as PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    None,
    Expired,
    OtherHost,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client's certificate and its key.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        let (certificate, key) = self.issue(name, 2120, ExtendedKeyUsagePurpose::ClientAuth);
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn issue(&self, host: &str, until: i32, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// An authorization server and an API in one. It ends with the test.
pub(crate) struct Server {
    pub(crate) url: String,
    /// For each request, whether its client presented a certificate.
    seen: Arc<Mutex<Vec<bool>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts it at `localhost`. A mutual one refuses clients without a certificate of the CA.
    pub(crate) async fn start(ca: &Ca, flaw: Flaw, is_mutual: bool) -> Self {
        let (host, until) = match flaw {
            Flaw::None => ("localhost", 2120),
            Flaw::Expired => ("localhost", 2021),
            Flaw::OtherHost => ("planted.example.com", 2120),
        };
        let (certificate, key) = ca.issue(host, until, ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = if is_mutual {
            let mut roots = RootCertStore::empty();
            roots.add(ca.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let key = key.serialize_der().try_into().unwrap();
        let acceptor =
            TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
        let (mut tasks, for_task) = (JoinSet::new(), Arc::clone(&seen));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&for_task));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let has_certificate = stream.get_ref().1.peer_certificates().is_some();
                    let service = service_fn(|request| {
                        seen.lock().unwrap().push(has_certificate);
                        respond(request)
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Server { url, seen, _tasks: tasks }
    }

    /// The requests since the last call.
    pub(crate) fn take(&self) -> Vec<bool> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_authorized = request.headers().get("authorization").is_some_and(|value| value == "Bearer planted-token");
    let (status, body) = match (request.uri().path(), is_authorized) {
        ("/token", _) => (200, r#"{"access_token":"planted-token","token_type":"Bearer","expires_in":600}"#),
        (_, true) => (200, "{}"),
        (_, false) => (401, "{}"),
    };
    Ok(Response::builder().status(status).body(Full::from(body)).unwrap())
}
