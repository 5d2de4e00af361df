//! An authorization server and an API over TLS, and what can be wrong with their certificates.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tests::tls::{Ca, Clients, serve};
use tokio::task::JoinSet;

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

/// A client's certificate and its key.
pub(crate) fn identity(ca: &Ca, name: &str) -> Identity {
    let issued = ca.client(name);
    Identity { certificate: issued.certificate.pem(), key: issued.key.serialize_pem() }
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
        let clients = if is_mutual { Clients::WithCertificate } else { Clients::Anybody };
        let acceptor = ca.acceptor(&ca.server_until(host, until), clients);
        let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
        let to_see = Arc::clone(&seen);
        let (port, tasks) = serve(
            acceptor,
            || (),
            move |request, certificate| {
                to_see.lock().unwrap().push(certificate.is_some());
                std::future::ready(respond(&request))
            },
        )
        .await;
        Server { url: format!("https://localhost:{port}"), seen, _tasks: tasks }
    }

    /// The requests since the last call.
    pub(crate) fn take(&self) -> Vec<bool> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn respond(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let is_authorized = request.headers().get("authorization").is_some_and(|value| value == "Bearer planted-token");
    let (status, body) = match (request.uri().path(), is_authorized) {
        ("/token", _) => (200, r#"{"access_token":"planted-token","token_type":"Bearer","expires_in":600}"#),
        (_, true) => (200, "{}"),
        (_, false) => (401, "{}"),
    };
    Response::builder().status(status).body(Full::from(body)).unwrap()
}
