//! Snowflake.

use std::time::Duration;

use bearer_token::{
    Error, Problem, Sending, TokenProvider, TokenProviderBuilder,
    jwt::{Algorithm, JwtTemplate, SelfSigned, SignContext},
};

use crate::{
    Key,
    check::{both, given, or_problems, problems},
};

/// Key-pair authentication (RS256): the public key is registered with `ALTER USER .. SET RSA_PUBLIC_KEY = ..`.
///
/// The account is its identifier, `ORG-ACCOUNT` or a locator such as `XY12345.us-east-1`, whose region only the host
/// name needs. The fingerprint in the issuer follows the key when its file is replaced.
///
/// ```
/// use std::path::Path;
///
/// # fn example() -> Result<(), bearer_token::Error> {
/// let provider =
///     bearer_token_presets::snowflake::key_pair("acme-reports", "SVC_REPORTS", Path::new("/run/secrets/key.p8"))
///         .provider()
///         .build()?;
/// # let _ = provider; Ok(()) }
/// ```
pub fn key_pair(account: impl Into<String>, user: impl Into<String>, private_key: impl Into<Key>) -> KeyPair {
    KeyPair { account: account.into(), user: user.into(), key: private_key.into() }
}

/// Key-pair authentication: the result of [`key_pair`].
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyPair {
    account: String,
    user: String,
    key: Key,
}

impl KeyPair {
    /// Returns the builder of a provider of JWTs that are signed here, each for an hour at most.
    pub fn provider(self) -> TokenProviderBuilder {
        or_problems(self.builder())
    }

    fn builder(self) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let names = both(account(&self.account), given("user", &self.user, "the name of the user"));
        let ((account, user), key) = both(names, self.key.read("private_key", Algorithm::RS256))?;
        // Snowflake compares the names in capitals, and the account without its region.
        let locator = account.split('.').next().unwrap_or(&account);
        let name = format!("{locator}.{user}").to_uppercase();
        let issuer = name.clone();
        let template = JwtTemplate::builder(key)
            .subject(name)
            .computed("iss", move |cx: &SignContext| -> Result<String, Error> {
                Ok(format!("{issuer}.SHA256:{}", cx.public_key_sha256()?.base64()))
            })
            // At most an hour. Snowflake's own code takes 59 minutes.
            .lifetime(Duration::from_secs(3540))
            .jwt_id(false);
        let template = template.build().map_err(|error| problems("private_key", &error))?;
        let sending = Sending::new().fixed_header("x-snowflake-authorization-token-type", "KEYPAIR_JWT");
        // Underscores are not allowed in host names; Snowflake takes hyphens in their place.
        let host = account.to_lowercase().replace('_', "-");
        let builder = TokenProvider::builder(SelfSigned::new(template)).name("snowflake");
        Ok(builder.allow_origin(format!("https://{host}.snowflakecomputing.com")).sending(sending))
    }
}

fn account(account: &str) -> Result<String, Vec<Problem>> {
    let expected = "an account identifier, such as `ORG-ACCOUNT` or `XY12345.us-east-1`";
    let text = given("account", account, expected)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.chars().all(is_name) && !text.to_lowercase().ends_with(".snowflakecomputing.com") {
        return Ok(text);
    }
    Err(vec![Problem::new("account", "found something else, such as a URL or a host name").expecting(expected)])
}
