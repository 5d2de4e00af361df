//! Call credentials of the official grpc crate: by themselves, and in a channel whose server checks the token.

use std::{collections::HashSet, sync::Mutex};

use ::grpc::{
    StatusCodeError,
    attributes::Attributes,
    client::{CallOptions, Channel, ChannelOptions, Invoke, RecvStream, ResponseStreamItem, SendOptions, SendStream},
    core::{RecvMessage, RequestHeaders, SendMessage},
    credentials::{
        CompositeChannelCredentials, LocalChannelCredentials, SecurityLevel,
        call::{CallCredentials, CallDetails, ClientConnectionSecurityInfo},
    },
    metadata::MetadataMap,
};
use adoption::grpc::BearerCredentials;
use bytes::{Buf, Bytes};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic_health::pb::health_server::HealthServer;

use super::*;

async fn metadata(provider: TokenProvider, url: &str) -> Result<MetadataMap, StatusCodeError> {
    let call = CallDetails::new(url, "Check");
    let info = ClientConnectionSecurityInfo::new("tls", SecurityLevel::PrivacyAndIntegrity, Attributes::new());
    let mut metadata = MetadataMap::new();
    let result = BearerCredentials(provider).get_metadata(&call, &info, &mut metadata).await;
    result.map(|()| metadata).map_err(|error| error.code())
}

#[tokio::test]
async fn calls_to_the_allowed_origin_get_the_token() {
    let provider = numbered(&ManualClock::new());
    let found = metadata(provider.clone(), "https://api.example.com/grpc.health.v1.Health").await.unwrap();
    assert_eq!(found.get("authorization").unwrap().to_str(), "Bearer token-1");
    let found = metadata(provider.clone(), "https://elsewhere.example.com/grpc.health.v1.Health").await.unwrap();
    assert!(found.get("authorization").is_none());
    // In the clear, nothing is sent.
    assert!(metadata(provider, "http://api.example.com/grpc.health.v1.Health").await.is_err());
}

#[tokio::test]
async fn a_failed_fetch_ends_the_call_with_its_status() {
    let source = ScriptedSource::new();
    source.otherwise(Outcome::error(bearer_token::Error::new(bearer_token::ErrorKind::Unavailable, "down")));
    let provider = TokenProvider::builder(source).allow_origin("https://api.example.com").build().unwrap();
    let code = metadata(provider, "https://api.example.com/grpc.health.v1.Health").await.unwrap_err();
    assert_eq!(code, StatusCodeError::Unavailable);
}

#[test]
fn connections_without_privacy_are_refused() {
    let credentials = BearerCredentials(numbered(&ManualClock::new()));
    assert_eq!(credentials.minimum_channel_security_level(), SecurityLevel::PrivacyAndIntegrity);
}

/// A health service on a Unix socket, which grpc takes for a private connection, and the tokens that it accepts.
struct Server {
    directory: tempfile::TempDir,
    accepted: Arc<Mutex<HashSet<String>>>,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let accepted = Arc::new(Mutex::new(HashSet::new()));
        let known = Arc::clone(&accepted);
        let check = move |request: tonic::Request<()>| {
            let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
            let token = token.and_then(|value| value.strip_prefix("Bearer "));
            match token {
                Some(token) if known.lock().unwrap().contains(token) => Ok(request),
                _ => Err(tonic::Status::unauthenticated("an unknown token")),
            }
        };
        let socket = UnixListenerStream::new(UnixListener::bind(directory.path().join("socket")).unwrap());
        let (_reporter, service) = tonic_health::server::health_reporter();
        let service: HealthServer<_> = service;
        let service = tonic::service::interceptor::InterceptedService::new(service, check);
        Handle::current().spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(socket));
        Server { directory, accepted }
    }

    fn channel(&self, provider: TokenProvider) -> Channel {
        let call = Arc::new(BearerCredentials(provider));
        let credentials = Arc::new(CompositeChannelCredentials::new(LocalChannelCredentials::new(), call));
        let options = ChannelOptions::default().override_authority("api.example.com");
        Channel::new(format!("unix:{}/socket", self.directory.path().display()), credentials, options)
    }

    fn accept_only(&self, token: &str) {
        *self.accepted.lock().unwrap() = HashSet::from([token.to_owned()]);
    }
}

struct Message(Bytes);

impl SendMessage for Message {
    fn encode(&self) -> Result<Box<dyn Buf + Send + Sync>, String> {
        Ok(Box::new(self.0.clone()))
    }
}

impl RecvMessage for Message {
    fn decode(&mut self, data: &mut dyn Buf) -> Result<(), String> {
        self.0 = data.copy_to_bytes(data.remaining());
        Ok(())
    }
}

/// The response of a health check, or the status of the call.
async fn check(channel: &Channel) -> Result<Bytes, StatusCodeError> {
    let headers = RequestHeaders::new().with_method_name("/grpc.health.v1.Health/Check");
    let (mut requests, mut responses) = channel.invoke(headers, CallOptions::new()).await;
    // A call that was refused takes no message; its status says why.
    let _ = requests.send(&Message(Bytes::new()), SendOptions::new().with_final_msg(true)).await;
    let mut message = Message(Bytes::new());
    loop {
        match responses.recv(&mut message).await {
            ResponseStreamItem::Headers(_) | ResponseStreamItem::Message => {}
            ResponseStreamItem::Trailers(trailers) => {
                return trailers.status().as_ref().map(|()| message.0).map_err(|error| error.code());
            }
            ResponseStreamItem::StreamClosed => panic!("the stream ended without a status"),
        }
    }
}

#[tokio::test]
async fn a_server_accepts_the_token_of_the_channel() {
    let server = Server::start();
    let provider = numbered(&ManualClock::new());
    let channel = server.channel(provider.clone());
    server.accept_only("token-1");
    // `SERVING`, as protobuf has it.
    assert_eq!(check(&channel).await.unwrap(), [8, 1].as_slice());
    server.accept_only("token-2");
    assert_eq!(check(&channel).await.unwrap_err(), StatusCodeError::Unauthenticated);
    // What the page says to do after a refusal.
    provider.refresh_now().await.unwrap();
    assert_eq!(check(&channel).await.unwrap(), [8, 1].as_slice());
}

#[tokio::test]
async fn a_channel_to_another_origin_carries_no_token() {
    let server = Server::start();
    let source = ScriptedSource::new();
    source.otherwise(Outcome::numbered());
    let provider = TokenProvider::builder(source).allow_origin("https://elsewhere.example.com").build().unwrap();
    server.accept_only("token-1");
    assert_eq!(check(&server.channel(provider)).await.unwrap_err(), StatusCodeError::Unauthenticated);
}
