//! What replicas share through a store: the tokens of the provider, and a refresh token.

use bearer_token::{
    Advice, Error, FetchContext, Identity, Problem, Setting, TokenProvider, TokenProviderBuilder, TokenSource,
    oauth::RefreshToken,
    shared::{Fleet, SealingKeys},
};

use super::{Context, no_source};
use crate::{
    given::Given,
    store::{Store, Times},
};

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

    /// Shares by a store, whose records these keys seal.
    ///
    /// # Errors
    ///
    /// What is wrong with the keys or the namespace, with the core's paths.
    pub(in crate::sections) fn in_store(
        store: Store,
        keys: SealingKeys,
        name: Option<String>,
        namespace: String,
    ) -> Result<Self, Error> {
        let fleet = store.fleet(keys.clone()).namespace(namespace.clone()).build()?;
        Ok(Sharing { fleet, name, namespace, store: Some((store, keys)) })
    }
}

const FIELD: &str = "refresh_token.shared";

impl Context<'_> {
    /// A builder on a source, which replicas share if that is configured.
    ///
    /// The sources of other sources are not shared: only the replica that fetches needs them.
    pub(in crate::sections) fn provider(&mut self, source: impl TokenSource) -> TokenProviderBuilder {
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

    /// The grant on the refresh token in the store of the section `shared`, if nothing is wrong with that.
    pub(in crate::sections) fn shared_refresh_token(&mut self, times: Times) -> Option<RefreshToken> {
        let Some(sharing) = self.sharing else {
            // What is wrong with the section itself has been reported.
            if !self.has_shared_section {
                let problem = Problem::new(FIELD, "found `true` without a section `shared`");
                let problem = problem.expecting("the store for the refresh token");
                self.report.add(problem.advise(Advice::Set(Setting::Field("shared.url".into()))));
            }
            return None;
        };
        let Some((store, keys)) = &sharing.store else {
            let problem = Problem::new(FIELD, "found `true` beside a fleet that code gives");
            let problem = problem.expecting("a section `shared` with the `url` of the store");
            self.report.add(problem.advise(Advice::text("give the store in code as well: `SharedRefreshToken`")));
            return None;
        };
        let Some(name) = &sharing.name else {
            let problem = Problem::new("shared.name", "found nothing, although the store keeps a refresh token");
            self.report.add(problem.expecting("a name that tells this consent from all others in the store"));
            return None;
        };
        Some(store.refresh_token(keys.clone(), self.record(sharing, name), times))
    }

    /// The name of the refresh token of this source. Without a namespace, and outside of `sources`, it is the name
    /// alone, as code would give it.
    fn record(&self, sharing: &Sharing, name: &str) -> String {
        // Neither a name nor a namespace contains a control character.
        let place = if self.is_inside_source() { format!("\u{2}{}", self.place("")) } else { String::new() };
        match sharing.namespace.as_str() {
            "" => format!("{name}{place}"),
            namespace => format!("{namespace}\u{1}{name}{place}"),
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
