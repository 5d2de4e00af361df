//! The section `shared`: a store through which all replicas use one token.

use bearer_token::{
    Error, FetchContext, Identity, Problem, TokenProvider, TokenProviderBuilder, TokenSource,
    shared::{Fleet, SealingKeys},
};
#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::refresh_token::Times;
use self::store::{Durability, Store};
use super::{context::Context, source::no_source};
use crate::{
    given::Given,
    values::{SecretField, Text},
};

mod refresh_token;
mod store;

/// The store that the replicas of a program share, so that they fetch one token instead of one each.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SharedFields {
    /// The URL of the store: `redis://host:6379`, or `postgres://user@host/database`, where the table exists. It may
    /// contain a password.
    url: Option<SecretField>,
    /// The keys that seal the tokens in the store: one per line, 32 bytes in Base64 (`openssl rand -base64 32`). The
    /// first one seals, all of them open. A file is read again.
    key: Option<SecretField>,
    /// A name for the token, if it depends on something that replicas cannot compare, such as the consent of a user.
    name: Option<Text>,
    /// Keeps the tokens apart from those of another deployment in the same store with the same keys.
    namespace: Option<Text>,
    /// Accepts a PostgreSQL that may lose acknowledged writes when its host crashes, as servers for tests do. Its
    /// `fsync` or `full_page_writes` is off, or the table is unlogged.
    test_server: bool,
    /// Accepts `full_page_writes = off` of PostgreSQL, because the file system of the server never writes a part of a
    /// page (ZFS).
    whole_pages: bool,
    /// Refuses a PostgreSQL whose commits wait for no standby (`synchronous_standby_names`), because a promoted standby
    /// may lack the latest refresh token.
    synchronous_standby: bool,
}

/// A fleet, and the name under which it shares.
pub(crate) struct Sharing {
    fleet: Fleet,
    name: Option<String>,
    namespace: String,
    /// The store that the section names, with its keys. A fleet that code gives has one that is not known here.
    store: Option<(Store, SealingKeys)>,
}

impl Sharing {
    /// Shares by a fleet that code gives.
    pub(crate) fn of(fleet: &Fleet, name: Option<String>) -> Self {
        Sharing { fleet: fleet.clone(), name, namespace: String::new(), store: None }
    }
}

const URL: &str = "shared.url";
const KEY: &str = "shared.key";

impl SharedFields {
    /// The fleet, if nothing is wrong with the section. A fleet that code gives needs neither a URL nor a key.
    pub(crate) fn sharing(&self, given: Option<&Fleet>, cx: &mut Context<'_>) -> Option<Sharing> {
        let name = self.name.as_ref().map(|name| name.as_str().to_owned());
        if let Some(fleet) = given {
            return Some(Sharing::of(fleet, name));
        }
        let fields = [(URL, &self.url), (KEY, &self.key)];
        if fields.map(|(path, field)| field.as_ref().is_some_and(|field| cx.has_variable(path, field))).contains(&true)
        {
            return None;
        }
        let keys = cx.required(KEY, self.key.as_ref(), "the keys that seal the tokens: `{ file = \"..\" }`");
        let keys = keys.and_then(|keys| Self::keys(keys, cx));
        let url = cx.required(URL, self.url.as_ref(), "the URL of the store, such as `redis://localhost:6379`");
        let url = url.and_then(|url| cx.secret(URL, url))?;
        let durability = Durability {
            test_server: self.test_server,
            whole_pages: self.whole_pages,
            synchronous_standby: self.synchronous_standby,
        };
        let report = |problem: Problem| {
            let path = format!("shared.{}", problem.path());
            cx.report.add(problem.at(path));
        };
        let store = Store::open(&url, durability).map_err(report).ok()?;
        let (keys, namespace) = (keys?, self.namespace.as_ref().map_or("", Text::as_str).to_owned());
        let built = store.fleet(keys.clone()).namespace(namespace.clone()).build();
        let report = |error: Error| {
            for problem in error.problems() {
                cx.report.add(problem.clone().at(KEY));
            }
        };
        let fleet = built.map_err(report).ok()?;
        Some(Sharing { fleet, name, namespace, store: Some((store, keys)) })
    }

    fn keys(field: &SecretField, cx: &mut Context<'_>) -> Option<SealingKeys> {
        match cx.file_of(field) {
            Some(file) => Some(SealingKeys::file(file)),
            None => cx.lines(KEY, field).map(|keys| SealingKeys::new(keys.as_str())),
        }
    }
}

impl Context<'_> {
    /// A builder on a source, which replicas share if that is configured.
    ///
    /// The sources of other sources are not shared: only the replica that fetches needs them.
    pub(super) fn provider(&mut self, source: impl TokenSource) -> TokenProviderBuilder {
        let Some(Sharing { fleet, name, .. }) = self.sharing.filter(|_| !self.is_inside_source()) else {
            return TokenProvider::builder(source);
        };
        let variables = match self.given {
            Given::Values(values) => values.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            Given::Nothing | Given::Rehearsal => Vec::new(),
        };
        let source = OfVariables { source, variables };
        if let Some(name) = name {
            return TokenProvider::builder(fleet.share_as(name, source));
        }
        match fleet.share(source) {
            Ok(shared) => TokenProvider::builder(shared),
            Err(error) => {
                let parts: Vec<_> = error.problems().iter().map(|problem| format!("`{}`", problem.path())).collect();
                let found = format!("found nothing, although replicas cannot compare {}", parts.join(" and "));
                let problem = Problem::new("shared.name", found);
                self.report.add(problem.expecting("a name that tells this token from all others in the store"));
                no_source()
            }
        }
    }
}

/// A source whose tokens are those of some variables. So no two tenants share a token, whatever the variables do.
struct OfVariables<S> {
    source: S,
    variables: Vec<String>,
}

impl<S: TokenSource> TokenSource for OfVariables<S> {
    async fn fetch(&self, cx: FetchContext) -> Result<bearer_token::AccessToken, Error> {
        self.source.fetch(cx).await
    }

    fn has_changed(&self) -> bool {
        self.source.has_changed()
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.source.name()
    }

    fn challenge_test(&self) -> Option<bearer_token::ChallengeTest> {
        self.source.challenge_test()
    }

    fn credential_in_use(&self) -> Option<bearer_token::CredentialInUse> {
        self.source.credential_in_use()
    }

    fn identity(&self, identity: &mut Identity) {
        identity.set("variables", &self.variables);
        self.source.identity(identity);
    }
}
