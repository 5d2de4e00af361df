//! Vault, by `HashiCorp`.

use bearer_token::{
    Problem, Sending, TokenProviderBuilder, Value,
    oauth::{BodyFormat, ClientCredentials, ResponseFormat, TokenEndpoint},
};
use http::StatusCode;

use crate::{
    Preset,
    check::{api_url, both, given, or_problems, origin},
};

/// A login with a JWT, which can come from a file, a variable, or another provider.
///
/// `address` is what `VAULT_ADDR` says. The role must exist in the auth method `jwt`.
///
/// ```
/// use bearer_token::Value;
/// use bearer_token_presets::vault;
///
/// # fn example() -> Result<(), bearer_token::Error> {
/// let jwt = Value::file("/var/run/secrets/tokens/vault");
/// let provider = vault::jwt("https://vault.example.com:8200", "reports", jwt).provider().build()?;
/// # let _ = provider; Ok(()) }
/// ```
pub fn jwt(address: impl Into<String>, role: impl Into<String>, jwt: impl Into<Value>) -> Preset<Jwt> {
    Preset::new(Jwt {
        address: address.into(),
        role: role.into(),
        jwt: jwt.into(),
        mount: "jwt".to_owned(),
        namespace: None,
    })
}

/// A login with a JWT: what [`jwt`] returns a [`Preset`] of.
#[derive(Clone, Debug)]
pub struct Jwt {
    address: String,
    role: String,
    jwt: Value,
    mount: String,
    namespace: Option<String>,
}

impl Preset<Jwt> {
    /// Sets the path at which the auth method is mounted. Default: `jwt`.
    pub fn mount(mut self, mount: impl Into<String>) -> Self {
        self.kind.mount = mount.into().trim_matches('/').to_owned();
        self
    }

    /// Sets the namespace of Vault Enterprise, for the login and for the requests after it.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.kind.namespace = Some(namespace.into());
        self
    }

    /// Returns the builder of a provider of Vault's tokens, sent as `X-Vault-Token`.
    pub fn provider(self) -> TokenProviderBuilder {
        or_problems(self.builder())
    }

    fn builder(self) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let Preset { kind: Jwt { address, role, jwt, mount, namespace }, stages } = self;
        let expected = "what `VAULT_ADDR` says, such as `https://vault.example.com:8200`";
        let address = api_url("address", &address, expected);
        let names = both(both(address, given("role", &role, "a role of the auth method")), auth_method(&mount));
        // With stand-ins, the JWT and the namespace are checked as well.
        let (url, role) = match &names {
            Ok(((address, role), mount)) => (format!("{address}/v1/auth/{mount}/login"), role.as_str()),
            Err(_) => ("https://vault.example.com".to_owned(), "role"),
        };
        let mut endpoint = TokenEndpoint::builder(url, ClientCredentials::new())
            .body(BodyFormat::Json)
            .no_grant_type()
            .parameter("role", role)
            .parameter("jwt", jwt)
            // A lease of 0 is a token that does not expire.
            .response(ResponseFormat::oauth().token("/auth/client_token").expires_in("/auth/lease_duration").never(0));
        // Vault says 403 when a token has expired.
        let mut sending = Sending::new().header("x-vault-token").scheme("").reject_on_status(StatusCode::FORBIDDEN);
        if let Some(namespace) = namespace {
            endpoint = endpoint.header("x-vault-namespace", namespace.clone());
            sending = sending.fixed_header("x-vault-namespace", namespace);
        }
        let paths = [
            ("url", "address"),
            ("parameter.role", "role"),
            ("parameter.jwt", "jwt"),
            ("header.x-vault-namespace", "namespace"),
        ];
        let (((address, _), _), builder) = both(names, stages.build(endpoint, &paths))?;
        Ok(builder.name("vault").allow_origin(origin(&address)).sending(sending))
    }
}

/// The path of an auth method, which is a part of the URL of the login.
fn auth_method(mount: &str) -> Result<String, Vec<Problem>> {
    let expected = "where the auth method is mounted, such as `jwt` or `teams/jwt`";
    let text = given("mount", mount, expected)?;
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')) {
        return Ok(text);
    }
    Err(vec![Problem::new("mount", "found a character that is not one of a path").expecting(expected)])
}
