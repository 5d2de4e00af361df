//! `keep_previous_credential`: a secret or a key is replaced in its file before or after the server knows the new one.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use bearer_token::{
    CredentialInUse, ErrorKind, TokenProvider,
    observe::{Event, EventKind, Observer},
};
use bearer_token_config::ProviderConfig;
use bearer_token_testing::{Algorithm, AuthorizationServer, Client, Issuer, TestKey};
use tempfile::TempDir;

const OLD: &str = "an old secret of the test, with 32 bytes";
const NEW: &str = "a new secret of the test, with 32 bytes.";

/// Keeps which credential was kept, and which replaced.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<&'static str>>>);

impl Observer for Kept {
    fn on_event(&self, event: &Event<'_>) {
        let what = match event.kind {
            EventKind::CredentialKept { error, .. } => {
                assert!(!error.to_string().contains("secret of the test"), "{error}");
                "kept"
            }
            EventKind::CredentialReplaced { .. } => "replaced",
            _ => return,
        };
        self.0.lock().unwrap().push(what);
    }
}

/// A server, a directory with the file `credential`, and a provider that is configured with it.
struct World {
    server: AuthorizationServer,
    directory: TempDir,
    provider: TokenProvider,
    kept: Kept,
}

impl World {
    /// `fields` are those of the credential.
    fn new(server: AuthorizationServer, first: &str, fields: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("credential"), first).unwrap();
        let toml = format!(
            "token_endpoint.url = \"{}\"\ntoken_endpoint.keep_previous_credential = true\n{fields}\n",
            server.token_url()
        );
        let kept = Kept::default();
        let config = ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path());
        let provider = config.builder().observer(kept.clone()).build().unwrap();
        World { server, directory, provider, kept }
    }

    fn replace(&self, credential: &str) {
        fs::write(self.directory.path().join("credential"), credential).unwrap();
    }

    async fn gets_a_token(&self) -> bool {
        self.provider.refresh_now().await.is_ok()
    }

    fn events(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.kept.0.lock().unwrap())
    }

    /// The file has the new credential first, then the server knows it, and then it knows only that one.
    async fn goes_on_with_the_old_one(&self, new: &str, register: impl Fn(&AuthorizationServer, bool)) {
        assert!(self.gets_a_token().await);
        self.replace(new);
        for _ in 0..2 {
            assert!(self.gets_a_token().await, "the server does not know the new one yet");
        }
        assert_eq!(self.events(), ["kept", "kept"]);
        let status = self.provider.status();
        let Some(CredentialInUse::Previous(error)) = &status.credential else { panic!("{status:?}") };
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(status.to_string().contains("; the previous credential is in use, because"), "{status}");
        assert!(!format!("{status:?} {status}").contains("secret of the test"), "{status:?}");
        register(&self.server, true);
        assert!(self.gets_a_token().await);
        assert_eq!(self.events(), ["replaced"]);
        assert!(matches!(self.provider.status().credential, Some(CredentialInUse::Latest)));
        // The old one is forgotten with that.
        register(&self.server, false);
        assert!(!self.gets_a_token().await);
        register(&self.server, true);
        assert!(self.gets_a_token().await);
        // A file that is half written changes nothing.
        self.replace("");
        assert!(self.gets_a_token().await);
    }
}

#[tokio::test]
async fn a_new_secret_is_used_when_the_server_knows_it() {
    for (method, with_secret) in [
        ("basic", Client::secret as fn(&'static str, &'static str) -> Client),
        ("basic_raw", Client::secret),
        ("post", Client::secret),
        ("client_secret_jwt", |id, secret| Client::client_secret_jwt(id, Algorithm::HS256, secret)),
    ] {
        let server = AuthorizationServer::start().unwrap();
        server.register(with_secret("orders", OLD));
        let fields = format!(
            "token_endpoint.client = {{ id = \"orders\", method = \"{method}\", secret = {{ file = \"credential\" }} }}"
        );
        let world = World::new(server, &format!("{OLD}\n"), &fields);
        let register = |server: &AuthorizationServer, is_new| {
            server.register(with_secret("orders", if is_new { NEW } else { OLD }));
        };
        world.goes_on_with_the_old_one(&format!("{NEW}\n"), register).await;
    }
}

#[tokio::test]
async fn a_new_client_key_waits_for_the_server() {
    let (old, new) = (TestKey::generate(Algorithm::ES256).unwrap(), TestKey::generate(Algorithm::ES256).unwrap());
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::private_key_jwt("orders", old.verifying_key()));
    let fields =
        "[token_endpoint.client]\nid = \"orders\"\njwt = { algorithm = \"ES256\", key = { file = \"credential\" } }";
    let world = World::new(server, old.private_pem(), fields);
    let register = |server: &AuthorizationServer, is_new| {
        let key = if is_new { &new } else { &old };
        server.register(Client::private_key_jwt("orders", key.verifying_key()));
    };
    world.goes_on_with_the_old_one(new.private_pem(), register).await;
}

#[tokio::test]
async fn a_new_grant_key_waits_for_the_server() {
    let (old, new) = (TestKey::generate(Algorithm::ES256).unwrap(), TestKey::generate(Algorithm::ES256).unwrap());
    let server = AuthorizationServer::start().unwrap();
    server.trust(Issuer::new("me", old.verifying_key()).subject("me"));
    let fields = format!(
        "jwt = {{ algorithm = \"ES256\", issuer = \"me\", subject = \"me\", audience = \"{}\", key = {{ file = \
         \"credential\" }} }}",
        server.token_url()
    );
    let world = World::new(server, old.private_pem(), &fields);
    let register = |server: &AuthorizationServer, is_new| {
        let key = if is_new { &new } else { &old };
        server.trust(Issuer::new("me", key.verifying_key()).subject("me"));
    };
    world.goes_on_with_the_old_one(new.private_pem(), register).await;
}
