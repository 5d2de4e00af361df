//! Keys and tokens in files that another program replaces, verified by the server.

use std::{fs, path::Path, time::UNIX_EPOCH};

use bearer_token::{
    ErrorKind, FileToken,
    jwt::{Algorithm, JwtTemplate, KeyReader, SigningKey},
    oauth::{ClientAuth, ClientCredentials, ClientSecret, JwtBearer, TokenEndpoint, TokenEndpointBuilder},
};
use bearer_token_testing::{Algorithm as Verified, Client as Registered, Issuer, TestKey};
use serde_json::json;

use crate::support::{Adapter, CLIENT, SECOND, SECRET, Setup};

const ME: &str = "reports@example.com";

fn es256() -> TestKey {
    TestKey::generate(Verified::ES256).unwrap()
}

/// Replaces a file as careful tools do: writes another file, then renames it.
fn replace(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).unwrap();
    fs::rename(&beside, path).unwrap();
}

fn with_assertion(setup: &Setup, key: &SigningKey) -> TokenEndpointBuilder {
    let template = JwtTemplate::builder(key.clone()).issuer(ME).subject(ME).audience(setup.server.token_url());
    TokenEndpoint::builder(setup.server.token_url(), JwtBearer::new(template.build().unwrap()))
}

fn with_private_key_jwt(setup: &Setup, key: &SigningKey) -> TokenEndpointBuilder {
    TokenEndpoint::builder(setup.server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::private_key_jwt(ME, key.clone()))
}

#[tokio::test]
async fn l24_a_replaced_key_needs_no_restart() {
    for endpoint in [with_assertion, with_private_key_jwt] {
        let setup = Setup::start();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let accept = |key: &TestKey| {
            setup.server.trust(Issuer::new(ME, key.verifying_key()));
            setup.server.register(Registered::private_key_jwt(ME, key.verifying_key()));
        };
        let (first, second) = (es256(), es256());
        accept(&first);
        replace(&path, first.private_pem());
        let key = SigningKey::from_file(Algorithm::ES256, &path).unwrap();
        let provider = setup.builder(endpoint(&setup, &key).build().unwrap()).build().unwrap();
        provider.token().await.unwrap();

        // The server already has the new key, the file does not: a refusal, then a cool-down.
        accept(&second);
        setup.clock.advance(3_600 * SECOND);
        assert_eq!(provider.token().await.unwrap_err().kind(), ErrorKind::Refused);
        let sent = setup.token_requests();
        // Half of a key file is not a key.
        fs::write(&path, &second.private_pem()[..100]).unwrap();
        setup.clock.advance(2 * SECOND);
        assert_eq!(provider.token().await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(setup.token_requests(), sent + 1, "the change was noticed, and the old key is still refused");
        for _ in 0..3 {
            setup.clock.advance(SECOND);
            assert_eq!(provider.token().await.unwrap_err().kind(), ErrorKind::Refused);
        }
        assert_eq!(setup.token_requests(), sent + 1, "nothing has changed since");

        // This is long before the cool-down ends.
        replace(&path, second.private_pem());
        setup.clock.advance(SECOND);
        provider.token().await.unwrap();
        assert_eq!(setup.token_requests(), sent + 2);
    }
}

#[tokio::test]
async fn l23_an_encrypted_key_file_signs_for_the_server() {
    const PUBLIC: &str = include_str!("../../../crates/bearer-token/src/jwt/testdata/rsa2048.pub.pem");
    const ENCRYPTED: &str = include_str!("../../../crates/bearer-token/src/jwt/testdata/rsa2048.des3.encrypted.pem");
    let setup = Setup::start();
    let public = bearer_token_testing::VerifyingKey::from_public_pem(Verified::RS256, PUBLIC).unwrap();
    setup.server.trust(Issuer::new(ME, public));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    fs::write(&path, ENCRYPTED).unwrap();
    let key = KeyReader::new().algorithm(Algorithm::RS256).passphrase("test").read_file(&path).unwrap();
    let provider = setup.builder(with_assertion(&setup, &key).build().unwrap()).build().unwrap();
    provider.token().await.unwrap();
}

/// Replaces a token as the kubelet does: a new directory, and a symbolic link that is switched to it.
#[cfg(unix)]
struct Volume {
    directory: tempfile::TempDir,
    version: u32,
}

#[cfg(unix)]
impl Volume {
    fn project(&mut self, token: &str) {
        self.version += 1;
        let (root, version) = (self.directory.path(), format!("..version-{}", self.version));
        fs::create_dir(root.join(&version)).unwrap();
        fs::write(root.join(&version).join("token"), token).unwrap();
        std::os::unix::fs::symlink(&version, root.join("..next")).unwrap();
        fs::rename(root.join("..next"), root.join("..data")).unwrap();
        if self.version == 1 {
            std::os::unix::fs::symlink("..data/token", root.join("token")).unwrap();
        }
    }
}

#[tokio::test]
async fn l24_a_replaced_client_secret_needs_no_restart() {
    let setup = Setup::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    replace(&path, &format!("{SECRET}\n"));
    let auth = ClientAuth::basic(CLIENT, ClientSecret::from_file(&path));
    let endpoint = TokenEndpoint::builder(setup.server.token_url(), ClientCredentials::new()).client_auth(auth);
    let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
    provider.token().await.unwrap();

    setup.server.register(Registered::secret(CLIENT, "another secret"));
    setup.clock.advance(3_600 * SECOND);
    assert_eq!(provider.token().await.unwrap_err().kind(), ErrorKind::Refused);
    let sent = setup.token_requests();
    setup.clock.advance(SECOND);
    assert!(provider.token().await.is_err());
    assert_eq!(setup.token_requests(), sent, "nothing has changed");
    replace(&path, "another secret");
    setup.clock.advance(SECOND);
    provider.token().await.unwrap();
    assert_eq!(setup.token_requests(), sent + 1);
}

/// Workload identity: an assertion in a file, which another party signs and replaces.
#[cfg(unix)]
#[tokio::test]
async fn l24_a_new_projected_assertion_ends_the_cool_down() {
    let setup = Setup::start();
    let (first, second) = (es256(), es256());
    let accept = |key: &TestKey| {
        setup.server.register(Registered::private_key_jwt(ME, key.verifying_key()));
    };
    let assertion = |key: &TestKey, number: u32| {
        let now = setup.platform().now().wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (aud, jti) = (setup.server.token_url(), number.to_string());
        key.sign(&json!({ "iss": ME, "sub": ME, "aud": aud, "iat": now, "exp": now + 60, "jti": jti })).unwrap()
    };
    let mut volume = Volume { directory: tempfile::tempdir().unwrap(), version: 0 };
    volume.project(&assertion(&first, 1));
    accept(&first);
    let auth = ClientAuth::assertion_from(ME, FileToken::new(volume.directory.path().join("token")));
    let endpoint = TokenEndpoint::builder(setup.server.token_url(), ClientCredentials::new()).client_auth(auth);
    let provider = setup.builder(endpoint.build().unwrap()).build().unwrap();
    provider.token().await.unwrap();

    // The signer has a new key, and the server still expects the old one.
    setup.clock.advance(3_600 * SECOND);
    volume.project(&assertion(&second, 2));
    assert_eq!(provider.token().await.unwrap_err().oauth_code(), Some("invalid_client"));
    let sent = setup.token_requests();
    accept(&second);
    setup.clock.advance(SECOND);
    assert!(provider.token().await.is_err());
    assert_eq!(setup.token_requests(), sent, "nothing has changed that this side could see");
    volume.project(&assertion(&second, 3));
    setup.clock.advance(SECOND);
    provider.token().await.unwrap();
    assert_eq!(setup.token_requests(), sent + 1);
}

#[cfg(unix)]
#[tokio::test]
async fn l24_a_projected_token_is_followed_as_it_is_replaced() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let key = es256();
        setup.server.trust(Issuer::new(ME, key.verifying_key()).self_signed_audience("orders"));
        let now = || setup.platform().now().wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let token = || {
            let claims = json!({ "iss": ME, "sub": "pod", "aud": ["orders"], "iat": now(), "exp": now() + 3_600 });
            key.sign(&claims).unwrap()
        };
        let mut volume = Volume { directory: tempfile::tempdir().unwrap(), version: 0 };
        let provider = setup.builder(FileToken::new(volume.directory.path().join("token"))).build().unwrap();
        let client = adapter.client(&provider);
        for _ in 0..5 {
            volume.project(&token());
            // Four fifths of its lifetime, when the kubelet writes a new one.
            for _ in 0..48 {
                setup.clock.advance(60 * SECOND);
                assert_eq!(client.get(&setup.api("orders")).await.unwrap().status, 200, "{adapter:?}");
                tokio::task::yield_now().await;
            }
        }
        // Without a replacement it is used until its expiry, and then not sent.
        setup.clock.advance(3_600 * SECOND);
        let sent = setup.authorizations().len();
        assert!(client.get(&setup.api("orders")).await.is_err());
        assert_eq!(setup.authorizations().len(), sent);
        volume.project(&token());
        setup.clock.advance(SECOND);
        assert_eq!(client.get(&setup.api("orders")).await.unwrap().status, 200);
    }
}
