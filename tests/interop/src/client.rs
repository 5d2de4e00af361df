//! The clients that every server registers.

use anyhow::{Context, Result};
use bearer_token::{
    jwt::{Algorithm, SigningKey},
    oauth::ClientAuth,
};
use serde_json::{Value, json};

use crate::keys::{self, Key};

/// The algorithms of `private_key_jwt`.
pub(crate) const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES512, Algorithm::EdDSA];

/// What a client authenticates with.
#[derive(Clone)]
pub(crate) enum Credential {
    Basic(String),
    Post(String),
    SecretJwt(String),
    Key(Key),
}

/// A client that is registered at the server.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) credential: Credential,
}

impl Client {
    fn new(id: impl Into<String>, credential: Credential) -> Self {
        Client { id: id.into(), credential }
    }

    /// The client's registration as the server folders read it, in the words of RFC 7591.
    pub(crate) fn registration(&self) -> Value {
        let (method, algorithm, secret, keys) = match &self.credential {
            Credential::Basic(secret) => ("client_secret_basic", None, Some(secret), None),
            Credential::Post(secret) => ("client_secret_post", None, Some(secret), None),
            Credential::SecretJwt(secret) => ("client_secret_jwt", Some("HS256".to_owned()), Some(secret), None),
            Credential::Key(key) => ("private_key_jwt", Some(format!("{:?}", key.algorithm)), None, Some(&key.jwk)),
        };
        let mut registration = json!({ "client_id": self.id, "token_endpoint_auth_method": method });
        if let Some(algorithm) = algorithm {
            registration["token_endpoint_auth_signing_alg"] = algorithm.into();
        }
        if let Some(secret) = secret {
            registration["client_secret"] = secret.as_str().into();
        }
        if let Some(key) = keys {
            registration["jwks"] = json!({ "keys": [key] });
        }
        registration
    }

    /// The client authentication as the library offers it.
    pub(crate) fn auth(&self) -> Result<ClientAuth> {
        self.auth_with(&self.credential)
    }

    /// The same with another credential.
    pub(crate) fn auth_with(&self, credential: &Credential) -> Result<ClientAuth> {
        Ok(match credential {
            Credential::Basic(secret) => ClientAuth::basic(&self.id, secret.as_str()),
            Credential::Post(secret) => ClientAuth::post(&self.id, secret.as_str()),
            Credential::SecretJwt(secret) => {
                ClientAuth::client_secret_jwt(&self.id, SigningKey::hmac(Algorithm::HS256, secret)?)
            }
            Credential::Key(key) => ClientAuth::private_key_jwt(&self.id, key.signing_key()?),
        })
    }

    /// The secret itself, if there is one.
    pub(crate) fn secret(&self) -> Option<&str> {
        match &self.credential {
            Credential::Basic(secret) | Credential::Post(secret) | Credential::SecretJwt(secret) => Some(secret),
            Credential::Key(_) => None,
        }
    }
}

/// All clients of a run, with new secrets and keys.
pub(crate) struct Clients {
    all: Vec<Client>,
    /// The key that signs assertions of the JWT bearer grant and federated assertions: an issuer of its own.
    pub(crate) issuer_key: Key,
    /// Everything that no error may show.
    pub(crate) markers: Vec<String>,
}

impl Clients {
    pub(crate) fn generate() -> Result<Self> {
        let mut all = vec![
            Client::new("basic", Credential::Basic(keys::secret(false)?)),
            Client::new("basic-special", Credential::Basic(keys::secret(true)?)),
            Client::new("post", Credential::Post(keys::secret(false)?)),
            Client::new("secret-jwt", Credential::SecretJwt(keys::secret(false)?)),
            // Verifies tokens for the API.
            Client::new("api", Credential::Basic(keys::secret(false)?)),
            // Has the consent of a user.
            Client::new("refresh", Credential::Basic(keys::secret(false)?)),
        ];
        for algorithm in ALGORITHMS {
            let id = format!("key-{algorithm:?}").to_lowercase();
            all.push(Client::new(&id, Credential::Key(Key::generate(algorithm, &format!("{id}-1"))?)));
        }
        let issuer_key = Key::generate(Algorithm::ES256, "issuer-1")?;
        let mut markers: Vec<String> = all.iter().filter_map(Client::secret).map(str::to_owned).collect();
        let pems = all.iter().filter_map(|client| match &client.credential {
            Credential::Key(key) => Some(&key.pem),
            _ => None,
        });
        // The lines in the middle of a key.
        markers.extend(pems.chain([&issuer_key.pem]).filter_map(|pem| pem.lines().nth(1)).map(str::to_owned));
        Ok(Clients { all, issuer_key, markers })
    }

    pub(crate) fn get(&self, id: &str) -> Result<&Client> {
        self.all.iter().find(|client| client.id == id).with_context(|| format!("no client is called {id}"))
    }

    pub(crate) fn all(&self) -> &[Client] {
        &self.all
    }

    /// The client that signs with this algorithm.
    pub(crate) fn key_client(&self, algorithm: Algorithm) -> Result<&Client> {
        self.get(&format!("key-{algorithm:?}").to_lowercase())
    }

    /// The file `clients.json` of a server folder.
    pub(crate) fn file(&self) -> Value {
        let clients: Vec<Value> = self.all.iter().map(Client::registration).collect();
        json!({ "clients": clients, "issuer_jwk": self.issuer_key.jwk })
    }
}
