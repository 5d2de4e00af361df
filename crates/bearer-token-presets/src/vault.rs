//! Vault, by `HashiCorp`.

use bearer_token::{
    Problem, Sending, TokenProviderBuilder, Value,
    oauth::{BodyFormat, ClientCredentials, ResponseFormat, TokenEndpoint, TokenEndpointBuilder},
};
use http::StatusCode;

use crate::{
    github::origin,
    stage::{Hook, both, given, or_problems, url},
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
pub fn jwt(address: impl Into<String>, role: impl Into<String>, jwt: impl Into<Value>) -> Jwt {
    Jwt {
        address: address.into().trim_end_matches('/').to_owned(),
        role: role.into(),
        jwt: jwt.into(),
        mount: "jwt".to_owned(),
        namespace: None,
        hook: Hook::default(),
    }
}

/// A login with a JWT: the result of [`jwt`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Jwt {
    address: String,
    role: String,
    jwt: Value,
    mount: String,
    namespace: Option<String>,
    hook: Hook,
}

impl Jwt {
    /// Where the auth method is mounted. Default: `jwt`.
    pub fn mount(mut self, mount: impl Into<String>) -> Self {
        self.mount = mount.into().trim_matches('/').to_owned();
        self
    }

    /// The namespace, in Vault Enterprise: for the login and for the requests after it.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Changes the token endpoint, such as its transport.
    pub fn endpoint(
        mut self,
        edit: impl Fn(TokenEndpointBuilder) -> TokenEndpointBuilder + Send + Sync + 'static,
    ) -> Self {
        self.hook = Hook::new(edit);
        self
    }

    /// Vault's tokens, sent as `X-Vault-Token`.
    pub fn provider(self) -> TokenProviderBuilder {
        or_problems(self.builder())
    }

    fn builder(self) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let names = both(given("role", &self.role, "a role of the auth method"), mount(&self.mount));
        let address = url("address", &self.address, "what `VAULT_ADDR` says, such as `https://vault.example.com:8200`");
        let (address, (role, mount)) = both(address, names)?;
        let mut endpoint = TokenEndpoint::builder(format!("{address}/v1/auth/{mount}/login"), ClientCredentials::new())
            .body(BodyFormat::Json)
            .no_grant_type()
            .parameter("role", role)
            .parameter("jwt", self.jwt)
            // A lease of 0 is a token that does not expire.
            .response(ResponseFormat::oauth().token("/auth/client_token").expires_in("/auth/lease_duration").never(0));
        // Vault says 403 when a token has expired.
        let mut sending = Sending::new().header("x-vault-token").scheme("").reject_on_status(StatusCode::FORBIDDEN);
        if let Some(namespace) = self.namespace {
            endpoint = endpoint.header("x-vault-namespace", namespace.clone());
            sending = sending.fixed_header("x-vault-namespace", namespace);
        }
        let names = [
            ("url", "address"),
            ("parameter.role", "role"),
            ("parameter.jwt", "jwt"),
            ("header.x-vault-namespace", "namespace"),
        ];
        Ok(self.hook.build(endpoint, &names)?.name("vault").allow_origin(origin(&address)).sending(sending))
    }
}

/// The path of an auth method, which is a part of the URL of the login.
fn mount(mount: &str) -> Result<String, Vec<Problem>> {
    let expected = "where the auth method is mounted, such as `jwt` or `teams/jwt`";
    let text = given("mount", mount, expected)?;
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')) {
        return Ok(text);
    }
    Err(vec![Problem::new("mount", "found a character that is not one of a path").expecting(expected)])
}
