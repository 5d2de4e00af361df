//! What stands in for the URLs and the files of the README: a server in a box and a directory for each snippet.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bearer_token_testing::{AuthorizationServer, Client, Endpoint, Issuer, RecordedRequest, TestKey};
use tempfile::TempDir;

static SITES: Mutex<BTreeMap<&str, Arc<Site>>> = Mutex::new(BTreeMap::new());

struct Site {
    server: AuthorizationServer,
    directory: TempDir,
    grpc: Mutex<Option<SocketAddr>>,
}

/// The place that stands in for this one of the README.
pub(crate) fn of(snippet: &'static str, place: &str) -> &'static str {
    let found = site(snippet).places().into_iter().find(|(name, _)| *name == place);
    let (_, stand_in) = found.unwrap_or_else(|| panic!("nothing stands in for the README's {place:?}"));
    stand_in.leak()
}

/// Replaces every place in a text of the README.
pub(crate) fn replace_all(snippet: &'static str, text: &str) -> String {
    let mut places = site(snippet).places();
    // A URL before its beginning.
    places.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    places.into_iter().fold(text.to_owned(), |text, (name, stand_in)| text.replace(name, &stand_in))
}

/// The token requests that the snippet has sent.
pub(crate) fn token_requests(snippet: &'static str) -> Vec<RecordedRequest> {
    let requests = site(snippet).server.requests();
    requests.into_iter().filter(|request| request.endpoint() == Endpoint::Token).collect()
}

/// Starts a gRPC health service in place of the snippet's API, and returns the `authorization` that it sees.
pub(crate) async fn serve_grpc(snippet: &'static str) -> Arc<Mutex<String>> {
    let seen = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&seen);
    let (_, health) = tonic_health::server::health_reporter();
    let watched = tonic::service::interceptor::InterceptedService::new(health, move |request: tonic::Request<()>| {
        let value = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        *sink.lock().unwrap() = value.unwrap_or_default().to_owned();
        Ok(request)
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    *site(snippet).grpc.lock().unwrap() = Some(listener.local_addr().unwrap());
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder().add_service(watched).serve_with_incoming(incoming);
    #[allow(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    drop(tokio::spawn(server));
    seen
}

fn site(snippet: &'static str) -> Arc<Site> {
    let mut sites = SITES.lock().unwrap();
    Arc::clone(sites.entry(snippet).or_insert_with(|| Arc::new(Site::start())))
}

impl Site {
    fn start() -> Self {
        let server = AuthorizationServer::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| fs::write(directory.path().join(name), content).unwrap();

        for id in ["client-id", "reporting"] {
            server.register(Client::secret(id, "client-secret").scopes(["read", "write"]));
        }
        write("client", "client-secret\n");

        let key = TestKey::rs256().unwrap();
        let issuer = Issuer::new("reporting@example.com", key.verifying_key());
        server.trust(
            issuer.subject("reporting@example.com").scopes(["read", "write"]).self_signed_audience(server.issuer()),
        );
        write("rsa.pem", key.private_pem());
        Site { server, directory, grpc: Mutex::new(None) }
    }

    fn places(&self) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.directory.path().join(name).to_str().unwrap().to_owned();
        let grpc = *self.grpc.lock().unwrap();
        vec![
            ("https://as.example.com/token", self.server.token_url()),
            ("https://api.example.com/orders", format!("{}/orders", self.server.api_url())),
            (
                "https://api.example.com",
                grpc.map_or_else(|| self.server.issuer(), |address| format!("http://{address}")),
            ),
            ("rsa.pem", file("rsa.pem")),
            ("provider.toml", file("provider.toml")),
            ("/run/secrets/client", file("client")),
        ]
    }
}
