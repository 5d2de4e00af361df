//! Secrets that are planted, and where they must not be.

use std::{fmt::Write, path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bearer_token::{
    TokenProvider,
    jwt::{Algorithm, SigningKey},
    oauth::{ClientAuth, ClientCredentials, RefreshToken, TokenEndpoint},
    platform::Platform,
    shared::{Fleet, SealingKeys, SharedRefreshToken},
    store::SharedStore,
};
use bearer_token_testing::{Algorithm as Signed, AuthorizationServer, Client, Consent, Fault};
use serde_json::json;

/// Seals all records.
const KEY: &str = "MARKERkeyMARKERkeyMARKERkeyMARKERkeyMARKERk=";
const HMAC: &str = "MARKER-hmac-MARKER-hmac-MARKER-hmac";
/// Written to the store in the clear, to show that each place would show a marker.
pub const CONTROL: &str = "PLANTED-in-the-clear-PLANTED-in-the-clear";

/// An authorization server, and replicas of clients whose names, secrets and keys are markers.
pub struct Markers<S> {
    server: AuthorizationServer,
    store: S,
    /// Access tokens, refresh tokens and assertions that went over the wire.
    seen: Vec<String>,
}

impl<S: SharedStore + Clone> Markers<S> {
    pub fn new(store: S) -> Self {
        let server = AuthorizationServer::start().unwrap();
        server.register(Client::secret("MARKER-client", "MARKER-secret"));
        server.register(Client::client_secret_jwt("MARKER-signer", Signed::HS256, HMAC));
        server.register(Client::public("MARKER-app"));
        Markers { server, store, seen: Vec::new() }
    }

    fn replica(&self, name: &str, auth: ClientAuth) -> TokenProvider {
        let endpoint = TokenEndpoint::builder(self.server.token_url(), ClientCredentials::new());
        let endpoint = endpoint.client_auth(auth).build().unwrap();
        let fleet = Fleet::builder(self.store.clone(), SealingKeys::new(KEY)).namespace("MARKER-namespace");
        TokenProvider::builder(fleet.build().unwrap().share_as(name, endpoint)).build().unwrap()
    }

    async fn token(&mut self, provider: &TokenProvider) -> String {
        let token = provider.token().await.unwrap().secret().to_owned();
        self.seen.push(token.clone());
        token
    }

    /// Access tokens: fetched and saved, adopted, rejected and replaced; then a failure, which is saved too.
    pub async fn share_access_tokens(&mut self) {
        let replica =
            |markers: &Self| markers.replica("MARKER-name", ClientAuth::basic("MARKER-client", "MARKER-secret"));
        let (first, second) = (replica(self), replica(self));
        let fetched = self.token(&first).await;
        assert_eq!(self.token(&second).await, fetched);
        first.token().await.unwrap().ticket().reject(&http::HeaderMap::new());
        assert_ne!(self.token(&first).await, fetched);
        let body = json!({ "error": "server_error", "error_description": "MARKER-description" });
        self.server.token_endpoint().always(Fault::json(503, &body));
        first.refresh_now().await.unwrap_err();
        self.server.token_endpoint().recover();
        let signer = ClientAuth::client_secret_jwt("MARKER-signer", SigningKey::hmac(Algorithm::HS256, HMAC).unwrap());
        let signer = self.replica("MARKER-signed", signer);
        self.token(&signer).await;
    }

    /// A token that no replica can save.
    pub async fn fetch_unsaved(&mut self) {
        let provider = self.replica("MARKER-unsaved", ClientAuth::basic("MARKER-client", "MARKER-secret"));
        self.token(&provider).await;
    }

    /// A refresh token, which is spent several times.
    pub async fn share_refresh_tokens(&mut self, reusable_within: Option<Duration>) {
        let mut tokens = SharedRefreshToken::new(self.store.clone(), SealingKeys::new(KEY), "MARKER-consent");
        if let Some(period) = reusable_within {
            tokens = tokens.reusable_within(period);
        }
        let grant = RefreshToken::new(tokens);
        let consent = self.server.consent(Consent::new("MARKER-app", "MARKER-alice")).unwrap();
        self.seen.push(consent.clone());
        grant.replace(&Platform::system(), consent).await.unwrap();
        let endpoint = TokenEndpoint::builder(self.server.token_url(), grant);
        let endpoint = endpoint.client_auth(ClientAuth::public("MARKER-app")).build().unwrap();
        let provider = TokenProvider::builder(endpoint).build().unwrap();
        for _ in 0..3 {
            self.seen.push(provider.refresh_now().await.unwrap().secret().to_owned());
        }
    }

    /// Everything that must be nowhere, as bytes and as the hexadecimal digits of a dump.
    pub fn secrets(&self) -> Vec<Vec<u8>> {
        let requests = self.server.requests();
        let sent = |name: &str| requests.iter().filter_map(|request| request.parameter(name)).collect::<Vec<_>>();
        let (assertions, refresh_tokens) = (sent("client_assertion"), sent("refresh_token"));
        assert!(!assertions.is_empty() && refresh_tokens.len() >= 3 && self.seen.len() >= 8);
        let mut secrets: Vec<Vec<u8>> = [assertions, refresh_tokens, self.seen.clone()]
            .concat()
            .into_iter()
            .chain(["MARKER".to_owned(), self.server.token_url()])
            .map(String::into_bytes)
            .collect();
        secrets.push(BASE64_STANDARD.decode(KEY).unwrap());
        let digits: Vec<_> = secrets.iter().map(|secret| hexadecimal(secret)).collect();
        secrets.into_iter().chain(digits).collect()
    }

    /// None of the secrets is in these places, each of which shows the control and the name of a record.
    pub fn are_in_none_of(&self, places: &[(&str, Vec<u8>)], record: &str) {
        let secrets = self.secrets();
        let expected = [CONTROL.as_bytes().to_vec(), record.as_bytes().to_vec()];
        for (place, bytes) in places {
            assert_eq!(found(bytes, &expected).len(), expected.len(), "{place} shows neither control nor record");
            let shown: Vec<_> = found(bytes, &secrets).into_iter().map(String::from_utf8_lossy).collect();
            assert!(shown.is_empty(), "{place} shows {shown:?}");
            println!("{place}: {} bytes, none of {} markers", bytes.len(), secrets.len());
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let mut digits = String::new();
    for byte in bytes {
        write!(digits, "{byte:02x}").unwrap();
    }
    digits.into_bytes()
}

/// Those of the wanted that are in these bytes. Each has four bytes at least.
pub fn found<'a>(bytes: &[u8], wanted: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    let last_two = |of: &[u8]| usize::from(of[2]) << 8 | usize::from(of[3]);
    let mut may_begin = vec![false; 1 << 16];
    for one in wanted {
        may_begin[last_two(one)] = true;
    }
    let mut is_found = vec![false; wanted.len()];
    for (at, four) in bytes.windows(4).enumerate() {
        if may_begin[last_two(four)] {
            for (one, is_found) in wanted.iter().zip(&mut is_found) {
                *is_found |= bytes[at..].starts_with(one);
            }
        }
    }
    wanted.iter().zip(is_found).filter(|(_, is_found)| *is_found).map(|(one, _)| one.as_slice()).collect()
}

/// All files below a directory, one after another. One that is removed meanwhile is left out.
pub fn files(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all.extend(files(&entry.path())),
            Ok(_) => all.extend(std::fs::read(entry.path()).unwrap_or_default()),
            Err(_) => {}
        }
    }
    all
}
