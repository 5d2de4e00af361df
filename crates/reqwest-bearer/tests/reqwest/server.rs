//! A server that speaks TLS and plain HTTP on one port.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Gives the whole response to a request: whether it came over TLS, and its head.
type Respond = dyn Fn(bool, &str) -> String + Send + Sync;

pub(crate) struct Server {
    pub(crate) port: u16,
    /// The certificate of the server, in PEM.
    pub(crate) certificate: String,
    requests: Arc<Mutex<Vec<(bool, String)>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts it with a certificate for this host.
    pub(crate) async fn start(host: &str, respond: impl Fn(bool, &str) -> String + Send + Sync + 'static) -> Server {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([host.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, respond): (_, Arc<Respond>) = (Arc::clone(&requests), Arc::new(respond));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut tasks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, seen, respond) = (acceptor.clone(), Arc::clone(&seen), Arc::clone(&respond));
                tasks.spawn(async move {
                    let mut first = [0];
                    stream.peek(&mut first).await.unwrap();
                    // A TLS record of the handshake.
                    if first == [0x16] {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, true, &seen, &*respond).await;
                        }
                    } else {
                        serve(stream, false, &seen, &*respond).await;
                    }
                });
            }
        });
        Server { port, certificate: cert.pem(), requests, _tasks: tasks }
    }

    /// The requests so far: whether each came over TLS, and its head.
    pub(crate) fn requests(&self) -> Vec<(bool, String)> {
        self.requests.lock().unwrap().clone()
    }

    /// A client that trusts the server's certificate and uses no proxy.
    pub(crate) fn client(&self) -> reqwest::ClientBuilder {
        trusting(&self.certificate)
    }
}

pub(crate) fn trusting(certificate: &str) -> reqwest::ClientBuilder {
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).tls_certs_only([certificate])
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    secure: bool,
    seen: &Mutex<Vec<(bool, String)>>,
    respond: &Respond,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let response = respond(secure, &head);
    seen.lock().unwrap().push((secure, head));
    drop(stream.write_all(response.as_bytes()).await);
    drop(stream.shutdown().await);
}

pub(crate) fn redirect(location: &str) -> String {
    format!("HTTP/1.1 307 X\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

pub(crate) fn ok() -> String {
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}".into()
}
