//! The configuration of a provider, from where it is read to its builder.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use bearer_token::{
    Error, TokenProvider, TokenProviderBuilder, oauth::RefreshToken, platform::Platform, shared::Fleet,
    transport::Transport,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    build::Fitted, fit, format, given::Given, report::Report, sections::SetTransport, variables::EnvVariables,
};

/// The configuration of a [`TokenProvider`].
///
/// Reading one fails only if it is not TOML or JSON at all. [`build`](Self::build) reports everything else at once:
/// unknown fields, values of a wrong type, keys that do not fit, missing files. Each problem has the path of its field.
///
/// It implements [`Deserialize`] too, so it can be a part of a larger configuration. The [crate's docs](crate) list the
/// fields.
pub struct ProviderConfig {
    /// The configuration as it was read. `build` reports what does not fit.
    pub(crate) value: Value,
    /// The problems of what could not be read.
    report: Report,
    variables: EnvVariables,
    directory: PathBuf,
    /// The file that it was read from.
    file: Option<PathBuf>,
    pub(crate) transport: Option<SetTransport>,
    platform: Option<Platform>,
    fleet: Option<Fleet>,
}

impl ProviderConfig {
    /// Reads a file: TOML, or JSON if its name ends in `.json`. Relative paths in it start at its directory.
    ///
    /// The errors of [`build`](Self::build) begin with the provider's `name`, or with the path of the file if it has
    /// none.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](bearer_token::ErrorKind::Config) if the file cannot be read, or is not in its format.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut report = Report::default();
        let value = format::load(path, &mut report)?;
        let config = ProviderConfig { report, file: Some(path.to_owned()), ..Self::from_value(value) };
        Ok(config.relative_to(path.parent().unwrap_or(Path::new(""))))
    }

    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](bearer_token::ErrorKind::Config) if the text is not TOML.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let mut report = Report::default();
        let value = format::from_toml(text, &mut report)?;
        Ok(ProviderConfig { report, ..Self::from_value(value) })
    }

    /// Reads JSON.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](bearer_token::ErrorKind::Config) if the text is not JSON.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let mut report = Report::default();
        let value = format::from_json(text, &mut report)?;
        Ok(ProviderConfig { report, ..Self::from_value(value) })
    }

    fn from_value(value: Value) -> Self {
        ProviderConfig {
            value,
            report: Report::default(),
            variables: EnvVariables::default(),
            directory: PathBuf::new(),
            file: None,
            transport: None,
            platform: None,
            fleet: None,
        }
    }

    /// Reads the environment variables whose names begin with `prefix`, and nothing else. The
    /// [crate's docs](crate#environment) say how fields are called there.
    ///
    /// ```no_run
    /// use bearer_token_config::ProviderConfig;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let provider = ProviderConfig::from_env("BEARER_TOKEN_").build()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn from_env(prefix: &str) -> Self {
        Self::from_variables(prefix, env::vars_os())
    }

    /// Reads variables that you give, as names and values.
    ///
    /// ```
    /// use bearer_token_config::ProviderConfig;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let provider = ProviderConfig::from_variables("BILLING_", [
    ///     ("BILLING_ALLOW_ORIGINS", "https://api.example.com"),
    ///     ("BILLING_JWT__ALGORITHM", "HS256"),
    ///     ("BILLING_JWT__KEY", "correct horse battery staple, twice"),
    ///     ("BILLING_JWT__ISSUER", "billing"),
    ///     ("BILLING_JWT__EXPIRY_SECONDS", "600"),
    ///     ("PATH", "/usr/bin"),
    /// ])
    /// .build()?;
    ///
    /// // Problems have the names of the variables.
    /// let error = ProviderConfig::from_variables("BILLING_", [("BILLING_TOKN", "x")]).build().unwrap_err();
    /// assert_eq!(error.problems()[0].path(), "BILLING_TOKN");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn from_variables<N, V>(prefix: &str, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut config = Self::from_value(Value::Object(Map::new()));
        config.variables = EnvVariables::alone();
        config.override_with_variables(prefix, variables)
    }

    /// Replaces what was read so far by the environment variables whose names begin with `prefix`, field by field.
    ///
    /// Every variable with the prefix must be a field, so the name of a variable for `{ env = ".." }` must begin in
    /// another way.
    ///
    /// ```no_run
    /// use bearer_token_config::ProviderConfig;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let provider = ProviderConfig::load("provider.toml")?.override_with_env("BEARER_TOKEN_").build()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn override_with_env(self, prefix: &str) -> Self {
        self.override_with_variables(prefix, env::vars_os())
    }

    /// Replaces what was read so far by variables that you give, as names and values.
    #[must_use]
    pub fn override_with_variables<N, V>(mut self, prefix: &str, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let variables = variables.into_iter().map(|(name, text)| (name.into(), text.into()));
        self.variables.put_into(&mut self.value, prefix, variables);
        self
    }

    /// Resolves relative paths from this directory.
    #[must_use]
    pub fn relative_to(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Replaces the HTTP client that sends token requests, of the provider and of its `sources`.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        let transport = Arc::new(transport);
        self.transport = Some(Box::new(move |builder, _| builder.transport(Arc::clone(&transport))));
        self
    }

    /// Replaces the clock, the randomness or the spawner, of the provider and of its `sources`.
    ///
    /// The [builder's](Self::builder) own method replaces that of the provider alone.
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Shares the provider's tokens with the other replicas of this fleet, in place of the store of the section
    /// `shared`. The section may still have a `name`.
    ///
    /// ```
    /// use bearer_token::{shared::{Fleet, SealingKeys}, store::MemorySharedStore};
    /// use bearer_token_config::ProviderConfig;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let keys = SealingKeys::file("/run/secrets/fleet.keys");
    /// let fleet = Fleet::builder(MemorySharedStore::new(), keys).build()?;
    /// let config = ProviderConfig::from_toml("name = 'billing'")?.fleet(fleet);
    /// # let _ = config; Ok(()) }
    /// ```
    #[must_use]
    pub fn fleet(mut self, fleet: Fleet) -> Self {
        self.fleet = Some(fleet);
        self
    }

    /// Builds the provider: reads keys and secrets, and checks everything.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](bearer_token::ErrorKind::Config), with everything that is wrong in
    /// [`problems`](Error::problems).
    pub fn build(self) -> Result<TokenProvider, Error> {
        self.builder().build()
    }

    /// Builds the provider for one set of [variables](crate::KeyedConfig), given as names and values.
    ///
    /// A fact about a request, such as `request.host`, is a variable too. For many sets there is
    /// [`KeyedConfig`](crate::KeyedConfig), which also restricts where variables may be.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build); also for a variable that is missing.
    pub fn build_with<N: Into<String>, V: Into<String>>(
        self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<TokenProvider, Error> {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.fitted().assemble(Given::Values(&variables), None).builder.build()
    }

    /// Returns the provider's builder, to set what a configuration cannot, such as the platform.
    ///
    /// The builder's own `build` reports everything that is wrong with the configuration.
    pub fn builder(self) -> TokenProviderBuilder {
        self.fitted().assemble(Given::Nothing, None).builder
    }

    /// Returns the grant of the section `refresh_token`, to store the first refresh token with
    /// [`RefreshToken::replace`] after a person has consented.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](bearer_token::ErrorKind::Config) if there is no such section, or something is wrong with it.
    /// Of the rest of the configuration, only the form is checked.
    pub fn refresh_token(self) -> Result<RefreshToken, Error> {
        self.fitted().refresh_token()
    }

    pub(crate) fn fitted(self) -> Fitted {
        let ProviderConfig { value, mut report, mut variables, directory, file, transport, platform, fleet } = self;
        let fields = fit::fit(value, &variables, &mut report);
        variables.report_to(&mut report);
        Fitted {
            fields,
            report,
            variables,
            directory,
            file,
            transport,
            platform,
            fleet,
            sharing: OnceLock::new(),
            is_dry_run: false,
            hosts: Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for ProviderConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_value)
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the fields: a secret may be in the wrong one.
        f.debug_struct("ProviderConfig").field("directory", &self.directory).finish_non_exhaustive()
    }
}
