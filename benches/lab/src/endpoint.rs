//! A token endpoint on loopback that can be slow or fail, and counts its requests.

use std::{
    convert::Infallible,
    net::SocketAddr,
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
use tokio::{net::TcpListener, runtime, time};

use crate::warm::token;

/// A running token endpoint. It stops with the process.
#[derive(Clone)]
pub struct Endpoint {
    address: SocketAddr,
    state: Arc<State>,
}

/// The endpoint's behaviour.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub status: StatusCode,
    pub delay: Duration,
    pub lifetime: Duration,
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
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = State { manner: Mutex::new(manner), requests: AtomicU64::new(0), times: Mutex::default() };
        let endpoint = Endpoint { address, state: Arc::new(state) };
        let server = endpoint.state.clone();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, server));
        });
        endpoint
    }

    pub fn url(&self) -> String {
        format!("http://{}/token", self.address)
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

impl Manner {
    /// Responds at once with tokens that are valid for an hour.
    pub fn prompt() -> Self {
        Manner { status: StatusCode::OK, delay: Duration::ZERO, lifetime: Duration::from_secs(3_600) }
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<State>) {
    listener.set_nonblocking(true).expect("a socket of ours");
    let listener = TcpListener::from_std(listener).expect("a socket of ours");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Responses are small, and waiting to fill a packet would count as the client's time.
        let _ = stream.set_nodelay(true);
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| reply(request, state.clone()));
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn reply(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = state.requests.fetch_add(1, Ordering::Relaxed);
    state.times.lock().expect("no panic").push(Instant::now());
    let _ = request.into_body().collect().await;
    let Manner { status, delay, lifetime } = *state.manner.lock().expect("no panic");
    if !delay.is_zero() {
        time::sleep(delay).await;
    }
    let body = if status.is_success() {
        // Each token differs from the previous one.
        let mut token = token();
        token.replace_range(token.len() - 8.., &format!("{number:08}"));
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{}}}"#, lifetime.as_secs())
    } else {
        r#"{"error":"temporarily_unavailable"}"#.to_owned()
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(response)
}
