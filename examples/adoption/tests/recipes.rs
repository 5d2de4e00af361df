//! Every recipe, run: against a server on loopback, or where a client needs a whole product, up to what it hands over.

use std::{sync::Arc, time::Duration};

use bearer_token::{Policy, TokenProvider, platform::Platform};
use bearer_token_testing::{AuthorizationServer, ManualClock, Outcome, ScriptedSource};
use tokio::runtime::{Handle, Runtime};

/// A server whose API accepts the tokens of this provider.
fn api() -> (AuthorizationServer, TokenProvider) {
    let server = AuthorizationServer::start().unwrap();
    let provider = provider(&server, Platform::system());
    (server, provider)
}

fn provider(server: &AuthorizationServer, platform: Platform) -> TokenProvider {
    use bearer_token::oauth::{ClientAuth, ClientCredentials, TokenEndpoint};
    server.register(bearer_token_testing::Client::secret("app", "secret"));
    let source = TokenEndpoint::builder(server.token_url(), ClientCredentials::new());
    let source = source.client_auth(ClientAuth::basic("app", "secret")).build().unwrap();
    TokenProvider::builder(source).allow_origin(server.issuer()).platform(platform).build().unwrap()
}

/// Counts tokens as `token-1`, `token-2`.
fn numbered(clock: &ManualClock) -> TokenProvider {
    let source = ScriptedSource::new();
    source.otherwise(Outcome::numbered().expires_in(Duration::from_secs(100)));
    let platform = Platform::system().with_clock(clock.clone());
    TokenProvider::builder(source)
        .allow_origin("https://api.example.com")
        .policy(Policy::default().jitter(false))
        .platform(platform)
        .build()
        .unwrap()
}

/// The platform of programs that block: token requests run in a small runtime.
fn blocking_platform() -> (Runtime, Platform) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let platform = Platform::system().with_spawn(runtime.handle().clone());
    (runtime, platform)
}

#[test]
fn reqwest_blocking_renews_a_rejected_token() {
    let server = AuthorizationServer::start().unwrap();
    let (_runtime, platform) = blocking_platform();
    let provider = provider(&server, platform);
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let send = || {
        let request = client.get(server.api_url()).build().unwrap();
        adoption::blocking::send(&client, &provider, request).unwrap().status().as_u16()
    };
    assert_eq!(send(), 200);
    server.revoke_all();
    assert_eq!((send(), send()), (401, 200));
}

#[test]
fn ureq_renews_a_rejected_token() {
    let server = AuthorizationServer::start().unwrap();
    let (_runtime, platform) = blocking_platform();
    let provider = provider(&server, platform);
    let config = ureq::Agent::config_builder().middleware(adoption::ureq::Bearer(provider));
    let agent: ureq::Agent = config.http_status_as_error(false).proxy(None).build().into();
    let send = || agent.get(server.api_url()).call().unwrap().status().as_u16();
    assert_eq!(send(), 200);
    server.revoke_all();
    assert_eq!((send(), send()), (401, 200));
}

#[tokio::test]
async fn reqwest_0_12_renews_a_rejected_token() {
    let (server, provider) = api();
    let policy = reqwest012::redirect::Policy::none();
    let client = reqwest012::Client::builder().redirect(policy).no_proxy().build().unwrap();
    let send = async || {
        let request = client.get(server.api_url()).build().unwrap();
        adoption::reqwest_0_12::send(&client, &provider, request).await.unwrap().status().as_u16()
    };
    assert_eq!(send().await, 200);
    server.revoke_all();
    assert_eq!((send().await, send().await), (401, 200));
}

#[tokio::test]
async fn object_store_sends_the_token_to_its_endpoint() {
    use object_store::{ObjectStoreExt, azure::MicrosoftAzureBuilder};
    let (server, provider) = api();
    let store = MicrosoftAzureBuilder::new()
        .with_account("account")
        .with_container_name("container")
        .with_endpoint(server.api_url())
        .with_allow_http(true)
        .with_credentials(Arc::new(adoption::object_store::Azure(provider.clone())))
        .build()
        .unwrap();
    // The server in a box has no blobs; what counts is the request.
    drop(store.get(&"orders.csv".into()).await);
    let token = provider.token().await.unwrap();
    let requests = server.requests();
    let request = requests.iter().find(|request| request.uri().path().ends_with("orders.csv")).unwrap();
    assert_eq!(request.header("authorization"), Some(format!("Bearer {}", token.secret()).as_str()));
}

#[tokio::test]
async fn object_store_gets_a_credential_for_google() {
    use object_store::CredentialProvider;
    let (_server, provider) = api();
    let credential = adoption::object_store::Google(provider.clone()).get_credential().await.unwrap();
    assert_eq!(credential.bearer, provider.token().await.unwrap().secret());
}

mod grpc {
    use ::grpc::{
        StatusCodeError,
        attributes::Attributes,
        credentials::{
            SecurityLevel,
            call::{CallCredentials, CallDetails, ClientConnectionSecurityInfo},
        },
        metadata::MetadataMap,
    };
    use adoption::grpc::BearerCredentials;

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
}

mod redis {
    use ::redis::AsyncConnectionConfig;
    use adoption::redis::RedisCredentials;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;

    /// Speaks as much of Redis as a connection asks for: it says OK to each command, and reports those that
    /// authenticate.
    async fn server() -> (String, mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (sender, commands) = mpsc::unbounded_channel();
        Handle::current().spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            loop {
                let length = stream.read(&mut buffer).await.unwrap();
                if length == 0 {
                    return;
                }
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                for _ in 0..text.lines().filter(|line| line.starts_with('*')).count() {
                    stream.write_all(b"+OK\r\n").await.unwrap();
                }
                if text.contains("AUTH") {
                    sender.send(text).unwrap();
                }
            }
        });
        (url, commands)
    }

    #[tokio::test]
    async fn an_open_connection_gets_the_renewed_token() {
        let clock = ManualClock::new();
        let (url, mut commands) = server().await;
        let credentials = RedisCredentials {
            username: "reporting".to_owned(),
            provider: numbered(&clock),
            platform: Platform::system().with_clock(clock.clone()),
            interval: Duration::from_secs(5),
        };
        let config = AsyncConnectionConfig::new().set_credentials_provider(credentials);
        let client = ::redis::Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        let first = commands.recv().await.unwrap();
        assert!(first.contains("reporting") && first.contains("token-1"), "{first}");
        // One look starts the refresh in the background, a later one finds its token.
        let renewed = async {
            loop {
                let command = commands.recv().await.unwrap();
                if command.contains("token-2") {
                    return command;
                }
            }
        };
        let pass_time = async {
            loop {
                clock.advance(Duration::from_secs(5));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            command = renewed => assert!(command.contains("reporting"), "{command}"),
            () = pass_time => {}
        }
        drop(connection);
    }
}

#[cfg(feature = "kafka")]
#[test]
fn kafka_gets_the_token_with_its_expiry() {
    use rdkafka::ClientContext;
    let clock = ManualClock::new();
    let provider = numbered(&clock);
    let context = adoption::kafka::OAuthBearer { provider: provider.clone(), principal: "reporting".to_owned() };
    const { assert!(adoption::kafka::OAuthBearer::ENABLE_REFRESH_OAUTH_TOKEN) };
    let token = context.generate_oauth_token(None).unwrap();
    assert_eq!((token.token.as_str(), token.principal_name.as_str()), ("token-1", "reporting"));
    let expiry = provider.cached().unwrap().expires_at().unwrap();
    let expiry = expiry.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(token.lifetime_ms as u128, expiry.as_millis());
    // A client can be built with it; without a broker it connects to nothing.
    let client: Result<rdkafka::consumer::BaseConsumer<_>, _> = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", "127.0.0.1:9")
        .set("group.id", "reporting")
        .create_with_context(context);
    client.map(drop).unwrap();
}

#[test]
fn the_page_shows_the_callback_for_kafka_as_it_is() {
    let page = include_str!("../../../docs/ADOPTION.md");
    let shown = page.split("```rust,ignore\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(include_str!("../src/kafka.rs").contains(shown), "{shown}");
}
