//! Files with the wrong content. Each message names the file, and nothing that is in it.

use std::{fs, path::Path};

use bearer_token::{
    FileToken, TokenProvider,
    jwt::{Algorithm, KeyReader, SigningKey},
    oauth::{ClientAuth, ClientCredentials, ClientSecret, TokenEndpoint},
    shared::{Fleet, SealingKeys},
    store::MemorySharedStore,
    transport::HttpTransport,
};
use bearer_token_config::ProviderConfig;

use crate::{
    row::{PLANTED, Told},
    world::run,
};

/// A configuration with one part that names the file.
fn configured(part: &str) -> Told {
    Told::result(ProviderConfig::from_toml(part).and_then(ProviderConfig::build))
}

/// A configuration of a token endpoint, and what is added to it.
fn endpoint(part: &str) -> Told {
    configured(&format!("[token_endpoint]\nurl = \"https://as.example.com/token\"\n{part}"))
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

type Read = fn(&Path) -> Told;

/// Every kind of file that the crates read, in code and by a configuration.
const KINDS: [(&str, Read); 16] = [
    ("a key", |path| Told::result(SigningKey::from_file(Algorithm::RS256, path))),
    ("a key of any algorithm", |path| Told::result(KeyReader::new().read_file(path))),
    ("a part of a key file", |path| {
        let value = bearer_token::Value::file(path).member("/private_key");
        Told::result(SigningKey::from_value(Algorithm::RS256, value))
    }),
    ("a client secret", |path| {
        let auth = ClientAuth::basic("a", ClientSecret::from_file(path));
        Told::result(
            TokenEndpoint::builder("https://as.example.com/token", ClientCredentials::new()).client_auth(auth).build(),
        )
    }),
    ("a CA", |path| Told::result(HttpTransport::builder().only_ca(bearer_token::Value::file(path)).build())),
    ("a client certificate", |path| {
        Told::result(HttpTransport::builder().certificate(bearer_token::Value::file(path)).build())
    }),
    ("sealing keys", |path| Told::result(Fleet::builder(MemorySharedStore::new(), SealingKeys::file(path)).build())),
    ("a token", |path| {
        Told::result(run(async { TokenProvider::builder(FileToken::new(path)).build()?.token().await }))
    }),
    ("a configuration", |path| Told::result(ProviderConfig::load(path).and_then(ProviderConfig::build))),
    ("a configured key", |path| {
        configured(&format!("[jwt]\nalgorithm = \"RS256\"\nissuer = \"a\"\nkey = {{ file = \"{}\" }}", shown(path)))
    }),
    ("a configured HMAC secret", |path| {
        configured(&format!("[jwt]\nalgorithm = \"HS512\"\nissuer = \"a\"\nkey = {{ file = \"{}\" }}", shown(path)))
    }),
    ("a configured client secret", |path| {
        endpoint(&format!("client = {{ id = \"a\", secret = {{ file = \"{}\" }} }}", shown(path)))
    }),
    ("a configured client id", |path| {
        endpoint(&format!("client = {{ id = {{ file = \"{}\" }}, secret = \"s3cr3t\" }}", shown(path)))
    }),
    ("a configured CA", |path| {
        endpoint(&format!("grant_type = \"\"\n[token_endpoint.tls]\nca = {{ file = \"{}\" }}", shown(path)))
    }),
    ("a configured client certificate", |path| {
        endpoint(&format!("grant_type = \"\"\n[token_endpoint.tls]\ncertificate = {{ file = \"{}\" }}", shown(path)))
    }),
    ("configured sealing keys", |path| {
        configured(&format!(
            "token = \"t\"\n[shared]\nname = \"a\"\nkey = {{ file = \"{}\" }}\nurl = \"redis://127.0.0.1:9\"",
            shown(path)
        ))
    }),
];

#[test]
fn a_wrong_file_of_each_kind_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (kind, read) in KINDS {
        // Two words in quotes, on two lines: no kind of file may have this content.
        for (name, content) in [("wrong", Some(format!("\"{PLANTED} one\"\n\"{PLANTED} two\"\n"))), ("missing", None)] {
            let path = directory.path().join(format!("{}-{name}", kind.replace(' ', "-")));
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let Told { message, printed, .. } = read(&path);
            if name == "missing" && kind.ends_with("sealing keys") {
                // They may come later. Until then each fetch has the event `SharedKeysMissing`.
                continue;
            }
            if !message.contains(path.to_str().unwrap()) {
                wrong.push(format!("{kind}, {name}: does not name the file: {message}"));
            }
            if message.contains(PLANTED) || printed.contains(PLANTED) {
                wrong.push(format!("{kind}, {name}: shows the content: {message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
