//! Microsoft Entra ID.

use std::{env, fmt, sync::Arc, time::Duration};

use bearer_token::{
    Problem, TokenProviderBuilder, Value,
    jwt::{Algorithm, JwtTemplate},
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};

use crate::{
    Key, Preset,
    check::{both, given, or_problems, problems, token_file, url},
};

/// The authority of the global cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// An app registration with a certificate. The key signs with PS256, and its certificate is registered at the app.
///
/// The certificate is PEM, from a string or a file, which may be the file of the key.
///
/// ```
/// use std::path::Path;
///
/// use bearer_token::Value;
/// use bearer_token_presets::entra;
///
/// # fn example() -> Result<(), bearer_token::Error> {
/// let file = Path::new("/run/secrets/both.pem");
/// let client = "8b1e6c50-1111-4222-8333-444455556666";
/// let provider = entra::certificate("acme.example.com", client, file, Value::file(file))
///     .scope("https://graph.microsoft.com/.default")
///     .provider()
///     .allow_origin("https://graph.microsoft.com")
///     .build()?;
/// # let _ = provider; Ok(()) }
/// ```
pub fn certificate(
    tenant: impl Into<String>,
    client_id: impl Into<String>,
    private_key: impl Into<Key>,
    certificate: impl Into<Value>,
) -> Preset<Client> {
    client(Identity::Certificate {
        tenant: tenant.into(),
        client_id: client_id.into(),
        key: private_key.into(),
        certificate: certificate.into(),
    })
}

/// Azure Workload Identity on Kubernetes: its webhook sets `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and
/// `AZURE_FEDERATED_TOKEN_FILE`, and keeps the token in that file fresh.
///
/// ```
/// use bearer_token_presets::entra;
///
/// # fn example() -> Result<(), bearer_token::Error> {
/// let provider = entra::workload_identity()
///     .scope("https://graph.microsoft.com/.default")
///     .provider()
///     .allow_origin("https://graph.microsoft.com")
///     .build()?;
/// # let _ = provider; Ok(()) }
/// ```
pub fn workload_identity() -> Preset<Client> {
    workload_identity_from(|name| env::var(name).ok())
}

/// Does the same as [`workload_identity`], but takes the values of the environment variables from this function.
pub fn workload_identity_from(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Preset<Client> {
    client(Identity::Workload(Variables(Arc::new(variable))))
}

fn client(identity: Identity) -> Preset<Client> {
    Preset::new(Client { identity, authority: None, scope: String::new() })
}

/// A client of Entra ID: what [`certificate`] and [`workload_identity`] return a [`Preset`] of.
#[derive(Clone, Debug)]
pub struct Client {
    identity: Identity,
    authority: Option<String>,
    scope: String,
}

#[derive(Clone, Debug)]
enum Identity {
    Certificate { tenant: String, client_id: String, key: Key, certificate: Value },
    Workload(Variables),
}

#[derive(Clone)]
struct Variables(Arc<Lookup>);

/// The value of an environment variable, by its name.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Variables {
    fn get(&self, name: &str) -> Result<String, Vec<Problem>> {
        self.0(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| {
            let expected = "what the webhook of Azure Workload Identity sets: has the pod the label \
                            `azure.workload.identity/use`?";
            vec![Problem::new(name, "found no such environment variable").expecting(expected)]
        })
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

impl Preset<Client> {
    /// Sets the scope: the API's identifier and `/.default`. Each token of Entra ID is for one API.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.kind.scope = scope.into();
        self
    }

    /// Sets the authority, for national clouds. Default: `https://login.microsoftonline.com`.
    pub fn authority(mut self, url: impl Into<String>) -> Self {
        self.kind.authority = Some(url.into());
        self
    }

    /// Returns the builder of a provider of access tokens for the client itself.
    pub fn provider(self) -> TokenProviderBuilder {
        or_problems(self.builder())
    }

    fn builder(self) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let Preset { kind: Client { identity, authority, scope }, stages } = self;
        let (ids, of_variable) = match &identity {
            Identity::Certificate { tenant, client_id, .. } => {
                let client_id = given("client_id", client_id, "the application (client) id");
                (both(directory("tenant", tenant), client_id), None)
            }
            Identity::Workload(variables) => {
                let tenant = variables.get("AZURE_TENANT_ID");
                let tenant = tenant.and_then(|tenant| directory("AZURE_TENANT_ID", &tenant));
                (both(tenant, variables.get("AZURE_CLIENT_ID")), variables.0("AZURE_AUTHORITY_HOST"))
            }
        };
        let scope = given("scope", &scope, "the API's identifier, such as `https://graph.microsoft.com/.default`");
        let (path, authority) = match (&authority, &of_variable) {
            (Some(authority), _) => ("authority", authority.as_str()),
            (None, Some(authority)) => ("AZURE_AUTHORITY_HOST", authority.as_str()),
            (None, None) => ("authority", AUTHORITY),
        };
        let authority = url(path, authority, "the URL of an authority, such as `https://login.microsoftonline.com`");
        let names = both(both(ids, authority), scope);
        let token_url = |authority: &str, tenant: &str| format!("{authority}/{tenant}/oauth2/v2.0/token");
        // With stand-ins, the key and the certificate are checked as well.
        let auth = match &names {
            Ok((((tenant, client_id), authority), _)) => identity.client_auth(client_id, &token_url(authority, tenant)),
            Err(_) => identity.client_auth("client", AUTHORITY),
        };
        let ((((tenant, _), authority), scope), auth) = both(names, auth)?;
        let url = token_url(&authority, &tenant);
        let endpoint = TokenEndpoint::builder(url, ClientCredentials::new()).client_auth(auth).scope(scope);
        Ok(stages.build(endpoint, &[("url", path)])?.name("entra"))
    }
}

impl Identity {
    fn client_auth(&self, client_id: &str, url: &str) -> Result<ClientAuth, Vec<Problem>> {
        match self {
            Identity::Certificate { key, certificate, .. } => {
                let template = JwtTemplate::builder(key.read("private_key", Algorithm::PS256)?)
                    .issuer(client_id)
                    .subject(client_id)
                    .audience(url)
                    .certificate(certificate.clone())
                    .x5t_s256()
                    .not_before(true)
                    // 5 to 10 minutes are recommended.
                    .lifetime(Duration::from_secs(600));
                let template = template.build().map_err(|error| problems("certificate", &error))?;
                Ok(ClientAuth::assertion(client_id, template))
            }
            Identity::Workload(variables) => {
                const FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
                let token = token_file(FILE, variables.get(FILE)?, "the token that the webhook mounts")?;
                Ok(ClientAuth::assertion_from(client_id, token))
            }
        }
    }
}

/// A tenant, which is a part of the token endpoint's URL.
fn directory(path: &str, tenant: &str) -> Result<String, Vec<Problem>> {
    let expected = "the directory (tenant) id, or a domain of it";
    let text = given(path, tenant, expected)?;
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) {
        return Ok(text);
    }
    Err(vec![Problem::new(path, "found something else, such as a URL").expecting(expected)])
}
