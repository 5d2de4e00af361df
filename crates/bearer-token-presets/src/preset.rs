//! A preset whose tokens come from token endpoints.

use std::{fmt, sync::Arc};

use bearer_token::{Problem, TokenProvider, TokenProviderBuilder, oauth::TokenEndpointBuilder, platform::Platform};

use crate::check::problems;

/// A preset of kind `K`, with the settings of its token requests.
///
/// Functions such as [`vault::jwt`](crate::vault::jwt) return it. Each kind has settings of its own, and `provider`,
/// which returns the builder of its [`TokenProvider`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Preset<K> {
    pub(crate) kind: K,
    pub(crate) stages: Stages,
}

impl<K> Preset<K> {
    pub(crate) fn new(kind: K) -> Self {
        Preset { kind, stages: Stages::default() }
    }

    /// Changes each token endpoint of the preset, such as its transport.
    pub fn endpoint(
        mut self,
        edit: impl Fn(TokenEndpointBuilder) -> TokenEndpointBuilder + Send + Sync + 'static,
    ) -> Self {
        self.stages.edit = Some(Arc::new(edit));
        self
    }

    /// Sets the platform of all stages. The returned builder's own `platform` sets only that of the last one.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.stages.platform = Some(platform);
        self
    }
}

/// The user's changes to each stage of a preset.
#[derive(Clone, Default)]
pub(crate) struct Stages {
    edit: Option<Arc<dyn Fn(TokenEndpointBuilder) -> TokenEndpointBuilder + Send + Sync>>,
    platform: Option<Platform>,
}

impl Stages {
    /// Returns the builder of a provider on this endpoint, or the problems of the endpoint.
    ///
    /// Its paths become those of the preset: `paths` has the path of the endpoint's builder, and what the user gave.
    pub(crate) fn build(
        &self,
        endpoint: TokenEndpointBuilder,
        paths: &[(&str, &str)],
    ) -> Result<TokenProviderBuilder, Vec<Problem>> {
        let endpoint = match &self.edit {
            Some(edit) => edit(endpoint),
            None => endpoint,
        };
        let endpoint = endpoint.build().map_err(|error| renamed(problems("token_endpoint", &error), paths))?;
        Ok(self.on_platform(TokenProvider::builder(endpoint)))
    }

    /// The builder on the user's platform, if one is given.
    pub(crate) fn on_platform(&self, builder: TokenProviderBuilder) -> TokenProviderBuilder {
        match &self.platform {
            Some(platform) => builder.platform(platform.clone()),
            None => builder,
        }
    }
}

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stages").field("is_edited", &self.edit.is_some()).finish_non_exhaustive()
    }
}

/// The problems with the paths that the user knows.
fn renamed(problems: Vec<Problem>, paths: &[(&str, &str)]) -> Vec<Problem> {
    let rename = |problem: Problem| match paths.iter().find(|(from, _)| *from == problem.path()) {
        Some((_, to)) => problem.at(*to),
        None => problem,
    };
    problems.into_iter().map(rename).collect()
}
