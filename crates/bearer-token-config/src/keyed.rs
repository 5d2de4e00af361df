//! A provider for each set of variables, all from one configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use bearer_token::{
    Advice, Error, ErrorKind, KeyedProviders, KeyedProvidersBuilder, Problem, RequestHead, Retry, Sending,
};

use crate::{
    ProviderConfig,
    build::{Assembled, Fitted},
    given::Given,
    kept::Kept,
};

/// A configuration with variables: `{ variable = "tenant" }` in place of a value, or `{request.host}` in a computed
/// member. It gives a provider for each set of their values.
///
/// ```
/// use bearer_token::Selected;
/// use bearer_token_config::{KeyedConfig, ProviderConfig};
///
/// /// The application leaves it among the extensions of its requests.
/// #[derive(Clone)]
/// struct Tenant(String);
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// # #[cfg(feature = "http-transport")] {
/// let config = KeyedConfig::new(ProviderConfig::from_toml(r#"
///     allow_origins = ["https://api.example.com"]
///     [token_endpoint]
///     url = { variable = "tenant", prefix = "https://login.example.com/", suffix = "/token" }
///     client = { id = "reporting", secret = "correct horse battery staple" }
/// "#)?)?;
/// let providers = config.providers().max_providers(1_000).build()?;
/// let by_tenant = providers.select(move |head| {
///     let Some(Tenant(tenant)) = head.extension::<Tenant>() else { return Ok(Selected::NoToken) };
///     Ok(Selected::Owned(config.key(&head, [("tenant", tenant.as_str())])?))
/// });
/// # let _ = by_tenant; }
/// # Ok(()) }
/// ```
///
/// The key of a provider is all variables that the configuration uses, so no token serves another set of values. What
/// depends on no variable is shared by all: keys that sign, and `sources`. Providers with the same `tls` and
/// `title_case_headers`, after their variables are filled in, share one HTTP client and its connections.
///
/// A variable may be in any value, with two exceptions. The origin of the token endpoint's URL is fixed, unless its
/// hosts are [listed](Self::with_endpoint_hosts). The origins that tokens may be sent to are fixed, too.
#[derive(Clone)]
pub struct KeyedConfig(Arc<Inner>);

struct Inner {
    fitted: Fitted,
    used: BTreeSet<String>,
    sending: Option<Sending>,
    kept: Kept,
}

impl KeyedConfig {
    /// Checks the configuration with stand-ins for the variables.
    ///
    /// # Errors
    ///
    /// As [`ProviderConfig::build`], and also for:
    ///
    /// - a variable in a place where none may be,
    /// - a refresh token whose file all keys would share,
    /// - a secret in a pipe, which only one key could read,
    /// - a configuration without any variable or fact about the request.
    pub fn new(config: ProviderConfig) -> Result<Self, Error> {
        Self::with_endpoint_hosts(config, Vec::<String>::new())
    }

    /// Does the same as [`new`](Self::new) for a configuration with a variable in the host of the token endpoint's URL.
    /// With the value of each key, that host must be one of `hosts`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_endpoint_hosts(
        config: ProviderConfig,
        hosts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, Error> {
        let mut fitted = config.fitted();
        fitted.hosts = hosts.into_iter().map(Into::into).collect();
        let Assembled { builder, used, sending, .. } = fitted.assemble(Given::Rehearsal, None);
        builder.build()?;
        if used.is_empty() {
            let problem = Problem::new("variables", "found no variable, so all keys would share one token")
                .expecting("`{ variable = \"NAME\" }` in place of a value, or a placeholder such as `{request.host}`")
                .advise(Advice::text("add one"))
                .advise(Advice::text("call `ProviderConfig::build`"));
            return Err(Error::config("the keyed configuration cannot be used", [problem]));
        }
        Ok(KeyedConfig(Arc::new(Inner { fitted, used, sending, kept: Kept::default() })))
    }

    /// The names of the variables that the configuration uses.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.used.iter().map(String::as_str)
    }

    /// The key of a request, from the variables of the application. Facts about the request, such as `request.host`,
    /// are added where the configuration uses them. Variables that it does not use are left out. A variable with the
    /// name of a fact is ignored, because facts always come from the request.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](ErrorKind::Config) if a variable is missing, or the request has no such fact.
    pub fn key<N: AsRef<str>, V: Into<String>>(
        &self,
        head: &RequestHead<'_>,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Variables, Error> {
        let used = &self.0.used;
        let is_given = |name: &str| used.contains(name) && fact(name).is_none();
        let given = variables.into_iter().filter(|(name, _)| is_given(name.as_ref()));
        let mut key: BTreeMap<String, String> =
            given.map(|(name, value)| (name.as_ref().to_owned(), value.into())).collect();
        for name in used {
            if !key.contains_key(name) {
                let value = fact(name).and_then(|fact| fact(head)).ok_or_else(|| {
                    Error::new(ErrorKind::Config, format!("found no variable `{name}` for this request; expected one"))
                        .with_retry(Retry::AfterChange)
                })?;
                key.insert(name.clone(), value);
            }
        }
        Ok(Variables(Arc::new(key)))
    }

    /// Starts building the map of providers.
    pub fn providers(&self) -> KeyedProvidersBuilder<Variables> {
        let inner = Arc::clone(&self.0);
        let builder = KeyedProviders::builder(move |key: &Variables| {
            let assembled = inner.fitted.assemble(Given::Values(&key.0), Some(&inner.kept));
            Ok(assembled.builder)
        });
        let builder = match &self.0.fitted.platform {
            Some(platform) => builder.platform(platform.clone()),
            None => builder,
        };
        match &self.0.sending {
            Some(sending) => builder.sending(sending.clone()),
            None => builder,
        }
    }
}

/// A fact about a request. A client without URLs does not know all of them.
type Fact = fn(&RequestHead<'_>) -> Option<String>;

/// A fact about a request, by its name in placeholders.
fn fact(name: &str) -> Option<Fact> {
    Some(match name {
        "request.method" => |head| Some(head.method().as_str().to_owned()),
        "request.scheme" => |head| head.scheme().map(str::to_owned),
        "request.host" => |head| head.authority().map(str::to_owned),
        "request.path" => |head| Some(head.path().to_owned()),
        "request.url" => |head| Some(format!("{}://{}{}", head.scheme()?, head.authority()?, head.path())),
        _ => return None,
    })
}

/// The variables of one provider, and its key. `Debug` shows their names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Variables(Arc<BTreeMap<String, String>>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Variables").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

impl fmt::Debug for KeyedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedConfig").field("variables", &self.0.used).finish_non_exhaustive()
    }
}
