//! A token endpoint on loopback that can be slow or fail, and counts its requests.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    runtime, time,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
};

use crate::warm::token;

/// A running token endpoint. It stops with the process.
#[derive(Clone)]
pub struct Endpoint {
    url: String,
    state: Arc<State>,
}

/// The endpoint's behaviour.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub status: StatusCode,
    pub delay: Duration,
    pub lifetime: Duration,
    /// What its first requests meet instead.
    pub first: &'static [First],
}

/// A way to treat a token request badly.
#[derive(Clone, Copy, Debug)]
pub enum First {
    /// There is never a response.
    Hang,
    /// This status and this body.
    Respond(StatusCode, &'static str),
}

struct State {
    manner: Mutex<Manner>,
    requests: AtomicU64,
    /// The arrival time of each request.
    times: Mutex<Vec<Instant>>,
}

impl Endpoint {
    /// Starts an endpoint on its own thread, so the runtime under test does not serve it.
    pub fn start(manner: Manner) -> Self {
        Endpoint::start_with(manner, None)
    }

    /// The same behind TLS, and the PEM of the CA that issued its certificate.
    pub fn start_tls(manner: Manner) -> (Self, String) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &ca).expect("a certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("the key of before"),
            )
            .expect("a certificate and its key");
        (Endpoint::start_with(manner, Some(TlsAcceptor::from(Arc::new(config)))), ca.pem())
    }

    /// The endpoint of another process. It can only be asked for its URL.
    pub fn at(url: String) -> Self {
        Endpoint { url, state: Arc::new(State::new(Manner::prompt())) }
    }

    fn start_with(manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let url = match &tls {
            Some(_) => format!("https://localhost:{port}/token"),
            None => format!("http://127.0.0.1:{port}/token"),
        };
        let endpoint = Endpoint { url, state: Arc::new(State::new(manner)) };
        let server = endpoint.state.clone();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, server, tls));
        });
        endpoint
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().expect("no panic") = manner;
    }

    /// Token requests so far.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Returns the arrival times so far, and forgets them.
    pub fn take_times(&self) -> Vec<Instant> {
        self.state.requests.store(0, Ordering::Relaxed);
        std::mem::take(&mut *self.state.times.lock().expect("no panic"))
    }
}

impl State {
    fn new(manner: Manner) -> Self {
        State { manner: Mutex::new(manner), requests: AtomicU64::new(0), times: Mutex::default() }
    }
}

impl Manner {
    /// Responds at once with tokens that are valid for an hour.
    pub fn prompt() -> Self {
        Manner { status: StatusCode::OK, delay: Duration::ZERO, lifetime: Duration::from_secs(3_600), first: &[] }
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<State>, tls: Option<TlsAcceptor>) {
    listener.set_nonblocking(true).expect("a socket of ours");
    let listener = TcpListener::from_std(listener).expect("a socket of ours");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Responses are small, and waiting to fill a packet would count as the client's time.
        let _ = stream.set_nodelay(true);
        let (state, tls) = (state.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve_connection(stream, state).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve_connection(stream, state).await;
                    }
                }
            }
        });
    }
}

async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let service = service_fn(move |request| reply(request, state.clone()));
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn reply(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = state.requests.fetch_add(1, Ordering::Relaxed);
    state.times.lock().expect("no panic").push(Instant::now());
    let _ = request.into_body().collect().await;
    let Manner { status, delay, lifetime, first } = *state.manner.lock().expect("no panic");
    if !delay.is_zero() {
        time::sleep(delay).await;
    }
    match first.get(usize::try_from(number).unwrap_or(usize::MAX)) {
        Some(First::Hang) => std::future::pending().await,
        Some(&First::Respond(status, body)) => return Ok(response(status, body.to_owned())),
        None => {}
    }
    let body = if status.is_success() {
        // Each token differs from the previous one.
        let mut token = token();
        token.replace_range(token.len() - 8.., &format!("{number:08}"));
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{}}}"#, lifetime.as_secs())
    } else {
        r#"{"error":"temporarily_unavailable"}"#.to_owned()
    };
    Ok(response(status, body))
}

fn response(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
