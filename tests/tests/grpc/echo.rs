//! The service that the tests call, with a method of each kind, and the check of tokens in front of it.
//!
//! tonic-build 0.14 generated `generated.rs` with the following program, run where `out_dir` points to. It needs no
//! protobuf compiler; the type of the message is written by hand below.
//!
//! ```ignore
//! use tonic_build::manual::{Builder, Method, Service};
//!
//! fn main() {
//!     let method = |name: &str, route: &str| {
//!         Method::builder()
//!             .name(name)
//!             .route_name(route)
//!             .input_type("crate::echo::Text")
//!             .output_type("crate::echo::Text")
//!             .codec_path("tonic_prost::ProstCodec")
//!     };
//!     let service = Service::builder()
//!         .name("Echo")
//!         .package("echo")
//!         .method(method("say", "Say").build())
//!         .method(method("collect", "Collect").client_streaming().build())
//!         .method(method("repeat", "Repeat").server_streaming().build())
//!         .method(method("converse", "Converse").client_streaming().server_streaming().build())
//!         .build();
//!     Builder::new().build_transport(false).out_dir(".").compile(&[service]);
//! }
//! ```

use std::{
    collections::HashSet,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use http::{HeaderValue, header::WWW_AUTHENTICATE};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt};
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::MetadataMap,
    service::Interceptor,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};

use self::generated::echo_server::{Echo, EchoServer};
pub(crate) use self::generated::{echo_client::EchoClient, echo_server::SERVICE_NAME};

#[allow(
    missing_docs,
    clippy::all,
    clippy::doc_markdown,
    clippy::implicit_clone,
    clippy::semicolon_if_nothing_returned,
    unreachable_pub,
    unused_qualifications,
    reason = "it is as it was generated"
)]
#[rustfmt::skip]
mod generated;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

pub(crate) fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

/// Records the token of each call, and refuses calls without a token or with a revoked one.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    seen: Vec<String>,
    revoked: HashSet<String>,
    lets_in_first: bool,
}

/// The mark of a call that is refused at its end.
#[derive(Clone)]
struct RefuseLater;

impl Door {
    pub(crate) fn revoke(&self, token: &str) {
        self.0.lock().unwrap().revoked.insert(token.to_owned());
    }

    /// Makes `Repeat` and `Converse` refuse calls in the trailers, after one message.
    pub(crate) fn let_in_first(&self) {
        self.0.lock().unwrap().lets_in_first = true;
    }

    /// The token of each call so far; empty for a call without one.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl Interceptor for Door {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let mut book = self.0.lock().unwrap();
        let value = request.metadata().get("authorization").map(|value| value.to_str().unwrap());
        let token = value.map_or("", |value| value.strip_prefix("Bearer ").unwrap()).to_owned();
        book.seen.push(token.clone());
        if token.is_empty() {
            return Err(Status::unauthenticated("there is no token"));
        }
        if book.revoked.contains(&token) {
            if !book.lets_in_first {
                return Err(revoked());
            }
            request.extensions_mut().insert(RefuseLater);
        }
        Ok(request)
    }
}

/// Starts a server, which ends with the runtime.
pub(crate) async fn serve(door: Door, tls: Option<ServerTlsConfig>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<EchoServer<Echoes>>().await;
    let mut builder = Server::builder();
    if let Some(tls) = tls {
        builder = builder.tls_config(tls).unwrap();
    }
    let server = builder
        .layer(tonic::service::InterceptorLayer::new(door))
        .add_service(EchoServer::new(Echoes))
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    address
}

struct Echoes;

type Replies = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

/// The refusal, in headers or trailers, always together with a challenge.
fn revoked() -> Status {
    let challenge = r#"Bearer error="insufficient_claims", claims="e30=""#;
    let metadata = [(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))].into_iter().collect();
    Status::with_metadata(Code::Unauthenticated, "the token was revoked", MetadataMap::from_headers(metadata))
}

/// The status with which the call asks to end.
fn end<T>(request: &Request<T>) -> impl Stream<Item = Result<Text, Status>> + Send + use<T> {
    let refused = request.extensions().get::<RefuseLater>().is_some();
    tokio_stream::iter(refused.then(|| Err(revoked())))
}

#[tonic::async_trait]
impl Echo for Echoes {
    async fn say(&self, request: Request<Text>) -> Result<Response<Text>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn collect(&self, request: Request<Streaming<Text>>) -> Result<Response<Text>, Status> {
        let mut all = String::new();
        let mut messages = request.into_inner();
        while let Some(message) = messages.message().await? {
            all.push_str(&message.text);
        }
        Ok(Response::new(Text { text: all }))
    }

    type RepeatStream = Replies;

    /// Word by word.
    async fn repeat(&self, request: Request<Text>) -> Result<Response<Replies>, Status> {
        let end = end(&request);
        let words: Vec<_> = request.get_ref().text.split_whitespace().map(|word| Ok(text(word))).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(words).chain(end))))
    }

    type ConverseStream = Replies;

    /// Responds to each message at once.
    async fn converse(&self, request: Request<Streaming<Text>>) -> Result<Response<Replies>, Status> {
        let end = end(&request);
        Ok(Response::new(Box::pin(request.into_inner().chain(end))))
    }
}
