//! The callback of rdkafka: by itself, and in a client of a real broker that checks the token.

use super::*;

#[test]
fn kafka_gets_the_token_with_its_expiry() {
    use rdkafka::ClientContext;
    let clock = ManualClock::new();
    let provider = numbered(&clock);
    let context = adoption::kafka::OAuthBearer::new(provider.clone(), "reporting");
    const { assert!(adoption::kafka::OAuthBearer::ENABLE_REFRESH_OAUTH_TOKEN) };
    let token = context.generate_oauth_token(None).unwrap();
    assert_eq!((token.token.as_str(), token.principal_name.as_str()), ("token-1", "reporting"));
    let expiry = provider.cached().unwrap().expires_at().unwrap();
    let expiry = expiry.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(token.lifetime_ms as u128, expiry.as_millis());
    // The next one is a new one, although the provider would still use the first.
    assert_eq!(context.generate_oauth_token(None).unwrap().token, "token-2");
    // A client can be built with it; without a broker it connects to nothing.
    let client: Result<rdkafka::consumer::BaseConsumer<_>, _> = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", "127.0.0.1:9")
        .set("group.id", "reporting")
        .create_with_context(context);
    client.map(drop).unwrap();
}

/// Kafka itself, from the jars in `KAFKA_JARS`. It checks the signature, the issuer, the audience and the expiry of
/// each token, and ends connections whose token was not renewed in time.
#[cfg(feature = "kafka-ssl")]
mod broker {
    use std::{
        error::Error,
        fs,
        net::TcpListener,
        path::Path,
        process::{Child, Command, Stdio},
        sync::atomic::{AtomicUsize, Ordering},
        time::Instant,
    };

    use adoption::kafka::OAuthBearer;
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    use bearer_token::jwt::{Algorithm, JwtTemplate, SelfSigned, SigningKey};
    use bearer_token_testing::TestKey;
    use rdkafka::{
        ClientContext,
        client::OAuthToken,
        consumer::{BaseConsumer, Consumer, ConsumerContext},
        error::KafkaError,
    };

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(10);

    struct Broker {
        process: Child,
        _directory: tempfile::TempDir,
        port: u16,
    }

    impl Broker {
        fn start(key: &TestKey) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            let keys = format!("file://{}/keys.json", root.display());
            fs::write(root.join("keys.json"), public_keys(key)).unwrap();
            let [port, internal, controller] = free_ports();
            let handlers = "org.apache.kafka.common.security.oauthbearer";
            let properties = format!(
                "process.roles=broker,controller
                node.id=1
                controller.quorum.voters=1@127.0.0.1:{controller}
                listeners=CLIENTS://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller}
                advertised.listeners=CLIENTS://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal}
                listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
                controller.listener.names=CONTROLLER
                inter.broker.listener.name=INTERNAL
                log.dirs={root}/logs
                connections.max.reauth.ms=4000
                sasl.enabled.mechanisms=OAUTHBEARER
                sasl.oauthbearer.jwks.endpoint.url={keys}
                sasl.oauthbearer.jwt.validator.class={handlers}.BrokerJwtValidator
                sasl.oauthbearer.expected.issuer=reporting@example.com
                sasl.oauthbearer.expected.audience=kafka
                sasl.oauthbearer.clock.skew.seconds=0
                listener.name.clients.oauthbearer.sasl.jaas.config={handlers}.OAuthBearerLoginModule required;
                listener.name.clients.oauthbearer.sasl.server.callback.handler.class={handlers}.OAuthBearerValidatorCallbackHandler
                ",
                root = root.display(),
            );
            fs::write(root.join("broker.properties"), properties.replace("\n                ", "\n")).unwrap();
            let format =
                ["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", "broker.properties"];
            assert!(java(root, &keys).args(format).status().unwrap().success());
            let process = java(root, &keys).args(["kafka.Kafka", "broker.properties"]).spawn().unwrap();
            Broker { process, _directory: directory, port }
        }

        /// A client with this provider.
        fn client(&self, provider: TokenProvider) -> BaseConsumer<Counting> {
            let recipe = OAuthBearer::new(provider, "reporting");
            rdkafka::ClientConfig::new()
                .set("bootstrap.servers", format!("127.0.0.1:{}", self.port))
                .set("group.id", "reporting")
                .set("security.protocol", "SASL_PLAINTEXT")
                .set("sasl.mechanism", "OAUTHBEARER")
                .set("reconnect.backoff.max.ms", "500")
                .create_with_context(Counting { recipe, calls: AtomicUsize::new(0), refusals: AtomicUsize::new(0) })
                .unwrap()
        }
    }

    impl Drop for Broker {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// Java with the jars of Kafka, which reads the keys in this file.
    fn java(directory: &Path, keys: &str) -> Command {
        let jars = std::env::var("KAFKA_JARS").expect("KAFKA_JARS, the directory of `.ci/kafka`");
        let mut command = Command::new("java");
        command
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &format!("{jars}/*")])
            .arg(format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys}"))
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn free_ports() -> [u16; 3] {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        listeners.map(|listener| listener.local_addr().unwrap().port())
    }

    /// The public key of a pair for ES256, as a JWK set. Its DER ends with both coordinates.
    fn public_keys(key: &TestKey) -> String {
        let base64: String = key.public_pem().lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(base64).unwrap();
        let (x, y) = der[der.len() - 64..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let key = serde_json::json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": "1", "x": x, "y": y });
        serde_json::json!({ "keys": [key] }).to_string()
    }

    /// A provider of JWTs for this audience, which are the tokens.
    fn signed(key: &TestKey, audience: &str) -> TokenProvider {
        let key = SigningKey::from_pem(Algorithm::ES256, key.private_pem()).unwrap();
        let template = JwtTemplate::builder(key).key_id("1").issuer("reporting@example.com").subject("reporting");
        let template = template.audience(audience).lifetime(LIFETIME).backdate(Duration::ZERO).build().unwrap();
        TokenProvider::builder(SelfSigned::new(template)).build().unwrap()
    }

    /// The recipe, and how often librdkafka called it.
    struct Counting {
        recipe: OAuthBearer,
        calls: AtomicUsize,
        refusals: AtomicUsize,
    }

    impl ClientContext for Counting {
        const ENABLE_REFRESH_OAUTH_TOKEN: bool = OAuthBearer::ENABLE_REFRESH_OAUTH_TOKEN;

        fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.recipe.generate_oauth_token(config)
        }

        fn error(&self, error: KafkaError, reason: &str) {
            println!("{error}: {reason}");
            if error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::Authentication) {
                self.refusals.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    impl ConsumerContext for Counting {}

    /// Polls, which runs the callback, and asks the broker for its topics.
    fn is_served(client: &BaseConsumer<Counting>) -> bool {
        drop(client.poll(Duration::from_millis(100)));
        client.fetch_metadata(None, Duration::from_millis(500)).is_ok()
    }

    #[test]
    #[ignore = "needs Java and the jars of Kafka"]
    fn serves_a_client_for_longer_than_a_token_lives() {
        let key = TestKey::es256().unwrap();
        let broker = Broker::start(&key);
        let provider = signed(&key, "kafka");
        let client = broker.client(provider.clone());
        let limit = Instant::now() + Duration::from_secs(60);
        while !is_served(&client) {
            assert!(Instant::now() < limit, "the broker does not serve the client");
        }
        let first = provider.cached().unwrap();
        let started = Instant::now();
        let mut refused = 0;
        while started.elapsed() < LIFETIME * 3 / 2 {
            // The connection is authenticated again meanwhile.
            refused += u32::from(!is_served(&client));
        }
        assert_eq!((refused, client.context().refusals.load(Ordering::Relaxed)), (0, 0));
        assert!(client.context().calls.load(Ordering::Relaxed) >= 2, "librdkafka asks for the next token");
        assert!(provider.cached().unwrap().secret() != first.secret());
    }

    #[test]
    #[ignore = "needs Java and the jars of Kafka"]
    fn refuses_a_token_for_another_audience() {
        let key = TestKey::es256().unwrap();
        let broker = Broker::start(&key);
        let client = broker.client(signed(&key, "elsewhere"));
        let limit = Instant::now() + Duration::from_secs(60);
        while client.context().refusals.load(Ordering::Relaxed) == 0 {
            assert!(!is_served(&client) && Instant::now() < limit, "the broker does not refuse the token");
        }
    }
}
